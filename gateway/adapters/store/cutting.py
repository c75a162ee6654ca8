"""Found values cut out of payloads, and put back.

Where a value stands in a text, as it is or escaped, a token stands in its place, and what was
cut out is kept by itself. A value that stands where it cannot be cut out, split over the events
of a stream or spelled in an odd way, binds the whole payload: see `spelled`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from gateway.adapters.store.sieve import Sieve
from gateway.adapters.store.spelled import Spelled, Texts, documents, read
from gateway.core.records import Entry, Kind
from gateway.core.values import Value

MOST_CUT = 200
"""Values of one exchange that are cut out. For more, it is erased as a whole."""
MOST_KNOWN = 2_000
"""Values of one exchange that it can be found by."""
MOST_BOUND = 32
"""Values that one payload is bound to: a header, which names their keys, has a size limit."""
ERASED = b"[erased]"
"""What stands where a value was, once its key is destroyed."""

_TOKEN = re.compile(rb"\x00([0-9]+)\x00")
_BINARY = b"\x00"
"""No text has it: JSON cannot, and a body that does is a file."""
_STAND_IN = b"1"
"""Keeps JSON well formed where a value was cut out of a string or of a number."""
_RELEASED = "answer_released"

Mac = Callable[[Value], bytes]
"""The keyed hash of a value, in its normal form."""


class Piece(NamedTuple):
    """What was cut out, byte for byte, and which values stand in it."""

    content: bytes
    values: tuple[int, ...]


class Known(NamedTuple):
    """A value of an exchange, and its keyed hash."""

    value: Value
    mac: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """The parts of an entry without the values that were found in its exchange."""

    parts: Mapping[str, bytes]
    known: Sequence[Known] = ()
    pieces: Sequence[Piece] = ()
    cut: Sequence[str] = ()
    """The parts in which tokens stand: the number of a piece, between NUL bytes."""
    bound: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Parts in which values stand that could not be cut out, and which."""
    whole: Sequence[Known] = ()
    """Values that cannot be erased here without all the rest of the exchange."""

    @property
    def standing(self) -> Collection[int]:
        """The numbers of the values whose keys are needed."""
        if not self.pieces and not self.bound:
            return ()
        pieces = {number for piece in self.pieces for number in piece.values}
        return sorted(pieces.union(*self.bound.values()))


NOTHING = Cut({})
"""Of an entry without parts."""


class Cutter:
    """Cuts the values of one exchange out of its entries, in the order in which they come."""

    def __init__(self, mac: Mac) -> None:
        self._mac = mac
        self._known: dict[Value, Known] = {}
        self._literals: list[tuple[bytes, ...]] = []
        self._sieve = Sieve(())
        self._said = Spelled()

    def cut(self, entry: Entry) -> Cut:
        """The entry's parts without its values."""
        for value in entry.values:
            if value not in self._known and len(self._known) < MOST_KNOWN:
                self._known[value] = Known(value, self._mac(value))
        known = list(self._known.values())
        looked_for, surplus = known[:MOST_CUT], known[MOST_CUT:]
        if fresh := looked_for[len(self._literals) :]:
            self._literals += [_literals(one.value.text) for one in fresh]
            self._sieve = Sieve(self._literals)
        if not looked_for:
            return Cut(entry.parts)
        work = _Work(self._literals)
        for name, payload in entry.parts.items():
            self._take(work, entry.kind, name, payload)
        whole = [*surplus, *(known[number] for number in sorted(work.unbound))]
        return Cut(work.parts, looked_for, work.pieces, work.cut, work.bound, whole)

    def _take(self, work: _Work, kind: Kind, name: str, payload: bytes) -> None:
        rest = work.take(name, payload)
        bound = set(work.standing(payload)) if rest is None else self._hidden(name, payload, rest)
        goes_on = kind is Kind.SEGMENT or (kind is Kind.CLOSED and self._said.begun)
        if rest is not None and goes_on and name == _RELEASED:
            bound |= self._said.go_on(rest, self._literals, ends=kind is Kind.CLOSED)
        if len(bound) > MOST_BOUND:
            work.unbound |= bound
        elif bound:
            work.bound[name] = tuple(sorted(bound))

    def _hidden(self, name: str, payload: bytes, rest: bytes) -> set[int]:
        """The values that stand in `payload` and were not cut out: `rest` is what is left."""
        if not rest.strip():
            return set()
        told = documents(rest)
        if told is None and (whole := read(payload)) is not None:
            return whole.holding(self._literals)  # cut through an escape: nothing can be said
        if told is None:
            return self._unseen(payload) if name.startswith("request") else set()
        if not self._sieve.may_hold(rest):
            return set()
        return Texts.of(told).holding(self._literals)

    def _unseen(self, payload: bytes) -> set[int]:
        """The values that are not to be seen in a request that is no JSON."""
        folded = payload.lower()
        return {
            number
            for number, literals in enumerate(self._literals)
            if not any(literal in folded for literal in literals)
        }


class _Work:
    """The parts of one entry, and what is cut out of them."""

    def __init__(self, literals: Sequence[tuple[bytes, ...]]) -> None:
        self._literals = literals
        self._numbers: dict[bytes, int] = {}
        self.parts: dict[str, bytes] = {}
        self.pieces: list[Piece] = []
        self.cut: list[str] = []
        self.bound: dict[str, tuple[int, ...]] = {}
        self.unbound: set[int] = set()
        """Values of parts that would be bound to too many."""

    def take(self, name: str, payload: bytes) -> bytes | None:
        """Cut the values out of a part; the payload with stand-ins, None for one left whole."""
        self.parts[name] = payload
        if _BINARY in payload:
            return None
        spans = _spans(payload, self._literals)
        if not spans:
            return payload
        kept: list[bytes] = []
        shown: list[bytes] = []
        at = 0
        for start, end in spans:
            kept += (payload[at:start], b"\x00%d\x00" % self._number(payload[start:end]))
            shown += (payload[at:start], _STAND_IN)
            at = end
        self.parts[name] = b"".join((*kept, payload[at:]))
        self.cut.append(name)
        return b"".join((*shown, payload[at:]))

    def standing(self, content: bytes) -> tuple[int, ...]:
        """The values that stand in `content`."""
        folded = content.lower()
        return tuple(
            number
            for number, literals in enumerate(self._literals)
            if any(literal in folded for literal in literals)
        )

    def _number(self, content: bytes) -> int:
        number = self._numbers.get(content)
        if number is None:
            number = self._numbers[content] = len(self.pieces)
            self.pieces.append(Piece(content, self.standing(content)))
        return number


def put_back(payload: bytes, pieces: Sequence[bytes | None]) -> tuple[bytes, bool]:
    """`payload` as it was, and whether all of it is; a piece that is None reads `[erased]`.

    Raises `ValueError` for a token without a piece.
    """
    whole = True

    def piece(token: re.Match[bytes]) -> bytes:
        nonlocal whole
        number = int(token[1])
        if number >= len(pieces):
            raise ValueError(f"there is no piece {number}")
        content = pieces[number]
        whole = whole and content is not None
        return ERASED if content is None else content

    return _TOKEN.sub(piece, payload), whole


def _spans(payload: bytes, literals: Collection[tuple[bytes, ...]]) -> list[tuple[int, int]]:
    """Where any of `literals` stands, whatever its case; what touches or overlaps is one."""
    folded = payload.lower()
    found: list[tuple[int, int]] = []
    for literal in {each for several in literals for each in several}:
        at = folded.find(literal)
        while at >= 0:
            found.append((at, at + len(literal)))
            at = folded.find(literal, at + 1)
    found.sort()
    spans: list[tuple[int, int]] = []
    for start, end in found:
        if spans and start < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((start, end))
    return spans


def _literals(text: str) -> tuple[bytes, ...]:
    """How a text may stand in a payload: as it is, or escaped once or twice, in lower case."""
    if text.isascii() and text.isprintable() and not {'"', "\\", "/"} & set(text):
        return (text.lower().encode(),)
    plain = text.encode(errors="ignore").decode()
    once = {orjson.dumps(plain).decode()[1:-1], json.dumps(plain)[1:-1]}
    once |= {each.replace("/", "\\/") for each in once}
    twice = {json.dumps(each, ensure_ascii=ascii)[1:-1] for each in once for ascii in (True, False)}
    ways = dict.fromkeys((plain, *sorted(once), *sorted(twice)))
    return tuple(dict.fromkeys(each.encode().lower() for each in ways if each))
