"""A process that appends to a ledger beside others, and sequences it if it is told to.

Run as `python -m tests.faults.appending URL FOLDER ENTRIES SEQUENCES SAID`. It writes to the
file `SAID` one line for each entry that it was told is durable, and at the end, after `#`, how
often it was refused.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path
from typing import TextIO

from sqlalchemy.exc import OperationalError

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.log import Log
from gateway.core.errors import Unavailable
from gateway.core.ids import new_id
from gateway.core.money import ZERO
from gateway.core.records import Receipt
from tests.contracts.journals import attempt, closed, opened, principal
from tests.unit.adapters.store.logs import ORIGIN, files_in

TOGETHER = 8
"""Exchanges at once."""


class Appender:
    """Appends exchanges of three entries each; only what is refused for now is tried again."""

    def __init__(self, journal: SqlJournal, entries: int, said: TextIO) -> None:
        self.journal = journal
        self._said = said
        self.refused: Counter[str] = Counter()
        self._left = entries

    async def run(self) -> None:
        await asyncio.gather(*(self._some() for _ in range(TOGETHER)))

    async def _some(self) -> None:
        while self._left > 0:
            self._left -= 3
            await self._exchange()

    async def _exchange(self) -> None:
        record = self.journal.begin(new_id("exc"), principal(), opened())
        outcome = "completed"
        try:
            self._say(await record.append(attempt()))
        except Unavailable as error:
            self.refused[error.code] += 1
            outcome = "failed"
        while True:
            try:
                return self._say(await record.close(closed(outcome), ZERO))
            except Unavailable as error:
                self.refused[error.code] += 1
                await asyncio.sleep(0)

    def _say(self, receipt: Receipt) -> None:
        self._said.write(f"{receipt.entry_id} {receipt.leaf.hex()}\n")


async def sequence(journal: SqlJournal, log: Log, refused: Counter[str]) -> None:
    """Sequence and sign, again and again; a lock that is taken is waited for."""
    while True:
        try:
            await journal.between(log.step)
        except OperationalError:
            refused["log"] += 1
        await asyncio.sleep(0.01)


async def main(url: str, folder: Path, entries: int, sequences: bool, said: TextIO) -> None:
    journal = SqlJournal(url, Keyring.open(folder / "keyring.json", None))
    await journal.start()
    appender = Appender(journal, entries, said)
    log = Log(journal.engine, files_in(folder), ORIGIN)
    sequencing = None
    if sequences:
        await journal.between(log.open)
        sequencing = asyncio.create_task(sequence(journal, log, appender.refused))
    await appender.run()
    if sequencing is not None:
        assert not sequencing.done(), sequencing.result()
        sequencing.cancel()
        await asyncio.wait([sequencing])
    await journal.stop()
    print("#", *(f"{code}={count}" for code, count in appender.refused.items()), file=said)


if __name__ == "__main__":
    url, folder, entries, sequences, output = sys.argv[1:]
    with Path(output).open("w") as said:
        asyncio.run(main(url, Path(folder), int(entries), sequences == "yes", said))
