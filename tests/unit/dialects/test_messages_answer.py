"""The lens of messages, its answers: where the text is, how they fold, how it says no."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import EVERY, Event, Lane, Run
from gateway.core.money import Usage
from gateway.dialects.messages import Messages
from tests.unit.dialects.test_messages_request import CANARY, SEALED, request_of

MESSAGES = Messages()
USAGE = {"input_tokens": 3, "cache_creation_input_tokens": 4, "cache_read_input_tokens": 5,
         "output_tokens": 7, "service_tier": "standard"}  # fmt: skip


def message(*blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A whole answer of these blocks."""
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
    ending = {"stop_reason": "end_turn", "stop_sequence": None, "usage": USAGE}
    return {**head, "content": list(blocks), **ending, **more}


def started() -> Event:
    """The first event of a stream."""
    head = message(stop_reason=None, usage=USAGE | {"output_tokens": 1})
    return Event({"type": "message_start", "message": head})


def start(block: dict[str, Any], index: int = 0) -> Event:
    return Event({"type": "content_block_start", "index": index, "content_block": block})


def delta(kind: str, index: int = 0, **members: Any) -> Event:
    said = {"type": kind, **members}
    return Event({"type": "content_block_delta", "index": index, "delta": said})


def stop(index: int = 0) -> Event:
    return Event({"type": "content_block_stop", "index": index})


def finished(reason: str = "end_turn") -> list[Event]:
    """The last events of a stream."""
    ending = {"stop_reason": reason, "stop_sequence": None}
    told = {"type": "message_delta", "delta": ending, "usage": USAGE}
    return [Event(told), Event({"type": "message_stop"})]


def spoken(texts: Sequence[str], kind: str = "text", index: int = 0) -> list[Event]:
    """The events of a block of text, or of thinking, that arrives as `texts`."""
    said = [delta(f"{kind}_delta", index, **{kind: text}) for text in texts]
    return [start({"type": kind, kind: ""}, index), *said, stop(index)]


def called(texts: Sequence[str], index: int = 0, kind: str = "tool_use") -> list[Event]:
    """The events of a tool call whose input arrives as `texts`."""
    said = [delta("input_json_delta", index, partial_json=text) for text in texts]
    return [
        start({"type": kind, "id": "t", "name": "send", "input": {}}, index),
        *said,
        stop(index),
    ]


def answer(*blocks: Sequence[Event]) -> list[Event]:
    """A whole stream of these blocks, with a `ping` in it."""
    said = [event for block in blocks for event in block]
    return [started(), Event({"type": "ping"}), *said, *finished()]


