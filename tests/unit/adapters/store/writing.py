"""A process that writes to a ledger until it is killed, and says what it was promised.

Run as `python -m tests.unit.adapters.store.writing URL KEYRING BUDGET SEED`.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.journal import SqlJournal
from gateway.core.errors import OverBudget
from gateway.core.ids import new_id
from gateway.core.money import Money
from gateway.core.records import Entry, Kind, Receipt
from tests.contracts.journals import attempt, closed, opened, principal


def say(exchange_id: str, receipt: Receipt) -> None:
    """One line for one durable entry, in one write."""
    os.write(1, f"{exchange_id} {receipt.entry_id} {receipt.leaf.hex()}\n".encode())


async def exchange(journal: SqlJournal, budget_id: str, chance: random.Random) -> None:
    id = new_id("exc")
    record = journal.begin(id, principal(budget_id), opened())
    try:
        say(id, await record.append(attempt(), Money(chance.randrange(1, 200))))
        for number in range(chance.randrange(3)):
            say(id, await record.append(Entry(Kind.SEGMENT, {"segment": number}, {"text": b"x"})))
    except OverBudget:
        say(id, await record.close(closed("denied"), Money(0)))
        return
    await asyncio.sleep(chance.random() / 200)
    say(id, await record.close(closed(), Money(0)))


async def main(url: str, keyring: str, budget_id: str, seed: str) -> None:
    journal = SqlJournal(url, Keyring.open(Path(keyring), None))
    await journal.start()
    chance = random.Random(int(seed))

    async def forever() -> None:
        while True:
            await exchange(journal, budget_id, chance)

    await asyncio.gather(*[forever() for _ in range(12)])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
