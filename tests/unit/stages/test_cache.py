"""A known question gets the known answer: within one app and one policy, masked, while fresh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.adapters.memory_cache import MemoryCache
from gateway.core.answer import Event, Events
from gateway.core.errors import Code, Filtered, UpstreamError
from gateway.core.exchange import Exchange
from gateway.core.policy import Decision
from gateway.core.ports import CachedAnswer
from gateway.stages.cache import UseCache
from tests.exchanges import CHAT, SOMEBODY, allowing, called, chat_request, chunk, decided, spoken
from tests.exchanges import whole as whole_of

USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


def asking(request: dict[str, Any] | None = None, keep: float | None = 60.0, **known: Any
           ) -> Exchange:  # fmt: skip
    exchange = decided(request or chat_request())
    exchange.keep_seconds = keep
    exchange.known |= known
    return exchange


def with_header(beta: str) -> Exchange:
    exchange = asking()
    exchange.call = replace(exchange.call, forwarded={"anthropic-beta": beta})
    return exchange


class House:
    """The stage before an upstream that notes what it says, as `route` does."""

    def __init__(self) -> None:
        self.cache = MemoryCache(now=lambda: self.now)
        self.stage = UseCache(self.cache)
        self.now = 0.0
        self.calls = 0
        self.answer: Sequence[Event] = ()

    async def upstream(self, exchange: Exchange) -> Events:
        self.calls += 1
        told = self.answer or (
            [*spoken(["hel", "lo"]), Event({"id": "c", "choices": [], "usage": USAGE})]
            if exchange.streamed
            else [Event({**whole_of("hello").data, "usage": USAGE}, whole=True)]
        )

        async def said() -> Events:
            for event in told:
                exchange.heard.append(event.encode())
                yield Event(orjson.loads(event.encode()), whole=event.whole)

        return said()

    async def ask(self, exchange: Exchange) -> dict[str, Any]:
        """The whole answer that a caller gets."""
        async with exchange:
            events = [event async for event in await self.stage(exchange, self.upstream)]
        return CHAT.fold(events)


async def test_without_a_rule_nothing_is_looked_for_or_kept() -> None:
    house = House()
    for _ in range(2):
        exchange = asking(keep=None)
        await house.ask(exchange)
        assert exchange.headers["x-govgate-cache"] == "off"
    assert house.calls == 2


async def test_the_same_question_is_asked_once() -> None:
    house = House()
    first, second = asking(), asking()
    told = await house.ask(first)
    again = await house.ask(second)
    assert house.calls == 1
    assert first.headers["x-govgate-cache"] == "miss"
    assert second.headers["x-govgate-cache"] == f"hit; source={first.id}"
    assert again == told | {"id": second.id}
    assert second.heard == []  # a hit says nothing anew, and costs nothing


async def test_a_caller_may_edit_what_was_kept() -> None:
    house = House()
    await house.ask(asking())
    for _ in range(2):
        told = await house.ask(asking())
        assert told["choices"][0]["message"]["content"] == "hello"
        told["choices"][0]["message"]["content"] = "spoilt"


async def test_an_answer_grows_old() -> None:
    house = House()
    await house.ask(asking())
    house.now = 59.0
    await house.ask(asking())
    assert house.calls == 1
    house.now = 60.1
    await house.ask(asking())
    assert house.calls == 2


@pytest.mark.parametrize("kept_streamed", [False, True], ids=["kept whole", "kept of a stream"])
@pytest.mark.parametrize("streamed", [False, True], ids=["unary", "stream"])
async def test_streamed_or_not_it_is_one_entry(kept_streamed: bool, streamed: bool) -> None:
    house = House()
    await house.ask(asking(chat_request(stream=kept_streamed)))
    options = {"stream": True, "stream_options": {"include_usage": True}}
    exchange = asking(chat_request(**(options if streamed else {})))
    told = await house.ask(exchange)
    assert house.calls == 1
    assert told["choices"][0]["message"]["content"] == "hello"
    assert told["choices"][0]["finish_reason"] == "stop"
    assert told["usage"] == USAGE


@pytest.mark.parametrize(
    "other",
    [
        asking(chat_request("another")),
        asking(chat_request(temperature=0.5)),
        asking(chat_request() | {"model": "m2"}),
        asking(chat_request(n=2)),
        asking(principal=replace(SOMEBODY, app="other-bot")),
        asking(principal=replace(SOMEBODY, org="other")),
        asking(decision=Decision("dec_2", "sha256:2", allowing())),
        with_header("a-2026-01-01"),
    ],
    ids=["text", "parameter", "model", "choices", "app", "organisation", "policy revision",
         "a header of the API"],
)  # fmt: skip
async def test_what_may_shape_the_answer_or_who_may_see_it_tells_apart(other: Exchange) -> None:
    house = House()
    await house.ask(asking())
    await house.ask(other)
    assert house.calls == 2


@pytest.mark.parametrize(
    "same",
    [
        asking(chat_request(user="u2", metadata={"case": "1"}, safety_identifier="s")),
        asking(decision=Decision("dec_2", "sha256:1", allowing())),
        asking(principal=replace(SOMEBODY, key_id="k2")),
        asking({"messages": chat_request()["messages"], "model": "m"}),
    ],
    ids=["attribution", "another decision", "another key of the app", "another order of members"],
)
async def test_what_does_not_is_the_same_question(same: Exchange) -> None:
    house = House()
    await house.ask(asking())
    await house.ask(same)
    assert house.calls == 1


class Spy:
    """Keeps what it is given to keep."""

    def __init__(self) -> None:
        self.kept: list[tuple[CachedAnswer, float]] = []

    async def find(self, key: bytes) -> CachedAnswer | None:
        assert len(key) == 32  # a digest: no text of the request
        return None

    async def keep(self, key: bytes, answer: CachedAnswer, seconds: float) -> None:
        self.kept.append((answer, seconds))


async def kept(exchange: Exchange, house: House, fault: Exception | None = None
               ) -> list[tuple[CachedAnswer, float]]:  # fmt: skip
    """What is kept of an exchange whose caller reads the answer, and which may end in a fault."""
    spy = Spy()

    async def visit() -> None:
        async with exchange:
            async for event in await UseCache(spy)(exchange, house.upstream):
                event.data["choices"] = "restored, shown to the caller"
            if fault is not None:
                raise fault

    if fault is None:
        await visit()
    else:
        with pytest.raises(type(fault)):
            await visit()
    return spy.kept


async def test_what_is_kept_is_what_the_provider_said_before_anything_was_restored() -> None:
    exchange = asking()
    [(answer, seconds)] = await kept(exchange, House())
    assert answer.answer["choices"][0]["message"]["content"] == "hello"
    assert (answer.source, seconds) == (exchange.id, 60.0)


@pytest.mark.parametrize(
    "fault",
    [Filtered(Code.CONTENT_FILTER, "x"), UpstreamError(Code.UPSTREAM_ERROR, "x"), RuntimeError()],
    ids=lambda fault: type(fault).__name__,
)
async def test_an_answer_that_did_not_complete_is_not_kept(fault: Exception) -> None:
    assert await kept(asking(), House(), fault) == []


@pytest.mark.parametrize("streamed", [False, True], ids=["unary", "stream"])
async def test_tool_calls_are_not_kept(streamed: bool) -> None:
    house = House()
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    house.answer = called(["{}"]) if streamed else [whole_of(None, tool_calls=[call])]
    assert await kept(asking(chat_request(stream=streamed)), house) == []


async def test_several_choices_are_kept_together() -> None:
    house = House()
    house.answer = [chunk(1, {"content": "b"}), chunk(0, {"content": "a"}),
                    chunk(0, {}, "stop"), chunk(1, {}, "stop")]  # fmt: skip
    [(answer, _)] = await kept(asking(chat_request(stream=True, n=2)), house)
    assert [choice["message"]["content"] for choice in answer.answer["choices"]] == ["a", "b"]