def places() -> dict[str, Event]:
    """An event, or a whole answer, for each place where text stands."""
    text = {"type": "text", "text": CANARY}

    def whole(*blocks: dict[str, Any], **more: Any) -> Event:
        return Event(message(*blocks, **more), whole=True)

    def result(content: Any, kind: str) -> dict[str, Any]:
        return {"type": kind, "tool_use_id": "t", "content": content}

    call = {"type": "tool_use", "id": "t", "name": "send"}
    cited = {"type": "char_location", "cited_text": CANARY}
    ending = {"type": "message_delta", "delta": {"stop_reason": "stop_sequence"}}
    return {
        "text": whole(text),
        "a second text": whole({"type": "text", "text": "x"}, text),
        "citation": whole({"type": "text", "text": "x", "citations": [cited]}),
        "thinking": whole({"type": "thinking", "thinking": CANARY, "signature": SEALED}),
        "a signature that is none": whole(
            {"type": "thinking", "thinking": "", "signature": CANARY}
        ),
        "input": whole(call | {"input": {"to": [{"who": CANARY}]}}),
        "names in input": whole(call | {"input": {CANARY: 1}}),
        "input that is a string": whole(call | {"input": CANARY}),
        "a name that is none": whole(call | {"name": CANARY, "input": {}}),
        "search result": whole(result([{"title": CANARY}], "web_search_tool_result")),
        "code result": whole(result({"stdout": CANARY}, "code_execution_tool_result")),
        "mcp result": whole(result([text], "mcp_tool_result")),
        "compaction": whole({"type": "compaction", "content": CANARY}),
        "an unknown block": whole({"type": "hologram", "frames": [{"name": CANARY}]}),
        "an unknown member": whole(notes=[CANARY]),
        "stop sequence": whole(stop_sequence=CANARY),
        "why it refuses": whole(stop_details={"type": "refusal", "explanation": CANARY}),
        "in usage": whole(usage={"note": CANARY}),
        "started: text": start(text),
        "started: thinking": start({"type": "thinking", "thinking": CANARY}),
        "started: input": start(call | {"input": {"to": CANARY}}),
        "started: result": start(result([{"title": CANARY}], "web_search_tool_result")),
        "delta: text": delta("text_delta", text=CANARY),
        "delta: thinking": delta("thinking_delta", thinking=CANARY),
        "delta: input": delta("input_json_delta", partial_json=f'{{"a": "{CANARY}"}}'),
        "delta: citation": delta("citations_delta", citation=cited),
        "delta: signature": delta("signature_delta", signature=CANARY),
        "delta: compaction": delta("compaction_delta", content=CANARY),
        "delta: unknown": delta("smell_delta", smell={"of": [CANARY]}),
        "delta: unknown member": delta("text_delta", text="x", note=CANARY),
        "delta: of another shape": delta("text_delta", text=[CANARY]),
        "event: unknown member": Event(stop().data | {"note": CANARY}),
        "event: unknown member of a delta": Event(
            delta("text_delta", text="").data | {"n": CANARY}
        ),
        "event: unknown": Event({"type": "smell", "of": [CANARY]}),
        "start: unknown member": Event({"type": "message_start", "message": message(x=CANARY)}),
        "ending: stop sequence": Event(
            {"type": "message_delta", "delta": {"stop_sequence": CANARY}, "usage": USAGE}
        ),
        "ending: unknown": Event(ending | {"context_management": [CANARY]}),
    }


def wiped(event: Event) -> None:
    """Rewrite each run that holds the canary."""
    for run in MESSAGES.runs(event):
        if CANARY in run.text:
            run.put(run.text.replace(CANARY, "x"))


@pytest.mark.parametrize("place", places())
def test_every_text_is_a_run_and_can_be_rewritten(place: str) -> None:
    event = places()[place]
    assert MESSAGES.well_formed(event.data)
    holding = [run for run in MESSAGES.runs(event) if CANARY in run.text]
    assert len(holding) == 1
    assert MESSAGES.says_text(event)
    wiped(event)
    assert CANARY not in json.dumps(event.data)


@pytest.mark.parametrize("place", places())
def test_a_lane_stands_once_in_an_event_and_ends_or_can_be_added_to(place: str) -> None:
    event = places()[place]
    runs = list(MESSAGES.runs(event))
    assert len({run.lane for run in runs}) == len(runs)
    for run in runs:
        assert CANARY not in str(run.lane)
        if not event.whole and not {run.lane.group, EVERY} & {*MESSAGES.ended(event)}:
            [again] = MESSAGES.runs(MESSAGES.say(run.lane, "more", event))
            assert (again.lane, again.text) == (run.lane, "more")


def test_structure_and_sealed_content_are_no_text() -> None:
    blocks = [
        {"type": "redacted_thinking", "data": SEALED},
        {"type": "thinking", "thinking": "", "signature": SEALED},
        {"type": "tool_use", "id": "toolu_1", "name": "send", "input": {}},
    ]
    event = Event(message(*blocks), whole=True)
    assert [run.text for run in MESSAGES.runs(event)] == ["", "{}"]
    assert not list(MESSAGES.runs(started()))
    assert not list(MESSAGES.runs(Event({"type": "ping"})))


def test_the_json_of_an_input_is_rewritten_as_text() -> None:
    block = {"type": "tool_use", "id": "t", "name": "send", "input": {"to": "a", "n": [1.5, None]}}
    event = Event(message(block), whole=True)
    [run] = MESSAGES.runs(event)
    assert run.lane == Lane(0, "input", json=True)
    assert run.text == '{"to":"a","n":[1.5,null]}'
    run.put('{"to":')
    run.put(run.text + '"b"}')
    assert block["input"] == {"to": "b"}


