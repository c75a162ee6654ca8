"""The tools that an answer calls: put together from its events, until each call is whole."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from gateway.core.answer import EVERY, Event
from gateway.core.passages import Number
from gateway.core.policy import Decision, Question

if TYPE_CHECKING:
    from gateway.core.dialect import Dialect

_MARKS = re.compile(rb"tool|_call|function|custom|mcp_|partial_json|\\u00")
"""One of these stands in the bytes of every event that says anything of a call, unless its
names are spelled in escapes."""

_MEMBER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
TEXT, NUMBER, NAME = "[text]", "[number]", "[name]"
"""What the policy is told in the place of somebody's words."""


class Place(NamedTuple):
    """Which call of an answer: `group` is what ends it, `name` tells those of a group apart."""

    group: int
    name: str = ""


class Piece(NamedTuple):
    """What an event says of a call.

    `whole` says that `arguments` are all there are, whatever came before; a name that is left
    out is then the one that was said. A call that the provider runs itself is `remote`: what is
    to be known of it is its name, and nobody waits for its arguments.
    """

    place: Place
    name: str = ""
    arguments: str = ""
    whole: bool = False
    remote: bool = False


class ToolCall(NamedTuple):
    """A call of a tool, whole. `arguments` are as the model wrote them; None where the name
    alone is known, as of what a provider runs itself."""

    place: str
    name: str
    arguments: str | None


class JudgedCall(NamedTuple):
    """What the policy was asked of a call, and what it said."""

    question: Question
    decision: Decision


class Calls:
    """The calls of one answer.

    `offered` are the names of the tools that the request offers. What a provider calls and
    runs itself goes by the name under which it was offered, where that is known, and is told
    once for each name.
    """

    def __init__(self, dialect: Dialect, offered: Collection[str]) -> None:
        self._dialect = dialect
        self._offered = offered
        self._open: dict[Place, _Said] = {}
        self._remote: set[Place] = set()
        self._told: set[tuple[Place | None, str, str]] = set()

    @property
    def open(self) -> bool:
        """Whether a call has begun that is not whole yet."""
        return bool(self._open)

    def hear(self, event: Event) -> list[ToolCall]:
        """The calls that are whole with `event`; each once, however often an answer says it.

        One that is said again in other words is another.
        """
        if not self._open and not _may_call(event):
            return []
        names: set[str] = set()
        due: list[ToolCall] = []
        for piece in self._dialect.calls(event):
            if not self._runs_here(piece):
                continue
            names.add(piece.name)
            due += self._take(piece)
        due += self._elsewhere(event, names)
        ended = self._dialect.calls_ended(event)
        if event.whole or EVERY in ended:
            return due + self.rest()
        for place in [place for place in self._open if place.group in ended]:
            due += self._settled(place)
        return due

    def rest(self) -> list[ToolCall]:
        """The calls that were begun, as far as they came."""
        return [call for place in list(self._open) for call in self._settled(place)]

    def _runs_here(self, piece: Piece) -> bool:
        """Whether the caller is to run it. What goes on with a call of the provider's own does
        not say so."""
        if piece.remote:
            self._remote.add(piece.place)
        known = piece.place in self._remote and piece.place not in self._open
        return not piece.remote and not (known and not piece.name)

    def _take(self, piece: Piece) -> Iterator[ToolCall]:
        said = self._open.get(piece.place)
        if not piece.whole:
            said = said or self._open.setdefault(piece.place, _Said())
            said.names.append(piece.name)
            said.texts.append(piece.arguments)
            return
        name = piece.name or (said.name(self._offered) if said else "")
        if said is not None:
            said.last = (name, piece.arguments)
        yield from self._once(piece.place, name, piece.arguments)

    def _settled(self, place: Place) -> Iterator[ToolCall]:
        said = self._open.pop(place)
        name, arguments = said.last or ("", "")
        name = said.name(self._offered) or name
        yield from self._once(place, name, "".join(said.texts) or arguments)

    def _once(self, place: Place, name: str, arguments: str) -> Iterator[ToolCall]:
        if (place, name, arguments) not in self._told:
            self._told.add((place, name, arguments))
            yield ToolCall(f"{place.group}/{place.name}".rstrip("/"), name, arguments)

    def _elsewhere(self, event: Event, known: set[str]) -> Iterator[ToolCall]:
        """Calls that stand where none is run by the caller, or where nobody looks for one."""
        places: dict[str, list[str]] = {}
        for place, name in self._dialect.called(event.data):
            if name:
                places.setdefault(place, []).append(name)
        for names in places.values():
            if not known.isdisjoint(names):
                continue
            for name in self._as_offered(names):
                if (None, name, "") not in self._told:
                    self._told.add((None, name, ""))
                    yield ToolCall("", name, None)

    def _as_offered(self, names: Sequence[str]) -> Sequence[str]:
        """The names under which the request offered what goes by `names`; else the first."""
        offered = [name for name in names if name in self._offered]
        dated = [o for o in self._offered if o.startswith(tuple(f"{name}_" for name in names))]
        return offered or dated or names[:1]


@dataclass(slots=True)
class _Said:
    """What was said of a call so far."""

    names: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    last: tuple[str, str] | None = None
    """The name and the arguments as they were last said whole."""

    def name(self, offered: Collection[str]) -> str:
        """The name, put together from its pieces, unless it was said several times over."""
        names = [name for name in self.names if name]
        joined = "".join(names)
        return names[0] if len(set(names)) == 1 and joined not in offered else joined


def _may_call(event: Event) -> bool:
    """Whether an event may say anything of a call. Reads bytes, as most events do not."""
    if event.media is not None:
        return False
    return event.raw is None or _MARKS.search(event.raw) is not None


def facts_of(value: Any, found: Collection[str] = ()) -> Any:
    """The arguments of a call as the policy may see them: facts, nobody's words.

    Texts, and whole numbers that are long enough to name somebody, are replaced; so are names
    of members that look like no name, or in which something was `found`.
    """
    match value:
        case str():
            return TEXT
        case bool() | None:
            return value
        case int() | float():
            return NUMBER if Number.is_long(value) else value
        case list():
            return [facts_of(item, found) for item in value]
        case dict():
            return {_member(name, found): facts_of(item, found) for name, item in value.items()}
        case _:
            return TEXT


def _member(name: str, found: Collection[str]) -> str:
    return name if _MEMBER.fullmatch(name) and name not in found else NAME
