"""JSON that stands as a value where it is read as text: names, strings and numbers alike."""

from __future__ import annotations

import re
from typing import Any

import orjson

from gateway.core.answer import Lane, Run
from gateway.core.passages import Slot
from gateway.dialects.vocabulary import VOCABULARY

APART = -1
"""The group of text that stands whole in one event."""

_GIVEN = re.compile(r"(?=(?:\D*\d){0,5}\D*\Z)[A-Za-z_$][\w$.:/-]{0,63}", re.ASCII)
"""A name as an API gives it: one word, with a few digits at most."""


def has_own_names(held: dict[str, Any]) -> bool:
    """Whether any name in an object is such as no API gives: somebody wrote it, as text."""
    if VOCABULARY.issuperset(held):
        return False
    return not all(name in VOCABULARY or _GIVEN.fullmatch(name) for name in held)


class JsonSlot(Slot):
    """A place where JSON stands as a value, shown as its text."""

    __slots__ = ()

    @property
    def text(self) -> str:
        return orjson.dumps(self.holder[self.key]).decode()

    def put(self, text: str) -> None:
        self.holder[self.key] = value_of(text)


class JsonRun(Run):
    """JSON that stands as a value in an answer, such as a tool call's `input`, read as text.

    Text that breaks off stands as a string until the rest of it is put; no text as `emptied`.
    Where the event `opens` the call, its arguments are still to come, and their text is empty.
    """

    __slots__ = ("_emptied", "_text")

    def __init__(
        self, lane: Lane, holder: Any, key: Any, *, opens: bool = False, emptied: Any = None
    ) -> None:
        super().__init__(lane, holder, key, opens=opens)
        self._emptied = {} if emptied is None else emptied
        self._text = "" if opens else orjson.dumps(holder[key]).decode()

    @property
    def text(self) -> str:
        return self._text

    def put(self, text: str) -> None:
        self._text = text
        self.holder[self.key] = value_of(text) if text else self._emptied


def loose(name: str, holder: Any, key: Any) -> Run:
    """The run of what stands whole in one event at `holder[key]`: a text, or an object."""
    if isinstance(holder[key], dict):
        return JsonRun(Lane(APART, name, json=True), holder, key, emptied="")
    return Run(Lane(APART, name, json=key == "arguments"), holder, key)


def value_of(text: str) -> Any:
    """The JSON value that `text` is; `text` itself where it is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
