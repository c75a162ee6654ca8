"""A conversation goes before the input, and each turn that completes is added to it."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest

from gateway.core.answer import Event, Events
from gateway.core.declined import Declined, Manner
from gateway.core.errors import Code, Denied, Malformed, Unavailable
from gateway.core.exchange import Call, Exchange
from gateway.dialects.responses import Responses as Dialect
from gateway.stages.converse import Converse
from tests.exchanges import SOMEBODY, answering, chat_request, decided, heard, whole
from tests.unit.dialects.test_responses_answer import message, response, said, streamed

DIALECT = Dialect()
DECLINED = Declined(
    Denied(Code.CONTENT_FILTER, "No."), Manner.MESSAGE, "No.", "exc_1", "m", 1, None
)
BEFORE = {"role": "user", "content": "Before."}


class Conversation:
    """Implements `StoredConversations`: one conversation, `conv_1`."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = [BEFORE]
        self.added: list[tuple[Any, Any]] = []
        self.error: Exception | None = None

    async def turns(self, principal: Any, id: str) -> list[dict[str, Any]]:
        if (principal, id) != (SOMEBODY, "conv_1"):
            raise Denied(Code.NOT_FOUND, "There is none.")
        return copy.deepcopy(self.items)

    async def append(self, principal: Any, id: str, asked: Any, told: Any) -> None:
        assert (principal, id) == (SOMEBODY, "conv_1")
        if self.error is not None:
            raise self.error
        self.added.append((asked, told))


class House:
    def __init__(self) -> None:
        self.conversation = Conversation()
        self.stage = Converse(self.conversation)
        self.events: list[Event] = [Event(response(message(said("Hello."))), whole=True)]
        self.seen: list[dict[str, Any]] = []
        self.declined: Declined | None = None

    async def model(self, exchange: Exchange) -> Events:
        self.seen.append(copy.deepcopy(exchange.request))
        exchange.declined = self.declined
        return await answering(self.events)(exchange)

    async def ask(self, **request: Any) -> list[Event]:
        body = orjson.dumps({"model": "m", "conversation": "conv_1", **request})

        async def read() -> bytes:
            return body

        exchange = Exchange(DIALECT, read, Call())
        exchange.principal, exchange.received = SOMEBODY, body
        exchange.request = DIALECT.check(DIALECT.parse(body, "application/json"))
        return await heard(await self.stage(exchange, self.model))


@pytest.mark.parametrize("named", ["conv_1", {"id": "conv_1"}])
@pytest.mark.parametrize(
    ("given", "after"),
    [
        ("Hi", [{"role": "user", "content": "Hi"}]),
        ([{"role": "user", "content": "Hi"}], [{"role": "user", "content": "Hi"}]),
        (None, []),
    ],
)
async def test_what_was_said_goes_first_and_the_provider_knows_no_conversation(
    named: Any, given: Any, after: list[Any]
) -> None:
    house = House()
    asked = {} if given is None else {"input": given}
    await house.ask(conversation=named, **asked)
    assert house.seen == [{"model": "m", "input": [BEFORE, *after]}]
    [(kept, told)] = house.conversation.added
    assert kept == {"model": "m", "conversation": named, **asked}
    assert told == house.events[0].data


async def test_a_turn_of_a_stream_is_added_before_its_end_is_released() -> None:
    house = House()
    house.events = streamed(response(message(said("Hello."))))
    events = await house.ask(input="Hi", stream=True)
    assert len(events) == len(house.events)
    [(_, told)] = house.conversation.added
    assert told["output"] == [message(said("Hello."))]


async def test_a_turn_is_all_that_was_said_though_the_end_does_not_say_it_again() -> None:
    house = House()
    house.events = streamed(response(message(said("Hello."))))
    house.events[-1].data["response"]["output"] = []
    await house.ask(input="Hi", stream=True)
    [(_, told)] = house.conversation.added
    assert told["output"] == [message(said("Hello."))]


@pytest.mark.parametrize("status", ["incomplete", "failed", "cancelled", "queued", None])
async def test_a_turn_that_did_not_complete_is_not_added(status: str | None) -> None:
    house = House()
    house.events = [Event(response(message(said("He")), status=status), whole=True)]
    assert len(await house.ask(input="Hi")) == 1
    assert not house.conversation.added


async def test_a_refusal_that_is_told_as_an_answer_is_no_turn() -> None:
    house = House()
    house.declined = DECLINED
    assert len(await house.ask(input="Hi")) == 1
    assert not house.conversation.added


async def test_a_stream_that_is_left_is_no_turn() -> None:
    house = House()
    house.events = streamed(response(message(said("Hello."))))[:-1]
    await house.ask(input="Hi", stream=True)
    assert not house.conversation.added


async def test_a_conversation_of_nobodys_is_not_found() -> None:
    house = House()
    with pytest.raises(Denied) as refused:
        await house.ask(conversation="conv_2", input="Hi")
    assert (refused.value.code, refused.value.param) == (Code.NOT_FOUND, "conversation")
    assert not house.seen


async def test_what_stands_in_it_must_be_what_a_caller_may_send() -> None:
    house = House()
    house.conversation.items = [{"type": "custom_tool_call", "name": "f"}]
    with pytest.raises(Malformed) as refused:
        await house.ask(input="Hi")
    assert refused.value.param == "input[0].input"
    assert not house.seen


@pytest.mark.parametrize(
    "error", [Unavailable(Code.AUDIT_UNAVAILABLE, "away"), Denied(Code.RATE_LIMIT_EXCEEDED, "x")]
)
async def test_what_was_paid_for_is_told_though_it_cannot_be_added(error: Exception) -> None:
    house = House()
    house.conversation.error = error
    assert len(await house.ask(input="Hi")) == 1


async def test_who_names_none_and_other_actions_pass() -> None:
    house = House()
    await house.ask(conversation=None, input="Hi")
    exchange = decided(chat_request(conversation="conv_1"))
    assert len(await heard(await house.stage(exchange, answering([whole("Hello.")])))) == 1
    assert exchange.request["conversation"] == "conv_1"
    assert house.seen[0]["input"] == "Hi"
    assert not house.conversation.added
