"""Words and phrases from lists, however they are written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

import re2  # type: ignore[import-untyped]
from ahocorasick_rs import AhoCorasick

from gateway.core.findings import Finding
from gateway.core.passages import Passage
from gateway.inspectors.folding import Folded, rewritten
from gateway.inspectors.offload import inspect_passages

_CONFUSABLE = str.maketrans(
    "авеѕіјкмнһорԁԛтсухԝӏгѵαβγεηικνορτυχω",
    "abesijkmhhopdqtcyxwlrvabyenikvoptuxw",
)
"""Cyrillic and Greek letters that look like Latin ones (Unicode UTS #39), where a word mixes."""

_LEET = str.maketrans("0134578@$!|€", "oieastbasile")
_LEET_L = str.maketrans("0134578@$!|€", "oleastbaslle")
"""Digits and signs written for letters. 1 and ! may be i or l, so both are tried."""

_FORMAT = (
    "\u00ad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0001\U000e0020-\U000e007f"
)
_DASHES = (
    "\\-\u058a\u05be\u1400\u1806\u2010-\u2015\u2e3a\u2e3b\u301c\u3030\ufe31\ufe32\ufe58\ufe63\uff0d"
)
_BREAKS = f"\t-\r\x1c-\x1f\x85_{_DASHES}\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_RUNS = re.compile(f"[{_BREAKS}][ {_BREAKS}]*| [ {_BREAKS}]+|[*`~{_FORMAT}]+")
"""All but a single space that stands for one, over lines too; and marks within a word.

Runs of one class each, so linear in any engine; `re` is ten times as quick as RE2 at many
short matches.
"""

_USUAL = {
    code: form
    for code in (*range(0xA0, 0x300), *range(0x2000, 0x2070), 0x3000, *range(0xFF01, 0xFF5F))
    if len(form := unicodedata.normalize("NFKC", chr(code)).casefold()) == 1
} | {ord("…"): "."}
"""The compatibility forms of common text that are one character for one character."""

_MIXED_SCRIPT = re2.compile(
    r"[\p{Latin}]+[\p{Cyrillic}\p{Greek}][\p{Latin}\p{Cyrillic}\p{Greek}]*"
    r"|[\p{Cyrillic}\p{Greek}]+\p{Latin}[\p{Latin}\p{Cyrillic}\p{Greek}]*"
)
_WORD = re.compile(r"[^\W_]|[@$!|€]")
"""A character of a word as disguised words are written."""
_WORDS = re.compile(r"(?:[^\W_]|[@$!|€])+")


class PhraseInspector:
    """Finds the phrases of `lists`, by list id: whole words, in any case and any dress.

    Compatibility forms (NFKC), invisible characters, look-alike letters and digits for
    letters inside mixed words, line breaks, hyphens and Markdown emphasis do not hide a
    phrase. In scripts without spaces between words it is found anywhere. Raises `ValueError`
    for a phrase that has no letter or sign left to look for.
    """

    name = "phrase"

    def __init__(self, lists: Mapping[str, Sequence[str]]) -> None:
        ids: dict[str, set[str]] = {}
        for list_id, phrases in lists.items():
            for phrase in phrases:
                if not (key := folded(phrase).text.strip()):
                    raise ValueError(f"a phrase of {list_id!r} is empty: {phrase!r}")
                ids.setdefault(key, set()).add(list_id)
        self._lists = [tuple(sorted(found)) for found in ids.values()]
        self._search = AhoCorasick(list(ids))

    async def inspect(self, passages: Sequence[Passage]) -> list[Finding]:
        """The phrases that end in the passages' text, the longest first."""
        return await inspect_passages(self._inspect, passages)

    def _inspect(self, passage: Passage) -> list[Finding]:
        known = len(passage.before)
        places = set(self._found(passage.before + passage.text))
        return [
            Finding("phrase", label, passage.where, start - known, end - known, 1.0,
                    passage.direction)
            for label, start, end in sorted(
                _outermost(places), key=lambda place: (place[1] - place[2], place[1], place[0])
            )
            if end > known
        ]  # fmt: skip

    def _found(self, text: str) -> Iterator[tuple[str, int, int]]:
        plain = folded(text)
        for way in _ways(plain):
            for index, start, end in self._search.find_matches_as_indexes(way.text, True):
                if _stands_alone(way.text, start, end) and _in_words(
                    plain.text, way.text, start, end
                ):
                    place = way.span(start, end)
                    for label in self._lists[index]:
                        yield label, *place


def folded(text: str) -> Folded:
    """`text` in the one form in which phrases are compared, and the way back."""
    if text.isascii():
        return _collapsed(Folded(text.lower(), text))
    small = text.casefold()
    if len(small) == len(text):  # casefold never shortens: it was one for one
        if not unicodedata.is_normalized("NFKC", small):
            small = small.translate(_USUAL)
        if unicodedata.is_normalized("NFKC", small):
            return _collapsed(Folded(small, text))
    return _collapsed(_normalised(text))


def _normalised(text: str) -> Folded:
    """`text` in NFKC and case-folded, a character with its marks at a time."""
    starts = [place for place, character in enumerate(text) if not _joins(character)]
    pieces: list[str] = []
    breaks: list[tuple[int, int]] = []
    length = 0
    for start, end in pairwise([0, *starts[starts[:1] == [0] :], len(text)]):
        form = _normal(text[start:end])
        if len(form) != end - start:
            breaks += ((length + place, start) for place in range(len(form)))
            breaks.append((length + len(form), end))
        pieces.append(form)
        length += len(form)
    return Folded("".join(pieces), text, breaks)


@lru_cache(maxsize=4096)
def _joins(character: str) -> bool:
    """Whether it combines with the character before: a mark, or the rest of a Hangul syllable."""
    return unicodedata.category(character)[0] == "M" or "\u1160" <= character <= "\u11ff"


def _collapsed(folded: Folded) -> Folded:
    """With one space for each run of space, and without marks."""
    return rewritten(folded.text, _RUNS, _space).onto(folded)


def _space(run: str) -> str:
    return "" if run[0] in "*`~" or unicodedata.category(run[0]) == "Cf" else " "


@lru_cache(maxsize=4096)
def _normal(cluster: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", cluster).casefold())


def _ways(folded: Folded) -> Iterator[Folded]:
    """The ways to read a text: as it stands, and with disguised letters undone."""
    yield folded
    text = folded.text
    tried = {text}
    if not text.isascii():
        text = _MIXED_SCRIPT.sub(lambda found: found[0].translate(_CONFUSABLE), text)
    for plain in (text, text.translate(_LEET), text.translate(_LEET_L)):
        if plain not in tried:
            tried.add(plain)
            yield folded.with_text(plain)


def _in_words(text: str, read: str, start: int, end: int) -> bool:
    """Whether each sign that is read as a letter, from `start` to `end`, stands among letters.

    "b0mb" may be read as a word; a number or a row of signs may not.
    """
    if text[start:end] == read[start:end]:
        return True
    while start and _WORD.match(text, start - 1):
        start -= 1
    while end < len(text) and _WORD.match(text, end):
        end += 1
    for word in _WORDS.finditer(text, start, end):
        if word[0] != read[word.start() : word.end()] and not any(map(str.isalpha, word[0])):
            return False
    return True


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether `text[start:end]` begins and ends where words do."""
    return not (start and _one_word(text[start - 1], text[start])) and not (
        end < len(text) and _one_word(text[end - 1], text[end])
    )


def _one_word(left: str, right: str) -> bool:
    return _of_word(left) and _of_word(right)


def _of_word(character: str) -> bool:
    if character.isascii():
        return character.isalnum()
    spaceless = "\u0e00" <= character <= "\u0eff" or "\u1780" <= character <= "\u17ff"
    east_asian = "\u3040" <= character <= "\u9fff" or character >= "\U00020000"
    return not (spaceless or east_asian or "\uac00" <= character <= "\ud7a3") and (
        character.isalnum() or unicodedata.category(character)[0] == "M"
    )


def _outermost(places: set[tuple[str, int, int]]) -> Iterator[tuple[str, int, int]]:
    """Without phrases that lie in a longer one of the same list."""
    label, reached = "", -1
    for place in sorted(places, key=lambda place: (place[0], place[1], -place[2])):
        if place[0] != label:
            label, reached = place[0], -1
        if place[2] > reached:
            reached = place[2]
            yield place
