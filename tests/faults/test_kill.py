"""kill -9 under load: no byte that a caller received is missing, and every exchange ends.

One gateway on SQLite; three on one PostgreSQL database, any of which, or all, are killed while
the others go on. `GOVGATE_TEST_KILLS` is how many kills there are over both;
`GOVGATE_TEST_SEED` repeats a run's choices.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.log_files import LogFiles
from gateway.verifier.report import Report
from tests.faults.callers import Heard, Load
from tests.faults.evidence import Evidence, check_heard
from tests.faults.kept import Kept
from tests.houses import DOLLARS, PRICED, House, Upstream, behind, settings_of, wait_for

KILLS = int(os.environ.get("GOVGATE_TEST_KILLS", "30"))
SHARE = {"sqlite": 0.25, "postgresql": 0.75}
REPLICAS = {"sqlite": 1, "postgresql": 3}
LEASE = 3.0
MARK = re.compile(rb"mark-\d{6}")
ENDED = 30.0
"""Seconds after which no exchange of a dead gateway may be open, while another lives."""
GOES_ON = 30.0
"""Seconds; a bound for a log that stands still, not a measure."""


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def killed(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, upstream: Upstream
) -> Iterator[Killed]:
    url = request.getfixturevalue(f"{kind}_url")
    lease = {"GOVGATE_DATABASE__LEASE_SECONDS": str(LEASE)}
    env = settings_of(tmp_path, url, **lease, **behind(upstream), **PRICED)
    house = House(tmp_path, url, env, upstream, output=tmp_path / "output")
    rich, poor = house.key("--budget", "1000"), house.key("--budget", "0.000001")
    seed = int(os.environ.get("GOVGATE_TEST_SEED", time.time_ns() % 1_000_000))
    evidence = Evidence(url, Keyring.open(tmp_path / "keyring.json", None))
    upstream.forget()
    houses = [replace(house) for _ in range(REPLICAS[kind])]
    kept = Kept(LogFiles(tmp_path / "log.key", tmp_path / "log.state"))
    yield Killed(houses, Load(rich, poor, Random(seed)), evidence, kept, Random(seed))
    print(f"GOVGATE_TEST_SEED={seed}")
    for each in houses:
        each.stop(signal.SIGKILL)
    evidence.dispose()


class Killed:
    """Gateways on one ledger, killed again and again, and what callers and ledger say."""

    def __init__(
        self,
        houses: Sequence[House],
        load: Load,
        evidence: Evidence,
        kept: Kept,
        chance: Random,
    ) -> None:
        self.houses = houses
        self.load = load
        self.evidence = evidence
        self.kills = 0
        self._kept = kept
        self._chance = chance
        self._checked = 0
        self._open: dict[str, float] = {}

    def start(self) -> None:
        """Start those that are dead; sometimes one is killed in the middle of it."""
        dead = [house for house in self.houses if house.process is None]
        for house in dead:
            house.launch()
        if self.kills and self._chance.random() < 0.2:
            time.sleep(self._chance.uniform(0.2, 1.5))
            self._kill(dead[0])
            dead[0].launch()
        for house in dead:
            assert house.process is not None
            wait_for(f"http://127.0.0.1:{house.port}/readyz", house.process)

    def kill_under_load(self) -> None:
        """Load on every gateway; one or more of them die in the middle of it."""
        asyncio.run(self._under_load())

    async def _under_load(self) -> None:
        enough = asyncio.Event()
        loads = [asyncio.create_task(self.load.run(house.port, enough)) for house in self.houses]
        many = self._chance.randint(1, len(self.houses))
        for victim in self._chance.sample(self.houses, many):
            await asyncio.sleep(self._chance.uniform(0.05, 1.0))
            self._kill(victim)
        enough.set()
        await asyncio.gather(*loads)

    def _kill(self, house: House) -> None:
        house.stop(signal.SIGKILL)
        self.kills += 1

    def check(self) -> None:
        """After a round, when every gateway is back."""
        self._check_what_was_heard()
        self._check_what_is_open()
        self.check_log()

    def _check_what_was_heard(self) -> None:
        """Every byte received since the last look is on record."""
        fresh = [heard for heard in self.load.heard[self._checked :] if heard.exchange_id]
        self._checked = len(self.load.heard)
        records = self.evidence.read(str(heard.exchange_id) for heard in fresh)
        for heard in fresh:
            with told_about(heard):
                check_heard(heard, records[str(heard.exchange_id)])

    def _check_what_is_open(self) -> None:
        """Nothing has been open for too long."""
        now = time.monotonic()
        self._open = {id: self._open.get(id, now) for id in self.evidence.still_open()}
        assert all(since > now - ENDED for since in self._open.values()), self._open

    def check_log(self) -> Report:
        """The log goes on, up to all that is written now, and it is good; what was found."""
        written = len(self.evidence.rows("SELECT entry_id FROM audit_entry"))
        deadline = time.monotonic() + GOES_ON
        signed = "SELECT coalesce(max(size), 0) FROM checkpoint"
        while self.evidence.rows(signed)[0][0] < written and time.monotonic() < deadline:
            time.sleep(0.05)
        before = self._kept.size
        report = self.evidence.verified(self._kept.look())
        assert report.signed >= written, "the log stands still"
        assert self._kept.size >= before, "less is signed than was"
        return report

    def wait_for_endings(self) -> None:
        deadline = time.monotonic() + LEASE + ENDED
        while self.evidence.still_open() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert not self.evidence.still_open()


@contextmanager
def told_about(heard: Heard) -> Iterator[None]:
    """Say which response a failed check was about."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"{heard.exchange_id}: {heard.raw!r}")
        raise


def test_nothing_received_is_lost_and_every_exchange_ends(
    killed: Killed, kind: str, upstream: Upstream
) -> None:
    killed.start()
    while killed.kills < max(1, round(KILLS * SHARE[kind])):
        killed.kill_under_load()
        killed.start()
        killed.check()
    killed.wait_for_endings()

    outcomes = killed.evidence.check_endings()
    assert outcomes["lost"], "nothing was ever in flight"
    assert outcomes["completed"], "nothing was ever answered"
    killed.evidence.check_chain()
    report = killed.check_log()
    assert (report.open, report.waiting) == (0, 0)
    spent = killed.evidence.check_money()
    assert spent == killed.evidence.cost_on_record()
    assert spent >= bill(upstream), "the provider charges more than was counted"
    check_dispatched(killed, upstream)
    said = f"{killed.kills} kills, {len(killed.load.heard)} answers, {report.entries} entries"
    print(f"{said}, {report.checkpoints} checkpoints, {dict(outcomes)}")


def bill(upstream: Upstream) -> float:
    """What the provider charges for all that it was asked, in micro-USD."""
    charged = upstream.log()["bill"]
    read, said = map(float, DOLLARS)
    return read * charged["prompt_tokens"] + said * charged["completion_tokens"]


def check_dispatched(killed: Killed, upstream: Upstream) -> None:
    """Whatever reached the provider was on record as an attempt, once for each call."""
    records = killed.evidence.read(killed.evidence.exchange_ids())
    attempts: Counter[bytes] = Counter()
    for recorded in records.values():
        [mark] = set(MARK.findall(recorded.received))
        attempts[mark] += recorded.attempts
    calls = Counter(MARK.findall(call["body"].encode())[0] for call in upstream.log()["requests"])
    assert calls
    assert not calls - attempts
    assert {mark.decode() for mark in attempts} <= killed.load.asked
