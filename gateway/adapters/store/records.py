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
from gateway.adapters.store.sealing import Seal, SealedPart, Tampered, Vault
from gateway.adapters.store.tables import AuditEntry, AuditPart, RecordKey, table
from gateway.core.records import Kind, leaf_hash

_ENTRY, _PART, _KEY = table(AuditEntry), table(AuditPart), table(RecordKey)
_AS_WRITTEN = (_ENTRY.c.kind == Kind.CLOSED.value, _ENTRY.c.writer_seq)
"""One writer writes all of an exchange, except that another may close it as lost."""


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as it was read back. `parts` is None where the exchange's key was erased."""

    entry_id: str
    kind: Kind
    header: Mapping[str, Any]
    leaf: bytes
    parts: Mapping[str, bytes] | None


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
    """Reads what `SqlJournal` wrote. Opens connections when they are first needed."""

    def __init__(self, url: str, vault: Vault, patience: float = 2.0) -> None:
        self._engine = open_engine(url, patience)
        self._vault = vault

    async def read_exchange(self, exchange_id: str) -> Sequence[StoredEntry]:
        """The entries of an exchange in the order written, decrypted; empty when unknown.

        Raises `Tampered` when an entry or a payload is not what was written.
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
            seal = self._seal(connection, exchange_id)
            rows = connection.execute(
                select(_ENTRY).where(_ENTRY.c.exchange_id == exchange_id).order_by(*_AS_WRITTEN)
            ).all()
            return [self._entry(connection, seal, row) for row in rows]

    def _seal(self, connection: Connection, exchange_id: str) -> Seal | None:
        row = connection.execute(
            select(_KEY).where(_KEY.c.exchange_id == exchange_id)
        ).one_or_none()
        if row is None:
            return None
        key = self._vault.unwrap(row.kek_id, row.wrapped, exchange_id)
        return Seal(key, row.kek_id, row.wrapped)

    def _entry(self, connection: Connection, seal: Seal | None, row: Any) -> StoredEntry:
        if leaf_hash(row.header) != row.leaf_hash:
            raise Tampered(f"{row.entry_id}: its header has another hash")
        header = orjson.loads(row.header)
        return StoredEntry(
            row.entry_id,
            Kind(row.kind),
            header,
            row.leaf_hash,
            None if seal is None else self._parts(connection, seal, row.entry_id, header),
        )

    @staticmethod
    def _parts(
        connection: Connection, seal: Seal, entry_id: str, header: Mapping[str, Any]
    ) -> dict[str, bytes]:
        stored = {
            row.part: row
            for row in connection.execute(select(_PART).where(_PART.c.entry_id == entry_id))
        }
        if sorted(stored) != sorted(part["part"] for part in header["parts"]):
            raise Tampered(f"{entry_id}: other parts than its header names")
        parts: dict[str, bytes] = {}
        for promised in header["parts"]:
            row = stored[promised["part"]]
            if promised["sha256_ct"] != row.sha256_ct.hex():
                raise Tampered(f"{entry_id}: its {row.part} was replaced")
            if promised["key_commit"] != row.key_commit.hex():
                raise Tampered(f"{entry_id}: its {row.part} names another key")
            sealed = SealedPart(
                row.part,
                row.alg,
                row.ciphertext,
                row.nonce,
                row.sha256_ct,
                row.key_commit,
                row.size,
            )
            parts[row.part] = seal.unseal(entry_id, sealed)
        return parts

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
