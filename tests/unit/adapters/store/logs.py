"""Ledgers with a log over them, for tests."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from gateway.adapters.store.log import Log
from gateway.adapters.store.log_files import LogFiles
from gateway.adapters.store.log_tables import LogLeaf
from gateway.adapters.store.tables import AuditEntry, table
from gateway.core.ids import new_id
from gateway.core.money import ZERO
from tests.contracts.journals import SqlLedger, attempt, closed, opened, principal

ORIGIN = "log.example/1"


def files_in(folder: Path) -> LogFiles:
    return LogFiles(folder / "log.key", folder / "log.state")


def log_of(ledger: SqlLedger, folder: Path) -> Log:
    """An open log over the ledger's database, with its files in `folder`."""
    log = Log(ledger.journal.engine, files_in(folder), ORIGIN)
    log.open()
    return log


async def exchange(ledger: SqlLedger) -> str:
    """One exchange of three entries; its id."""
    id = new_id("exc")
    record = ledger.journal.begin(id, principal(), opened())
    await record.append(attempt())
    await record.close(closed(), ZERO)
    return id


def leaves(ledger: SqlLedger) -> list[tuple[int, str, bytes, bytes]]:
    """Each leaf of the log: index, entry, hash, and the entry's header."""
    leaf, entry = table(LogLeaf), table(AuditEntry)
    with ledger.journal.engine.begin() as connection:
        rows = connection.execute(
            select(leaf.c.leaf_index, leaf.c.entry_id, leaf.c.leaf_hash, entry.c.header)
            .outerjoin(entry, entry.c.entry_id == leaf.c.entry_id)
            .order_by(leaf.c.leaf_index)
        )
        return [tuple(row) for row in rows]  # type: ignore[misc]
