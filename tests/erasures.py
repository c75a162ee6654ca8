"""A ledger from which can be erased, and exchanges with people in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.erasure import SqlErasure
from gateway.adapters.store.erasure_file import ErasureFile
from gateway.adapters.store.index_writing import forget, scrub
from gateway.adapters.store.legal_holds import SqlHolds
from gateway.adapters.store.records import StoredEntry
from gateway.adapters.store.tables import AuditEntry, Row, table
from gateway.core.attribution import Attribution
from gateway.core.ids import new_id
from gateway.core.money import ZERO
from gateway.core.ports import Record
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind, leaf_hash
from gateway.core.values import Value
from gateway.governance.erasures import Erasures
from gateway.governance.holds import Holds
from tests.contracts.journals import SqlLedger, principal

OFFICER = Principal("acme", "operators", "cli", "cli:officer")
OTHER = Principal("acme", "operators", "cli", "cli:other")
ANN = Value("EMAIL_ADDRESS", "ann@example.org")
BOB = Value("PHONE_NUMBER", "+49 89 636 48018")
TEXT = b'{"content": "Canary: ann@example.org called +49 89 636 48018 today."}'


@dataclass
class Office:
    """A running ledger, and who erases from it."""

    ledger: SqlLedger
    store: SqlErasure
    erasures: Erasures
    holds: Holds
    file: ErasureFile

    async def begin(
        self, subject: str = "user:ann", session: str | None = None, who: Principal | None = None
    ) -> tuple[str, Record]:
        """An exchange of a subject, not written yet; its id and its record."""
        id, whose = new_id("exc"), Attribution(subject, session)
        first = Entry(Kind.OPENED, {"model": "m"}, {"request_received": TEXT})
        return id, self.ledger.journal.begin(id, who or principal(), first, whose)

    async def exchange(
        self, subject: str = "user:ann", *values: Value, who: Principal | None = None
    ) -> str:
        """An exchange of a subject with `values` found in it, from its beginning to its end."""
        id, record = await self.begin(subject, who=who)
        await record.append(Entry(Kind.ATTEMPT, {"attempt": 1}, {"request_sent": TEXT}, values))
        facts: dict[str, Any] = {"outcome": "completed"}
        await record.close(Entry(Kind.CLOSED, facts, {"answer_received": TEXT}, values), ZERO)
        return id

    async def read(self, id: str) -> list[StoredEntry]:
        """An exchange as it can be read now; every header is checked against its hash."""
        return list(await self.ledger.records.read_exchange(id))

    async def said(self, id: str) -> bytes | None:
        """The request of an exchange, None once it cannot be read."""
        return ((await self.read(id))[0].parts or {}).get("request_received")

    async def acts(self, kind: Kind) -> list[Entry]:
        """The acts of a kind that are on record, the oldest first."""
        entries = [e for act in await self.ledger.acts() for e in await self.ledger.entries(act)]
        return [entry for entry in entries if entry.kind is kind]

    def count(self, model: type[Row]) -> int:
        """How many rows a table has."""
        with self.store.engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(table(model))).scalar_one()

    def check_leaves(self) -> int:
        """Every header against its leaf hash; how many there are."""
        with self.store.engine.connect() as connection:
            rows = connection.execute(select(table(AuditEntry))).all()
        assert all(leaf_hash(bytes(row.header)) == row.leaf_hash for row in rows)
        return len(rows)


@asynccontextmanager
async def office(url: str, keyring: Keyring, folder: Path, **options: Any) -> AsyncIterator[Office]:
    """An office over a migrated database, begun as a gateway begins."""
    file = ErasureFile(folder / "erasures.jsonl")
    before = SqlErasure(url, keyring.index_key, file, _at_once)
    await before.reapply()
    before.stop()
    async with SqlLedger.on(url, keyring, **options) as ledger:
        store = SqlErasure(
            url, keyring.index_key, file, ledger.journal.between, forget=(forget,), scrub=scrub
        )
        kept = SqlHolds(url, keyring.index_key)
        erasures = Erasures(store, ledger.journal)
        await erasures.finish()
        try:
            yield Office(ledger, store, erasures, Holds(kept, ledger.journal), file)
        finally:
            store.stop()
            await kept.stop()


async def _at_once(work: Any) -> Any:
    return work()
