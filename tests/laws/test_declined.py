"""Saying no by an answer: well formed in every dialect, wherever the model was stopped.

A text that is told never comes together with `content_filter`, and what a caller reads does not
depend on how the model's answer was cut.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.answer import Event, Events, Lane, per_lane
from gateway.core.declined import Manner, RespondWith
from gateway.core.dialect import Dialect
from gateway.core.errors import Code, Filtered
from gateway.core.exchange import Exchange
from gateway.core.money import Usage
from gateway.dialects.chat import Chat
from gateway.dialects.completions import Completions
from gateway.dialects.messages import Messages
from gateway.dialects.responses import Responses
from gateway.stages.decline import decline
from tests.declining import WORDS, ending_of, expected, refusal_of, text_of
from tests.exchanges import pieces

STOP = "¶"
"""Where a rule is broken."""
SAID = {
    "chat": {
        "id": "c1", "object": "chat.completion", "created": 1, "model": "m-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "*"},
                     "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    },
    "completions": {
        "id": "c1", "object": "text_completion", "created": 1, "model": "m-1",
        "choices": [{"index": 0, "text": "*", "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    },
    "messages": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m-1",
        "content": [{"type": "thinking", "thinking": "hm", "signature": "s" * 50},
                    {"type": "text", "text": "*"}],
        "stop_reason": "end_turn", "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 4},
    },
    "responses": {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "m-1",
        "status": "completed", "error": None, "incomplete_details": None,
        "output": [
            {"id": "rs_1", "type": "reasoning", "summary": [
                {"type": "summary_text", "text": "hm"}]},
            {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
             "content": [{"type": "output_text", "text": "*", "annotations": [],
                          "logprobs": []}]},
        ],
        "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
    },
}  # fmt: skip
ASKED: Mapping[str, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "hi"}]},
    "completions": {"prompt": "hi"},
    "messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9},
    "responses": {"input": "hi", "instructions": "Be kind.", "metadata": {"a": "b"}},
}
LENSES: Mapping[str, Dialect] = {
    "chat": Chat(),
    "completions": Completions(),
    "messages": Messages(),
    "responses": Responses(),
}
NAMES = pytest.mark.parametrize("name", LENSES)
STREAMS = pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters=STOP), max_size=30)


class Stops:
    """Lets everything through until the answer breaks a rule."""

    async def feed(self, text: str) -> str:
        before, found, _ = text.partition(STOP)
        if found:
            raise Filtered(Code.CONTENT_FILTER, "Stopped. Reference dec_1.", shown=before)
        return text

    async def finish(self) -> str:
        return ""


def answer_of(name: str, text: str) -> dict[str, Any]:
    return orjson.loads(orjson.dumps(SAID[name]).replace(b'"*"', orjson.dumps(text)))  # type: ignore[no-any-return]


def events_of(name: str, text: str, cuts: Sequence[int], *, stream: bool) -> list[Event]:
    """An answer that says `text`, in pieces where it is streamed."""
    answer = answer_of(name, text)
    if not stream:
        return [Event(answer, whole=True)]
    cut: list[Event] = []
    lens = LENSES[name]
    for event in lens.unfold(answer, {"stream": True}):
        spoken = [run for run in lens.runs(event) if run.text == text and text]
        for piece in pieces(text, cuts) if spoken else [None]:
            copied = Event(copy.deepcopy(event.data))
            for run in lens.runs(copied):
                if piece is not None and run.text == text:
                    run.put(piece)
            cut.append(copied)
    return cut


@dataclass
class Told:
    """What a caller got, and the exchange behind it."""

    exchange: Exchange
    events: list[Event]

    @property
    def answer(self) -> dict[str, Any]:
        """What a client makes of it."""
        whole = self.events[0] if self.events[0].whole else None
        return whole.data if whole else self.exchange.dialect.fold(self.events)


async def told(
    name: str, how: Manner, said: Sequence[Event], *, stream: bool, words: str | None = WORDS,
    **more: Any,
) -> Told:  # fmt: skip
    """What the stage makes of an answer that is stopped where `STOP` stands."""
    request = {"model": "m", "stream": stream, **ASKED[name], **more}
    body = orjson.dumps(request)

    async def read() -> bytes:
        return body

    exchange = Exchange(LENSES[name], read)
    exchange.received, exchange.request = body, request
    exchange.respond_with = RespondWith(how, words)

    async def upstream(exchange: Exchange) -> Events:
        async def answered() -> Events:
            for event in said:
                exchange.heard.append(event.encode())
                exchange.usage = exchange.dialect.usage(event) or exchange.usage
                yield event

        def make(lane: Lane) -> Stops:
            return Stops()

        return per_lane(make, exchange.dialect)(answered())

    events = [event async for event in await decline(exchange, upstream)]
    for number, event in enumerate(events):
        exchange.dialect.number(event, number)
    return Told(exchange, events)


@NAMES
@STREAMS
@pytest.mark.parametrize("how", Manner)
@given(before=TEXTS, after=TEXTS, cuts=st.lists(st.integers(0, 60), max_size=5))
@settings(max_examples=25, deadline=None)
async def test_what_is_told_however_the_answer_was_cut(
    name: str, stream: bool, how: Manner, before: str, after: str, cuts: list[int]
) -> None:
    said = events_of(name, before + STOP + after, cuts, stream=stream)
    seen = await told(name, how, said, stream=stream)
    answer = seen.answer
    shown = (text_of(name, answer), refusal_of(name, answer), ending_of(name, answer))
    assert shown == expected(name, how, before if stream else "")
    assert STOP not in str(answer)
    declined = seen.exchange.declined
    assert declined is not None
    assert declined.how is how
    assert seen.exchange.dialect.well_formed(answer)
    orjson.loads(orjson.dumps(answer))


@NAMES
@given(before=TEXTS, cuts=st.lists(st.integers(0, 60), max_size=5))
@settings(max_examples=25, deadline=None)
async def test_a_filter_says_nothing_of_its_own(name: str, before: str, cuts: list[int]) -> None:
    """No event with `content_filter`, and none after the model's last, holds a text."""
    said = events_of(name, before + STOP, cuts, stream=True)
    seen = await told(name, Manner.CONTENT_FILTER, said, stream=True)
    assert WORDS not in str([event.data for event in seen.events])
    for event in seen.events:
        if name in ("chat", "completions") and "content_filter" in str(event.data):
            assert not seen.exchange.dialect.says_text(event)