def test_a_call_opens_with_its_first_event() -> None:
    def opening(block: dict[str, Any]) -> list[Run]:
        return [run for run in MESSAGES.runs(start(block)) if run.opens]

    [run] = opening({"type": "tool_use", "id": "t", "name": "send", "input": {}})
    assert (run.lane, run.text) == (Lane(0, "input", json=True), "")
    assert not opening({"type": "tool_use", "id": "t", "name": "send", "input": {"a": 1}})
    assert not opening({"type": "text", "text": ""})


def test_what_ends_with_an_event() -> None:
    assert set(MESSAGES.ended(stop(4))) >= {4}
    assert EVERY not in MESSAGES.ended(stop(4))
    for event in finished():
        assert EVERY in MESSAGES.ended(event)
    for event in (started(), start({"type": "text", "text": "x"}), delta("text_delta", text="x")):
        assert not MESSAGES.ended(event)


@pytest.mark.parametrize(
    ("data", "well"),
    [
        ({}, False),
        ({"type": 1}, False),
        ({"type": "a\nb"}, False),
        ({"type": "ping"}, True),
        ({"type": "message"}, False),
        ({"type": "message", "content": [{"text": "x"}]}, False),
        ({"type": "message", "content": ["x"]}, False),
        ({"type": "message_start"}, False),
        ({"type": "message_start", "message": {"content": []}}, True),
        ({"type": "content_block_start", "index": 0}, False),
        ({"type": "content_block_start", "index": 0, "content_block": {"type": "x"}}, True),
        ({"type": "content_block_delta", "index": 0, "delta": {}}, False),
        ({"type": "content_block_delta", "index": "0", "delta": {"type": "x"}}, False),
        ({"type": "content_block_stop", "index": True}, False),
        ({"type": "content_block_stop", "index": -1}, False),
        ({"type": "message_delta"}, False),
    ],
)
def test_what_can_be_read_here(data: dict[str, Any], well: bool) -> None:
    assert MESSAGES.well_formed(data) is well


SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "input", "content", "citations", "usage", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)
EVENTS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["message_start", "content_block_start", "content_block_delta", "content_block_stop",
             "message_delta", "message_stop", "message", "ping", "other"]
        )
    },
    optional={
        name: SHAPES for name in ("message", "content_block", "delta", "usage", "content", "x")
    }
    | {"index": st.integers(-1, 2)},
)  # fmt: skip


@given(SHAPES.filter(lambda value: isinstance(value, dict)) | EVENTS)
def test_what_is_well_formed_can_be_read_by_every_part(data: Any) -> None:
    if not MESSAGES.well_formed(data):
        return
    event = Event(copy.deepcopy(data), whole=data["type"] == "message")
    for run in MESSAGES.runs(event):
        run.put(run.text)
    MESSAGES.ended(event)
    MESSAGES.hollow(event)
    MESSAGES.says_text(event)
    MESSAGES.usage(event)
    MESSAGES.complete({}, (), event)
    MESSAGES.broken(data)
    assert MESSAGES.frame(event).endswith(b"\n\n")
    assert MESSAGES.fold([event])["content"] is not None
    MESSAGES.unend(event)


def test_emptied_deltas_are_hollow_and_others_are_not() -> None:
    assert MESSAGES.hollow(delta("text_delta", text=""))
    assert MESSAGES.hollow(delta("input_json_delta", partial_json=""))
    raw = delta("text_delta", text="")
    raw.encode()
    assert not MESSAGES.hollow(raw), "as the provider sent it"
    kept = (delta("text_delta", text="x"), delta("text_delta", text="", n=1), stop(),
            start({"type": "text", "text": ""}), Event({"type": "ping"}))  # fmt: skip
    assert not [event for event in kept if MESSAGES.hollow(event)]


