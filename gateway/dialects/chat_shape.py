"""Whether a chat answer is such that its text can be found."""

from __future__ import annotations

from typing import Any

CALL_TEXTS = (("function", "arguments"), ("custom", "input"))
"""The forms of a tool call, and the member of each that holds what is said to the tool."""
MOST = 1 << 16
"""One more than the highest index of a choice or a call."""


def well_formed(answer: dict[str, Any]) -> bool:
    """Whether the choices and what they say are such that their text can be found."""
    listed = answer.get("choices")
    return indexed(listed) and all(
        _readable(choice[name])
        for choice in listed or ()
        for name in ("message", "delta")
        if choice.get(name) is not None
    )


def indexed(listed: Any) -> bool:
    """Whether `choices` are objects whose indices are numbers, or not there at all."""
    return listed is None or (_objects(listed) and all(_counted(choice) for choice in listed))


def _readable(said: Any) -> bool:
    """Whether a message or a delta holds text where text is looked for."""
    if not isinstance(said, dict) or not isinstance(said.get("content"), str | list | None):
        return False
    calls, legacy = said.get("tool_calls"), said.get("function_call")
    if not (calls is None or (_objects(calls) and all(_counted(call) for call in calls))):
        return False
    forms = [(call.get(form), key) for call in calls or () for form, key in CALL_TEXTS]
    return all(
        form is None or (isinstance(form, dict) and isinstance(form.get(key), str | None))
        for form, key in (*forms, (legacy, "arguments"))
    )


def _objects(listed: Any) -> bool:
    return isinstance(listed, list) and all(isinstance(item, dict) for item in listed)


def _counted(item: dict[str, Any]) -> bool:
    index = item.get("index", 0)
    return isinstance(index, int) and not isinstance(index, bool) and 0 <= index < MOST
