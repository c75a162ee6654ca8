"""The stops that stand, made ready to be asked for every exchange and every event."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gateway.core.policies import Stop, Stopped
from gateway.core.principal import Principal

_FOLDED = frozenset({Stopped.MODEL, Stopped.TOOL})
"""Providers and agents take these names in any case; so must what stops them."""


class Stops:
    """Which stop concerns whom, and what. False where none stands.

    A name in a stop may hold `*` for any run of characters.
    """

    def __init__(self, stops: Sequence[Stop] = ()) -> None:
        self._stops = tuple(stops)
        self._named = {what: _patterns(what, stops) for what in Stopped}
        self.tools = bool(self._named[Stopped.TOOL])
        """Whether any tool is stopped."""

    def __bool__(self) -> bool:
        return bool(self._stops)

    def __len__(self) -> int:
        return len(self._stops)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stops) and self._stops == other._stops

    __hash__ = None  # type: ignore[assignment]

    @property
    def standing(self) -> Sequence[Stop]:
        return self._stops

    def caller(self, who: Principal) -> Stop | None:
        """The stop of everything, of the application or of the key."""
        every = self._named[Stopped.EVERYTHING]
        if every:
            return every[0][1]
        return self._found(Stopped.APP, [who.app]) or self._found(Stopped.KEY, [who.key_id])

    def model(self, names: Iterable[str]) -> Stop | None:
        """The stop of a model that goes by any of these names."""
        return self._found(Stopped.MODEL, names)

    def tool(self, names: Iterable[str]) -> Stop | None:
        """The stop of any of these tools."""
        return self._found(Stopped.TOOL, names)

    def _found(self, what: Stopped, names: Iterable[str]) -> Stop | None:
        patterns = self._named[what]
        if not patterns:
            return None
        for name in names:
            read = name.casefold() if what in _FOLDED else name
            for pattern, stop in patterns:
                if pattern.fullmatch(read):
                    return stop
        return None


def _patterns(what: Stopped, stops: Sequence[Stop]) -> list[tuple[re.Pattern[str], Stop]]:
    return [(_pattern(what, stop.name), stop) for stop in stops if stop.what is what]


def _pattern(what: Stopped, name: str) -> re.Pattern[str]:
    """`*` is any run of characters; several in a row are one, so that no search is slow."""
    read = name.casefold() if what in _FOLDED else name
    pieces = [re.escape(piece) for piece in re.split(r"\*+", read)]
    return re.compile(".*".join(pieces), re.DOTALL)
