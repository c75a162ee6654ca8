"""What the policy refuses is told by an answer, if a rule wants that; nothing else is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest

from gateway.core.answer import Event, Events
from gateway.core.declined import Manner, RespondWith
from gateway.core.dialect import Dialect
from gateway.core.errors import (
    Code,
    Denied,
    Filtered,
    GatewayError,
    Malformed,
    OverBudget,
    Unavailable,
    UpstreamError,
)
from gateway.core.exchange import Exchange, Outcome
from gateway.core.money import Usage
from gateway.dialects.chat import Chat
from gateway.dialects.embeddings import Embeddings
from gateway.stages.account import KeepAccount
from gateway.stages.decline import decline
from tests.exchanges import SOMEBODY, called, chat_request, chunk, spoken, whole
from tests.fakes.journal import FakeJournal

NO = Denied(Code.CONTENT_FILTER, "Blocked by policy. Reference dec_1.", rules=["r"])
STOPPED = Filtered(Code.CONTENT_FILTER, "Stopped. Reference dec_1.")


def coming(
    request: dict[str, Any],
    how: Manner | None,
    words: str | None = None,
    lens: Dialect | None = None,
) -> Exchange:
    """An exchange as it is once the policy has said how it is to be told."""
    body = orjson.dumps(request)

    async def read() -> bytes:
        return body

    exchange = Exchange(lens or Chat(), read)
    exchange.principal = SOMEBODY
    exchange.received = body
    exchange.request = orjson.loads(body)
    exchange.respond_with = None if how is None else RespondWith(how, words)
    return exchange


def refusing(error: Exception) -> Callable[[Exchange], Any]:
    async def upstream(exchange: Exchange) -> Events:
        raise error

    return upstream


def stopped(events: Sequence[Event], error: Exception = STOPPED) -> Callable[[Exchange], Any]:
    """An answer that breaks after `events`."""

    async def upstream(exchange: Exchange) -> Events:
        exchange.heard.append(b"{}")

        async def said() -> Events:
            for event in events:
                yield event
            raise error

        return said()

    return upstream


async def told(exchange: Exchange, upstream: Callable[[Exchange], Any]) -> list[Event]:
    return [event async for event in await decline(exchange, upstream)]


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_a_refusal_is_told_in_the_words_of_the_rule_or_of_the_error(stream: bool) -> None:
    for words in (None, "Ask ann."):
        exchange = coming(chat_request(stream=stream), Manner.REFUSAL, words)
        events = await told(exchange, refusing(NO))
        answer = exchange.dialect.fold(events)
        assert answer["choices"][0]["message"] == {
            "role": "assistant", "content": None, "refusal": words or NO.message,
        }  # fmt: skip
        assert answer["choices"][0]["finish_reason"] == "stop"
        assert events[0].whole is not stream
        assert exchange.declined is not None
        assert (exchange.declined.why, exchange.declined.how) == (NO, Manner.REFUSAL)
        assert (answer["id"], answer["model"]) == (exchange.id, "m")


async def test_without_a_wish_it_is_an_error() -> None:
    for upstream, error in ((refusing(NO), NO), (stopped([whole("x")]), STOPPED)):
        exchange = coming(chat_request(), None)
        with pytest.raises(type(error)) as raised:
            await told(exchange, upstream)
        assert raised.value is error
        assert exchange.declined is None


@pytest.mark.parametrize(
    "error",
    [
        Denied(Code.INVALID_API_KEY, "x"),
        Denied(Code.RATE_LIMIT_EXCEEDED, "x"),
        Denied(Code.MODEL_NOT_ALLOWED, "x"),
        Denied(Code.IDEMPOTENCY_KEY_IN_USE, "x"),
        OverBudget(1, "x"),
        Malformed("x"),
        Unavailable(Code.POLICY_ERROR, "x"),
        Unavailable(Code.REVIEWS_UNAVAILABLE, "x"),
        Unavailable(Code.INSPECTION_UNAVAILABLE, "x"),
        Filtered(Code.INSPECTION_UNAVAILABLE, "x"),
        UpstreamError(Code.UPSTREAM_ERROR, "x", status=400, body={"code": "content_filter"}),
        RuntimeError("x"),
    ],
    ids=lambda error: str(getattr(error, "code", "bug")),
)
@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_what_no_policy_refuses_stays_an_error(error: Exception, stream: bool) -> None:
    for upstream in (refusing(error), stopped(spoken(["x"])[:2], error)):
        exchange = coming(chat_request(stream=stream), Manner.CONTENT_FILTER)
        with pytest.raises(type(error)):
            await told(exchange, upstream)
        assert exchange.declined is None


async def test_an_endpoint_that_cannot_say_it_keeps_the_error() -> None:
    for how in Manner:
        exchange = coming({"model": "m", "input": "x"}, how, lens=Embeddings())
        with pytest.raises(GatewayError) as raised:
            await told(exchange, refusing(NO))
        assert raised.value is NO


async def test_who_asked_for_no_stream_reads_nothing_of_what_was_stopped() -> None:
    """Also where the provider sent it in pieces."""
    exchange = coming(chat_request(), Manner.MESSAGE, "No.")
    [event] = await told(exchange, stopped(spoken(["secret "])[:2]))
    assert event.whole
    assert event.data["choices"][0]["message"]["content"] == "No."
    assert "usage" not in event.data, "the provider had not told it yet"


async def test_pieces_that_nothing_stops_leave_as_they_came() -> None:
    said = spoken(["hel", "lo"])

    async def upstream(exchange: Exchange) -> Events:
        async def events() -> Events:
            for event in said:
                yield event

        return events()

    for stream in (False, True):
        exchange = coming(chat_request(stream=stream), Manner.MESSAGE)
        events = await told(exchange, upstream)
        assert len(events) == len(said)
        assert all(one is other for one, other in zip(events, said, strict=True))


@pytest.mark.parametrize("how", Manner)
async def test_half_a_tool_call_is_never_taken_for_a_whole_one(how: Manner) -> None:
    exchange = coming(chat_request(stream=True), how)
    with pytest.raises(Filtered):
        await told(exchange, stopped(called(['{"to": '])[:2]))
    assert exchange.declined is None


async def test_where_json_is_wanted_a_message_is_a_refusal() -> None:
    form = {"type": "json_object"}
    for stream, upstream in ((False, refusing(NO)), (True, stopped(spoken(['{"a'])[:2]))):
        exchange = coming(
            chat_request(stream=stream, response_format=form), Manner.MESSAGE, "Ask ann."
        )
        answer = exchange.dialect.fold(await told(exchange, upstream))
        assert answer["choices"][0]["message"]["refusal"] == "Ask ann."
        assert "Ask ann." not in (answer["choices"][0]["message"]["content"] or "")
        assert exchange.declined is not None
        assert exchange.declined.how is Manner.REFUSAL


async def test_the_request_is_read_as_it_came() -> None:
    """Usage that was asked for on its way to the provider is none of the caller's."""
    for asked in (False, True):
        more = {"stream_options": {"include_usage": True}} if asked else {}
        exchange = coming(chat_request(stream=True, n=2, **more), Manner.CONTENT_FILTER)
        exchange.request["stream_options"] = {"include_usage": True}
        exchange.usage = Usage(3, 4, exact=True)
        events = await told(exchange, refusing(STOPPED))
        counted = [event.data["usage"] for event in events if event.data.get("usage")]
        usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
        assert counted == ([usage] if asked else [])
        ends = [c["finish_reason"] for e in events for c in e.data["choices"]]
        assert ends.count("content_filter") == 2


