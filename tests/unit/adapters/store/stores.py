"""Ledgers whose large payloads are in object storage, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.engine import for_writing
from gateway.adapters.store.gone_objects import GoneObjects
from gateway.adapters.store.journal import SqlRecord
from gateway.adapters.store.log import Log
from gateway.adapters.store.stowing import Stowage
from gateway.adapters.store.tables import AuditPart, table
from gateway.core.ids import new_id
from gateway.core.money import ZERO
from gateway.core.note_keys import Verifier
from gateway.core.objects import ObjectMissing, PayloadObjects
from gateway.core.records import Entry, Kind
from gateway.core.values import Value
from gateway.verifier.databases import read_postgresql, read_sqlite
from gateway.verifier.objects import Read
from gateway.verifier.report import Report
from gateway.verifier.verify import Trusted, verify
from tests.contracts.journals import SqlLedger, principal
from tests.databases import Database
from tests.fakes.objects import FakeObjects
from tests.unit.adapters.store.logs import log_of

OVER = 4_096


@dataclass
class Store:
    """A ledger, its log, and its object storage."""

    database: Database
    ledger: SqlLedger
    objects: Any
    log: Log

    def begin(self, request: bytes) -> tuple[str, SqlRecord]:
        id = new_id("exc")
        entry = Entry(Kind.OPENED, {"model": "m"}, {"request_received": request})
        return id, self.ledger.journal.begin(id, principal(), entry)

    async def exchange(self, request: bytes, answer: bytes, *values: Value) -> str:
        """An exchange from its beginning to its end; its id."""
        id, record = self.begin(request)
        sent = Entry(Kind.ATTEMPT, {"attempt": 1}, {"request_sent": request}, values)
        await record.append(sent)
        await record.close(ended({"answer_received": answer}, *values), ZERO)
        return id

    async def parts(self, id: str) -> dict[str, bytes]:
        """What can be read of an exchange, by the names of its parts."""
        entries = await self.ledger.records.read_exchange(id)
        return {name: each for one in entries for name, each in (one.parts or {}).items()}

    def rows(self) -> list[Any]:
        with self.ledger.journal.engine.begin() as connection:
            return list(connection.execute(select(table(AuditPart))))

    def change(self, statement: Any) -> None:
        with for_writing(self.ledger.journal.engine).begin() as connection:
            if self.database.kind == "postgresql":
                connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            else:
                connection.exec_driver_sql("DROP TRIGGER IF EXISTS audit_part_no_update")
            connection.execute(statement)

    def verified(self, *, objects: bool = True) -> Report:
        """What the verifier says, with the objects or without."""
        self.log.catch_up()
        assert self.log.vkey is not None
        trusted, read = Trusted([Verifier.decoded(self.log.vkey)]), reading(self.objects)
        reader = read_sqlite if self.database.kind == "sqlite" else read_postgresql
        place: Any = self.database.url
        if self.database.kind == "sqlite":
            place = Path(self.database.url.removeprefix("sqlite:///"))
        with reader(place) as source:
            return verify(source, trusted, read if objects else None)

    def gone(self, **options: Any) -> GoneObjects:
        return GoneObjects(self.database.url, self.objects, **options)


@asynccontextmanager
async def store_on(
    database: Database, keyring: Keyring, folder: Path, objects: Any, **options: Any
) -> AsyncIterator[Store]:
    """A store over a migrated database; options are `Stowage`'s."""
    stowage = Stowage(objects, **{"over": OVER, "timeout": 30.0} | options)
    async with SqlLedger.on(database.url, keyring, objects=objects, stowage=stowage) as ledger:
        log = log_of(ledger, folder)
        try:
            yield Store(database, ledger, objects, log)
        finally:
            log.close()


def ended(parts: dict[str, bytes], *values: Value) -> Entry:
    return Entry(Kind.CLOSED, {"outcome": "completed"}, parts, values)


def reading(objects: PayloadObjects) -> Read:
    """Reads objects for the verifier."""

    def read(digest: str) -> bytes | None:
        try:
            return objects.read(f"parts/{digest}")
        except ObjectMissing:
            return None

    return read


def bytes_of(store: Store) -> bytes:
    """Everything that rests in the database and in object storage, of a fake."""
    assert isinstance(store.objects, FakeObjects)
    stored = [value for row in store.rows() for value in row if isinstance(value, bytes)]
    return b"".join((*stored, *store.objects.kept.values()))
