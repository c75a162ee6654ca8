"""What every place for the counts of shadows does: the fake, SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from gateway.adapters.store.engine import open_engine
from gateway.adapters.store.shadow_counts import COUNT, DROPPED, SqlShadowCounts
from gateway.core.errors import Unavailable
from gateway.core.ids import new_id
from gateway.core.shadows import MOST_SAMPLES, Kind, Sample, Tallies, Tally
from tests.databases import Database
from tests.fakes.tallies import FakeTallies

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DENIED, HELD = Sample("exc_2", Kind.NEWLY_DENIED), Sample("exc_1", Kind.NEWLY_HELD)
ONE = Tally("rel_1", "n1", NOON, {Kind.SAME: 8, Kind.NEWLY_DENIED: 1}, 3, (DENIED,))
DIFFERENT = [kind for kind in Kind if kind not in (Kind.SAME, Kind.NOT_EVALUATED)]


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
async def tallies(request: pytest.FixtureRequest) -> AsyncIterator[Tallies]:
    if request.param == "fake":
        yield FakeTallies()
        return
    kept = SqlShadowCounts(request.getfixturevalue(f"{request.param}_url"))
    yield kept
    await kept.stop()


async def test_a_tally_is_kept_as_it_came(tallies: Tallies) -> None:
    assert list(await tallies.of("rel_1")) == []
    await tallies.keep(ONE)
    assert list(await tallies.of("rel_1")) == [ONE]
    assert list(await tallies.of("rel_2")) == []


async def test_a_newer_one_takes_its_place(tallies: Tallies) -> None:
    """Whatever it holds: also less, and of other classes."""
    newer = Tally("rel_1", "n1", NOON, {Kind.SAME: 2**40, Kind.NEWLY_HELD: 2}, 0, (HELD,))
    await tallies.keep(ONE)
    await tallies.keep(newer)
    assert list(await tallies.of("rel_1")) == [newer]
    await tallies.keep(Tally("rel_1", "n1", NOON))
    assert list(await tallies.of("rel_1")) == [Tally("rel_1", "n1", NOON)]


async def test_each_process_and_each_release_has_its_own(tallies: Tallies) -> None:
    second = Tally("rel_1", "n2", NOON + timedelta(hours=1), {Kind.NOT_EVALUATED: 4})
    other = Tally("rel_2", "n1", NOON, {Kind.SAME: 1}, 1)
    for tally in (second, other, ONE):
        await tallies.keep(tally)
    assert list(await tallies.of("rel_1")) == [ONE, second]
    assert list(await tallies.of("rel_2")) == [other]


async def test_samples_come_in_the_order_of_their_exchanges(tallies: Tallies) -> None:
    await tallies.keep(replace(ONE, samples=(DENIED, HELD)))
    (kept,) = await tallies.of("rel_1")
    assert list(kept.samples) == [HELD, DENIED]


async def test_nothing_counted_is_a_tally_too(tallies: Tallies) -> None:
    await tallies.keep(Tally("rel_1", "n1", NOON, {kind: 0 for kind in Kind}))
    assert list(await tallies.of("rel_1")) == [Tally("rel_1", "n1", NOON)]


async def test_a_time_in_another_zone_is_the_same_time(tallies: Tallies) -> None:
    there = timezone(timedelta(hours=-9))
    await tallies.keep(replace(ONE, since=NOON.astimezone(there)))
    assert [tally.since for tally in await tallies.of("rel_1")] == [NOON]


async def test_many_keep_at_once(tallies: Tallies) -> None:
    told = [replace(ONE, node=f"n{number}", dropped=number) for number in range(8)]
    await asyncio.gather(*(tallies.keep(tally) for tally in told))
    assert list(await tallies.of("rel_1")) == told


SAMPLES = st.dictionaries(
    st.integers(0, 99).map("exc_{:02}".format), st.sampled_from(DIFFERENT), max_size=MOST_SAMPLES
)
TALLIES = st.builds(
    lambda release, node, counts, dropped, kinds: Tally(
        release, node, NOON, counts, dropped, tuple(Sample(id, kinds[id]) for id in sorted(kinds))
    ),
    st.sampled_from(["rel_1", "rel_2"]),
    st.sampled_from(["n1", "n2"]),
    st.dictionaries(st.sampled_from(Kind), st.integers(1, 2**50)),
    st.integers(0, 2**50),
    SAMPLES,
)  # fmt: skip


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.lists(TALLIES, max_size=6))
def test_the_fake_and_the_databases_keep_alike(database: Database, told: list[Tally]) -> None:
    async def run() -> None:
        fake, kept = FakeTallies(), SqlShadowCounts(database.url, org=new_id("org"))
        for tally in told:
            await fake.keep(tally)
            await kept.keep(tally)
        for release in ("rel_1", "rel_2"):
            assert await kept.of(release) == await fake.of(release)
        await kept.stop()

    asyncio.run(run())


async def test_another_organisation_sees_nothing_of_it(database: Database) -> None:
    mine, other = SqlShadowCounts(database.url), SqlShadowCounts(database.url, org="other")
    await mine.keep(ONE)
    await other.keep(replace(ONE, dropped=9))
    assert list(await mine.of("rel_1")) == [ONE]
    await mine.stop()
    await other.stop()


async def test_a_row_for_each_class(database: Database) -> None:
    """As others may read it, with a query of their own."""
    kept = SqlShadowCounts(database.url)
    await kept.keep(ONE)
    await kept.stop()
    engine = open_engine(database.url)
    with engine.connect() as connection:
        rows = connection.execute(COUNT.select()).all()
    engine.dispose()
    assert {row.kind: row.counted for row in rows} == {
        **{kind.value: ONE.counts.get(kind, 0) for kind in Kind},
        DROPPED: 3,
    }
    assert {row.kind: row.samples for row in rows if row.samples} == {"newly_denied": ["exc_2"]}


async def test_a_database_that_is_away(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE policy_shadow_count"))
    engine.dispose()
    kept = SqlShadowCounts(sqlite_url)
    with pytest.raises(Unavailable):
        await kept.keep(ONE)
    with pytest.raises(Unavailable):
        await kept.of("rel_1")
    await kept.stop()
