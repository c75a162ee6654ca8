"""JSON values as YAML that people would write: plain words without quotes, short lists on a line.

What is written is read as the same by YAML 1.1 and by YAML 1.2 readers, such as editors and
pipelines use: a word like `off` or `no`, a number or a date that is text stands in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.adapters.packs.changes import EditError
from gateway.adapters.packs.documents import parse
from gateway.adapters.packs.problems import PackError

WIDTH = 100
"""Columns up to which a list or a group stands on one line."""

_TAKEN = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_NUMBER_OR_DATE = re.compile(r"(?i)[-+.]*(inf|nan|infinity)|[-+.=<]*[0-9][-+.:_,0-9a-fox TZ]*")
_UNSEEN = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def scalar(value: Any, style: str | None = None, *, flow: bool = False) -> str:
    """A JSON value that has no members, on one line.

    `style` is how a text stands already: `'` or `"` is kept. `flow` is whether it is to stand
    between brackets.
    """
    if not isinstance(value, str):
        return _dumped(value)
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise EditError("the text holds half of a character: type it again")
    if style is None and can_be_plain(value, flow=flow):
        return value
    if style == "'" and _printable(value):
        return "'" + value.replace("'", "''") + "'"
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", _dumped(value))


def can_be_plain(text: str, *, flow: bool) -> bool:
    """Whether every reader takes `text` for text when it stands without quotes: YAML 1.1 too."""
    if text.casefold() in _TAKEN or _NUMBER_OR_DATE.fullmatch(text) or not _printable(text):
        return False
    try:
        read = parse(f"- [{text}, {text}]" if flow else f"- {text}", "")
    except PackError:
        return False
    wanted = [[text, text]] if flow else [text]
    return [document.value for document in read] == [wanted] and _stays(text)


def _stays(text: str) -> bool:
    """Whether `text` is a text after a key too, not another key."""
    try:
        return [document.value for document in parse(f"k: {text}", "")] == [{"k": text}]
    except PackError:
        return False


def _printable(text: str) -> bool:
    return text.isprintable() and not _UNSEEN.search(text)


def _dumped(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:
        raise EditError(f"{value!r} is nothing that a pack can hold") from error


def inline(value: Any, *, flow: bool = False) -> str:
    """Any JSON value on one line."""
    match value:
        case dict():
            members = [
                f"{scalar(name, flow=True)}: {inline(some, flow=True)}"
                for name, some in value.items()
            ]
            return "{" + ", ".join(members) + "}"
        case list():
            return "[" + ", ".join(inline(some, flow=True) for some in value) + "]"
        case _:
            return scalar(value, flow=flow)


def member(name: str, value: Any, indent: int) -> list[str]:
    """The lines of a field of a group whose fields stand `indent` columns in."""
    before = f"{' ' * indent}{scalar(name)}:"
    if short := _on_a_line(before, value):
        return [short]
    return [before, *lines(value, indent + 2)]


def item(value: Any, indent: int) -> list[str]:
    """The lines of a member of a list whose dashes stand `indent` columns in."""
    dash = f"{' ' * indent}-"
    if isinstance(value, dict) and value:
        first, *rest = lines(value, indent + 2)
        return [f"{dash} {first.lstrip()}", *rest]
    return [f"{dash} {inline(value)}"]


def lines(value: Mapping[str, Any] | Sequence[Any], indent: int) -> list[str]:
    """The lines of a group or a list, each field or member on lines of its own."""
    if isinstance(value, dict):
        return [line for name, some in value.items() for line in member(name, some, indent)]
    return [line for some in value for line in item(some, indent)]


def _on_a_line(before: str, value: Any) -> str | None:
    """A field on one line; None where it is better spread over several."""
    short = f"{before} {inline(value)}"
    if not isinstance(value, dict | list) or not value:
        return short
    nested = isinstance(value, dict) and any(isinstance(some, dict) for some in value.values())
    texts = isinstance(value, dict) and any(len(str(some)) > 40 for some in value.values())
    return short if len(short) <= WIDTH and not nested and not texts else None
