"""A process that records exchanges one after the other, whatever its disk answers.

Run as `python -m tests.faults.recording URL FOLDER EXCHANGES`. It says the thread id of its
ledger, waits for a line, and then says one line for each entry that is durable. All that it
writes to the database and to the log's files is written in that thread.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.log import Log
from gateway.adapters.store.log_files import LogKeyError
from gateway.core.errors import Unavailable
from gateway.core.ids import new_id
from gateway.core.money import ZERO
from gateway.core.records import Receipt
from tests.contracts.journals import attempt, closed, opened, principal
from tests.unit.adapters.store.logs import ORIGIN, files_in

PAUSE = 0.02
"""Seconds before what was refused is tried again."""


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def told(receipt: Receipt) -> None:
    say(f"{receipt.entry_id} {receipt.leaf.hex()}")


async def exchange(journal: SqlJournal) -> None:
    """One exchange; its ending is tried until it is durable, as the pipeline's is owed."""
    record = journal.begin(new_id("exc"), principal(), opened())
    outcome = "completed"
    try:
        told(await record.append(attempt()))
    except Unavailable:
        outcome = "failed"
    while True:
        try:
            return told(await record.close(closed(outcome), ZERO))
        except Unavailable:
            await asyncio.sleep(PAUSE)


async def done(journal: SqlJournal, work: Callable[[], object]) -> None:
    """Do `work` in the ledger's thread, again while the disk will not have it."""
    while True:
        try:
            await journal.between(work)
        except (OSError, sqlite3.Error, DBAPIError, LogKeyError):
            await asyncio.sleep(PAUSE)
        else:
            return


async def main(url: str, folder: Path, exchanges: int) -> None:
    journal = SqlJournal(url, Keyring.open(folder / "keyring.json", None))
    await journal.start()
    log = Log(journal.engine, files_in(folder), ORIGIN)

    def checkpoint() -> None:
        """Bring what is in the write-ahead log to the database."""
        with journal.engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.rollback()
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    say(str(await journal.between(threading.get_native_id)))
    await asyncio.to_thread(sys.stdin.readline)
    await done(journal, log.open)
    for _ in range(exchanges):
        await exchange(journal)
        await done(journal, log.catch_up)
        await done(journal, checkpoint)
    await journal.stop()
    say("done")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
