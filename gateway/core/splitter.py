"""Cuts running text into passages, in the same places however the text arrives."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum


class Unit(StrEnum):
    """How much text a passage holds: the whole question of latency."""

    SENTENCE = "sentence"
    PARAGRAPH = "paragraph"
    WHOLE = "whole"


_SPACE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
_LATIN = ".!?…‽"
"""Ends a sentence when space follows: inside a word it is a decimal point or a domain."""
_OTHER = "。！？｡؟۔।॥։።፧។။"
"""CJK, Arabic, Urdu, Devanagari, Armenian, Ethiopic, Khmer, Burmese: no space need follow."""
_CLOSERS = "\"'”’»›)]}*_`」』）】〉》〕］｣"
_OPEN = _SPACE + _LATIN + _OTHER + _CLOSERS + "~"
"""What a cut may still have to wait behind. Any other character settles all before it."""

# Every repeat is possessive, so nothing is tried twice, and none can match less than it will
# once more text is known. The lookahead is what makes a cut wait.
_BLANK_LINE = r"\n[^\S\n]*+\n\s*+(?=\S)"
_SENTENCE = (
    rf"[{re.escape(_LATIN)}]++[{re.escape(_CLOSERS)}]*+\s++(?=\S)"
    rf"|[{_OTHER}][{re.escape(_LATIN + _OTHER)}]*+[{re.escape(_CLOSERS)}]*+\s*+(?=\S)"
)
_BOUNDARY = {
    Unit.SENTENCE: re.compile(rf"{_BLANK_LINE}|\n(?=[ \t]*+(?:```|~~~))|{_SENTENCE}"),
    Unit.PARAGRAPH: re.compile(_BLANK_LINE),
}
_LINE_END = re.compile(r"\n++(?=[^\n])")
_FENCE = re.compile(r"[ \t]*+(`{3,}+|~{3,}+)([^`\n]*+)(`?+)")
_MAYBE_FENCE = re.compile(r"[ \t]*+(?:`{0,2}+|~{0,2}+)")

# Where to cut a run that is too long, the best first; the last match in the window counts.
# A space beside a digit may stand inside a card number, an IBAN or a telephone number.
_LONG_CUTS = tuple(
    re.compile(rf".*(?:{pattern})", re.DOTALL)
    for pattern in (
        r"[^\s\d()+/.-]\s+(?=[^\s\d()+/.-])",
        r"[^\s\d]\s+(?=\S)|\S\s+(?=[^\s\d])",
        r"[,;|}\]>，、；：](?=[^\s\d])",
    )
)
_LONG_PARAGRAPH_CUT = re.compile(rf".*(?:{_SENTENCE})(?=\D)", re.DOTALL)


class Splitter:
    """Cuts one run of text into passages, which together are the text again.

    A cut waits until no later character could move it, so neither the passages nor what is
    found in them depend on how the text was chunked. No passage of a sentence or a paragraph
    is longer than `longest` characters; `whole` holds everything until `finish`.

    A sentence ends at the punctuation of its script or at a blank line; a single line break
    ends nothing, since phrases wrap. Inside a fenced code block (CommonMark §4.5) each line
    is a passage. Time is linear in the text, whatever the size of the pieces.
    """

    def __init__(self, unit: Unit = Unit.SENTENCE, longest: int = 600) -> None:
        if longest < 1:
            raise ValueError("longest must be at least 1")
        self._unit = unit
        self._longest = longest
        self._held = ""
        self._pieces: list[str] = []
        self._settled = 0
        """How much of what is held has no boundary in it for certain."""
        self._fence = ""
        """What opened the code block we are in, or nothing."""
        self._at_line_start = True

    def feed(self, text: str) -> list[str]:
        """Take the next piece; return the passages that are now certain."""
        if self._unit is Unit.WHOLE:
            self._pieces.append(text)
            return []
        self._held += text
        if len(self._held) <= self._longest and not text.strip(_OPEN):
            return []
        return self._certain()

    def finish(self) -> list[str]:
        """The text has ended; return what was held, if anything."""
        passages = self._certain()
        rest = "".join(self._pieces) + self._held
        self._held, self._pieces, self._settled = "", [], 0
        return [*passages, rest] if rest else passages

    def _certain(self) -> list[str]:
        """Every passage that no later character could change."""
        if self._unit is Unit.WHOLE:
            return []
        passages: list[str] = []
        start = 0
        while cut := self._cut(start):
            passage = self._held[start:cut]
            self._passed(passage)
            passages.append(passage)
            start = self._settled = cut
        self._held = self._held[start:]
        self._settled = len(self._held.rstrip(_OPEN))
        return passages

    def _cut(self, start: int) -> int:
        """Where the passage that begins at `start` ends; 0 while that cannot be known."""
        limit = start + self._longest
        known = min(len(self._held), limit + 1)
        if self._unit is Unit.SENTENCE:
            in_code = self._in_code(start, known)
            if in_code is None:
                return 0
        else:
            in_code = False
        pattern = _LINE_END if in_code else _BOUNDARY[self._unit]
        position = max(start, self._settled)
        while found := self._search(pattern, position, known):
            if not self._mid_number_or_name(found, start):
                return found.end()
            position = found.end()
        return self._long_cut(start, limit) if known > limit else 0

    def _search(self, pattern: re.Pattern[str], start: int, end: int) -> re.Match[str] | None:
        return pattern.search(self._held, start, end)

    def _in_code(self, start: int, known: int) -> bool | None:
        """Whether the passage at `start` is a line of code; None while that is not known."""
        if self._fence:
            return True
        if not self._at_line_start:
            return False
        if _FENCE.match(self._held, start, known):
            return True
        undecided = _MAYBE_FENCE.fullmatch(self._held, start, known)
        return None if undecided and known <= start + self._longest else False

    def _mid_number_or_name(self, found: re.Match[str], start: int) -> bool:
        """Whether a full stop stands between digits ("14. 3. 2025") or after an initial."""
        at = found.start()
        if at == start or self._held[at] != ".":
            return False
        before = self._held[at - 1]
        if before.isdigit():
            return self._held[found.end()].isdigit()
        alone = at - 1 == start or not self._held[at - 2].isalnum()
        return before.isalpha() and before.isupper() and alone

    def _long_cut(self, start: int, limit: int) -> int:
        """Where to cut a run with no boundary before `limit`: at a space if there is one.

        Never between two digits or inside a character and its marks, unless the whole run is
        made of them.
        """
        best = _LONG_CUTS if self._unit is Unit.SENTENCE else (_LONG_PARAGRAPH_CUT, *_LONG_CUTS)
        for pattern in best:
            if found := pattern.match(self._held, start, limit + 1):
                return found.end()
        for cut in range(limit, start, -1):
            if _may_part(self._held[cut - 1], self._held[cut]):
                return cut
        return limit

    def _passed(self, passage: str) -> None:
        """Note what the passage that was just cut says of the one that follows."""
        if self._at_line_start and self._unit is Unit.SENTENCE:
            line = passage.strip()
            if self._fence:
                if line.startswith(self._fence) and not line.strip(self._fence[0]):
                    self._fence = ""
            elif (opened := _FENCE.match(passage)) and not opened[3]:
                self._fence = opened[1]
        if tail := passage.rstrip(" \t"):
            self._at_line_start = tail.endswith("\n")


def _may_part(left: str, right: str) -> bool:
    """Whether a cut between two characters breaks neither a number nor a grapheme."""
    if left.isdigit() and right.isdigit():
        return False
    if left == "\u200d" or right == "\u200d" or "\U0001f3fb" <= right <= "\U0001f3ff":
        return False
    if "\U0001f1e6" <= left <= "\U0001f1ff" and "\U0001f1e6" <= right <= "\U0001f1ff":
        return False
    return unicodedata.category(right) not in {"Mn", "Mc", "Me", "Cs"}
