"""Says of JSON that no value stands in its texts, mostly without a look at each of them.

JSON writes texts as they are, but for what a backslash stands before. So unless something is
spelled by number, a value that stands in one text stands in the payload too, once backslashes
are taken out. One that is split over texts which are read as one either leaves one of its
halves whole, or there is a text that lies within it from end to end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

MOST_NEEDLES = 24
"""Ways to write values from which on reading all texts costs less."""
_SPELLED = (b"\\u", b"\\/")
"""What stands for a character that may be part of a value. All other escapes stand for control
characters, quotation marks and backslashes."""
_BYTES = 'bytes"'
"""How the name of a list ends that may spell a text as numbers."""
_BETWEEN = "\x00"
_SPACE = " "


class Sieve:
    """For values that may be written as `literals` tell, in lower case and UTF-8."""

    def __init__(self, literals: Iterable[Sequence[bytes]]) -> None:
        written = [each.decode(errors="replace") for several in literals for each in several]
        odd = any(character < _SPACE for text in written for character in text)
        needles = {text.replace("\\", "").casefold() for text in written}
        self._blunt = odd or len(needles) > MOST_NEEDLES
        self._halves = [
            half for each in needles for half in (each[: len(each) // 2], each[len(each) // 2 :])
        ]
        self._within = _BETWEEN.join(needles)
        self._no_names = not any("\\" in text for text in written)

    def may_hold(self, payload: bytes) -> bool:
        """Whether one of the values may stand in the texts of `payload`, which is JSON, or
        lines of it. False is certain."""
        if self._blunt or any(spelled in payload for spelled in _SPELLED):
            return True
        text = payload.decode(errors="replace").replace("\\", "").casefold()
        if _BYTES in text or any(half in text for half in self._halves):
            return True
        pieces = text.split('"')
        within = set(filter(self._within.__contains__, pieces)) - {""}
        if not within or not self._no_names:
            return bool(within)
        return any(
            piece in within and not _is_name(piece, after) for piece, after in pairwise(pieces)
        )


def _is_name(piece: str, after: str) -> bool:
    """Whether this is the name of a member, and like all that are not read as texts."""
    return after.startswith(":") and piece.isascii() and piece.isidentifier()
