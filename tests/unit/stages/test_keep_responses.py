"""What is asked of kept responses is put into the request before anything looks at it."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest

from gateway.core.account import Account
from gateway.core.answer import Events
from gateway.core.errors import Code, Denied, Malformed
from gateway.core.exchange import Call, Exchange
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind
from gateway.dialects.responses import Responses as Dialect
from gateway.governance.responses import Responses
from gateway.stages.keep_responses import KeepResponses
from tests.exchanges import MODEL, SOMEBODY, answering, chat_request, decided, heard, whole
from tests.fakes.journal import FakeJournal
from tests.fakes.shelf import FakeShelf
from tests.unit.dialects.test_responses_answer import called, message, response, said, streamed

DIALECT = Dialect()
STRANGER = Principal("acme", "support", "other", "k2")


def exchange_of(request: dict[str, Any], who: Principal = SOMEBODY, **call: Any) -> Exchange:
    body = orjson.dumps(request)

    async def read() -> bytes:
        return body

    exchange = Exchange(DIALECT, read, Call(**call))
    exchange.principal, exchange.received = who, body
    exchange.request = DIALECT.check(DIALECT.parse(body, "application/json"))
    return exchange


class House:
    def __init__(self) -> None:
        self.responses = Responses(FakeShelf())
        self.stage = KeepResponses(self.responses)
        self.seen: list[dict[str, Any]] = []
        self.answer = response(message(said("Hello.")))

    async def model(self, exchange: Exchange) -> Events:
        self.seen.append(copy.deepcopy(exchange.request))
        exchange.model = MODEL
        record = FakeJournal().begin(exchange.id, exchange.principal, Entry(Kind.OPENED, {}))
        exchange.account = Account(exchange, record)
        exchange.account.attempts = 1
        event = whole(None)
        event.data = copy.deepcopy(self.answer)
        return await answering([event])(exchange)

    async def ask(self, request: dict[str, Any], who: Principal = SOMEBODY, **call: Any) -> Any:
        """What the caller is told."""
        events = await self.stage(exchange_of(request, who, **call), self.model)
        return (await heard(events))[-1].data


def naming(*ids: str, **more: Any) -> dict[str, Any]:
    names: list[Any] = [{"type": "item_reference", "id": id} for id in ids]
    return {"model": "m", "input": [*names, {"role": "user", "content": "And?"}], **more}


async def test_an_item_stands_where_it_was_named() -> None:
    house = House()
    house.answer = response(message(said("Hello.")), called('{"to": "ann"}'))
    await house.ask({"model": "m", "input": "Hi"})
    await house.ask(naming("msg_1", "fc_1"))
    first, second, asked = house.seen[-1]["input"]
    part = {"type": "output_text", "text": "Hello.", "annotations": []}
    assert first == message(part)
    assert second == called('{"to": "ann"}')
    assert asked == {"role": "user", "content": "And?"}


async def test_an_item_without_its_type_is_named_too() -> None:
    house = House()
    await house.ask({"model": "m", "input": "Hi"})
    await house.ask({"model": "m", "input": [{"id": "msg_1"}]})
    assert house.seen[-1]["input"][0]["role"] == "assistant"


async def test_named_twice_it_is_there_twice_and_neither_is_the_other() -> None:
    house = House()
    await house.ask({"model": "m", "input": "Hi"})
    exchange = exchange_of(naming("msg_1", "msg_1"))
    await house.stage(exchange, house.model)
    first, second, _ = exchange.request["input"]
    assert first == second
    assert first is not second
    assert first["content"][0] is not second["content"][0]


@pytest.mark.parametrize("who", [SOMEBODY, STRANGER])
async def test_an_item_that_is_not_the_apps_is_not_found(who: Principal) -> None:
    house = House()
    await house.ask({"model": "m", "input": "Hi"})
    names = naming("msg_1", "msg_2") if who is SOMEBODY else naming("msg_1")
    with pytest.raises(Denied) as refused:
        await house.ask(names, who)
    wanted = "msg_2" if who is SOMEBODY else "msg_1"
    assert refused.value.code is Code.NOT_FOUND
    assert refused.value.param == f"input[{len(names['input']) - 2}].id"
    assert refused.value.message.startswith(f"Item with id '{wanted}' not found.")
    assert len(house.seen) == 1


async def test_what_is_put_in_must_be_what_a_caller_may_send() -> None:
    house = House()
    house.answer = response({"type": "custom_tool_call", "id": "ctc_1", "name": "f"})
    await house.ask({"model": "m", "input": "Hi"})
    with pytest.raises(Malformed) as refused:
        await house.ask(naming("ctc_1"))
    assert refused.value.param == "input[0].input"


async def test_it_is_kept_as_it_was_asked_with_where_it_came_from() -> None:
    house = House()
    await house.ask({"model": "m", "input": "Hi"})
    house.answer = response(id="resp_2")
    await house.ask(naming("msg_1"))
    kept = await house.responses._known(SOMEBODY, "resp_2")
    assert kept.document["asked"] == naming("msg_1")
    assert kept.document["upstream"] == MODEL.upstream
    assert kept.document["exchange_id"].startswith("exc_")


async def test_what_a_stream_said_is_kept_though_its_end_does_not_say_it_again() -> None:
    house = House()
    events = streamed(response(message(said("Hello."))))
    events[-1].data["response"]["output"] = []

    async def model(exchange: Exchange) -> Events:
        await house.model(exchange)
        return await answering(events)(exchange)

    exchange = exchange_of({"model": "m", "input": "Hi", "stream": True})
    told = await heard(await house.stage(exchange, model))
    assert [event.data for event in told] == [event.data for event in events]
    kept = await house.responses._known(SOMEBODY, "resp_1")
    assert kept.document["told"]["output"] == [message(said("Hello."))]
    assert await house.responses.items(SOMEBODY, ["msg_1"])


async def test_in_the_background_a_name_is_looked_up_at_once() -> None:
    house = House()
    with pytest.raises(Denied):
        await house.ask(naming("msg_1", background=True))
    await house.ask({"model": "m", "input": "Hi"})
    queued = await house.ask(naming("msg_1", background=True))
    assert queued["status"] == "queued"
    assert len(house.seen) == 1


async def test_whoever_keeps_the_answer_elsewhere_still_names_items() -> None:
    house = House()
    await house.ask({"model": "m", "input": "Hi"})
    house.answer = response(id="resp_2")
    await house.ask(naming("msg_1"), kept_elsewhere=True)
    assert house.seen[-1]["input"][0]["type"] == "message"
    with pytest.raises(Denied):
        await house.responses.get(SOMEBODY, "resp_2")


async def test_other_actions_pass() -> None:
    house = House()
    exchange = decided(chat_request())
    before = copy.deepcopy(exchange.request)
    events = await house.stage(exchange, answering([whole("Hello.")]))
    assert len(await heard(events)) == 1
    assert exchange.request == before
