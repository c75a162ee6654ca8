"""The tools that a chat answer calls, as its events say it piece by piece.

All calls of a choice end with the choice. Source: OpenAI's API reference, "Chat"
(`tool_calls`, and `function_call`, which is deprecated).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.core.answer import Event
from gateway.core.calls import Piece, Place
from gateway.dialects.chat_answer import choices, runs, say
from gateway.dialects.chat_shape import CALL_TEXTS
from gateway.dialects.json_values import APART


def pieces(event: Event) -> Iterator[Piece]:
    """A call of a form that is not known has no name."""
    for choice in choices(event):
        said = (
            choice.get("message") if event.whole else choice.get("delta") or choice.get("message")
        )
        if isinstance(said, dict):
            yield from _pieces(choice["index"], said)


def beside(event: Event) -> Iterator[Event]:
    """The words of a chunk, each said by itself. What is not known may belong to a call."""
    for run in list(runs(event)):
        if run.text and run.lane.group != APART and "call" not in run.lane.name:
            yield say(run.lane, run.text, event)


def _pieces(group: int, said: dict[str, Any]) -> Iterator[Piece]:
    for place, call in enumerate(said.get("tool_calls") or ()):
        where = f"tool_calls/{call.get('index', place)}"
        forms = [(form, key) for form, key in CALL_TEXTS if isinstance(call.get(form), dict)]
        for form, key in forms:
            yield _piece(Place(group, f"{where}/{form}"), call[form], key)
        if not forms:
            yield Piece(Place(group, where))
    if isinstance(said.get("function_call"), dict):
        yield _piece(Place(group, "function_call"), said["function_call"], "arguments")


def _piece(place: Place, holder: dict[str, Any], key: str) -> Piece:
    name, text = holder.get("name"), holder.get(key)
    return Piece(
        place, name if isinstance(name, str) else "", text if isinstance(text, str) else ""
    )
