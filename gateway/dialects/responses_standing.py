"""How far a streamed response has come: what it has said, what is open, and how that is closed.

Source: OpenAI's API reference, "Responses", "Streaming events".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from gateway.core.answer import Event
from gateway.dialects.responses_events import WHOLE
from gateway.dialects.responses_lanes import (
    MEMBERS,
    OUTPUT_TEXT,
    REASONING,
    REFUSAL,
    SUMMARY,
    part_of,
)

_PARTS = {OUTPUT_TEXT: "content", REFUSAL: "content", REASONING: "content", SUMMARY: "summary"}
"""By family: the list of an item that its parts stand in."""
_TYPES = {
    OUTPUT_TEXT: "output_text",
    REFUSAL: "refusal",
    REASONING: "reasoning_text",
    SUMMARY: "summary_text",
}
"""By family: the type of its parts."""
_FAMILIES = {kind: family for family, kind in _TYPES.items()}
_ITEM_TEXTS = frozenset(family for _, family in MEMBERS.values())
_KINDS = {"content": "response.content_part", "summary": "response.reasoning_summary_part"}
_INDICES = {"content": "content_index", "summary": "summary_index"}
_HOSTED = frozenset(
    {"file_search_call", "web_search_call", "code_interpreter_call", "image_generation_call"}
    | {"mcp_call"}
)
"""Calls that the provider makes by itself; any other asks the caller to do something."""


class _Place(NamedTuple):
    """Where a part stands: of which item, in which of its lists, as which."""

    item: int
    member: str
    part: int


class Standing:
    """What the events of a stream amount to."""

    def __init__(self, said: Sequence[Event]) -> None:
        self.begun: dict[str, Any] | None = None
        """The response as the last event that holds one has it."""
        self._items: dict[int, dict[str, Any]] = {}
        self._open: set[int] = set()
        self._parts: dict[_Place, dict[str, Any]] = {}
        """The parts that are not done, with their text so far."""
        self._texts: set[_Place] = set()
        """Those of them whose text is done."""
        for event in said:
            self._hear(event.data)

    @property
    def calls(self) -> bool:
        """Whether it asks the caller for a tool."""
        kinds = [str(item.get("type")) for item in self._items.values()]
        return any(kind.endswith("_call") and kind not in _HOSTED for kind in kinds)

    @property
    def spoken(self) -> bool:
        """Whether any text was said in a message."""
        done = [part for item in self._items.values() for part in item.get("content") or ()]
        parts = [*done, *self._parts.values()]
        return any(part.get("type") == "output_text" and part.get("text") for part in parts)

    @property
    def next_index(self) -> int:
        """The index of the item that may come next."""
        return max(self._items, default=-1) + 1

    @property
    def output(self) -> list[dict[str, Any]]:
        """Its items, in order."""
        return [self._items[index] for index in sorted(self._items)]

    def close(self, status: str) -> Iterator[dict[str, Any]]:
        """The events that end what is open; the items they end are of this status."""
        for index in sorted(self._open):
            item = self._items[index]
            for place in sorted(place for place in self._parts if place.item == index):
                yield from self._end_part(item, place)
            if "status" in item:
                item["status"] = status
            yield {"type": "response.output_item.done", "output_index": index, "item": item}

    def _end_part(self, item: dict[str, Any], place: _Place) -> Iterator[dict[str, Any]]:
        part = self._parts[place]
        at = {
            "item_id": item.get("id") or "",
            "output_index": place.item,
            _INDICES[place.member]: place.part,
        }
        family = _FAMILIES.get(str(part.get("type")))
        if family is not None and place not in self._texts:
            said: dict[str, Any] = {WHOLE[family]: part.get(WHOLE[family]) or ""}
            if family == OUTPUT_TEXT:
                said["logprobs"] = []
            yield {"type": f"response.{family}.done", **at, **said}
        _add(item, place, part)
        yield {"type": f"{_KINDS[place.member]}.done", **at, "part": part}

    def _hear(self, data: dict[str, Any]) -> None:
        if isinstance(data.get("response"), dict):
            self.begun = data["response"]
        index = data.get("output_index")
        if not isinstance(index, int):
            return
        family, _, what = str(data.get("type")).removeprefix("response.").rpartition(".")
        if isinstance(data.get("item"), dict):
            self._hear_item(index, data["item"], done=what == "done")
        elif index not in self._items:
            return
        elif isinstance(data.get("part"), dict):
            self._hear_part(index, data, done=what == "done")
        elif family in _PARTS:
            place = _Place(index, _PARTS[family], part_of(family, data))
            self._hear_text(place, family, data.get("delta"), done=what == "done")
        elif family in _ITEM_TEXTS and isinstance(data.get("delta"), str):
            item, member = self._items[index], WHOLE[family]
            item[member] = (item.get(member) or "") + data["delta"]

    def _hear_item(self, index: int, item: dict[str, Any], *, done: bool) -> None:
        self._items[index] = deepcopy(item)
        if done:
            self._open.discard(index)
            self._parts = {at: part for at, part in self._parts.items() if at.item != index}
        else:
            self._open.add(index)

    def _hear_part(self, index: int, data: dict[str, Any], *, done: bool) -> None:
        family = SUMMARY if "summary_index" in data else OUTPUT_TEXT
        place, part = _Place(index, _PARTS[family], part_of(family, data)), deepcopy(data["part"])
        if done:
            self._parts.pop(place, None)
            _add(self._items[index], place, part)
        else:
            self._parts[place] = part

    def _hear_text(self, place: _Place, family: str, delta: Any, *, done: bool) -> None:
        part = self._parts.setdefault(place, {"type": _TYPES[family]})
        if done:
            self._texts.add(place)
        elif isinstance(delta, str):
            part[WHOLE[family]] = (part.get(WHOLE[family]) or "") + delta


def _add(item: dict[str, Any], place: _Place, part: dict[str, Any]) -> None:
    item[place.member] = [*(item.get(place.member) or ()), part]
