"""A response as the events of a stream, and back.

Source: OpenAI's API reference, "Responses", "Streaming events". The order is the one that the
API keeps, which OpenAI's clients rely on: `response.created` first, an item before its parts, a
part before its text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from gateway.core.answer import Event
from gateway.dialects.responses_answer import items
from gateway.dialects.responses_lanes import MEMBERS, OUTPUT_TEXT, REASONING, REFUSAL, SUMMARY
from gateway.dialects.responses_shape import TERMINAL

_ENDINGS = {"failed": "response.failed", "incomplete": "response.incomplete",
            "cancelled": "response.cancelled"}  # fmt: skip
WHOLE = {
    OUTPUT_TEXT: "text",
    REFUSAL: "refusal",
    REASONING: "text",
    SUMMARY: "text",
    **{family: member for member, family in MEMBERS.values()},
}
"""By family: what its `*.done` event calls the text."""


def fold(events: Sequence[Event]) -> dict[str, Any]:
    """The response that the events amount to: the last that one of them holds.

    Where it leaves `output` out, the items that were done stand in for it.
    """
    if len(events) == 1 and events[0].whole:
        return events[0].data
    response: dict[str, Any] = {}
    done: dict[int, dict[str, Any]] = {}
    for event in events:
        held = event.data.get("response")
        if isinstance(held, dict):
            response = held
        if event.data.get("type") == "response.output_item.done":
            done[event.data.get("output_index", len(done))] = event.data["item"]
    if response.get("output"):
        return response
    return response | {"output": [done[index] for index in sorted(done)]}


def unfold(response: dict[str, Any]) -> list[Event]:
    """A whole response as the events of a stream, numbered from zero."""
    begun = response | {"status": "in_progress", "output": []}
    for name in ("usage", "completed_at", "error", "incomplete_details"):
        if name in response:
            begun[name] = None
    told: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(items(response)):
        told += item_events(item, index)
    ending = _ENDINGS.get(str(response.get("status")), "response.completed")
    told.append({"type": ending, "response": response})
    # What is said again is said by an object of its own, which can be rewritten by itself.
    return [Event(deepcopy(data) | {"sequence_number": n}) for n, data in enumerate(told)]


def response_of(event: Event) -> Mapping[str, Any]:
    """The response that ends here: the whole answer, or what a last event holds."""
    if event.whole:
        return event.data
    if event.data.get("type") in TERMINAL:
        held = event.data.get("response")
        return held if isinstance(held, dict) else {}
    return {}


def item_events(item: dict[str, Any], index: int) -> Iterator[dict[str, Any]]:
    """The events of one item: added, said, done."""
    member, family = MEMBERS.get(str(item.get("type")), ("", ""))
    listed = [key for key in ("summary", "content") if _objects(item.get(key))]
    emptied: dict[str, Any] = {key: [] for key in listed}
    if isinstance(item.get("status"), str):
        emptied["status"] = "in_progress"
    streamed = isinstance(item.get(member), str)
    if streamed:
        emptied[member] = ""
    yield {"type": "response.output_item.added", "output_index": index, "item": item | emptied}
    at = {"item_id": item.get("id") or "", "output_index": index}
    if streamed:
        yield from _said(family, at, item[member])
    for key in listed:
        for place, part in enumerate(item[key]):
            yield from _part(part, at, place, summary=key == "summary")
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _part(
    part: dict[str, Any], at: Mapping[str, Any], place: int, *, summary: bool
) -> Iterator[dict[str, Any]]:
    """The events of one part of an item, where the API has any for it."""
    kind = "response.reasoning_summary_part" if summary else "response.content_part"
    at = {**at, "summary_index" if summary else "content_index": place}
    family = SUMMARY if summary else _FAMILIES.get(str(part.get("type")), "")
    text = part.get(WHOLE.get(family, ""))
    emptied: dict[str, Any] = {}
    if isinstance(text, str):
        emptied[WHOLE[family]] = ""
    emptied |= {name: [] for name in ("annotations", "logprobs") if part.get(name)}
    yield {"type": f"{kind}.added", **at, "part": part | emptied}
    if isinstance(text, str):
        yield from _said(family, at, text, part.get("logprobs") or [])
    for number, annotation in enumerate(part.get("annotations") or ()):
        told = {"annotation_index": number, "annotation": annotation}
        yield {"type": "response.output_text.annotation.added", **at, **told}
    yield {"type": f"{kind}.done", **at, "part": part}


_FAMILIES = {"output_text": OUTPUT_TEXT, "refusal": REFUSAL, "reasoning_text": REASONING}


def _said(
    family: str, at: Mapping[str, Any], text: str, logprobs: Sequence[Any] = ()
) -> Iterator[dict[str, Any]]:
    spelled = {"logprobs": list(logprobs)} if family == OUTPUT_TEXT else {}
    if text:
        yield {"type": f"response.{family}.delta", **at, "delta": text, **spelled}
    yield {"type": f"response.{family}.done", **at, WHOLE[family]: text, **spelled}


def _objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, dict) for part in value)
