"""What the index is made of: the exchanges that a stretch of the log is about, as they stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, DateTime, bindparam, select, type_coerce

from gateway.adapters.store.lists import among, listed
from gateway.adapters.store.log_tables import Follower, LogLeaf
from gateway.adapters.store.masked_parts import (
    MaskedParts,
    Parts,
    Promised,
    SealedParts,
    size_of,
    to_read,
)
from gateway.adapters.store.tables import AuditEntry, Deployment, table
from gateway.core.records import Kind

NAME = "index"
"""What this follower of the log is called."""
INDEXED = (Kind.OPENED.value, Kind.ATTEMPT.value, Kind.CLOSED.value)
"""Kinds of entries that an index is made of; what segments hold, `closed` holds again."""
MOST_BYTES = 16 << 20
"""Bytes of payloads that a step may read. One exchange may have more, and is a step of its own."""

_ENTRY, _LEAF = table(AuditEntry), table(LogLeaf)
_POSITION = select(table(Follower).c.position).where(table(Follower).c.name == NAME)
_ERASURES = select(table(Deployment).c.erasures)
_LEAVES = (
    select(_LEAF.c.leaf_index, _ENTRY.c.exchange_id, _ENTRY.c.kind)
    .join(_ENTRY, _ENTRY.c.entry_id == _LEAF.c.entry_id)
    .where(_LEAF.c.leaf_index >= bindparam("begin"), _LEAF.c.leaf_index < bindparam("end"))
    .order_by(_LEAF.c.leaf_index)
)


class Header(msgspec.Struct, frozen=True):
    """What an index needs of a header. The rest of it is not read, which takes half the time."""

    facts: dict[str, Any]
    parts: tuple[Promised, ...] = ()
    subject: str | None = None


class Logged(NamedTuple):
    """An entry that has its place in the log."""

    leaf_index: int
    org_id: str
    exchange_id: str
    entry_id: str
    kind: str
    ts: datetime
    leaf_hash: bytes
    team: str
    app: str
    key_id: str
    header: Header


_read_header = msgspec.json.Decoder(Header).decode
_TIME = type_coerce(_ENTRY.c.ts, DateTime(timezone=True))
"""As the driver gives it: SQLite's has no zone."""


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries of one exchange that are in the log, `opened` first, `closed` last."""

    rows: Sequence[Logged]

    @property
    def number(self) -> int:
        """The leaf index of `opened`."""
        return self.rows[0].leaf_index

    @property
    def ended(self) -> bool:
        return self.rows[-1].kind == Kind.CLOSED.value

    @property
    def parts(self) -> Parts:
        """What the headers promise of payloads, by entry."""
        return {row.entry_id: row.header.parts for row in self.rows}


@dataclass(frozen=True, slots=True)
class News:
    """What a step reads: from where to where it leads, and the exchanges that it is about."""

    begin: int
    end: int
    erasures: int
    exchanges: Sequence[Entries]
    sealed: SealedParts
    full: bool
    """Whether it is all that a step may read, so that there may be more."""


class IndexReading:
    """Reads a database of the kind `dialect`. Without `parts`, no payload."""

    def __init__(self, dialect: str, parts: MaskedParts | None) -> None:
        self._dialect = dialect
        self._parts = parts
        self._entries = (
            select(_LEAF.c.leaf_index, *(_ENTRY.c[name] for name in Logged._fields[1:5]), _TIME)
            .add_columns(*(_ENTRY.c[name] for name in Logged._fields[6:]))
            .join(_LEAF, _LEAF.c.entry_id == _ENTRY.c.entry_id)
            .where(among(dialect, _ENTRY.c.exchange_id, "ids"), _ENTRY.c.kind.in_(INDEXED))
            .where(_LEAF.c.leaf_index < bindparam("end"))
            .order_by(_ENTRY.c.exchange_id, _LEAF.c.leaf_index)
        )

    def position(self, connection: Connection) -> int:
        """How many leaves of the log are in the index."""
        return int(connection.execute(_POSITION).scalar() or 0)

    def read(self, connection: Connection, most: int) -> News | None:
        """What up to `most` new leaves are about; None when there are none."""
        begin = self.position(connection)
        while True:
            place = {"begin": begin, "end": begin + most}
            leaves = connection.execute(_LEAVES, place).all()
            if not leaves:
                return None
            end = int(leaves[-1].leaf_index) + 1
            touched = {leaf.exchange_id for leaf in leaves if leaf.kind in INDEXED}
            exchanges = list(self.exchanges(connection, touched, end))
            ended = [one for one in exchanges if one.ended] if self._parts else []
            wanted = {one.rows[0].exchange_id: to_read(one.parts) for one in ended}
            if len(leaves) == 1 or sum(map(size_of, wanted.values())) <= MOST_BYTES:
                break
            most = len(leaves) // 2
        erasures = connection.execute(_ERASURES).scalar() or 0
        sealed = self._parts.fetch(connection, wanted) if self._parts else SealedParts()
        return News(begin, end, erasures, exchanges, sealed, len(leaves) == most)

    def exchanges(self, connection: Connection, ids: set[str], end: int) -> Iterator[Entries]:
        """The entries of these exchanges that stand in the log before `end`."""
        if not ids:
            return
        given = {"ids": listed(self._dialect, ids), "end": end}
        rows = [
            Logged._make((*row[:-1], _read_header(row[-1])))
            for row in connection.execute(self._entries, given).all()
        ]
        for _, mine in groupby(rows, lambda row: row.exchange_id):
            inside = sorted(mine, key=lambda row: (INDEXED.index(row.kind), row.leaf_index))
            if inside[0].kind == Kind.OPENED.value:  # else its end stands before its beginning
                yield Entries(inside)
