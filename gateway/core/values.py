"""Values that were found in somebody's words: what is cut out of a record, to be erased alone."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gateway.core.findings import Finding
from gateway.core.passages import Passage

PERSONAL = "pii"
"""The kind of finding whose text is such a value."""

SHORTEST = 3
"""Characters. What is shorter stands in too many words to say that it stands there."""

_WORDS = frozenset(
    {
        "DATE_TIME",
        "EMAIL_ADDRESS",
        "IP_ADDRESS",
        "LOCATION",
        "NRP",
        "PERSON",
        "URL",
        "URL_CREDENTIALS",
    }
)
"""Labels of values in which every sign counts; those of all others are codes and numbers."""
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]+")
_NOT_OF_A_CODE = re.compile(r"[\W_]+")


class Value(NamedTuple):
    """A found text, and the label that it was found under."""

    label: str
    text: str


def normal(label: str, text: str) -> str:
    """The one form that stands for every way in which a value is written.

    Letters lose their case and width. Of a number or a code only its letters and digits count,
    so that `+33 6 12` is `33612`. Empty where nothing is left.
    """
    return _words(text) if label in _WORDS else _code(text)


def forms(text: str) -> Sequence[str]:
    """The forms that `text` has under one label or another."""
    return [form for form in dict.fromkeys((_words(text), _code(text))) if form]


def named(findings: Iterable[Finding], passages: Iterable[Passage]) -> list[Value]:
    """The values that `findings` found in `passages`, each once, in order."""
    shown = {passage.where: passage for passage in passages}
    found: dict[Value, None] = {}
    for finding in findings:
        passage = shown.get(finding.where)
        if finding.kind != PERSONAL or passage is None:
            continue
        known = len(passage.before)
        text = (passage.before + passage.text)[known + finding.start : known + finding.end]
        if len(text) >= SHORTEST and normal(finding.label, text):
            found[Value(finding.label, text)] = None
    return list(found)


def _words(text: str) -> str:
    return " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold().split())


def _code(text: str) -> str:
    return _NOT_OF_A_CODE.sub("", _words(text))
