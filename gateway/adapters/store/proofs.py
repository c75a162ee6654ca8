"""Proofs over the log, for whoever asks."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from gateway.adapters.store.log import Log
from gateway.adapters.store.log_nodes import SqlNodes
from gateway.adapters.store.log_tables import Checkpoint, Cosignature, LogLeaf
from gateway.adapters.store.tables import AuditEntry, table
from gateway.adapters.store.threads import Threads
from gateway.core.log import LogState
from gateway.core.merkle import TILE_HEIGHT, consistency_proof, inclusion_proof
from gateway.core.notes import Proof, add
from gateway.core.records import Kind

_CHECKPOINT, _LINE = table(Checkpoint), table(Cosignature)
_LEAF, _ENTRY = table(LogLeaf), table(AuditEntry)
_HASH_HEX = 64


class SqlLogView:
    """Implements `LogView` over the database at `url`."""

    def __init__(self, url: str, log: Log, patience: float = 2.0) -> None:
        self._log = log
        self._threads = Threads(url, "log", patience)

    @property
    def state(self) -> LogState:
        return self._log.state

    @property
    def vkey(self) -> str | None:
        return self._log.vkey

    async def stop(self) -> None:
        """Close the connections."""
        await self._threads.stop()

    async def checkpoint(self) -> str | None:
        return await self._threads.run(_checkpoint)

    async def proof(self, org: str, id: str) -> str | None:
        return await self._threads.run(_proof, org, id)

    async def consistency(self, old: int, new: int) -> list[bytes] | None:
        return await self._threads.run(_consistency, old, new)

    async def tile(self, level: int, number: int, width: int) -> bytes | None:
        return await self._threads.run(_tile, level, number, width)


def last_checkpoint(connection: Connection) -> tuple[int, str] | None:
    """The size and the note of the last checkpoint, without witnesses' lines."""
    newest = select(_CHECKPOINT.c.size, _CHECKPOINT.c.note).order_by(_CHECKPOINT.c.size.desc())
    row = connection.execute(newest.limit(1)).one_or_none()
    return None if row is None else (row.size, row.note)


def cosigned(connection: Connection, size: int, note: str) -> str:
    """The note with the witnesses' lines."""
    lines = select(_LINE.c.line).where(_LINE.c.size == size).order_by(_LINE.c.witness)
    for line in connection.scalars(lines):
        note = add(note, line)
    return note


def _checkpoint(connection: Connection) -> str | None:
    last = last_checkpoint(connection)
    return None if last is None else cosigned(connection, *last)


def _proof(connection: Connection, org: str, id: str) -> str | None:
    last = last_checkpoint(connection)
    place = connection.execute(_place_of(id).where(_ENTRY.c.org_id == org)).scalar()
    if last is None or place is None or place >= last[0]:
        return None
    hashes = inclusion_proof(SqlNodes(connection), place, last[0])
    return Proof(place, tuple(hashes), cosigned(connection, *last)).text()


def _place_of(id: str) -> Any:
    """Selects the place in the log of what has this id."""
    among = select(_LEAF.c.leaf_index).join(_ENTRY, _ENTRY.c.entry_id == _LEAF.c.entry_id)
    if id.startswith("ent_"):
        return among.where(_ENTRY.c.entry_id == id)
    if len(id) == _HASH_HEX:
        try:
            return among.where(_LEAF.c.leaf_hash == bytes.fromhex(id))
        except ValueError:
            pass
    return among.where(_ENTRY.c.exchange_id == id, _ENTRY.c.kind == Kind.CLOSED.value)


def _consistency(connection: Connection, old: int, new: int) -> list[bytes] | None:
    try:
        return consistency_proof(SqlNodes(connection), old, new)
    except (ValueError, LookupError):
        return None


def _tile(connection: Connection, level: int, number: int, width: int) -> bytes | None:
    first = number << TILE_HEIGHT
    try:
        hashes = SqlNodes(connection).nodes(level * TILE_HEIGHT, first, width)
    except LookupError:
        return None
    return b"".join(hashes)
