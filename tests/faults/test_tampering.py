"""A changed, dropped, swapped or cut-off record is found, and the first of them is named.

`GOVGATE_TEST_TAMPERINGS` says how many are tried.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from gateway.adapters.keyring import Keyring
from tests.contracts.journals import SqlLedger
from tests.faults.tampering import Victim, tamper
from tests.unit.adapters.store.logs import exchange, files_in, log_of

COUNT = int(os.environ.get("GOVGATE_TEST_TAMPERINGS", "400"))


@pytest.fixture
async def victim(sqlite_url: str, keyring: Keyring, tmp_path: Path) -> Victim:
    """A ledger of some hundred entries under several checkpoints, the last of them kept."""
    async with (
        SqlLedger.on(sqlite_url, keyring) as ledger,
        SqlLedger.on(sqlite_url, keyring) as too,
    ):
        log = log_of(ledger, tmp_path)
        for _ in range(6):
            await asyncio.gather(*(exchange(ledger) for _ in range(12)), exchange(too))
            log.catch_up()
        for _ in range(10):
            await exchange(too)
        log.catch_up()
        assert log.vkey is not None
        kept = files_in(tmp_path).note()
        return Victim(sqlite_url.removeprefix("sqlite:///"), log.vkey, kept)


def test_a_ledger_that_nobody_touched_is_good(victim: Victim) -> None:
    report = victim.verify()
    assert report.problems == []
    assert (report.entries, report.signed, report.checkpoints) == (264, 264, 7)
    assert report.parts == 264
    assert report.open == report.waiting == 0
    victim.close()


def test_every_tampering_is_found_and_its_place_named(victim: Victim) -> None:
    chance = Random(20_261_122)
    done: Counter[str] = Counter()
    for number in range(COUNT):
        deed = tamper(victim, chance)
        report = victim.after(deed)
        done[deed.name] += 1
        assert not report.good, (number, deed)
        assert report.first is not None
        assert deed.named_by(report.first.index), (number, deed.name, report.problems[:5])
    assert len(done) >= 12
    print(f"{COUNT} tamperings, all found: {dict(done)}")
    assert victim.verify().good
    victim.close()