@NAMES
@pytest.mark.parametrize("how", Manner)
async def test_a_stream_ends_as_the_dialect_ends_one(name: str, how: Manner) -> None:
    seen = await told(name, how, events_of(name, f"One. {STOP}", [3], stream=True), stream=True)
    lens = seen.exchange.dialect
    ended = {group for event in seen.events for group in lens.ended(event)}
    assert lens.complete(seen.exchange.request, ended, seen.events[-1])
    assert all(lens.well_formed(event.data) for event in seen.events)
    numbers = [event.data.get("sequence_number") for event in seen.events]
    assert name != "responses" or numbers == list(range(len(numbers)))


@STREAMS
@NAMES
async def test_usage_is_told_where_it_is_known(name: str, stream: bool) -> None:
    said = events_of(name, STOP, [], stream=stream)
    seen = await told(name, Manner.CONTENT_FILTER, said, stream=stream)
    if not stream:
        usage = seen.answer["usage"]
        assert {usage.get("prompt_tokens"), usage.get("input_tokens")} == {3, None}
        assert {usage.get("completion_tokens"), usage.get("output_tokens")} == {4, None}
    assert seen.exchange.declined is not None
    told_usage = seen.exchange.declined.usage
    assert stream or told_usage == Usage(3, 4, exact=True)