async def test_the_model_may_stand_in_the_path() -> None:
    exchange = coming({"messages": [{"role": "user", "content": "x"}]}, Manner.REFUSAL)
    exchange.request["model"] = "deployed"
    [event] = await told(exchange, refusing(NO))
    assert event.data["model"] == "deployed"
    assert event.data["usage"]["total_tokens"] == 0, "nobody was asked"


class TestTheRecord:
    """The outcome is the refusal's; what is released is what the caller got."""

    @pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
    @pytest.mark.parametrize(
        ("upstream", "outcome"),
        [
            (refusing(NO), Outcome.DENIED),
            (stopped([chunk(0, {"content": "One. "})]), Outcome.FILTERED),
        ],
        ids=["refused", "stopped"],
    )
    async def test_of_what_was_declined(
        self, upstream: Callable[[Exchange], Any], outcome: Outcome, stream: bool
    ) -> None:
        journal = FakeJournal()
        exchange = coming(chat_request(stream=stream), Manner.MESSAGE, "No.")

        async def inner(exchange: Exchange) -> Events:
            return await decline(exchange, upstream)

        got: list[bytes] = []
        async with exchange:
            async for event in await KeepAccount(journal)(exchange, inner):
                got.append(event.encode())
        entries = journal.entries(exchange.id)
        facts = entries[-1].facts
        assert exchange.outcome is outcome
        assert (facts["outcome"], facts["code"]) == (str(outcome), "content_filter")
        assert facts["respond_with"] == "message"
        released = [e.parts["answer_released"] for e in entries if "answer_released" in e.parts]
        assert b"\n".join(released).split(b"\n") == got

    async def test_of_an_answer_there_is_no_word_of_it(self) -> None:
        journal = FakeJournal()
        exchange = coming(chat_request(), Manner.MESSAGE)

        async def upstream(exchange: Exchange) -> Events:
            async def said() -> Events:
                yield whole("hello")

            return await decline(exchange, lambda _: _ready(said()))

        async with exchange:
            assert [event async for event in await KeepAccount(journal)(exchange, upstream)]
        facts = journal.entries(exchange.id)[-1].facts
        assert facts["outcome"] == "completed"
        assert "respond_with" not in facts


async def _ready(events: Events) -> Events:
    return events
