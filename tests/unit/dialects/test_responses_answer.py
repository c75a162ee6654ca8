"""Responses and their events: where the text is, what ends, what is said again."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import EVERY, Event, Lane, per_lane
from gateway.core.errors import Code, Filtered
from gateway.dialects.responses import Responses
from tests.exchanges import answering, chat_request, exchange_of, heard

RESPONSES = Responses()
CANARY = "canary"


def response(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A whole response with these output items."""
    usage = {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}
    body = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "error": None}
    return {**body, "status": "completed", "output": list(items), "usage": usage, **more}


def message(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    return {**head, "content": list(parts), **more}


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": [], **more}


def called(arguments: str, **more: Any) -> dict[str, Any]:
    head = {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1"}
    return {**head, "name": "send", "arguments": arguments, **more}


def streamed(whole: dict[str, Any], cut: Any = lambda text: [text]) -> list[Event]:
    """`whole` as a stream, each delta cut by `cut`."""
    events: list[Event] = []
    for event in RESPONSES.unfold(copy.deepcopy(whole), {}):
        delta = event.data.get("delta")
        if isinstance(delta, str):
            events += [Event({**event.data, "delta": piece}) for piece in cut(delta)]
        else:
            events.append(event)
    for number, event in enumerate(events):
        event.data["sequence_number"] = number
    return events


def shell(text: str) -> list[Event]:
    """A shell call and its output, as the API streams them."""
    at = {"output_index": 0, "command_index": 0}
    action = {"commands": [text]}
    call = {"id": "sh_1", "type": "shell_call", "call_id": "c", "status": "completed"}
    said_ = {"stdout": text, "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}
    output = {"id": "so_1", "type": "shell_call_output", "call_id": "c", "output": [said_]}
    kind = "response.shell_call_"
    told: list[dict[str, Any]] = [
        {"type": "response.created", "response": response(status="in_progress")},
        {"type": "response.output_item.added", "output_index": 0,
         "item": call | {"action": {"commands": []}}},
        {"type": f"{kind}command.added", **at, "command": ""},
        {"type": f"{kind}command.delta", **at, "delta": text},
        {"type": f"{kind}command.done", **at, "command": text},
        {"type": "response.output_item.done", "output_index": 0, "item": call | {"action": action}},
        {"type": f"{kind}output_content.delta", "output_index": 1, "command_index": 0,
         "item_id": "so_1", "delta": {"stdout": text}},
        {"type": f"{kind}output_content.done", "output_index": 1, "command_index": 0,
         "item_id": "so_1", "output": [said_]},
        {"type": "response.output_item.done", "output_index": 1, "item": output},
        {"type": "response.completed", "response": response(call | {"action": action}, output)},
    ]  # fmt: skip
    return [Event(copy.deepcopy(data)) for data in told]


OUTPUT: dict[str, dict[str, Any]] = {
    "text": message(said(CANARY)),
    "second part": message(said("x"), said(CANARY)),
    "refusal": message({"type": "refusal", "refusal": CANARY}),
    "annotation": message(said("x", annotations=[
        {"type": "url_citation", "url": "https://x.test/", "title": CANARY, "start_index": 0,
         "end_index": 1}])),
    "cited url": message(said("x", annotations=[{"type": "url_citation", "url": CANARY}])),
    "an unknown member of a part": message(said("x", x_more={"deep": [CANARY]})),
    "an unknown part": message({"type": "hologram", "words": CANARY}),
    "an unknown member of a message": message(said("x"), x_note=CANARY),
    "summary": {"id": "rs_1", "type": "reasoning", "summary": [
        {"type": "summary_text", "text": CANARY}]},
    "reasoning": {"id": "rs_1", "type": "reasoning", "summary": [],
                  "content": [{"type": "reasoning_text", "text": CANARY}]},
    "arguments": called(json.dumps({"to": CANARY})),
    "custom input": {"id": "ct_1", "type": "custom_tool_call", "call_id": "c", "name": "f",
                     "input": CANARY},
    "mcp arguments": {"id": "mcp_1", "type": "mcp_call", "server_label": "s", "name": "f",
                      "arguments": json.dumps({"q": CANARY})},
    "mcp output": {"id": "mcp_1", "type": "mcp_call", "server_label": "s", "name": "f",
                   "arguments": "{}", "output": CANARY},
    "mcp error": {"id": "mcp_1", "type": "mcp_call", "server_label": "s", "name": "f",
                  "arguments": "{}", "error": {"type": "http_error", "message": CANARY}},
    "mcp approval": {"id": "mcpr_1", "type": "mcp_approval_request", "name": "f",
                     "server_label": "s", "arguments": json.dumps({"q": CANARY})},
    "mcp tools": {"id": "mcpl_1", "type": "mcp_list_tools", "server_label": "s", "tools": [
        {"name": "f", "description": CANARY, "input_schema": {}}]},
    "web search": {"id": "ws_1", "type": "web_search_call", "status": "completed",
                   "action": {"type": "search", "query": CANARY}},
    "file search": {"id": "fs_1", "type": "file_search_call", "queries": ["x", CANARY]},
    "found in a file": {"id": "fs_1", "type": "file_search_call", "queries": [], "results": [
        {"file_id": "file-1", "text": CANARY}]},
    "code": {"id": "ci_1", "type": "code_interpreter_call", "container_id": "cntr_1",
             "code": CANARY, "outputs": []},
    "code output": {"id": "ci_1", "type": "code_interpreter_call", "code": "1",
                    "outputs": [{"type": "logs", "logs": CANARY}]},
    "typed": {"id": "cu_1", "type": "computer_call", "call_id": "c",
              "action": {"type": "type", "text": CANARY}},
    "local shell": {"id": "ls_1", "type": "local_shell_call", "call_id": "c",
                    "action": {"type": "exec", "command": ["echo", CANARY], "env": {}}},
    "environment": {"id": "ls_1", "type": "local_shell_call", "call_id": "c",
                    "action": {"type": "exec", "command": [], "env": {"user_id": CANARY}}},
    "patch": {"id": "ap_1", "type": "apply_patch_call", "call_id": "c",
              "operation": {"type": "create_file", "path": "a", "diff": CANARY}},
    "an environment's name": {"id": "ls_1", "type": "local_shell_call", "call_id": "c",
                              "action": {"type": "exec", "command": [], "env": {CANARY: "x"}}},
    "an attribute's name": {"id": "fs_1", "type": "file_search_call", "queries": [], "results": [
        {"file_id": "file-1", "text": "x", "attributes": {CANARY: 1}}]},
    "names in a tool search": {"id": "ts_1", "type": "tool_search_call",
                               "arguments": {"x": [{CANARY: "y"}]}},
    "a name that no API gives": {"id": "x_1", "type": "x_call",
                                 "note": {"of": {f"the {CANARY}": {"x": "y"}}}},
    "tool search": {"id": "ts_1", "type": "tool_search_call", "arguments": {"name": CANARY}},
    "image prompt": {"id": "ig_1", "type": "image_generation_call", "result": "aGk=",
                     "revised_prompt": CANARY},
    "an unknown item": {"id": "x_1", "type": "x_item", "words": [{"of": CANARY}]},
}  # fmt: skip
"""An output item for each place where a model's text can stand."""

STREAMS = {name: streamed(response(item)) for name, item in OUTPUT.items()} | {
    "shell": shell(CANARY),
    "failure": [
        *streamed(response())[:-1],
        Event(
            {
                "type": "response.failed",
                "response": response(error={"code": "server_error", "message": CANARY}),
            }
        ),
    ],
    "an unknown event": [
        *streamed(response())[:-1],
        Event({"type": "response.x_thing.noted", "output_index": 3, "note": {"of": CANARY}}),
        *streamed(response())[-1:],
    ],
    "an unknown delta": [
        *streamed(response())[:-1],
        Event({"type": "response.x_thing.delta", "output_index": 0, "delta": CANARY}),
        Event({"type": "response.x_thing.done", "output_index": 0, "text": CANARY}),
        *streamed(response())[-1:],
    ],
    **{
        f"a delta, {name}": [
            *streamed(response())[:-1],
            Event({"type": "response.x_thing.delta", "output_index": 0, "delta": delta}),
            *streamed(response())[-1:],
        ]
        for name, delta in {
            "an object": {"part": {"text": CANARY, "type": "x"}},
            "a list": ["x", {"of": [CANARY]}],
            "under an odd name": {"a/b c": CANARY},
        }.items()
    },
    "sound that is none": [
        *streamed(response())[:-1],
        Event({"type": "response.audio.delta", "delta": f"say {CANARY}"}),
        *streamed(response())[-1:],
    ],
    "an unknown member of a delta": [
        Event(event.data | {"x_also": CANARY}) if event.data["type"].endswith(".delta") else event
        for event in streamed(response(message(said("hello"))))
    ],
    "an unknown member of a response": streamed(response(x_note=[CANARY])),
}
"""A stream for each place."""


class Shouts:
    """Shows what it is fed in capitals, all of it at the end."""

    def __init__(self) -> None:
        self._held = ""

    async def feed(self, text: str) -> str:
        self._held += text
        return ""

    async def finish(self) -> str:
        held, self._held = self._held, ""
        return held.upper()


class Stops:
    """Lets nothing through in which the canary sings."""

    def __init__(self) -> None:
        self._held = ""

    async def feed(self, text: str) -> str:
        self._held += text
        return ""

    async def finish(self) -> str:
        if CANARY in self._held:
            raise Filtered(Code.CONTENT_FILTER, "no")
        return self._held


async def rewritten(events: Sequence[Event], make: Any = lambda lane: Shouts()) -> list[Event]:
    answer = await answering(events)(exchange_of(chat_request()))
    return await heard(per_lane(make, RESPONSES)(answer))


async def into(events: Any, received: list[Event]) -> None:
    async for event in events:
        received.append(event)


@pytest.mark.parametrize("place", OUTPUT)
async def test_every_text_of_a_whole_answer_is_a_run(place: str) -> None:
    whole = Event(response(OUTPUT[place]), whole=True)
    [shown] = await rewritten([whole])
    assert CANARY not in json.dumps(shown.data)
    assert CANARY.upper() in json.dumps(shown.data)
    assert json.dumps(shown.data).lower() == json.dumps(whole.data).lower()


@pytest.mark.parametrize("place", STREAMS)
async def test_every_text_of_a_stream_is_rewritten_also_where_it_is_repeated(place: str) -> None:
    shown = await rewritten(STREAMS[place])
    released = b"".join(event.encode() for event in shown).decode()
    assert CANARY not in released
    assert released.count(CANARY.upper()) == times_said(STREAMS[place])
    assert shown[0].data["type"] == "response.created"
    assert shown[-1].data["type"] in ("response.completed", "response.failed")


def times_said(events: Sequence[Event]) -> int:
    return json.dumps([event.data for event in events]).count(CANARY)


@pytest.mark.parametrize("place", STREAMS)
async def test_a_banned_text_never_leaves_a_stream(place: str) -> None:
    answer = await answering(STREAMS[place])(exchange_of(chat_request()))
    received: list[Event] = []
    with pytest.raises(Filtered):
        await into(per_lane(lambda lane: Stops(), RESPONSES)(answer), received)
    assert CANARY not in json.dumps([event.data for event in received])
    assert not [event for event in received if RESPONSES.complete({}, (), event)]


async def test_what_was_held_back_is_said_before_it_is_done() -> None:
    shown = await rewritten(streamed(response(message(said("hello"))), list))
    kinds = [event.data["type"].removeprefix("response.") for event in shown]
    assert kinds == [
        *("created", "in_progress", "output_item.added", "content_part.added"),
        *("output_text.delta", "output_text.done", "content_part.done", "output_item.done"),
        "completed",
    ]
    delta = shown[4].data
    assert {name: delta[name] for name in delta if name != "sequence_number"} == {
        "type": "response.output_text.delta",
        "item_id": "msg_1",
        "output_index": 0,
        "content_index": 0,
        "delta": "HELLO",
        "logprobs": [],
    }


@pytest.mark.parametrize("place", ["arguments", "custom input"])
async def test_a_call_is_not_delivered_by_half(place: str) -> None:
    """It is opened only with its arguments; what came before it is there."""
    whole = response(message(said("hi")), OUTPUT[place] | {"id": "x_2"})
    answer = await answering(streamed(whole, list))(exchange_of(chat_request()))
    received: list[Event] = []
    with pytest.raises(Filtered):
        await into(per_lane(lambda lane: Stops(), RESPONSES)(answer), received)
    assert received[-1].data["type"] == "response.output_item.done"
    assert all(event.data.get("output_index") != 1 for event in received)


@pytest.mark.parametrize("arguments", ['{"to": "you"}', ""])
async def test_a_call_that_may_be_shown_comes_whole_and_in_order(arguments: str) -> None:
    whole = response(called(arguments), message(said("bye"), id="msg_2"))
    shown = await rewritten(streamed(whole, list), lambda lane: Stops())
    assert [event.data["type"] for event in shown] == [
        event.data["type"] for event in streamed(whole)
    ]
    assert RESPONSES.fold(shown)["output"] == whole["output"]


async def test_a_call_opened_without_arguments_waits_too() -> None:
    events = streamed(response(called(CANARY)))
    del events[2].data["item"]["arguments"]
    answer = await answering(events)(exchange_of(chat_request()))
    received: list[Event] = []
    with pytest.raises(Filtered):
        await into(per_lane(lambda lane: Stops(), RESPONSES)(answer), received)
    assert [event.data["type"] for event in received] == ["response.created",
                                                          "response.in_progress"]  # fmt: skip


async def test_calls_that_run_beside_each_other_leave_in_order() -> None:
    one, two = (called("{}", id=f"fc_{n}", call_id=f"c{n}") for n in (1, 2))
    events = streamed(response(one, two))
    first = [event for event in events if event.data.get("output_index") == 0]
    second = [event for event in events if event.data.get("output_index") == 1]
    beside = [event for pair in zip(second, first, strict=True) for event in pair]
    shown = await rewritten([*events[:2], *beside, events[-1]], lambda lane: Stops())
    added = [event.data["output_index"] for event in shown if "added" in event.data["type"]]
    assert added == [1, 0]
    assert len(shown) == len(events)


async def test_text_that_is_repeated_otherwise_is_looked_at_again() -> None:
    events = streamed(response(message(said("hello"))))
    for event in events:
        if event.data["type"] == "response.output_text.done":
            event.data["text"] = CANARY
    shown = await rewritten(events)
    assert [e.data["text"] for e in shown if "text" in e.data] == [CANARY.upper()]


async def test_a_stream_that_fails_with_text_held_back_gives_it_before_the_failure() -> None:
    events = streamed(response(message(said("hello"))))
    failed = {"type": "response.failed", "response": response(status="failed")}
    shown = await rewritten([*events[:5], Event(failed)])
    assert [event.data.get("delta") for event in shown[-2:]] == ["HELLO", None]
    assert shown[-1].data["type"] == "response.failed"


async def test_an_item_that_is_nothing_yet_is_passed_on() -> None:
    added = Event({"type": "response.output_item.added", "output_index": 0, "item": None})
    assert RESPONSES.well_formed(added.data)
    [shown] = await rewritten([added])
    assert shown.data == added.data


def test_sound_is_no_text() -> None:
    assert not list(RESPONSES.runs(Event({"type": "response.audio.delta", "delta": "aGkh+/8="})))


@given(st.lists(st.text("ab", max_size=3), min_size=1, max_size=5))
async def test_a_text_deep_in_its_deltas_goes_on_from_one_to_the_next(texts: list[str]) -> None:
    kind = {"type": "response.x_thing.delta", "output_index": 0}
    deltas = [Event({**kind, "delta": [1, {"text": text, "n": 1}]}) for text in texts]
    *shown, last = await rewritten([*deltas, *streamed(response())[-1:]])
    said_ = [event.data["delta"][1]["text"] for event in shown]
    assert "".join(said_) == "".join(texts).upper()
    assert last.data["type"] == "response.completed"


def test_what_repeats_the_request_is_marked_as_such() -> None:
    whole = Event(response(instructions="be kind", metadata={"id": "x"}, x_note="n"), whole=True)
    lanes = {run.text: (run.lane.repeats, run.lane.json) for run in RESPONSES.runs(whole)}
    assert lanes == {
        "be kind": (True, False), '{"id":"x"}': (True, True), "n": (False, False),
    }  # fmt: skip


def test_lanes_are_named_as_in_every_dialect() -> None:
    [run] = RESPONSES.runs(Event(response(message(said("x"))), whole=True))
    assert run.lane == Lane(0, "content")
    [run] = RESPONSES.runs(Event(response(called("{}")), whole=True))
    assert run.lane.json


@pytest.mark.parametrize("place", STREAMS)
def test_the_last_event_ends_every_lane(place: str) -> None:
    assert list(RESPONSES.ended(STREAMS[place][-1])) == [EVERY]
    assert not RESPONSES.ended(STREAMS[place][0])


def test_log_probabilities_are_dropped_wherever_they_stand() -> None:
    spelled = [{"token": "hello", "logprob": -1.0, "top_logprobs": []}]
    for event in streamed(response(message(said("hello", logprobs=spelled)))):
        before = json.dumps(event.data)
        assert RESPONSES.unspell(event) == ('"token"' in before)
        assert '"token"' not in json.dumps(event.data)
        assert not RESPONSES.unspell(event)


def test_emptied_deltas_are_hollow_unless_they_hold_more() -> None:
    delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0,
             "item_id": "m", "delta": "", "logprobs": [], "obfuscation": "abc"}  # fmt: skip
    assert RESPONSES.hollow(Event(delta))
    assert not RESPONSES.hollow(Event(delta | {"x_more": 1}))
    assert not RESPONSES.hollow(Event(delta, raw=b"{}"))
    assert not RESPONSES.hollow(Event(delta | {"delta": "x"}))
    assert RESPONSES.hollow(Event(delta | {"delta": {"part": [{"text": ""}]}}))
    assert not RESPONSES.hollow(Event(delta | {"delta": {"part": [{"text": "", "n": 1}]}}))
    assert not RESPONSES.hollow(Event(delta | {"delta": None}))
    assert not RESPONSES.hollow(Event({"type": "response.in_progress"}))


NAMES = [
    *("type", "output", "item", "part", "response", "delta", "text", "content", "summary", "id"),
    *("output_index", "content_index", "arguments", "logprobs", "annotations", "input", "code"),
]
TYPES = [
    *("response.output_item.added", "response.output_item.done", "response.content_part.added"),
    *("response.output_text.delta", "response.output_text.done", "response.completed", "message"),
    *("response.content_part.done", "function_call", "reasoning", "response.created"),
]
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.text(max_size=3) | st.sampled_from(TYPES),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6)
    ),
    max_leaves=25,
)
EVENTS = st.dictionaries(st.sampled_from(NAMES), ANY, max_size=6).flatmap(
    lambda data: st.sampled_from(TYPES).map(lambda kind: {**data, "type": kind})
)


@given(EVENTS | st.dictionaries(st.sampled_from(NAMES), ANY, max_size=6), st.booleans())
def test_any_json_is_read_or_refused(data: dict[str, Any], whole: bool) -> None:
    """What is well formed can be read by every part of the lens."""
    if not RESPONSES.well_formed(data):
        return
    event = Event(data, whole=whole)
    for run in [*RESPONSES.runs(event), *RESPONSES.echoes(event)]:
        run.put(run.text)
    RESPONSES.ended(event)
    RESPONSES.unspell(event)
    RESPONSES.usage(event)
    RESPONSES.hollow(event)
    RESPONSES.broken(data)
    RESPONSES.complete({}, (), event)
    for lane in {run.lane for run in RESPONSES.runs(event)}:
        assert RESPONSES.say(lane, "x", event).data["type"].endswith(".delta")
    RESPONSES.frame(event)
    RESPONSES.number(event, 3)
