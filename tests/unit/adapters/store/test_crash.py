"""Kill -9 at random moments: what was promised is there, and nothing stays open.

`GOVGATE_TEST_KILLS` is how often, on each database.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.engine import for_writing
from gateway.adapters.store.tables import AuditEntry, Writer, table
from gateway.core.records import Kind
from tests.contracts.journals import SqlLedger

ENTRY, WRITER = table(AuditEntry), table(Writer)
ROOT = Path(__file__).parents[4]
FEWEST = {"sqlite": 8, "postgresql": 4}


def killed(url: str, keyring: Path, budget_id: str, seed: int) -> list[tuple[str, str, str]]:
    """What a writer said before it was killed: exchange, entry and leaf of each receipt."""
    chance = random.Random(seed)
    command = [sys.executable, "-m", "tests.unit.adapters.store.writing"]
    child = subprocess.Popen(
        [*command, url, str(keyring), budget_id, str(seed)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(chance.randrange(1, 150))]
    child.kill()
    lines += child.stdout.readlines()
    child.stdout.close()
    assert child.wait() == -9
    receipts = [line.decode().split() for line in lines if line.endswith(b"\n")]
    return [(exchange, entry, leaf) for exchange, entry, leaf in receipts]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_kill_loses_nothing_that_was_promised(
    kind: str, keyring: Keyring, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    async with SqlLedger.on(url, keyring) as ledger:
        budget_id = ledger.budget(5_000)
    promised: list[tuple[str, str, str]] = []
    for seed in range(int(os.environ.get("GOVGATE_TEST_KILLS", FEWEST[kind]))):
        receipts = killed(url, tmp_path / "keyring.json", budget_id, seed)
        assert receipts
        promised += receipts
        async with SqlLedger.on(url, keyring) as ledger:
            let_leases_lapse(ledger)
            await ledger.journal.recover()
            await check(ledger, budget_id, promised)


def let_leases_lapse(ledger: SqlLedger) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    with for_writing(ledger.journal.engine).begin() as connection:
        living = select(WRITER.c.epoch).order_by(WRITER.c.started_at.desc()).limit(1)
        dead = update(WRITER).where(WRITER.c.epoch.not_in(living.scalar_subquery()))
        connection.execute(dead.values(lease_until=long_ago))


async def check(ledger: SqlLedger, budget_id: str, promised: list[tuple[str, str, str]]) -> None:
    """Every promise kept, every exchange closed once, every chain whole, money settled."""
    with ledger.journal.engine.begin() as connection:
        rows = connection.execute(
            select(ENTRY).order_by(ENTRY.c.writer_epoch, ENTRY.c.writer_seq)
        ).all()
    leaves = {row.entry_id: row.leaf_hash.hex() for row in rows}
    assert [entry for _, entry, leaf in promised if leaves.get(entry) != leaf] == []
    kinds: dict[str, list[str]] = defaultdict(list)
    chains: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        kinds[row.exchange_id].append(row.kind)
        chains[row.writer_epoch].append(row.writer_seq)
    for written in kinds.values():
        assert written.count(Kind.OPENED) == written.count(Kind.CLOSED) == 1
    for numbers in chains.values():
        assert numbers == list(range(1, len(numbers) + 1))
    for exchange_id in kinds:
        stored = await ledger.records.read_exchange(exchange_id)
        assert len(stored) == len(kinds[exchange_id])
        assert stored[0].parts is not None
    reserved, settled = ledger.figures(budget_id)
    assert reserved == 0
    assert settled <= 5_000
