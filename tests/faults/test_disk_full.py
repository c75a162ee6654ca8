"""The ledger's disk full, or its database gone: refused, nothing sent, and it recovers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.keyring import Keyring
from tests.databases import Cluster, postgresql_programs
from tests.faults.callers import Heard, call
from tests.faults.evidence import Evidence, check_heard
from tests.faults.small_disk import SmallDisk
from tests.houses import MODEL, PRICED, House, Upstream, behind, settings_of

SOON = 20.0
"""Seconds; a bound for a gateway that does not come back, not a measure."""
LARGE = "A sentence that takes some space on the disk. " * 500


@dataclass
class Troubled:
    """A gateway whose database a test takes away and gives back."""

    house: House
    upstream: Upstream
    evidence: Evidence
    code: str
    """What a caller is told meanwhile."""
    take: Callable[[], None]
    give: Callable[[], None]
    look: Callable[[], None]
    """Brings the evidence up to date."""

    def ask(self, text: str = LARGE, **more: Any) -> Heard:
        return asyncio.run(self.asked(text, **more))

    async def asked(self, text: str = LARGE, **more: Any) -> Heard:
        messages = [{"role": "user", "content": text}]
        request = {"model": MODEL, "messages": messages, "max_completion_tokens": 9_000, **more}
        return await call(self.house.port, self.house.key("--budget", "100"), request)

    def until(self, wanted: int) -> list[Heard]:
        """Ask until the answer has that status; all that was heard."""
        heard = [self.ask()]
        deadline = time.monotonic() + SOON
        while heard[-1].status != wanted and time.monotonic() < deadline:
            heard.append(self.ask())
        assert heard[-1].status == wanted, heard[-1].raw[:500]
        return heard

    def check_recorded(self, heard: list[Heard]) -> None:
        """Every answer is on record, every exchange ends, and no money is left held."""
        self.look()
        deadline = time.monotonic() + SOON
        while self.evidence.still_open() and time.monotonic() < deadline:
            time.sleep(0.1)
            self.look()
        answers = [one for one in heard if one.status == 200]
        records = self.evidence.read(str(one.exchange_id) for one in answers)
        for one in answers:
            check_heard(one, records[str(one.exchange_id)])
        assert "lost" not in self.evidence.check_endings()
        self.evidence.check_chain()
        assert self.evidence.check_money() == self.evidence.cost_on_record()


@pytest.fixture
def full_disk(tmp_path: Path, upstream: Upstream) -> Iterator[Troubled]:
    disk, copy = SmallDisk(tmp_path / "disk"), tmp_path / "copy.db"
    there = f"sqlite:///{tmp_path / 'disk' / 'govgate.db'}"
    env = settings_of(tmp_path, there, **behind(upstream), **PRICED)
    house = House(
        tmp_path, f"sqlite:///{copy}", env, prefix=disk.prefix, output=tmp_path / "output"
    )
    house.key("--budget", "100")
    evidence = Evidence(house.database_url, Keyring.open(tmp_path / "keyring.json", None))
    house.start()

    def look() -> None:
        disk.copy_database("govgate.db", copy)

    yield Troubled(house, upstream, evidence, "audit_storage_full", disk.fill, disk.free, look)
    evidence.dispose()
    house.stop()
    disk.remove()


@pytest.fixture
def gone_database(tmp_path: Path, cluster: Cluster, upstream: Upstream) -> Iterator[Troubled]:
    """A PostgreSQL of its own: the session's goes on serving other tests."""
    programs = postgresql_programs()
    assert programs is not None
    own = Cluster(programs)
    url = own.create()
    env = settings_of(tmp_path, url, **behind(upstream), **PRICED)
    house = House(tmp_path, url, env, output=tmp_path / "output")
    house.key("--budget", "100")
    evidence = Evidence(url, Keyring.open(tmp_path / "keyring.json", None))
    house.start()
    yield Troubled(
        house, upstream, evidence, "audit_unavailable", own.stop, own.start, lambda: None
    )
    evidence.dispose()
    house.stop()
    own.remove()


@pytest.fixture(params=["full_disk", "gone_database"])
def troubled(request: pytest.FixtureRequest) -> Troubled:
    found: Troubled = request.getfixturevalue(request.param)
    found.upstream.forget()
    return found


def test_refused_while_it_lasts_then_served_again(troubled: Troubled) -> None:
    before = troubled.until(200)
    troubled.take()
    heard = troubled.until(503)
    sent = len(troubled.upstream.log()["requests"])
    for stream in (False, True, False):
        refused = troubled.ask(stream=stream)
        assert refused.status == 503
        assert refused.whole
        assert f'"{troubled.code}"'.encode() in refused.body
        assert refused.headers["retry-after"] == "1"
        assert "x-should-retry" not in refused.headers
    assert len(troubled.upstream.log()["requests"]) == sent, "sent without a record"
    troubled.give()
    after = troubled.until(200)
    troubled.check_recorded([*before, *heard, *after])


def begun(upstream: Upstream) -> None:
    """Return once some of an answer was sent."""
    while not any(seen["sent"] > 20 for seen in upstream.log()["requests"]):
        time.sleep(0.05)


def test_a_stream_ends_at_the_last_recorded_segment(troubled: Troubled) -> None:
    """The record fails midway: what was released is on record, and the caller is told."""

    async def main() -> Heard:
        text = f"@replay slow 0.02\n{LARGE}"
        stream = asyncio.create_task(troubled.asked(text, stream=True))
        await asyncio.to_thread(begun, troubled.upstream)
        await asyncio.to_thread(troubled.take)
        return await stream

    heard = asyncio.run(main())
    assert heard.status == 200
    events, rest = heard.frames()
    assert events[-1].startswith(b'{"error":')
    assert f'"{troubled.code}"'.encode() in events[-1]
    assert not rest
    [seen] = troubled.upstream.log()["requests"]
    assert seen["ended"] == "hung up", "the provider went on for nobody"
    troubled.give()
    troubled.check_recorded([heard, *troubled.until(200)])
    facts = troubled.house.facts(str(heard.exchange_id))
    assert (facts["outcome"], facts["code"]) == ("failed", troubled.code)
    assert not facts["cost_exact"]
    assert facts["cost_micro_usd"] > 0, "a cut answer is never free"
