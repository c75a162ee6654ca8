"""The tools that a response calls, as its events say it piece by piece, and again.

A call is an item, and ends with it. Only functions and custom tools have arguments that come in
pieces and are the caller's to run. Source: OpenAI's API reference, "Responses".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gateway.core.answer import EVERY, Event
from gateway.core.calls import Piece, Place
from gateway.dialects.responses_lanes import CALLS, MEMBERS
from gateway.dialects.responses_shape import TERMINAL

_FAMILIES = {family: member for kind, (member, family) in MEMBERS.items() if kind in CALLS}
"""By family of events: what its `*.done` event calls the arguments."""


def pieces(event: Event) -> Iterator[Piece]:
    """Also of calls that were said before: `*.done` events and the whole response say them
    again, each whole."""
    data = event.data
    kind = "" if event.whole else str(data.get("type"))
    family, _, what = kind.removeprefix("response.").rpartition(".")
    response = data if event.whole else data.get("response")
    if isinstance(response, dict):
        output = response.get("output")
        for index, item in enumerate(output if isinstance(output, list) else ()):
            yield from _of_item(index, item, whole=True)
    elif "item" in data:
        yield from _of_item(_index(data), data["item"], whole=what != "added")
    elif family in _FAMILIES and what == "delta":
        yield Piece(Place(_index(data)), arguments=_text(data.get("delta")))
    elif family in _FAMILIES:
        arguments = _text(data.get(_FAMILIES[family]))
        yield Piece(Place(_index(data)), _text(data.get("name")), arguments, whole=True)


def ended(event: Event) -> Sequence[int]:
    """The items that are done."""
    kind = event.data.get("type")
    if kind in TERMINAL:
        return (EVERY,)
    return (_index(event.data),) if kind == "response.output_item.done" else ()


def _of_item(index: int, item: Any, *, whole: bool) -> Iterator[Piece]:
    if isinstance(item, dict) and item.get("type") in CALLS:
        text = _text(item.get(MEMBERS[item["type"]][0]))
        yield Piece(Place(index), _text(item.get("name")), text, whole=whole)


def _index(data: dict[str, Any]) -> int:
    return int(data.get("output_index", -1))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
