"""Text written another way, with the way back: for each place in it, the place it came from."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable


class Folded:
    """`text` is a folding of an original; `span` leads back into the original.

    The two run in step between breaks. A break is a pair of positions, in the folding and in
    the original, from which on they run in step again.
    """

    __slots__ = ("_from", "_inner", "_original", "_to", "text")

    def __init__(self, text: str, original: str, breaks: Iterable[tuple[int, int]] = ()) -> None:
        self.text = text
        self._original = original
        self._inner: Folded | None = None
        self._from = [0]
        self._to = [0]
        for place, origin in breaks:
            if place == self._from[-1]:
                self._to[-1] = origin
            else:
                self._from.append(place)
                self._to.append(origin)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where in the original `text[start:end]` stands; `start < end`.

        Marks and invisible characters that belong to the last character are included.
        """
        start, end = self._span(start, end)
        return self._inner.span(start, end) if self._inner else (start, end)

    def onto(self, inner: Folded) -> Folded:
        """This folding, of the text of `inner`, as one of the original of `inner`."""
        self._inner = inner
        return self

    def _span(self, start: int, end: int) -> tuple[int, int]:
        if self._to == [0]:  # in step throughout
            return start, end
        last = self._origin(end - 1) + 1
        while last < len(self._original) and _clings(self._original[last]):
            last += 1
        return self._origin(start), last

    def with_text(self, text: str) -> Folded:
        """The same way back for another text of the same length."""
        other = Folded(text, self._original)
        other._inner, other._from, other._to = self._inner, self._from, self._to
        return other

    def _origin(self, place: int) -> int:
        at = bisect_right(self._from, place) - 1
        return self._to[at] + place - self._from[at]


def _clings(character: str) -> bool:
    return not character.isascii() and unicodedata.category(character) in {"Mn", "Me", "Cf"}


def rewritten(text: str, pattern: re.Pattern[str], write: Callable[[str], str]) -> Folded:
    """`text` with each match of `pattern` replaced by `write(match)`, and the way back.

    Where the length differs, the replacement as a whole stands for the match as a whole.
    """
    pieces: list[str] = []
    breaks: list[tuple[int, int]] = []
    length = at = 0
    for match in pattern.finditer(text):
        start, end = match.span()
        new = write(text[start:end])
        pieces += (text[at:start], new)
        length += start - at
        if len(new) != end - start:
            breaks += ((length + i, start) for i in range(len(new)))
            breaks.append((length + len(new), end))
        length += len(new)
        at = end
    if not at:
        return Folded(text, text)
    pieces.append(text[at:])
    return Folded("".join(pieces), text, breaks)
