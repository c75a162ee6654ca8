"""Responses are read again by their owner; in the background they come to an end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.core.errors import Code, Denied, Malformed, Unavailable
from gateway.core.exchange import Call
from gateway.core.principal import Principal
from gateway.governance.responses import ENDPOINT, Responses, ResponseWorker
from gateway.governance.unattended import Reply
from tests.fakes.shelf import FakeShelf

WHO = Principal("acme", "sales", "shop", "k1")
OTHER = Principal("acme", "sales", "desk", "k2")
CALL = Call(attributes={"x-govgate-user": "alice"})
ASKED = {"model": "m", "input": "Hello", "metadata": {"a": "b"}}
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

    async def work(self) -> bool:
        return await ResponseWorker(self.shelf, self.run).work()


async def test_what_was_told_is_read_again_by_its_app_alone() -> None:
    responses = House().responses
    await responses.keep(WHO, ASKED, TOLD)
    assert await responses.get(WHO, "resp_1") == TOLD
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
    await responses.keep(WHO, ASKED, TOLD)
    await responses.keep(WHO, ASKED, {**TOLD, "output": [{"type": "message"}]})
    assert (await responses.get(WHO, "resp_1"))["output"] == [{"type": "message"}]


@pytest.mark.parametrize(("asked", "told"), [({"store": False}, TOLD), ({}, None), ({}, {})])
async def test_what_is_not_to_be_stored_is_not(asked: dict[str, Any], told: Any) -> None:
    house = House()
    await house.responses.keep(WHO, asked, told)
    with pytest.raises(Denied):
        await house.responses.get(WHO, "resp_1")


async def test_in_the_background_it_is_queued_run_and_told() -> None:
    house = House()
    queued = await house.responses.begin(WHO, {**ASKED, "background": True, "stream": None}, CALL)
    assert (queued["status"], queued["metadata"]) == ("queued", {"a": "b"})
    assert await house.work()
    done = await house.responses.get(WHO, queued["id"])
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
    told = await house.responses.get(WHO, queued["id"])
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
    assert (await house.responses.get(WHO, queued["id"]))["status"] == "in_progress"
    await house.responses.cancel(WHO, queued["id"])
    assert await working
    assert (await house.responses.get(WHO, queued["id"]))["status"] == "cancelled"
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
    told = await house.responses.get(WHO, queued["id"])
    assert told["status"] == "failed"
    assert len(house.bodies) == 1


@pytest.mark.parametrize("more", [{"stream": True}, {"store": False}])
async def test_what_cannot_run_in_the_background_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as refused:
        await House().responses.begin(WHO, {**ASKED, "background": True, **more}, CALL)
    assert refused.value.param in more


async def test_only_the_background_can_be_cancelled() -> None:
    house = House()
    await house.responses.keep(WHO, ASKED, TOLD)
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
    assert (await house.responses.get(WHO, queued["id"]))["status"] == "completed"
