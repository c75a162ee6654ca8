"""A response, whole or as events: where its text is, and which event says it first.

The text of an item comes in `*.delta` events; an event that adds an item or a part may hold the
beginning of it. Every other event says again what was said, or says what is never streamed:
the queries of a search, the URL of a citation, members that are not known here.
Source: OpenAI's API reference, "Responses" (objects `response`, streaming events).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from gateway.core.answer import EVERY, Event, Lane, Run
from gateway.dialects.json_values import JsonRun, has_own_names
from gateway.dialects.responses_lanes import (
    CALLS,
    COMMAND,
    MEMBERS,
    OUTPUT_TEXT,
    PART_INDEX,
    PLAIN,
    REASONING,
    REFUSAL,
    SUMMARY,
    family_of,
    lane,
    loose,
    part_of,
    place,
    repeated,
    said_at,
    step,
    unspoken,
)
from gateway.dialects.responses_shape import INDICES, TERMINAL

_REPEATED = frozenset(
    {"instructions", "metadata", "tools", "tool_choice", "text", "prompt", "user"}
    | {"safety_identifier", "prompt_cache_key"}
)
"""Members of a response that repeat its request."""
_WHOLE = ("text", "refusal", "arguments", "input", "code", "command", "transcript", "diff")
"""What a `*.done` event calls the whole of the text that its deltas said."""
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_DELTA = frozenset({"type", "delta", "item_id", "sequence_number", "obfuscation", "logprobs",
                    *INDICES})  # fmt: skip
"""Members of a delta that are no loss when it has nothing left to say."""


def runs(event: Event) -> Iterator[Run]:
    """The texts that an event says first; all of them, where it is the whole answer."""
    data = event.data
    if event.whole:
        yield from _response_runs(data)
        return
    kind, index = _kind(event), _output_index(data)
    family = kind.removeprefix("response.").removesuffix(".delta")
    if kind.endswith(".delta") and not (family == "audio" and _is_sound(data.get("delta"))):
        yield from _delta_runs(data, family, index)
    elif kind == "response.output_item.added":
        item = data.get("item") or {}
        opens = item.get("type") in CALLS
        if opens:
            item.setdefault(MEMBERS[item["type"]][0], "")  # some leave it out of a call's opening
        for run in _item_runs(item, index):
            if not _is_loose(run) and (run.text or opens):
                run.opens = opens
                yield run
    elif kind in _PARTS_ADDED:
        yield from (run for run in _event_part_runs(data, index) if not _is_loose(run))
    elif kind == f"response.{COMMAND}.added" and isinstance(data.get("command"), str):
        yield Run(lane(COMMAND, index, part_of(COMMAND, data)), data, "command")


def echoes(event: Event) -> Iterator[Run]:
    """The texts of an event that `runs` does not give."""
    data, kind = event.data, _kind(event)
    index = _output_index(data)
    family, _, what = kind.removeprefix("response.").rpartition(".")
    numbers = count()
    for key in list(data):
        if key == "item":
            said = _item_runs(data[key] or {}, index)
        elif key == "part":
            said = _event_part_runs(data, index)
        elif key == "response" and isinstance(data[key], dict):
            said = _response_runs(data[key])
        elif key == "delta" and what == "delta":
            continue
        elif what == "done" and key in _WHOLE and isinstance(data[key], str):
            said = iter([Run(lane(family, index, part_of(family, data)), data, key)])
        elif kind == f"response.{COMMAND}.added" and key == "command":
            continue
        else:
            said = _loose_runs(data, key, index, numbers)
        added = key in ("item", "part") and what == "added"
        yield from (run for run in said if run.text and (_is_loose(run) or not added))


def ended(event: Event) -> Sequence[int]:
    """The groups of lanes that end with an event: those that it says whole."""
    kind, data = _kind(event), event.data
    if kind in TERMINAL:
        return (EVERY,)
    if not kind.endswith(".done"):
        return ()
    index = _output_index(data)
    if kind == "response.output_item.done":
        runs = _item_runs(data.get("item") or {}, index)
        return [run.lane.group for run in runs if not _is_loose(run)]
    if kind == "response.content_part.done":
        part = part_of(OUTPUT_TEXT, data)
        return [lane(family, index, part).group for family in (OUTPUT_TEXT, REFUSAL, REASONING)]
    if kind == "response.reasoning_summary_part.done":
        return [lane(SUMMARY, index, part_of(SUMMARY, data)).group]
    family = kind.removeprefix("response.").removesuffix(".done")
    return [lane(family, index, part_of(family, data)).group]


def say(said: Lane, text: str, like: Event | None) -> Event:
    """A delta that says `text` on a lane, with the item's id where `like` tells it."""
    family, piece = family_of(said.name)
    index, part = place(said.group)
    data: dict[str, Any] = {
        "type": f"response.{family}.delta",
        "item_id": _item_id(like, index),
        "output_index": index,
        "delta": said_at(piece, text),
    }
    if family in PART_INDEX or part:
        data[PART_INDEX.get(family, "content_index")] = part
    if family == OUTPUT_TEXT:
        data["logprobs"] = []
    return Event(data)


def unspell(value: Any) -> bool:
    """Empty every list of log probabilities in `value`; True when there was any."""
    found = False
    if isinstance(value, dict):
        if value.get("logprobs"):
            value["logprobs"], found = [], True
        found = any([unspell(inner) for inner in value.values()]) or found
    elif isinstance(value, list):
        found = any([unspell(inner) for inner in value])
    return found


