"""Personal data, found by shape and check digits in any language, in linear time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from typing import NamedTuple

import re2  # type: ignore[import-untyped]

from gateway.core.findings import Finding
from gateway.core.passages import Passage
from gateway.inspectors.folding import Folded, rewritten
from gateway.inspectors.offload import inspect_passages
from gateway.inspectors.recognisers import RECOGNISERS, Recogniser

FLOOR = 0.2
"""Below this nothing is reported. The policy's thresholds lie above it."""

_BEFORE, _AFTER = 60, 25
"""Characters either side in which words may lift or lower a score."""

_INVISIBLE = "\u00ad\u200b-\u200f\u2060-\u2064\ufeff"
_OTHER_SPACE = "\u00a0\u2000-\u200a\u202f\u205f\u3000"
_DASHES = "\u2010-\u2015\u2212\ufe58\ufe63"
_OTHER_FORMS = re.compile(
    f"[{_INVISIBLE}]+|[{_OTHER_SPACE}{_DASHES}＋－．０-９＠Ａ-Ｚ＿ａ-ｚ]"
    "|[\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\U0001d7ce-\U0001d7ff]"
)
"""Characters that stand for others: invisible ones, and other forms of letters and digits.

Single characters and runs of one class, so linear in any engine.
"""


class Hit(NamedTuple):
    """Personal data in a text: characters `start` to `end`."""

    label: str
    start: int
    end: int
    score: float


class PiiInspector:
    """Our own pattern pack as an inspector."""

    name = "pii"

    async def inspect(self, passages: Sequence[Passage]) -> list[Finding]:
        """Personal data that ends in the passages' text, the longest first."""
        return await inspect_passages(_inspect, passages)


def _inspect(passage: Passage) -> list[Finding]:
    known = len(passage.before)
    return [
        Finding("pii", hit.label, passage.where, hit.start - known, hit.end - known, hit.score,
                passage.direction)
        for hit in scan(passage.before + passage.text)
        if hit.end > known
    ]  # fmt: skip


def scan(text: str) -> list[Hit]:
    """All personal data in `text`, the longest first. What overlaps is all reported.

    Full-width and other digits, invisible characters and odd spaces are seen through.
    """
    folded = _plain(text)
    hits: dict[tuple[str, int, int], float] = {}
    for index in _pack().prefilter(folded.text):
        for label, start, end, score in _recognised(index, folded.text):
            place = (label, *folded.span(start, end))
            hits[place] = max(score, hits.get(place, 0.0))
    found = [Hit(*place, score) for place, score in hits.items()]
    return sorted(_outermost(found), key=lambda hit: (hit.start - hit.end, hit.start))


class _Pack:
    """The recognisers' patterns, compiled: one set that says which of them may match."""

    def __init__(self) -> None:
        options = re2.Options()
        options.max_mem = 64 << 20
        self._set = re2.Set.SearchSet(options)
        for kind in RECOGNISERS:
            self._set.Add(kind.pattern)
        self._set.Add("")
        self._set.Compile()
        self.patterns = [re2.compile(kind.pattern.encode()) for kind in RECOGNISERS]

    def prefilter(self, text: str) -> Sequence[int]:
        """The recognisers that may have a candidate in `text`.

        A set that runs out of memory reports no match at all, not even of the empty pattern:
        then each recogniser looks for itself.
        """
        matched = self._set.Match(text.encode())
        every = range(len(RECOGNISERS))
        return [index for index in matched if index in every] if matched else every


@cache
def _pack() -> _Pack:
    return _Pack()


def _plain(text: str) -> Folded:
    """`text` with the usual form of each character, so that one pattern sees them all."""
    text = text if text.isascii() else text.encode(errors="replace").decode()
    if text.isascii() or not _OTHER_FORMS.search(text):
        return Folded(text, text)
    return rewritten(text, _OTHER_FORMS, _usual)


def _usual(character: str) -> str:
    """The usual form of a character that `_OTHER_FORMS` matched."""
    if character.isdigit():
        return str(int(character))
    code = ord(character[0])
    if 0xFF01 <= code <= 0xFF5E:
        return chr(code - 0xFEE0)
    if character.isspace():
        return " "
    return "-" if 0x2010 <= code <= 0x2015 or code in (0x2212, 0xFE58, 0xFE63) else ""


def _recognised(index: int, text: str) -> Iterator[Hit]:
    """What one recogniser makes of `text`. A bounded candidate that is none is looked into."""
    kind, pattern = RECOGNISERS[index], _pack().patterns[index]
    written = text.encode()
    characters = _Characters(written)
    at = since = 0
    while found := pattern.search(written, at):
        begin, at = found.span()
        start, end = characters.before(begin), characters.before(at)
        length, score = kind.judge(text[start:end])
        end = start + length
        score = min(score, kind.edges(text, start, end, since)) if length else 0.0
        if score:
            since = end
            at = begin + len(text[start:end].encode())
            score = _in_context(kind, score, text, start, end)
            if score >= FLOOR:
                yield Hit(kind.label, start, end, score)
        elif kind.bounded:
            at = begin + len(text[start].encode())


class _Characters:
    """Counts the characters before a place in UTF-8. Ask in rising order: it is linear."""

    def __init__(self, written: bytes) -> None:
        self._written = written
        self._ascii = written.isascii()
        self._place = self._count = 0

    def before(self, place: int) -> int:
        if self._ascii:
            return place
        if place < self._place:
            self._count -= len(self._written[place : self._place].decode())
        else:
            self._count += len(self._written[self._place : place].decode())
        self._place = place
        return self._count


def _in_context(kind: Recogniser, score: float, text: str, start: int, end: int) -> float:
    """The score, lifted or lowered by the words beside what was found."""
    near = _words(text[max(0, start - _BEFORE) : start])[-3:] if kind.doubts else ()
    if not kind.doubts.isdisjoint(near):
        return min(score, 0.3)
    if score < kind.lifted:
        beside = f"{text[max(0, start - _BEFORE) : start]} {text[end : end + _AFTER]}"
        if not kind.words.isdisjoint(_words(beside)):
            return kind.lifted
    return score


_LETTERS = re.compile(r"[^\W\d_]+")


def _words(text: str) -> list[str]:
    found: list[str] = _LETTERS.findall(text.casefold())
    return found


def _outermost(hits: Sequence[Hit]) -> Iterator[Hit]:
    """Without those that lie in another of the same label that is as sure."""
    ordered = sorted(hits, key=lambda hit: (hit.label, hit.start, -hit.end, -hit.score))
    for _, same in groupby(ordered, key=lambda hit: hit.label):
        last: Hit | None = None
        for hit in same:
            if last is None or hit.end > last.end or hit.score > last.score:
                last = hit
                yield hit
