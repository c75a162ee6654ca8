"""Responses are read again by their owner; in the background they come to an end."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.core.errors import Code, Denied, Malformed, Unavailable, UpstreamError
from gateway.core.exchange import Call
from gateway.core.kept import Came
from gateway.core.principal import Principal
from gateway.governance.responses import ENDPOINT, Responses, ResponseWorker
from gateway.governance.unattended import Reply
from tests.fakes.shelf import FakeShelf

WHO = Principal("acme", "sales", "shop", "k1")
OTHER = Principal("acme", "sales", "desk", "k2")
CALL = Call(attributes={"x-govgate-user": "alice"})
ASKED = {"model": "m", "input": "Hello", "metadata": {"a": "b"}}
CAME = Came("exc_0")
TOLD = {"id": "resp_1", "object": "response", "status": "completed", "output": []}


class House:
    def __init__(self) -> None:
        self.shelf = FakeShelf()
        self.responses = Responses(self.shelf)
        self.bodies: list[dict[str, Any]] = []
        self.calls: list[Call] = []
        self.reply = Reply(200, "exc_1", {**TOLD, "id": "resp_upstream", "usage": {"n": 1}})
        self.begins = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def run(self, endpoint: str, body: bytes, call: Call) -> Reply:
        assert (endpoint, call.principal) == (ENDPOINT, WHO)
        assert call.kept_elsewhere
        self.calls.append(call)
        self.bodies.append(json.loads(body))
        self.begins.set()
        await self.may_end.wait()
        return self.reply

    async def told(self, id: str) -> dict[str, Any]:
        return (await self.responses.get(WHO, id))[0]

    async def work(self) -> bool:
        return await ResponseWorker(self.shelf, self.run).work()


async def test_what_was_told_is_read_again_by_its_app_alone() -> None:
    responses = House().responses
    await responses.keep(WHO, ASKED, TOLD, CAME)
    assert await responses.get(WHO, "resp_1") == (TOLD, "exc_0")
    [item] = await responses.input_items(WHO, "resp_1")
    assert item["content"] == [{"type": "input_text", "text": "Hello"}]
    for call in (responses.get, responses.input_items, responses.delete, responses.cancel):
        with pytest.raises(Denied) as refused:
            await call(OTHER, "resp_1")
        assert refused.value.code is Code.NOT_FOUND
    assert (await responses.delete(WHO, "resp_1"))["deleted"]
    with pytest.raises(Denied):
        await responses.get(WHO, "resp_1")


async def test_told_again_the_last_counts() -> None:
    responses = House().responses
    await responses.keep(WHO, ASKED, TOLD, CAME)
    again = {**TOLD, "output": [{"type": "message"}]}
    await responses.keep(WHO, ASKED, again, Came("exc_1", "openai"))
    assert await responses.get(WHO, "resp_1") == (again, "exc_1")


@pytest.mark.parametrize(("asked", "told"), [({"store": False}, TOLD), ({}, None), ({}, {})])
async def test_what_is_not_to_be_stored_is_not(asked: dict[str, Any], told: Any) -> None:
    house = House()
    await house.responses.keep(WHO, asked, told, CAME)
    with pytest.raises(Denied):
        await house.responses.get(WHO, "resp_1")


async def test_told_again_from_its_record_it_still_comes_of_its_own_exchange() -> None:
    """So it goes when that is erased, or a value that was found in its answer."""
    responses = House().responses
    await responses.keep(WHO, ASKED, TOLD, Came("exc_1", "openai"))
    await responses.keep(WHO, ASKED, TOLD, Came("exc_repeat"))
    kept = await responses._known(WHO, "resp_1")
    assert (kept.document["exchange_id"], kept.document["upstream"]) == ("exc_1", "openai")


async def test_in_the_background_it_is_queued_run_and_told() -> None:
    house = House()
    queued = await house.responses.begin(WHO, {**ASKED, "background": True, "stream": None}, CALL)
    assert (queued["status"], queued["metadata"]) == ("queued", {"a": "b"})
    assert await house.work()
    done = await house.told(queued["id"])
    assert (done["id"], done["status"], done["background"]) == (queued["id"], "completed", True)
    assert done["usage"] == {"n": 1}
    assert house.bodies == [{**ASKED, "stream": False}]
    assert house.calls[0].attributes == CALL.attributes
    assert not await house.work()


async def test_a_refusal_is_a_failure_that_says_why() -> None:
    house = House()
    house.reply = Reply(400, "exc_1", {"error": {"code": "content_filter", "message": "no"}})
    queued = await house.responses.begin(WHO, {**ASKED, "background": True}, CALL)
    await house.work()
    told = await house.told(queued["id"])
    assert (told["status"], told["error"]["code"]) == ("failed", "content_filter")


async def test_cancelled_before_it_is_run_it_never_is() -> None:
    house = House()
    queued = await house.responses.begin(WHO, {**ASKED, "background": True}, CALL)
    assert (await house.responses.cancel(WHO, queued["id"]))["status"] == "cancelled"
    assert not await house.work()
    assert not house.bodies


async def test_cancelled_while_it_runs_it_is_hung_up() -> None:
    house = House()
    house.may_end.clear()
    queued = await house.responses.begin(WHO, {**ASKED, "background": True}, CALL)
    working = asyncio.create_task(house.work())
    await house.begins.wait()
    assert (await house.told(queued["id"]))["status"] == "in_progress"
    await house.responses.cancel(WHO, queued["id"])
    assert await working
    assert (await house.told(queued["id"]))["status"] == "cancelled"
    assert (await house.responses.cancel(WHO, queued["id"]))["status"] == "cancelled"


async def test_what_a_dead_process_had_begun_fails() -> None:
    house = House()
    house.may_end.clear()
    queued = await house.responses.begin(WHO, {**ASKED, "background": True}, CALL)
    working = asyncio.create_task(house.work())
    await house.begins.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    house.shelf._claims.clear()
    assert await house.work()
    told = await house.told(queued["id"])
    assert told["status"] == "failed"
    assert len(house.bodies) == 1


@pytest.mark.parametrize("more", [{"stream": True}, {"store": False}])
async def test_what_cannot_run_in_the_background_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as refused:
        await House().responses.begin(WHO, {**ASKED, "background": True, **more}, CALL)
    assert refused.value.param in more


async def test_only_the_background_can_be_cancelled() -> None:
    house = House()
    await house.responses.keep(WHO, ASKED, TOLD, CAME)
    with pytest.raises(Malformed):
        await house.responses.cancel(WHO, "resp_1")


async def test_a_key_for_repeats_is_refused_as_it_would_run_twice() -> None:
    with pytest.raises(Malformed) as refused:
        await House().responses.begin(
            WHO, {**ASKED, "background": True}, Call(idempotency_key="once")
        )
    assert refused.value.param == "background"


async def test_the_provider_knows_one_in_the_background_by_its_own_id() -> None:
    house = House()
    queued = await house.responses.begin(WHO, {**ASKED, "background": True}, CALL)
    await house.work()
    assert await house.responses.upstream_id(WHO, queued["id"]) == "resp_upstream"
    with pytest.raises(Denied):
        await house.responses.upstream_id(OTHER, queued["id"])


async def test_what_was_paid_for_is_told_though_the_database_was_away() -> None:
    house = House()
    queued = await house.responses.begin(WHO, {**ASKED, "background": True}, CALL)
    change, refusals = house.shelf.change, 2

    async def away(*arguments: Any, **more: Any) -> Any:
        nonlocal refusals
        if house.bodies and refusals:
            refusals -= 1
            raise Unavailable(Code.AUDIT_UNAVAILABLE, "away")
        return await change(*arguments, **more)

    house.shelf.change = away  # type: ignore[method-assign]
    await house.work()
    assert (await house.told(queued["id"]))["status"] == "completed"


class Provider:
    """Implements `StoringProvider`."""

    def __init__(self, error: UpstreamError | None = None) -> None:
        self.forgotten: list[str] = []
        self._error = error

    async def forget(self, response_id: str) -> None:
        self.forgotten.append(response_id)
        if self._error is not None:
            raise self._error


BUSY = UpstreamError(Code.UPSTREAM_ERROR, "Busy.", status=503)


@pytest.mark.parametrize("error", [None, BUSY])
async def test_the_copy_of_the_provider_goes_too_if_it_can(error: UpstreamError | None) -> None:
    made, other = Provider(error), Provider()
    responses = Responses(FakeShelf(), providers={"made": made, "other": other})
    await responses.keep(WHO, ASKED, TOLD, Came("exc_0", "made"))
    await responses.keep(WHO, ASKED, TOLD, Came("exc_1"))  # from its record: nobody was asked
    with pytest.raises(Denied):
        await responses.delete(OTHER, "resp_1")
    assert not made.forgotten
    with capture_logs() as logged:
        assert (await responses.delete(WHO, "resp_1"))["deleted"]
    assert (made.forgotten, other.forgotten) == (["resp_1"], [])
    [line] = logged
    assert line["event"] == ("provider_copy_left" if error else "provider_copy_destroyed")
    assert (line["upstream"], line["exchange_id"]) == ("made", "exc_0")


async def test_a_provider_that_stores_nothing_is_not_asked() -> None:
    responses = Responses(FakeShelf(), providers={})
    await responses.keep(WHO, ASKED, TOLD, Came("exc_0", "made"))
    assert (await responses.delete(WHO, "resp_1"))["deleted"]


async def test_one_in_the_background_is_forgotten_by_the_id_that_the_provider_knows() -> None:
    house = House()
    made = Provider()
    house.responses = Responses(house.shelf, providers={"made": made})
    house.reply = replace(house.reply, upstream="made")
    queued = await house.responses.begin(WHO, {**ASKED, "background": True}, CALL)
    assert (await house.responses.get(WHO, queued["id"]))[1] is None
    await house.work()
    assert (await house.responses.get(WHO, queued["id"]))[1] == "exc_1"
    await house.responses.delete(WHO, queued["id"])
    assert made.forgotten == ["resp_upstream"]


async def test_the_items_of_one_in_the_background_are_found_when_it_is_done() -> None:
    house = House()
    item = {"type": "message", "id": "msg_1", "role": "assistant", "content": "Hello."}
    house.reply = replace(house.reply, body={**house.reply.body, "output": [item]})
    await house.responses.begin(WHO, {**ASKED, "background": True}, CALL)
    assert await house.responses.items(WHO, ["msg_1"]) == {}
    await house.work()
    assert await house.responses.items(WHO, ["msg_1"]) == {"msg_1": item}
