"""Whole streams: the frames, and the order in which events may come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.shapes.events import STREAMED, check_event, is_error
from tests.shapes.members import OutOfShape, require

Json = dict[str, Any]
DONE = "[DONE]"
NAMED = frozenset({"/v1/responses", "/v1/messages"})
"""Whose frames say the type of the event before its data, and which end without [DONE]."""
PLAIN = frozenset({"/v1/chat/completions", "/v1/completions"})
"""Whose frames have no name, and which end in [DONE]. Of others, both are read."""
_ENDINGS = ("response.completed", "response.incomplete", "response.failed")
_STARTS = {"text": "text_delta", "thinking": "thinking_delta", "tool_use": "input_json_delta",
           "server_tool_use": "input_json_delta"}  # fmt: skip
_ALSO = {"text": {"citations_delta"}, "thinking": {"signature_delta"}}
"""By the type of a block of Messages: what deltas it may have."""


def check_stream(path: str, body: bytes) -> None:
    """Raise `OutOfShape` unless `body` is a stream of `path`, from its first byte to its last.

    It may have been stopped: then its last event says so, and nothing says it is complete.
    """
    require(path in STREAMED, "this path streams", path)
    events, done = _events(path, body)
    for event in events:
        check_event(path, event)
    require(bool(events), "a stream says something", body)
    stopped = is_error(events[-1])
    require(not any(is_error(event) for event in events[:-1]), "an error is the last", events)
    require(not done or path not in NAMED, "it has no [DONE]", body)
    said = events[:-1] if stopped else events
    _GRAMMARS.get(path, _any)(said, stopped)
    if not stopped and path in PLAIN:
        require(done, "a complete stream ends in [DONE]", body)


def _events(path: str, body: bytes) -> tuple[list[Json], bool]:
    """The events, and whether [DONE] came after them."""
    text = body.decode()
    require(text.endswith("\n\n"), "the last frame is complete", body[-80:])
    frames = [frame for frame in text.split("\n\n")[:-1] if not frame.startswith(":")]
    done = bool(frames) and frames[-1] == f"data: {DONE}"
    return [_event(path, frame) for frame in frames[: len(frames) - done]], done


def _event(path: str, frame: str) -> Json:
    *named, data = frame.split("\n")
    require(data.startswith("data: {"), "a frame is one line of data", frame)
    event: Json = orjson.loads(data.removeprefix("data: "))
    name = [f"event: {event.get('type', 'error')}"]
    allowed = [name] if path in NAMED else [[]] if path in PLAIN else [name, []]
    require(named in allowed, "the frame is named by its event", frame)
    return event


def _any(events: Sequence[Json], stopped: bool) -> None:
    return


@dataclass
class _Choice:
    """What came of one choice so far."""

    begun: bool = False
    ended: bool = False
    calls: dict[int, Json] = field(default_factory=dict)


def _chat(events: Sequence[Json], stopped: bool) -> None:
    """A role first, one ending last; each call begins with its id and name; usage at the end."""
    choices: dict[int, _Choice] = {}
    require(all("usage" not in e or e["usage"] is None or e is events[-1] for e in events),
            "usage is told once, last", events)  # fmt: skip
    for event in events:
        counted = event is events[-1] and event.get("usage") is not None
        require(bool(event["choices"]) or counted, "a chunk has a choice, or the usage", event)
        for choice in event["choices"]:
            state = choices.setdefault(choice["index"], _Choice())
            require(not state.ended, "nothing comes after the ending", events)
            delta = choice["delta"]
            require(state.begun or delta.get("role") == "assistant", "the role is first", events)
            state.begun, state.ended = True, bool(choice.get("finish_reason"))
            for call in delta.get("tool_calls") or ():
                _call(state, call)
    if not stopped:
        require(all(c.ended for c in choices.values()), "every choice ends", events)
        require(sorted(choices) == list(range(len(choices))), "no choice is left out", events)
    require(len({event["id"] for event in events}) <= 1, "one id", events)


def _call(state: _Choice, call: Json) -> None:
    if call["index"] not in state.calls:
        require(call["index"] == len(state.calls), "calls come in order", call)
        form = call.get("function") or call.get("custom") or {}
        whole = all((call.get("id"), call.get("type"), form.get("name")))
        require(whole, "a call begins with its id, type and name", call)
        state.calls[call["index"]] = call


def _completions(events: Sequence[Json], stopped: bool) -> None:
    """Each choice ends once, and says nothing after."""
    ended: set[int] = set()
    seen: set[int] = set()
    for event in events:
        for choice in event["choices"]:
            require(choice["index"] not in ended, "nothing comes after the ending", events)
            seen.add(choice["index"])
            if choice["finish_reason"]:
                ended.add(choice["index"])
    require(stopped or seen == ended, "every choice ends", events)


def _responses(events: Sequence[Json], stopped: bool) -> None:
    """Numbered; created first, one ending last; items, parts and texts open and close in turn."""
    numbers = [event["sequence_number"] for event in events]
    require(numbers == list(range(len(events))), "events are numbered from zero", numbers)
    if events:
        require(events[0]["type"] == "response.created", "created is first", events[0])
    endings = [event for event in events if event["type"] in _ENDINGS]
    require(len(endings) == (not stopped), "it ends once", events)
    require(stopped or events[-1] is endings[0], "the ending is last", events)
    open_: set[Any] = set()
    for event in events:
        _opened(open_, event)
    require(stopped or not open_, "what is opened is closed", sorted(map(str, open_)))


_OPEN = {
    "response.output_item.added": ("output_index",),
    "response.content_part.added": ("output_index", "content_index"),
    "response.reasoning_summary_part.added": ("output_index", "summary_index"),
}
_WITHIN = {
    "response.output_text.delta": "response.content_part.added",
    "response.output_text.done": "response.content_part.added",
    "response.refusal.delta": "response.content_part.added",
    "response.refusal.done": "response.content_part.added",
    "response.function_call_arguments.delta": "response.output_item.added",
    "response.function_call_arguments.done": "response.output_item.added",
    "response.custom_tool_call_input.delta": "response.output_item.added",
    "response.custom_tool_call_input.done": "response.output_item.added",
    "response.reasoning_summary_text.delta": "response.reasoning_summary_part.added",
    "response.reasoning_summary_text.done": "response.reasoning_summary_part.added",
}
"""What must be open for an event to speak of it."""


def _opened(open_: set[Any], event: Json) -> None:
    kind = event["type"]
    opening = kind if kind in _OPEN else kind.replace(".done", ".added")
    within = _WITHIN.get(kind)
    if within is not None:
        require(_at(within, event) in open_, "its item or part is open", event)
    elif kind in _OPEN:
        require(_at(kind, event) not in open_, "it is opened once", event)
        open_.add(_at(kind, event))
    elif opening in _OPEN:
        require(_at(opening, event) in open_, "what is closed was open", event)
        open_.discard(_at(opening, event))


def _at(opening: str, event: Json) -> Any:
    return (opening, *(event[name] for name in _OPEN[opening]))


def _messages(events: Sequence[Json], stopped: bool) -> None:
    """A start, blocks one after another, a delta, a stop; signs of life anywhere."""
    said = [event for event in events if event["type"] != "ping"]
    kinds = [event["type"] for event in said]
    if said:
        require(kinds[0] == "message_start", "the start is first", kinds)
    require(kinds.count("message_start") == bool(said), "it starts once", kinds)
    if not stopped:
        require(kinds[-2:] == ["message_delta", "message_stop"], "how it ends", kinds)
        require(kinds.count("message_stop") == 1, "it stops once", kinds)
    block: Json | None = None
    count = 0
    for event in said:
        match event["type"]:
            case "content_block_start":
                require(block is None and event["index"] == count, "blocks in order", kinds)
                block, count = event["content_block"], count + 1
            case "content_block_delta" | "content_block_stop":
                require(block is not None and event["index"] == count - 1, "of its block", event)
                _delta(block or {}, event)
                if event["type"] == "content_block_stop":
                    block = None
    require(stopped or block is None, "the last block is closed", kinds)


def _delta(block: Json, event: Json) -> None:
    kind = block["type"]
    if "delta" in event and kind in _STARTS:
        allowed = {_STARTS[kind], *_ALSO.get(kind, ())}
        if event["delta"]["type"] not in allowed:
            raise OutOfShape(f"a block of {kind} has no such delta: {event!r}")


_GRAMMARS: dict[str, Callable[[Sequence[Json], bool], None]] = {
    "/v1/chat/completions": _chat,
    "/v1/completions": _completions,
    "/v1/responses": _responses,
    "/v1/messages": _messages,
}
