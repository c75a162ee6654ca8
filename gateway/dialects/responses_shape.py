"""What a response and its events must be, so that they can be read here.

Source: OpenAI's API reference, "Responses" (object `response`, streaming events).
"""

from __future__ import annotations

import re
from typing import Any

from gateway.dialects.responses_lanes import MOST

TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed",
                      "response.cancelled"})  # fmt: skip
"""Events after which a response says nothing more."""

INDICES = ("output_index", "content_index", "summary_index", "command_index")
_TYPE = re.compile(r"[a-z][a-z0-9_.]{0,99}")


def well_formed(answer: dict[str, Any]) -> bool:
    """Whether its types are words, its indices numbers, its items and parts objects."""
    kind = answer.get("type")
    if kind is not None and not (isinstance(kind, str) and _TYPE.fullmatch(kind)):
        return False
    if not all(_is_index(answer[name]) for name in INDICES if name in answer):
        return False
    if not all(answer.get(name) is None or _is_typed(answer[name]) for name in ("item", "part")):
        return False
    response = answer.get("response")
    if kind is None and not _has_output(answer):
        return False
    if response is not None or kind in TERMINAL:
        return isinstance(response, dict) and (not response.get("output") or _has_output(response))
    return True


def _has_output(response: dict[str, Any]) -> bool:
    output = response.get("output")
    return (
        isinstance(output, list)
        and len(output) <= MOST
        and all(_is_typed(item) for item in output)
        and all(_parts_fit(item) for item in output)
    )


def _is_typed(item: Any) -> bool:
    """Whether it is an object, whose type is a string if it has one."""
    return isinstance(item, dict) and isinstance(item.get("type"), str | None)


def _parts_fit(item: dict[str, Any]) -> bool:
    return all(len(item.get(name) or ()) <= MOST for name in ("content", "summary")
               if isinstance(item.get(name), list))  # fmt: skip


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST
