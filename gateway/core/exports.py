"""What is handed out of the record: what stands in the log, in order, to whoever follows it.

A consumer's cursor is a number of leaves: what it has seen, and where it goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from gateway.core.audit import Said


class LogBroken(ValueError):
    """The log lacks a place: nothing after it is handed out."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """An entry at its place in the log.

    `header` is None where the entry is gone, or cannot be read; `intact` when its bytes have the
    hash that the log has.
    """

    index: int
    entry_id: str
    leaf_hash: bytes
    kind: str
    exchange_id: str
    header: Mapping[str, Any] | None
    intact: bool


@dataclass(frozen=True, slots=True)
class Record:
    """What is handed out as one: an act, or an exchange that has ended, with all its leaves.

    It stands at its last leaf. An entry that comes into the log after the end of its exchange
    makes the exchange a record again, at that leaf.
    """

    leaves: Sequence[Leaf]

    @property
    def last(self) -> Leaf:
        """The leaf that the record stands at."""
        return max(self.leaves, key=lambda leaf: leaf.index)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The records that stand at the leaves from `begin` up to `end`, without `end`."""

    begin: int
    end: int
    records: Sequence[Record]


class LogReader(Protocol):
    """Reads the log in order. Each method raises `Unavailable`."""

    async def size(self) -> int:
        """How many leaves the log has."""

    async def read(self, begin: int, most: int) -> Stretch:
        """What stands at up to `most` leaves from `begin`. Raises `LogBroken`."""


class Texts(Protocol):
    """Reads what was said, without personal data."""

    async def of(self, exchange_ids: Collection[str]) -> Mapping[str, Said | None]:
        """What was said in these exchanges, which have ended; None where nothing may be told.

        One that is not there was erased, or its time was over. Raises `Unavailable`.
        """

    async def stop(self) -> None:
        """Close the connections."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far somebody is who follows the log. `failed` is why they do not go on."""

    name: str
    position: int
    claimed_until: datetime | None = None
    failed: str | None = None
    updated_at: datetime | None = None


class Followers(Protocol):
    """Who follows the log, and how far they are. One process at a time holds a claim.

    Each method raises `Unavailable`.
    """

    async def position(self, name: str) -> int:
        """How many leaves they are done with."""

    async def claim(self, name: str) -> int | None:
        """Their position, once this process holds the claim; None while another does."""

    async def advance(self, name: str, begin: int, end: int) -> bool:
        """Note that the leaves from `begin` to `end` are done with, and keep the claim.

        False where another process has taken over, or was there first.
        """

    async def failed(self, name: str, why: str) -> None:
        """Note why they do not go on."""

    async def release(self, name: str) -> None:
        """Give up the claim, if this process holds it."""

    async def standing(self, names: Sequence[str]) -> Sequence[Standing]:
        """How each of them stands, in this order."""


class SinkError(Exception):
    """What was sent did not arrive, for all one knows. Holds nothing of what was sent."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Records as they are sent: one line each, without a line end, of the leaves named."""

    begin: int
    end: int
    lines: Sequence[bytes]


class Sink(Protocol):
    """Where records are sent."""

    async def send(self, delivery: Delivery) -> None:
        """Returns once all of it is there. Raises `SinkError`, `OSError`."""

    async def stop(self) -> None:
        """Close what is open."""
