"""Law 2 for messages: how an answer is chunked changes nothing anyone reads."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import Sequence
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import Event
from gateway.core.errors import Filtered
from gateway.core.exchange import Exchange
from gateway.core.policy import Decision, Verdict
from gateway.dialects.messages import Messages
from gateway.obligations.mask import Mask
from gateway.obligations.screen import Screen
from gateway.stages.discharge import Discharge
from tests.exchanges import MODEL, SOMEBODY, allowing, answering, pieces
from tests.laws.test_chunking import ADDRESS, CUTS, MASK, NOISE, REDACT, STOP, Cut, Words
from tests.unit.dialects.test_messages_answer import (
    answer,
    called,
    delta,
    finished,
    message,
    spoken,
    start,
    started,
    stop,
)
from tests.unit.dialects.test_messages_request import request_of

MESSAGES = Messages()
KINDS = st.sampled_from(["text", "thinking"])


def exchange_of(request: dict[str, Any], *duties: Any, verdict: Verdict | None = None) -> Exchange:
    """An exchange of messages as it is when the policy has allowed it under these duties."""

    async def read() -> bytes:
        return orjson.dumps(request)

    exchange = Exchange(MESSAGES, read)
    exchange.received = orjson.dumps(request)
    exchange.request = copy.deepcopy(request)
    exchange.slots = MESSAGES.slots(exchange.request)
    exchange.principal = SOMEBODY
    exchange.model = MODEL
    exchange.decision = Decision("dec_1", "sha256:1", verdict or allowing(*duties))
    return exchange


def released(events: Sequence[Event], *duties: Any, **more: Any) -> tuple[list[Event], bool]:
    """The events that the caller gets under these duties, and whether the answer was stopped."""

    async def main() -> tuple[list[Event], bool]:
        exchange = exchange_of(request_of(f"I am {ADDRESS}", **more), *duties)
        exchange.found(await Words().inspect([exchange.slots[0].passage()]))
        stage = Discharge({"mask": Mask(Cut()), "screen": Screen({"word": Words()})})
        said: list[Event] = []
        try:
            async for event in await stage(exchange, answering(events)):
                said.append(Event(json.loads(event.encode()), whole=event.whole))
        except Filtered:
            return said, True
        return said, False

    return asyncio.run(main())


def read(events: Sequence[Event], *duties: Any, **more: Any) -> tuple[list[dict[str, Any]], bool]:
    """The blocks that the caller reads, and whether the answer was stopped."""
    said, stopped = released(events, *duties, **more)
    contiguous(said)
    return (MESSAGES.fold(said)["content"] if said else []), stopped


def contiguous(events: Sequence[Event]) -> None:
    """Blocks start in order, one at a time, and nothing is said of one that is not open."""
    open_block, count = None, 0
    for data in (event.data for event in events if not event.whole):
        kind = data["type"]
        if kind == "content_block_start":
            assert (open_block, data["index"]) == (None, count)
            open_block, count = count, count + 1
        elif kind.startswith("content_block"):
            assert data["index"] == open_block
            open_block = None if kind == "content_block_stop" else open_block


@given(NOISE, NOISE, CUTS, KINDS)
def test_restored_alike(left: str, right: str, cuts: list[int], kind: str) -> None:
    text = f"{left}[[MAIL_1]]{right}"
    one, _ = read(answer(spoken([text], kind)), MASK)
    many, _ = read(answer(spoken(pieces(text, cuts), kind)), MASK)
    assert one == many
    assert ADDRESS in one[0][kind]
    assert "[[MAIL_1]]" not in one[0][kind]


@given(st.text(alphabet="aBOMB 7.\n!", max_size=60), CUTS, KINDS)
def test_screened_alike(text: str, cuts: list[int], kind: str) -> None:
    one, stopped = read(answer(spoken([text], kind)), STOP, REDACT)
    many, also = read(answer(spoken(pieces(text, cuts), kind)), STOP, REDACT)
    assert one == many
    assert stopped == also == bool(re.search(r"BO\s*MB", text))
    assert "7" not in "".join(block[kind] for block in one)


@given(NOISE, CUTS)
def test_input_stays_json(noise: str, cuts: list[int]) -> None:
    arguments = {"to": "[[MAIL_1]]", "note": noise, "n": [1, {"x": "777"}]}
    text = json.dumps(arguments)
    one, _ = read(answer(called([text])), MASK, REDACT)
    many, _ = read(answer(called(pieces(text, cuts))), MASK, REDACT)
    block = {"type": "tool_use", "id": "t", "name": "send", "input": arguments}
    whole, _ = read([Event(message(block), whole=True)], MASK, REDACT)
    at_once, _ = read(answer([start(block), stop()]), MASK, REDACT)
    assert one == many == whole == at_once
    told = one[0]["input"]
    assert told["to"] == ADDRESS
    assert told["n"] == [1, {"x": "[SEVEN]"}]


@given(NOISE, CUTS)
def test_structured_output_stays_json(noise: str, cuts: list[int]) -> None:
    form = {"format": {"type": "json_schema", "schema": {}}}
    text = json.dumps({"to": "[[MAIL_1]]", "note": noise, "n": "777"})
    one, _ = read(answer(spoken([text])), MASK, REDACT, output_config=form)
    many, _ = read(answer(spoken(pieces(text, cuts))), MASK, REDACT, output_config=form)
    assert one == many
    told = json.loads(one[0]["text"])
    assert (told["to"], told["n"]) == (ADDRESS, "[SEVEN]")


BLOCKS = st.lists(st.tuples(KINDS, st.lists(st.text("ab. ", min_size=1, max_size=4))), max_size=5)


@given(BLOCKS)
def test_blocks_do_not_mix(blocks: list[tuple[str, list[str]]]) -> None:
    events = answer(*(spoken(texts, kind, at) for at, (kind, texts) in enumerate(blocks)))
    told, stopped = read(events, REDACT)
    assert [block[kind] for block, (kind, _) in zip(told, blocks, strict=True)] == [
        "".join(texts) for _, texts in blocks
    ]
    assert not stopped


@given(CUTS, st.sampled_from(["tool_use", "server_tool_use", "mcp_tool_use"]))
def test_a_stopped_call_is_not_half_delivered(cuts: list[int], kind: str) -> None:
    """C06: not even its name leaves before its input is cleared."""
    texts = pieces(json.dumps({"note": "a BOMB"}), cuts)
    said, stopped = released(answer(spoken(["Fine."]), called(texts, 1, kind)), STOP)
    assert stopped
    assert "send" not in "".join(event.encode().decode() for event in said)
    assert [block["type"] for block in MESSAGES.fold(said)["content"]] == ["text"]


def test_a_call_that_comes_at_once_is_not_half_delivered_either() -> None:
    block = {"type": "tool_use", "id": "t", "name": "send", "input": {"note": "a BOMB"}}
    said, stopped = released(answer([start(block), stop()]), STOP)
    assert stopped
    assert b"send" not in b"".join(event.encode() for event in said)


@given(CUTS)
def test_calls_leave_in_order(cuts: list[int]) -> None:
    texts = pieces(json.dumps({"to": "[[MAIL_1]]"}), cuts)
    events = answer(called(texts), called([], 1), spoken(["Then."], index=2), called(texts, 3))
    told, stopped = read(events, REDACT, MASK)
    assert [block.get("input", block.get("text")) for block in told] == [
        {"to": ADDRESS}, {}, "Then.", {"to": ADDRESS},
    ]  # fmt: skip
    assert not stopped


def test_a_stopped_answer_does_not_end_as_if_it_were_whole() -> None:
    """What ends an answer is never shown of one that was stopped."""
    said, stopped = released(answer(spoken(["Fine. ", "a BOMB"])), STOP)
    assert stopped
    kinds = [event.data["type"] for event in said]
    assert not {"message_delta", "message_stop", "content_block_stop"} & {*kinds}
    assert MESSAGES.fold(said)["content"] == [{"type": "text", "text": "Fine. "}]


def test_text_that_stands_whole_in_its_event_is_rewritten_there() -> None:
    cited = {"type": "char_location", "cited_text": "by [[MAIL_1]], 777", "note": "[[MAIL_1]]"}
    result = {"type": "web_search_tool_result", "tool_use_id": "t", "content": [{"title": "777"}]}
    text = [*spoken(["x"])[:-1], *[delta("citations_delta", citation=cited)] * 2, stop()]
    ending, last = finished()
    ending.data["delta"]["stop_sequence"] = "[[MAIL_1]]"
    events = [started(), *text, start(result, 1), stop(1), ending, last]
    said, stopped = released(events, MASK, REDACT)
    folded = MESSAGES.fold(said)
    told = {"type": "char_location", "cited_text": f"by {ADDRESS}, [SEVEN]", "note": ADDRESS}
    assert folded["content"][0]["citations"] == [told, told]
    assert folded["content"][1]["content"] == [{"title": "[SEVEN]"}]
    assert folded["stop_sequence"] == ADDRESS
    assert not stopped
    assert len(said) == len(events)


def test_a_call_without_input_is_delivered_whole() -> None:
    for texts in ([], [""], ["{}"]):
        [block], stopped = read(answer(called(texts)), STOP, MASK)
        assert not stopped
        assert block == {"type": "tool_use", "id": "t", "name": "send", "input": {}}