@pytest.mark.parametrize(
    ("data", "used"),
    [
        (message(), Usage(12, 7, exact=True)),
        (started().data, Usage(12, 1, exact=False)),
        (finished()[0].data, Usage(12, 7, exact=True)),
        ({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 7}},
         Usage(0, 7, exact=True)),
        ({"type": "message_delta", "delta": {}}, None),
        ({"type": "ping"}, None),
        (
            message(usage={"input_tokens": 1, "output_tokens": 2, "iterations": [
                {"type": "message", "input_tokens": 1, "output_tokens": 2},
                {"type": "compaction", "input_tokens": 10, "output_tokens": 20}]}),
            Usage(11, 22, exact=True),
        ),
        (message(usage={"input_tokens": -1, "output_tokens": 2}), Usage(0, 2, exact=True)),
    ],
)  # fmt: skip
def test_usage_counts_cached_tokens_and_is_settled_by_the_end(data: Any, used: Usage) -> None:
    assert MESSAGES.usage(Event(data)) == used


def test_the_pieces_of_a_stream_fold() -> None:
    cited = {"type": "char_location", "cited_text": "x"}
    thought = [
        *spoken(["h", "m"], "thinking")[:-1],
        delta("signature_delta", signature="s"),
        stop(),
    ]
    said = [
        *spoken(["Hel", "lo"], index=1)[:-1],
        delta("citations_delta", 1, citation=cited),
        stop(1),
    ]
    folded = MESSAGES.fold(answer(thought, said, called(['{"a":', "1}"], 2), called([], 3)))
    call = {"type": "tool_use", "id": "t", "name": "send"}
    assert folded["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "Hello", "citations": [cited]},
        call | {"input": {"a": 1}},
        call | {"input": {}},
    ]
    assert (folded["stop_reason"], folded["usage"]) == ("end_turn", USAGE)
    assert MESSAGES.tool_calls(folded) == ["send", "send"]


def test_input_that_broke_off_stays_as_it_came() -> None:
    folded = MESSAGES.fold([started(), *called(['{"a": "b']), *finished("max_tokens")])
    assert folded["content"][0]["input"] == '{"a": "b'


VALUES = st.recursive(
    st.none() | st.integers(-(2**53), 2**53) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=6,
)
UNKNOWN = st.dictionaries(st.sampled_from(["x_vendor", "note", "caller"]), VALUES, max_size=2)
CITED = st.lists(st.fixed_dictionaries({"type": st.just("c"), "cited_text": st.text(max_size=4)}))
BLOCKS = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("text"), "text": st.text(max_size=9)},
        optional={"citations": CITED | st.none()},
    ),
    st.fixed_dictionaries(
        {"type": st.just("thinking"), "thinking": st.text(max_size=9)},
        optional={"signature": st.text(max_size=9)},
    ),
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["tool_use", "server_tool_use", "mcp_tool_use"]),
            "id": st.just("t"),
            "name": st.just("send"),
            "input": st.dictionaries(st.text(max_size=3), VALUES, max_size=3),
        }
    ),
    st.fixed_dictionaries({"type": st.just("web_search_tool_result"), "content": VALUES}),
    st.fixed_dictionaries({"type": st.just("hologram"), "frames": VALUES}),
)
ANSWERS = st.builds(
    lambda blocks, more, details: message(*blocks, **more, **details),
    st.lists(st.builds(lambda block, more: more | block, BLOCKS, UNKNOWN), max_size=4),
    UNKNOWN,
    st.fixed_dictionaries({}, optional={"stop_details": VALUES}),
)


@given(ANSWERS)
def test_a_whole_answer_unfolds_and_folds_to_itself(answer: dict[str, Any]) -> None:
    events = MESSAGES.unfold(copy.deepcopy(answer), request_of(stream=True))
    assert all(MESSAGES.well_formed(event.data) for event in events)
    starts = [event.data for event in events if event.data["type"] == "content_block_start"]
    assert [data["index"] for data in starts] == list(range(len(answer["content"])))
    assert MESSAGES.usage(events[-2]) == Usage(12, 7, exact=True)
    assert MESSAGES.fold(events) == answer