def says_nothing(event: Event) -> bool:
    """Whether a delta is emptied. A member that we do not know may say something."""
    data = event.data
    if not _kind(event).endswith(".delta") or any(
        value is not None for key, value in data.items() if key not in _DELTA
    ):
        return False
    return data.get("delta") is not None and _is_empty(data["delta"])


def items(response: dict[str, Any]) -> list[dict[str, Any]]:
    """The output items of a response."""
    return [item for item in _output(response) if isinstance(item, dict)]


_PARTS_ADDED = frozenset({"response.content_part.added", "response.reasoning_summary_part.added"})


def _kind(event: Event) -> str:
    kind = event.data.get("type")
    return kind if isinstance(kind, str) else ""


def _output(response: dict[str, Any]) -> list[Any]:
    return response.get("output") or []


def _output_index(data: dict[str, Any]) -> int:
    return int(data.get("output_index", -1))


def _is_loose(run: Run) -> bool:
    return "#" in run.lane.name


def _delta_runs(data: dict[str, Any], family: str, index: int) -> Iterator[Run]:
    """Every string of a delta, however deep; by its path, it goes on in the next delta."""
    part = part_of(family, data)
    for holder, key, path in _strings(data, "delta", "") if "delta" in data else ():
        yield Run(lane(family, index, part, path), holder, key)


def _strings(holder: Any, key: Any, path: str) -> Iterator[tuple[Any, Any, str]]:
    """The strings at `holder[key]`: what holds each, its key there, and its path."""
    value = holder[key]
    if isinstance(value, str):
        yield holder, key, path
    elif isinstance(value, (dict, list)):
        named = list(value) if isinstance(value, dict) else range(len(value))
        for position, name in enumerate(named):
            yield from _strings(value, name, f"{path}/{step(name, position)}")


def _is_sound(delta: Any) -> bool:
    return isinstance(delta, str) and _BASE64.fullmatch(delta) is not None


def _is_empty(value: Any) -> bool:
    """Whether nothing is said: an empty string, or nothing else inside."""
    if isinstance(value, (dict, list)):
        return all(map(_is_empty, value.values() if isinstance(value, dict) else value))
    return value is None or value == ""


def _response_runs(response: dict[str, Any]) -> Iterator[Run]:
    """The texts of a response: those of its items, what it repeats, and what is unknown."""
    numbers = count()
    for key in list(response):
        if key == "output" and isinstance(response[key], list):
            for index, item in enumerate(response[key]):
                if isinstance(item, dict):
                    yield from _item_runs(item, index)
                else:
                    yield from _loose_runs(response[key], index, -1, numbers)
        elif key in _REPEATED:
            for run in _loose_runs(response, key, -1, count()):
                run.lane = repeated(key, int(run.lane.name[1:]), json=run.lane.json)
                yield run
        else:
            yield from _loose_runs(response, key, -1, numbers)


def _item_runs(item: dict[str, Any], index: int) -> Iterator[Run]:
    """The texts of an item, in order: streamed ones on their lanes, the others loose."""
    numbers = count()
    member, family = MEMBERS.get(str(item.get("type")), ("", ""))
    for key in list(item):
        value = item[key]
        if key == member and isinstance(value, str):
            yield Run(lane(family, index), item, key)
        elif key in ("content", "summary") and isinstance(value, list):
            for at, part in enumerate(value):
                if isinstance(part, dict):
                    yield from _part_runs(part, index, at, numbers, key == "summary")
                else:
                    yield from _loose_runs(value, at, index, numbers)
        else:
            yield from _loose_runs(item, key, index, numbers)


def _event_part_runs(data: dict[str, Any], index: int) -> Iterator[Run]:
    summary = "summary_index" in data
    part = part_of(SUMMARY if summary else OUTPUT_TEXT, data)
    return _part_runs(data.get("part") or {}, index, part, count(), summary)


def _part_runs(
    part: dict[str, Any], index: int, at: int, numbers: Iterator[int], summary: bool
) -> Iterator[Run]:
    text = REASONING if part.get("type") == REASONING else OUTPUT_TEXT
    streamed = {"text": SUMMARY if summary else text, "refusal": REFUSAL}
    for key in list(part):
        if key in streamed and isinstance(part[key], str):
            yield Run(lane(streamed[key], index, at), part, key)
        else:
            yield from _loose_runs(part, key, index, numbers)


def _loose_runs(
    holder: Any, key: Any, index: int, numbers: Iterator[int], *, plain: bool = False
) -> Iterator[Run]:
    """The strings at `holder[key]`, however deep, but for those that nobody wrote; and objects
    whose names are somebody's own, read as a whole."""
    value = holder[key]
    plain = plain or key in PLAIN
    if isinstance(value, str):
        if not unspoken(holder, key, value, plain=plain):
            yield Run(loose(index, next(numbers), json=key == "arguments"), holder, key)
    elif isinstance(value, dict) and value and (key in PLAIN or has_own_names(value)):
        yield JsonRun(loose(index, next(numbers), json=True), holder, key)
    elif isinstance(value, (dict, list)) and key != "logprobs":
        for inner in list(value) if isinstance(value, dict) else range(len(value)):
            yield from _loose_runs(value, inner, index, numbers, plain=plain)


def _item_id(like: Event | None, index: int) -> str:
    """The id of the item at `index`, as far as an event tells it; empty where it does not."""
    data = {} if like is None else like.data
    if data.get("output_index") == index:
        told = data.get("item_id") or (data.get("item") or {}).get("id")
    else:
        listed = items(data.get("response") or {})
        told = listed[index].get("id") if 0 <= index < len(listed) else None
    return told if isinstance(told, str) else ""
