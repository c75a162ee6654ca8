"""Law 7: whatever happens in whatever order, a healthy ledger never raises an alarm.

Writers come, go and are taken for dead; logs are opened, go on, and fail before or after they
have remembered what they sign. The verifier is asked after each step, with every checkpoint
that was ever signed; no two of them have one size and different roots.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.engine import open_engine
from gateway.adapters.store.journal import SqlRecord
from gateway.adapters.store.log import Log
from gateway.adapters.store.log_files import LogFiles
from gateway.adapters.store.migrate import migrate
from gateway.core.errors import Unavailable
from gateway.core.ids import new_id
from gateway.core.money import ZERO
from tests.contracts.journals import SqlLedger, attempt, closed, opened, principal
from tests.faults.evidence import Evidence
from tests.faults.kept import Kept
from tests.unit.adapters.store.logs import ORIGIN, files_in
from tests.unit.adapters.store.test_crash import let_leases_lapse

EXAMPLES, STEPS = 5, 20
MOST_WRITERS = 3


class Died(Exception):
    """What a process that is killed would have said."""


class DyingFiles(LogFiles):
    """The files of a log whose process dies before, or after, it has remembered a note."""

    dies: str | None = None

    def remember(self, note: str) -> None:
        dies, DyingFiles.dies = DyingFiles.dies, None
        if dies == "before":
            raise Died
        super().remember(note)
        if dies == "after":
            raise Died


class History(RuleBasedStateMachine):
    """A ledger in a folder of its own, and all that may happen to it."""

    migrated: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="govgate-history-"))
        shutil.copyfile(self.migrated, self.folder / "govgate.db")
        self.url = f"sqlite:///{self.folder}/govgate.db"
        self.keyring = Keyring.open(self.folder / "keyring.json", None)
        self.evidence = Evidence(self.url, self.keyring)
        self.kept = Kept(files_in(self.folder))
        self.runner = asyncio.Runner()
        self.writers: list[tuple[SqlLedger, AsyncExitStack]] = []
        self.records: list[tuple[SqlLedger, SqlRecord]] = []
        self.logs: list[Log] = []

    @initialize()
    def begin(self) -> None:
        DyingFiles.dies = None
        self.open_a_log()
        self.start_a_writer()

    @precondition(lambda self: len(self.writers) < MOST_WRITERS)
    @rule()
    def start_a_writer(self) -> None:
        stack = AsyncExitStack()
        ledger = SqlLedger.on(self.url, self.keyring)
        self.writers.append((self.runner.run(stack.enter_async_context(ledger)), stack))

    @precondition(lambda self: self.writers)
    @rule(which=st.integers(0, 9))
    def stop_a_writer(self, which: int) -> None:
        ledger, stack = self.writers.pop(which % len(self.writers))
        self.records = [each for each in self.records if each[0] is not ledger]
        self.runner.run(stack.aclose())

    @precondition(lambda self: self.writers)
    @rule(which=st.integers(0, 9), many=st.integers(1, 4))
    def open_exchanges(self, which: int, many: int) -> None:
        ledger, _ = self.writers[which % len(self.writers)]

        async def attempts() -> None:
            begun = [
                ledger.journal.begin(new_id("exc"), principal(), opened()) for _ in range(many)
            ]
            await asyncio.gather(*(record.append(attempt()) for record in begun))
            self.records += [(ledger, record) for record in begun]

        self.runner.run(attempts())

    @precondition(lambda self: self.records)
    @rule(which=st.integers(0, 99))
    def close_an_exchange(self, which: int) -> None:
        _, record = self.records.pop(which % len(self.records))
        try:
            self.runner.run(record.close(closed(), ZERO))
        except Unavailable:
            assert self.lapsed, "refused, though nobody was taken for dead"

    lapsed = False

    @precondition(lambda self: self.writers)
    @rule(which=st.integers(0, 9))
    def take_the_others_for_dead(self, which: int) -> None:
        ledger, _ = self.writers[which % len(self.writers)]
        self.lapsed = True
        let_leases_lapse(ledger)
        self.runner.run(ledger.journal.recover())

    @rule()
    def open_a_log(self) -> None:
        files = files_in(self.folder)
        log = Log(open_engine(self.url), DyingFiles(files.key, files.state), ORIGIN)
        log.open()
        self.logs.append(log)

    @rule(which=st.integers(0, 9), dies=st.sampled_from([None, None, "before", "after"]))
    def go_on(self, which: int, dies: str | None) -> None:
        DyingFiles.dies = dies
        log = self.logs[which % len(self.logs)]
        try:
            log.step()
        except Died:
            self.logs.remove(log)
            log.close()
            self.open_a_log()
        DyingFiles.dies = None

    @precondition(lambda self: self.logs)
    @invariant()
    def it_is_good(self) -> None:
        trusted = self.kept.look()
        for size, note in self.evidence.rows("SELECT size, note FROM checkpoint"):
            assert self.kept.keep(note, trusted.logs[0]) == size
        self.evidence.verified(trusted)

    def teardown(self) -> None:
        for _, stack in self.writers:
            self.runner.run(stack.aclose())
        if self.logs:
            self.logs[-1].catch_up()
            report = self.evidence.verified(self.kept.look())
            assert report.signed == report.entries
            assert report.waiting == 0
        for log in self.logs:
            log.close()
        self.evidence.dispose()
        self.runner.close()
        shutil.rmtree(self.folder)


@pytest.fixture
def migrated(tmp_path: Path) -> Path:
    """A migrated database file, to be copied."""
    migrate(f"sqlite:///{tmp_path}/migrated.db")
    return tmp_path / "migrated.db"


def test_a_healthy_history_never_raises_an_alarm(
    migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(History, "migrated", migrated, raising=False)
    examples = max(EXAMPLES, settings().max_examples // 12)
    run_state_machine_as_test(
        History, settings=settings(max_examples=examples, stateful_step_count=STEPS, deadline=None)
    )
