"""Law 2: how an answer is chunked changes nothing anyone reads."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import Event
from gateway.core.errors import Filtered
from gateway.core.findings import Finding
from gateway.core.passages import Passage
from gateway.obligations.mask import Mask
from gateway.obligations.screen import Screen
from gateway.stages.discharge import Discharge
from tests.exchanges import CHAT, allowing, answering, called, chat_request, decided, pieces, spoken

ADDRESS = "ann@example.org"
CUTS = st.lists(st.integers(0, 200), max_size=10)
NOISE = st.text(alphabet="ab .!?\n[]\\_EMAIL1<é。", max_size=30)


class Words:
    """Finds BOMB and runs of 7, the way a model would: from the whole passage."""

    name = "words"

    async def inspect(self, passages: Sequence[Passage]) -> list[Finding]:
        found = []
        for passage in passages:
            shift = len(passage.before)
            for label, pattern in (("BOMB", r"BO\s*MB"), ("SEVEN", "7+"), ("MAIL", r"\w+@\S+")):
                for hit in re.finditer(pattern, passage.before + passage.text):
                    if hit.end() > shift:
                        found.append(
                            Finding("word", label, passage.where, hit.start() - shift,
                                    hit.end() - shift, 1.0, passage.direction)
                        )  # fmt: skip
        return found


class Cut:
    """A masker that replaces spans, last first."""

    def mask(self, text: str, findings: Sequence[Finding], name: Callable[[str, str], str]) -> str:
        for finding in sorted(findings, key=lambda hit: -hit.start):
            value = text[finding.start : finding.end]
            text = text[: finding.start] + name(finding.label, value) + text[finding.end :]
        return text


MASK = ("mask", {"labels": ["MAIL"], "min_score": 0.5, "with": "placeholder"})
STOP = ("screen", {"kinds": ["word"], "labels": ["BOMB"], "on_match": "filter"})
REDACT = ("screen", {"kinds": ["word"], "labels": ["SEVEN"], "on_match": "redact"})


def read(events: Sequence[Event], *duties: Any, **more: Any) -> tuple[dict[str, Any], bool]:
    """What the caller reads of an answer under these duties, and whether it was stopped."""

    async def main() -> tuple[dict[str, Any], bool]:
        exchange = decided(chat_request(f"I am {ADDRESS}", **more), allowing(*duties))
        [slot] = exchange.dialect.slots(exchange.request)[:1]
        exchange.found(await Words().inspect([slot.passage()]))
        stage = Discharge({"mask": Mask(Cut()), "screen": Screen({"word": Words()})})
        said: list[Event] = []
        stopped = False
        try:
            async for event in await stage(exchange, answering(events)):
                said.append(Event(json.loads(event.encode()), whole=event.whole))
        except Filtered:
            stopped = True
        folded = CHAT.fold(said) if said else {"choices": []}
        return {"choices": folded["choices"]}, stopped

    return asyncio.run(main())


def text_of(body: dict[str, Any]) -> str:
    return "".join(choice["message"].get("content") or "" for choice in body["choices"])


@given(NOISE, NOISE, CUTS)
def test_restored_alike(left: str, right: str, cuts: list[int]) -> None:
    text = f"{left}[[MAIL_1]]{right}"
    one, _ = read(spoken([text]), MASK)
    many, _ = read(spoken(pieces(text, cuts)), MASK)
    assert one == many
    assert ADDRESS in text_of(one)
    assert "[[MAIL_1]]" not in text_of(one)


@given(st.text(alphabet="aBOMB 7.\n!", max_size=60), CUTS)
def test_screened_alike(text: str, cuts: list[int]) -> None:
    one, stopped = read(spoken([text]), STOP, REDACT)
    many, also = read(spoken(pieces(text, cuts)), STOP, REDACT)
    assert text_of(one) == text_of(many)
    assert stopped == also == bool(re.search(r"BO\s*MB", text))
    assert "7" not in text_of(one)


@given(NOISE, CUTS)
def test_tool_arguments_stay_json(noise: str, cuts: list[int]) -> None:
    arguments = json.dumps({"to": "[[MAIL_1]]", "note": noise, "n": [1, {"x": "777"}]})
    one, _ = read(called([arguments]), MASK, REDACT)
    many, _ = read(called(pieces(arguments, cuts)), MASK, REDACT)
    assert one == many
    [call] = one["choices"][0]["message"]["tool_calls"]
    told = json.loads(call["function"]["arguments"])
    assert told["to"] == ADDRESS
    assert told["n"] == [1, {"x": "[SEVEN]"}]


@given(st.lists(st.tuples(st.integers(0, 2), st.text("ab. ", min_size=1, max_size=4)), max_size=12))
def test_lanes_do_not_mix(said: list[tuple[int, str]]) -> None:
    expected: dict[int, str] = {}
    events: list[Event] = []
    for index, text in said:
        expected[index] = expected.get(index, "") + text
        events += spoken([text], index=index)[1:-1]
    events += [event for index in expected for event in spoken([], index=index)[-1:]]
    body, stopped = read(events, REDACT)
    told = {choice["index"]: choice["message"]["content"] for choice in body["choices"]}
    assert told == expected
    assert not stopped


@given(CUTS)
def test_a_stopped_call_is_not_half_delivered(cuts: list[int]) -> None:
    """C06: not even its name leaves before its arguments are cleared."""
    arguments = json.dumps({"note": "a BOMB"})
    body, stopped = read(called(pieces(arguments, cuts)), STOP)
    assert stopped
    assert not any("tool_calls" in choice["message"] for choice in body["choices"])


def test_a_call_without_arguments_is_delivered_whole() -> None:
    body, stopped = read(called([]), STOP, MASK)
    assert not stopped
    [call] = body["choices"][0]["message"]["tool_calls"]
    assert call == {"id": "t1", "type": "function", "function": {"name": "send", "arguments": ""}}
