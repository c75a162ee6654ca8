"""Every write of the ledger to its disk fails once, or is the last that its process does.

`GOVGATE_TEST_SYSCALLS` is how many such runs there are, chosen by `GOVGATE_TEST_SEED`; `all`
for each call by which the disk is reached, with each fault.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.migrate import migrate
from tests.contracts.journals import SqlLedger
from tests.faults.evidence import Evidence
from tests.faults.kept import Kept
from tests.faults.tracing import CALLS, FAULTS, counted, traced
from tests.houses import ROOT
from tests.unit.adapters.store.logs import files_in, log_of
from tests.unit.adapters.store.test_crash import let_leases_lapse

RUNS = os.environ.get("GOVGATE_TEST_SYSCALLS", "10")
EXCHANGES = 3


@dataclass(frozen=True)
class Run:
    """What became of a process that recorded."""

    returncode: int
    promised: dict[str, str]
    """The leaf of each entry that it was told is durable."""
    calls: Counter[str]


def record(folder: Path, calls: str, *options: str) -> Run:
    """Record some exchanges in `folder`, with these options of strace."""
    folder.mkdir()
    url = url_of(folder)
    migrate(url)
    Keyring.open(folder / "keyring.json", None)
    command = [sys.executable, "-m", "tests.faults.recording", url, str(folder), str(EXCHANGES)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        thread = int(child.stdout.readline())
        with traced(thread, calls, *options, to=folder / "trace"):
            child.stdin.write("go\n")
            child.stdin.flush()
            lines = child.stdout.read().splitlines()
    pairs = [line.split() for line in lines if line.startswith("ent_")]
    promised = {entry: leaf for entry, leaf in pairs}
    assert ("done" in lines) == (child.returncode == 0), lines
    return Run(child.returncode, promised, counted(folder / "trace"))


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder}/govgate.db"


async def check(folder: Path, promised: dict[str, str]) -> None:
    """Reopened, the ledger is good, goes on, and holds what was promised."""
    keyring, kept = Keyring.open(folder / "keyring.json", None), Kept(files_in(folder))
    if files_in(folder).key.exists():
        kept.look()
    async with SqlLedger.on(url_of(folder), keyring) as ledger:
        let_leases_lapse(ledger)
        await ledger.journal.recover()
        log = log_of(ledger, folder)
        log.catch_up()
    evidence = Evidence(url_of(folder), keyring)
    try:
        report = evidence.verified(kept.look())
        assert report.signed == report.entries
        assert (report.open, report.waiting) == (0, 0)
        evidence.check_endings()
        evidence.check_chain()
        rows = evidence.rows("SELECT entry_id, leaf_hash FROM log_leaf")
        leaves = {entry_id: bytes(leaf).hex() for entry_id, leaf in rows}
        assert promised.items() <= leaves.items(), "told as durable, and lost"
    finally:
        evidence.dispose()


async def test_whatever_the_disk_answers_no_promise_is_broken(tmp_path: Path) -> None:
    whole = record(tmp_path / "whole", ",".join(CALLS))
    assert whole.returncode == 0
    assert len(whole.promised) == 2 * EXCHANGES
    await check(tmp_path / "whole", whole.promised)
    places = [
        (call, number, fault)
        for call in CALLS
        for number in range(1, whole.calls[call] + 1)
        for fault in FAULTS
    ]
    assert {call for call, _, _ in places} >= {"pwrite64", "fdatasync", "ftruncate", "rename"}
    seed = int(os.environ.get("GOVGATE_TEST_SEED", time.time_ns() % 1_000_000))
    chosen = places if RUNS == "all" else Random(seed).sample(places, int(RUNS))
    print(f"GOVGATE_TEST_SEED={seed}: {len(chosen)} of {len(places)}, {dict(whole.calls)}")
    for number, (call, when, fault) in enumerate(chosen):
        folder = tmp_path / str(number)
        try:
            run = record(folder, call, "-e", f"inject={call}:{FAULTS[fault]}:when={when}")
            if fault == "SIGKILL":
                assert run.returncode in (0, -9)
            else:
                assert run.returncode == 0
                assert len(run.promised) >= EXCHANGES
                assert call == "unlink" or not list(folder.glob(".log.*")), "left lying about"
            await check(folder, run.promised)
        except BaseException as error:
            error.add_note(f"at {call} number {when} with {fault}, in {folder}")
            raise
