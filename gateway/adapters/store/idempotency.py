"""Idempotency keys over SQL: one row for each, which names the exchange that holds it.

How that exchange ended, and what it answered, is read from the ledger: nothing of it is kept a
second time, and no row has to be written when it ends.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from gateway.adapters.store.engine import unavailable
from gateway.adapters.store.records import SqlRecords, StoredEntry
from gateway.adapters.store.sealing import Tampered
from gateway.adapters.store.tables import AuditEntry, IdempotencyKey, table
from gateway.adapters.store.threads import Threads
from gateway.core.errors import Code, Unavailable
from gateway.core.exchange import Outcome
from gateway.core.ports import Earlier
from gateway.core.principal import Principal
from gateway.core.records import Kind

T = TypeVar("T")

_KEY, _ENTRY = table(IdempotencyKey), table(AuditEntry)
KEPT = timedelta(hours=24)
_SWEPT = 64
"""Keys of yesterday that are deleted with each that is taken."""
_ANSWER = {"answer_released", "answer_received"}


class SqlRepeats:
    """Implements `Repeats` over a migrated database at `url`; `records` reads its ledger."""

    def __init__(
        self,
        url: str,
        pepper: bytes,
        records: SqlRecords,
        *,
        patience: float = 2.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._threads = Threads(url, "repeats", patience)
        self.engine = self._threads.engine
        self._pepper = pepper
        self._records = records
        self._now = now

    async def earlier(self, key_id: str, name: str, content: bytes) -> Earlier | None:
        return await self._threads.run(self._earlier, key_id, name, content)

    async def claim(
        self, principal: Principal, name: str, content: bytes, exchange_id: str, after: str | None
    ) -> bool:
        row = {
            "org_id": principal.org,
            "key_id": principal.key_id,
            "name_mac": self._mac("name", name.encode()),
            "content_mac": self._mac("content", content),
            "exchange_id": exchange_id,
            "media": None,
            "expires_at": self._now() + KEPT,
        }
        return await self._threads.run(self._claim, row, after, writes=True)

    async def note_media(self, exchange_id: str, media: str) -> None:
        noted = update(_KEY).where(_KEY.c.exchange_id == exchange_id).values(media=media)
        await self._threads.run(lambda connection: connection.execute(noted), writes=True)

    async def released(self, exchange_id: str) -> bytes | None:
        try:
            entries = await self._records.read_exchange(exchange_id)
        except SQLAlchemyError as error:
            raise unavailable(error) from error
        except Tampered as error:
            raise Unavailable(
                Code.AUDIT_UNAVAILABLE, "The recorded answer is not as it was written."
            ) from error
        if any(entry.lacking & _ANSWER for entry in entries):
            return None
        pieces = [_released(entry) for entry in entries if entry.parts is not None]
        found = [piece for piece in pieces if piece is not None]
        return b"\n".join(found) if found else None

    async def stop(self) -> None:
        """Close the connections."""
        await self._threads.stop()

    def _earlier(
        self, connection: Connection, key_id: str, name: str, content: bytes
    ) -> Earlier | None:
        row = connection.execute(
            select(_KEY, _ENTRY.c.outcome)
            .outerjoin(
                _ENTRY,
                (_ENTRY.c.exchange_id == _KEY.c.exchange_id) & (_ENTRY.c.kind == Kind.CLOSED.value),
            )
            .where(_KEY.c.key_id == key_id, _KEY.c.name_mac == self._mac("name", name.encode()))
            .where(_KEY.c.expires_at > self._now())
        ).one_or_none()
        if row is None:
            return None
        same = hmac.compare_digest(row.content_mac, self._mac("content", content))
        outcome = None if row.outcome is None else Outcome(row.outcome)
        return Earlier(row.exchange_id, same, outcome, row.media)

    def _claim(self, connection: Connection, row: dict[str, object], after: str | None) -> bool:
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        fresh = insert(_KEY).values(row)
        taken = connection.execute(
            fresh.on_conflict_do_update(
                index_elements=["key_id", "name_mac"],
                set_={name: fresh.excluded[name] for name in row},
                where=(_KEY.c.exchange_id == after) | (_KEY.c.expires_at <= self._now()),
            ).returning(_KEY.c.exchange_id)
        )
        if taken.one_or_none() is None:
            return False
        self._sweep(connection)
        return True

    def _sweep(self, connection: Connection) -> None:
        old = (
            select(_KEY.c.key_id, _KEY.c.name_mac)
            .where(_KEY.c.expires_at <= self._now())
            .limit(_SWEPT)
            .with_for_update(skip_locked=True)
        )
        for row in connection.execute(old).all():
            mine = (_KEY.c.key_id == row.key_id) & (_KEY.c.name_mac == row.name_mac)
            connection.execute(delete(_KEY).where(mine))

    def _mac(self, what: str, text: bytes) -> bytes:
        return _mac(self._pepper, what, text)


def name_mac(pepper: bytes, name: str) -> bytes:
    """What stands for an idempotency key."""
    return _mac(pepper, "name", name.encode(errors="replace"))


def _mac(pepper: bytes, what: str, text: bytes) -> bytes:
    return hmac.digest(pepper, f"idempotency {what}\n".encode() + text, "sha256")


def _released(entry: StoredEntry) -> bytes | None:
    """What was released with an entry, also where it is stored as what was received."""
    parts = entry.parts or {}
    if "answer_released" in parts:
        return parts["answer_released"]
    if "answer_released" in entry.header["facts"]:
        return parts.get("answer_received")
    return None
