"""kill -9 under load: no byte that a caller received is missing, and every exchange ends.

`GOVGATE_TEST_KILLS` is how often each database's gateway is killed; `GOVGATE_TEST_SEED`
repeats a run's choices.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from gateway.adapters.keyring import Keyring
from tests.faults.callers import Heard, Load
from tests.faults.evidence import Evidence, check_heard
from tests.houses import DOLLARS, PRICED, House, Upstream, behind, settings_of

KILLS = {"sqlite": 5, "postgresql": 3}
LEASE = 3.0
MARK = re.compile(rb"mark-\d{6}")
RECOVERY = LEASE + 30.0
"""Seconds; a bound for a broken recovery, not a measure."""


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
    bystander = replace(house, port=0)
    if kind == "postgresql":  # one more gateway, which closes what the killed one left open
        bystander.start()
    yield Killed(house, Load(rich, poor, Random(seed)), evidence, Random(seed))
    print(f"GOVGATE_TEST_SEED={seed}")
    for each in (house, bystander):
        each.stop(signal.SIGKILL)
    evidence.dispose()


class Killed:
    """A gateway that is killed again and again, with what its callers and its ledger say."""

    def __init__(self, house: House, load: Load, evidence: Evidence, chance: Random) -> None:
        self.house = house
        self.load = load
        self.evidence = evidence
        self._chance = chance
        self._checked = 0

    def kill_while_starting(self) -> None:
        """In the middle of migrating, recovering, or not at all yet."""
        process = self.house.launch()
        time.sleep(self._chance.uniform(0.2, 1.5))
        process.kill()
        process.wait()

    def kill_under_load(self) -> None:
        asyncio.run(self._under_load())

    async def _under_load(self) -> None:
        load = asyncio.create_task(self.load.run(self.house.port))
        await asyncio.sleep(self._chance.uniform(0.05, 1.0))
        self.house.stop(signal.SIGKILL)
        await load

    def check_what_was_heard(self) -> None:
        """Every byte received since the last look is on record."""
        fresh = [heard for heard in self.load.heard[self._checked :] if heard.exchange_id]
        self._checked = len(self.load.heard)
        records = self.evidence.read(str(heard.exchange_id) for heard in fresh)
        for heard in fresh:
            with told_about(heard):
                check_heard(heard, records[str(heard.exchange_id)])

    def wait_for_endings(self) -> None:
        deadline = time.monotonic() + RECOVERY
        while self.evidence.still_open() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert self.evidence.still_open() == 0


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
    kills = int(os.environ.get("GOVGATE_TEST_KILLS", KILLS[kind]))
    for kill in range(kills):
        if kill % 5 == 4:
            killed.kill_while_starting()
        killed.house.start()
        killed.check_what_was_heard()
        killed.kill_under_load()
    killed.house.start()
    killed.check_what_was_heard()
    killed.wait_for_endings()

    outcomes = killed.evidence.check_endings()
    assert outcomes["lost"], "nothing was ever in flight"
    assert outcomes["completed"], "nothing was ever answered"
    killed.evidence.check_chain()
    spent = killed.evidence.check_money()
    assert spent == killed.evidence.cost_on_record()
    assert spent >= bill(upstream), "the provider charges more than was counted"
    check_dispatched(killed, upstream)
    print(f"{kills} kills, {len(killed.load.heard)} answers, {dict(outcomes)}")


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
