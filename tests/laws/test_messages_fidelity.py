"""What no rule edits passes messages as it came, both ways, known to us or not."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import Event
from gateway.core.errors import Malformed
from gateway.dialects.count_tokens import CountTokens
from gateway.dialects.messages import Messages
from gateway.stages.discharge import Discharge
from tests.exchanges import answering, heard
from tests.laws.test_chunking import MASK, STOP, Cut, Mask, Screen, Words
from tests.laws.test_messages_chunking import exchange_of
from tests.unit.dialects.test_messages_answer import ANSWERS, answer, called, spoken
from tests.unit.dialects.test_messages_check import REQUESTS
from tests.unit.dialects.test_messages_request import places, request_of

MESSAGES = Messages()
KNOWN = st.sampled_from([*places().values()])
UNKNOWN = st.dictionaries(
    st.text(min_size=1, max_size=8).map(lambda name: f"x{name}"),
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=6),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=8,
    ),
    max_size=3,
)  # fmt: skip


def sent(request: dict[str, Any]) -> dict[str, Any]:
    """What leaves for the provider when nothing was found."""

    async def main() -> dict[str, Any]:
        exchange = exchange_of(request, MASK, STOP)
        stage = Discharge({"mask": Mask(Cut()), "screen": Screen({"word": Words()})})
        await stage(exchange, answering([]))
        kind, body = MESSAGES.encode(exchange.request)
        assert kind == "application/json"
        told: dict[str, Any] = orjson.loads(body)
        return told

    return asyncio.run(main())


@given(REQUESTS | KNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
def test_a_request_leaves_as_it_came(
    request: dict[str, Any], top: dict[str, Any], inside: dict[str, Any], deep: dict[str, Any]
) -> None:
    body = top | copy.deepcopy(request)
    for message in body["messages"]:
        message |= inside
        for block in message["content"] if isinstance(message["content"], list) else ():
            if isinstance(block, dict):
                block |= deep
    try:
        MESSAGES.check(body)
    except Malformed:
        return
    assert sent(body) == body
    assert CountTokens().check(copy.deepcopy(body)) == body


def passed(events: Sequence[Event], *duties: Any) -> list[Event]:
    async def main() -> list[Event]:
        stage = Discharge({"screen": Screen({"word": Words()}), "mask": Mask(Cut())})
        return await heard(await stage(exchange_of(request_of(), *duties), answering(events)))

    return asyncio.run(main())


@given(ANSWERS, UNKNOWN)
def test_an_answer_passes_byte_for_byte(whole: dict[str, Any], more: dict[str, Any]) -> None:
    raw = orjson.dumps(more | whole, option=orjson.OPT_INDENT_2)
    [event] = passed([Event(orjson.loads(raw), whole=True, raw=raw)], MASK)
    assert event.encode() == raw


@given(ANSWERS, UNKNOWN)
def test_what_is_screened_and_clean_reads_the_same(
    whole: dict[str, Any], more: dict[str, Any]
) -> None:
    """A rewriter that holds text back may rewrite an event; it must not change what it says."""
    [event] = passed([Event(copy.deepcopy(more | whole), whole=True)], STOP)
    assert event.data == more | whole
    events = MESSAGES.unfold(copy.deepcopy(more | whole), request_of(stream=True))
    assert MESSAGES.fold(passed(events, STOP)) == more | whole


@given(UNKNOWN, UNKNOWN)
def test_a_stream_passes_byte_for_byte(more: dict[str, Any], inside: dict[str, Any]) -> None:
    events: list[Event] = []
    for event in answer(spoken(["a", "b"]), spoken(["c"], "thinking", 1), called(['{"a":1}'], 2)):
        data = event.data | more
        if isinstance(data.get("delta"), dict):
            data["delta"] = data["delta"] | inside
        raw = orjson.dumps(data, option=orjson.OPT_INDENT_2)
        events.append(Event(orjson.loads(raw), raw=raw))
    assert [event.encode() for event in passed(events, MASK)] == [e.encode() for e in events]
