"""The log read in order, as records: nothing of it is decrypted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, select

from gateway.adapters.store.log_nodes import read_head
from gateway.adapters.store.log_tables import LogLeaf
from gateway.adapters.store.tables import AuditEntry, table
from gateway.adapters.store.threads import Threads
from gateway.core.exports import Leaf, LogBroken, Record, Stretch
from gateway.core.merkle import leaf_hash
from gateway.core.records import Kind

_ENTRY, _LEAF = table(AuditEntry), table(LogLeaf)
_OF_EXCHANGES = frozenset({Kind.OPENED, Kind.ATTEMPT, Kind.SEGMENT, Kind.CLOSED})
_ROWS = (
    select(_LEAF.c.leaf_index, _LEAF.c.entry_id, _LEAF.c.leaf_hash)
    .add_columns(_ENTRY.c.kind, _ENTRY.c.exchange_id, _ENTRY.c.header)
    .join_from(_LEAF, _ENTRY, _ENTRY.c.entry_id == _LEAF.c.entry_id, isouter=True)
    .order_by(_LEAF.c.leaf_index)
)


class SqlLogReader:
    """Implements `LogReader` over the database at `url`."""

    def __init__(self, url: str, patience: float = 2.0) -> None:
        self._threads = Threads(url, "export", patience)

    async def size(self) -> int:
        return await self._threads.run(_size)

    async def read(self, begin: int, most: int) -> Stretch:
        return await self._threads.run(_read, begin, most)

    async def stop(self) -> None:
        """Close the connections."""
        await self._threads.stop()


def _size(connection: Connection) -> int:
    return read_head(connection).size


def _read(connection: Connection, begin: int, most: int) -> Stretch:
    rows = connection.execute(
        _ROWS.where(_LEAF.c.leaf_index >= begin, _LEAF.c.leaf_index < begin + most)
    ).all()
    leaves = [_leaf(row) for row in rows]
    for place, leaf in enumerate(leaves, begin):
        if leaf.index != place:
            raise LogBroken(f"the log lacks leaf {place}")
    end = begin + len(leaves)
    if end < min(begin + most, read_head(connection).size):
        raise LogBroken(f"the log lacks leaf {end}")
    touched = {leaf.exchange_id for leaf in leaves if leaf.kind in _OF_EXCHANGES}
    ended = _ended(connection, touched, end)
    records: list[Record] = []
    for leaf in leaves:
        if leaf.kind not in _OF_EXCHANGES:
            records.append(Record([leaf]))
            continue
        known = [one for one in ended.get(leaf.exchange_id, ()) if one.index <= leaf.index]
        if any(one.kind == Kind.CLOSED for one in known):
            records.append(Record(known))
    return Stretch(begin, end, records)


def _ended(
    connection: Connection, exchange_ids: Collection[str], end: int
) -> Mapping[str, Sequence[Leaf]]:
    """Those of the exchanges that have ended before `end`, with their leaves up to there."""
    closed = (
        select(_ENTRY.c.exchange_id)
        .join(_LEAF, _LEAF.c.entry_id == _ENTRY.c.entry_id)
        .where(_ENTRY.c.exchange_id.in_(list(exchange_ids)))
        .where(_ENTRY.c.kind == Kind.CLOSED.value, _LEAF.c.leaf_index < end)
    )
    ids = list(connection.scalars(closed))
    found: dict[str, list[Leaf]] = {}
    for row in connection.execute(
        _ROWS.where(_ENTRY.c.exchange_id.in_(ids), _LEAF.c.leaf_index < end)
    ):
        found.setdefault(row.exchange_id, []).append(_leaf(row))
    return found


def _leaf(row: Any) -> Leaf:
    """A row as a leaf. One whose entry is gone has an empty kind."""
    content = None if row.header is None else bytes(row.header)
    hashed = bytes(row.leaf_hash)
    return Leaf(
        row.leaf_index,
        row.entry_id,
        hashed,
        row.kind or "",
        row.exchange_id or "",
        _header(content),
        content is not None and leaf_hash(content) == hashed,
    )


def _header(content: bytes | None) -> Mapping[str, Any] | None:
    try:
        header = orjson.loads(content or b"")
    except ValueError:
        return None
    return header if isinstance(header, dict) else None
