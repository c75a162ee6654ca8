"""Many processes append to one ledger, and several sequence it, all at the same time.

`GOVGATE_TEST_APPENDS` is how many entries they append together, on each database.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.engine import open_engine
from gateway.adapters.store.log import Log
from gateway.core.note_keys import Verifier
from gateway.verifier.verify import Trusted
from tests.faults.evidence import Evidence
from tests.houses import ROOT
from tests.unit.adapters.store.logs import ORIGIN, files_in

APPENDS = int(os.environ.get("GOVGATE_TEST_APPENDS", "4000"))


def append(url: str, folder: Path, processes: int, sequencers: int) -> dict[str, str]:
    """Let so many processes append; the leaf of each entry that one was told is durable."""
    command = [sys.executable, "-m", "tests.faults.appending", url, str(folder)]
    each = str(APPENDS // processes)
    outputs = [folder / f"appended-{number}" for number in range(processes)]
    running = []
    for number, output in enumerate(outputs):
        arguments = [each, "yes" if number < sequencers else "no", str(output)]
        running.append(subprocess.Popen([*command, *arguments], cwd=ROOT))
    assert [process.wait() for process in running] == [0] * processes
    receipts: dict[str, str] = {}
    for output in outputs:
        *lines, closing = output.read_text().splitlines()
        assert closing.startswith("#")
        print(output.name, len(lines), closing)
        for line in lines:
            entry_id, leaf = line.split()
            assert receipts.setdefault(entry_id, leaf) == leaf
    return receipts


@pytest.mark.parametrize(
    ("kind", "processes", "sequencers"),
    [("postgresql", 8, 3), ("sqlite", 2, 2), ("sqlite", 8, 2)],
)
def test_every_entry_has_one_place(
    kind: str,
    processes: int,
    sequencers: int,
    keyring: Keyring,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    promised = append(url, tmp_path, processes, sequencers)
    assert len(promised) >= APPENDS // 3
    evidence = Evidence(url, keyring)
    during = len(evidence.rows("SELECT size FROM checkpoint"))
    log = Log(open_engine(url), files_in(tmp_path), ORIGIN)
    log.open()
    log.catch_up()
    assert log.vkey is not None
    log.close()

    exchanges = -(-(APPENDS // processes) // 3) * processes
    assert evidence.check_endings().total() == exchanges
    evidence.check_chain()
    kept = files_in(tmp_path).note()
    report = evidence.verified(Trusted([Verifier.decoded(log.vkey)], notes=[kept]))
    assert report.signed == report.entries >= 2 * exchanges
    assert (report.open, report.waiting) == (0, 0)
    assert during, "nothing was signed while they appended"

    places = evidence.rows("SELECT leaf_index, entry_id, leaf_hash FROM log_leaf")
    assert sorted(place for place, _, _ in places) == list(range(report.entries))
    leaves = {entry_id: bytes(leaf).hex() for _, entry_id, leaf in places}
    assert len(leaves) == len(places)
    assert promised.items() <= leaves.items()
    check_order(evidence)
    evidence.dispose()


def check_order(evidence: Evidence) -> None:
    """Each writer's entries stand in the log in the order in which it wrote them."""
    last: dict[str, int] = {}
    for epoch, seq in evidence.rows(
        "SELECT e.writer_epoch, e.writer_seq FROM log_leaf l"
        " JOIN audit_entry e ON e.entry_id = l.entry_id ORDER BY l.leaf_index"
    ):
        assert seq == last.get(epoch, 0) + 1
        last[epoch] = seq
