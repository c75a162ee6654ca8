"""Reading the ledger back: headers as they were hashed, payloads as they were."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, func, select

from gateway.adapters.store.engine import open_engine
from gateway.adapters.store.opening import Opened, Opener
from gateway.adapters.store.sealing import Seal, SealedPart, Tampered, Vault
from gateway.adapters.store.tables import AuditEntry, AuditPart, table
from gateway.core.objects import PayloadObjects
from gateway.core.records import Kind, leaf_hash

_ENTRY, _PART = table(AuditEntry), table(AuditPart)
_AS_WRITTEN = (_ENTRY.c.kind == Kind.CLOSED.value, _ENTRY.c.writer_seq)
"""One writer writes all of an exchange, except that another may close it as lost."""


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as it was read back. `parts` is None where the exchange's key was erased.

    `lacking` are the parts in which a value was erased: it reads `[erased]`, or where that could
    not be done, the part is not in `parts`.
    """

    entry_id: str
    kind: Kind
    header: Mapping[str, Any]
    leaf: bytes
    parts: Mapping[str, bytes] | None
    lacking: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Summary:
    """An exchange in a list. `outcome` is None while it is open."""

    exchange_id: str
    ts: datetime
    team: str
    app: str
    key_id: str
    model: str | None
    outcome: str | None


class SqlRecords:
    """Reads what `SqlJournal` wrote. Opens connections when they are first needed.

    `objects` is where large payloads are; without it, one that is there cannot be read.
    """

    def __init__(
        self,
        url: str,
        vault: Vault,
        patience: float = 2.0,
        objects: PayloadObjects | None = None,
    ) -> None:
        self._engine = open_engine(url, patience)
        self._opener = Opener(vault, objects)

    async def read_exchange(self, exchange_id: str) -> Sequence[StoredEntry]:
        """The entries of an exchange in the order written, decrypted; empty when unknown.

        Raises `Tampered` when an entry or a payload is not what was written, `Unavailable` while
        a payload cannot be read from object storage.
        """
        return await asyncio.to_thread(self._read, exchange_id)

    async def list_exchanges(self, limit: int = 20) -> Sequence[Summary]:
        """The newest exchanges, the newest first."""
        return await asyncio.to_thread(self._list, limit)

    async def stop(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._engine.dispose)

    def _read(self, exchange_id: str) -> list[StoredEntry]:
        with self._engine.begin() as connection:
            seal = self._opener.seals(connection, [exchange_id]).get(exchange_id)
            rows = connection.execute(
                select(_ENTRY).where(_ENTRY.c.exchange_id == exchange_id).order_by(*_AS_WRITTEN)
            ).all()
            return [self._entry(connection, seal, row) for row in rows]

    def _entry(self, connection: Connection, seal: Seal | None, row: Any) -> StoredEntry:
        if leaf_hash(row.header) != row.leaf_hash:
            raise Tampered(f"{row.entry_id}: its header has another hash")
        header, kind = orjson.loads(row.header), Kind(row.kind)
        if not header["parts"]:
            return StoredEntry(row.entry_id, kind, header, row.leaf_hash, {})
        if seal is None:
            return StoredEntry(row.entry_id, kind, header, row.leaf_hash, None)
        found = self._parts(connection, seal, row.entry_id, header)
        return StoredEntry(row.entry_id, kind, header, row.leaf_hash, *found)

    def _parts(
        self, connection: Connection, seal: Seal, entry_id: str, header: Mapping[str, Any]
    ) -> Opened:
        rows = {
            row.part: row
            for row in connection.execute(select(_PART).where(_PART.c.entry_id == entry_id))
        }
        if sorted(rows) != sorted(part["part"] for part in header["parts"]):
            raise Tampered(f"{entry_id}: other parts than its header names")
        stored: dict[str, SealedPart] = {}
        for promised in header["parts"]:
            row = rows[promised["part"]]
            if promised["sha256_ct"] != row.sha256_ct.hex():
                raise Tampered(f"{entry_id}: its {row.part} was replaced")
            if promised["key_commit"] != row.key_commit.hex():
                raise Tampered(f"{entry_id}: its {row.part} names another key")
            if promised.get("object_sha256") != (row.object_sha256 and row.object_sha256.hex()):
                raise Tampered(f"{entry_id}: its {row.part} names another object")
            stored[row.part] = SealedPart(*(row._mapping[name] for name in SealedPart._fields))
        return self._opener.entry(connection, seal, entry_id, header["parts"], stored)

    def _list(self, limit: int) -> list[Summary]:
        closed = _ENTRY.alias("closed")
        model = func.coalesce(closed.c.model, _ENTRY.c.model).label("named")
        newest = (
            select(_ENTRY, model, closed.c.outcome.label("ended"))
            .outerjoin(
                closed,
                (closed.c.exchange_id == _ENTRY.c.exchange_id)
                & (closed.c.kind == Kind.CLOSED.value),
            )
            .where(_ENTRY.c.kind == Kind.OPENED.value)
            .order_by(_ENTRY.c.entry_id.desc())
            .limit(limit)
        )
        with self._engine.begin() as connection:
            return [
                Summary(
                    row.exchange_id, row.ts, row.team, row.app, row.key_id, row.named, row.ended
                )
                for row in connection.execute(newest)
            ]
