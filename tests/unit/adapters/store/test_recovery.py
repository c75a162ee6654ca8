"""Law 4: what is opened is closed exactly once, also when its process is gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.engine import for_writing, open_engine
from gateway.adapters.store.session import WrongKeyring, bound_keyring
from gateway.adapters.store.tables import AuditEntry, Reservation, Writer, table
from gateway.core.errors import Code, Unavailable
from gateway.core.ids import new_id
from gateway.core.money import Money
from gateway.core.ports import Record
from gateway.core.records import Entry, Kind
from tests.contracts.journals import SqlLedger, attempt, closed, opened, principal
from tests.databases import Database

ENTRY, WRITER, RESERVATION = table(AuditEntry), table(Writer), table(Reservation)


@dataclass
class Fleet:
    """Several gateways on one database."""

    database: Database
    keyring: Keyring
    stack: AsyncExitStack

    async def start(self) -> SqlLedger:
        """Another gateway. Its lease is long: it shows no sign of life while a test runs."""
        return await self.stack.enter_async_context(
            SqlLedger.on(self.database.url, self.keyring, lease=3_600.0)
        )


@pytest.fixture
async def fleet(database: Database, keyring: Keyring) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        yield Fleet(database, keyring, stack)


def lapse(ledger: SqlLedger, id: str) -> None:
    """Let the lease of the writer that opened an exchange run out."""
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    epoch = select(ENTRY.c.writer_epoch).where(ENTRY.c.exchange_id == id).distinct()
    with for_writing(ledger.journal.engine).begin() as connection:
        connection.execute(
            update(WRITER).where(WRITER.c.epoch.in_(epoch)).values(lease_until=long_ago)
        )


async def open_one(ledger: SqlLedger, budget_id: str | None = None) -> tuple[str, Record]:
    id = new_id("exc")
    record = ledger.journal.begin(id, principal(budget_id), opened())
    await record.append(attempt(), Money(600))
    return id, record


async def endings(ledger: SqlLedger, id: str) -> list[str]:
    entries = await ledger.entries(id)
    return [str(entry.facts["outcome"]) for entry in entries if entry.kind is Kind.CLOSED]


async def test_what_the_dead_left_open_is_lost(fleet: Fleet) -> None:
    dead, alive = await fleet.start(), await fleet.start()
    budget_id = alive.budget(1_000)
    id, record = await open_one(dead, budget_id)
    await record.append(Entry(Kind.SEGMENT, {"segment": 1}, {"answer_released": b"Hel"}))
    lapse(alive, id)
    await alive.journal.recover()
    entries = await alive.entries(id)
    assert [entry.kind for entry in entries] == [
        Kind.OPENED,
        Kind.ATTEMPT,
        Kind.SEGMENT,
        Kind.CLOSED,
    ]
    assert entries[-1].facts == {
        "outcome": "lost",
        "segments": 1,
        "entries": 3,
        "cost_micro_usd": 600,
        "presumed": True,
    }
    assert alive.figures(budget_id) == (0, 600)
    with alive.journal.engine.begin() as connection:
        assert connection.execute(select(RESERVATION.c.state)).scalar_one() == "presumed"
    await alive.journal.recover()
    assert len(await alive.entries(id)) == 4


async def test_what_was_closed_is_left_alone(fleet: Fleet) -> None:
    dead, alive = await fleet.start(), await fleet.start()
    budget_id = alive.budget(1_000)
    id, record = await open_one(dead, budget_id)
    await record.close(closed(), Money(7))
    lapse(alive, id)
    await alive.journal.recover()
    assert await endings(alive, id) == ["completed"]
    assert alive.figures(budget_id) == (0, 7)


async def test_the_living_recover_nothing_of_their_own(fleet: Fleet) -> None:
    ledger = await fleet.start()
    id, record = await open_one(ledger)
    lapse(ledger, id)
    await ledger.journal.recover()
    await record.close(closed(), Money(0))
    assert await endings(ledger, id) == ["completed"]


async def test_who_was_taken_for_dead_writes_no_more_of_the_lost(fleet: Fleet) -> None:
    sleeper, other = await fleet.start(), await fleet.start()
    budget_id = other.budget(10_000)
    id, record = await open_one(sleeper, budget_id)
    lapse(other, id)
    await other.journal.recover()
    for late in (record.append(attempt(2), Money(1)), record.close(closed(), Money(5))):
        with pytest.raises(Unavailable) as refused:
            await late
        assert refused.value.code is Code.AUDIT_UNAVAILABLE
    assert await endings(other, id) == ["lost"]
    assert other.figures(budget_id) == (0, 600)
    fresh, again = await open_one(sleeper, budget_id)
    await again.close(closed(), Money(3))
    assert await endings(sleeper, fresh) == ["completed"]
    assert other.figures(budget_id) == (0, 603)


async def test_who_was_taken_for_dead_recovers_others_as_a_new_writer(fleet: Fleet) -> None:
    sleeper, other = await fleet.start(), await fleet.start()
    id, _ = await open_one(sleeper)
    lost, _ = await open_one(other)
    lapse(other, id)
    await other.journal.recover()
    lapse(sleeper, lost)
    await sleeper.journal.recover()
    assert await endings(other, lost) == ["lost"]


async def test_who_was_taken_for_dead_notices_by_itself(fleet: Fleet) -> None:
    sleeper, other = await fleet.start(), await fleet.start()
    id, _ = await open_one(sleeper)
    lapse(other, id)
    await other.journal.recover()

    def writers() -> int:
        with other.journal.engine.begin() as connection:
            return len(connection.execute(select(WRITER.c.epoch)).all())

    deadline = time.monotonic() + 30.0  # a bound for what never comes, not a measure
    while writers() < 3:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_a_clean_stop_leaves_the_lease_to_nobody(fleet: Fleet, keyring: Keyring) -> None:
    async with SqlLedger.on(fleet.database.url, keyring) as stopped:
        id, _ = await open_one(stopped)
    ledger = await fleet.start()  # recovers while it starts, without waiting for a lease
    assert await endings(ledger, id) == ["lost"]


async def test_many_recover_at_once_and_each_is_lost_once(fleet: Fleet) -> None:
    dead = await fleet.start()
    others = [await fleet.start() for _ in range(3)]
    budget_id = dead.budget(100_000)
    ids = [(await open_one(dead, budget_id))[0] for _ in range(30)]
    lapse(dead, ids[0])
    await asyncio.gather(*[other.journal.recover() for other in others])
    for id in ids:
        assert await endings(dead, id) == ["lost"]
    assert dead.figures(budget_id) == (0, 30 * 600)


async def test_each_writer_has_a_chain_without_a_gap(fleet: Fleet) -> None:
    ledgers = [await fleet.start() for _ in range(3)]

    async def work(ledger: SqlLedger) -> None:
        for _ in range(10):
            _, record = await open_one(ledger)
            await record.close(closed(), Money(0))

    await asyncio.gather(*map(work, ledgers))
    with ledgers[0].journal.engine.begin() as connection:
        chains = connection.execute(
            select(
                func.count(), func.min(ENTRY.c.writer_seq), func.max(ENTRY.c.writer_seq)
            ).group_by(ENTRY.c.writer_epoch)
        ).all()
    assert [tuple(chain) for chain in chains] == [(30, 1, 30)] * 3


async def test_one_budget_shared_by_many_gateways_is_never_overspent(fleet: Fleet) -> None:
    ledgers = [await fleet.start() for _ in range(3)]
    budget_id = ledgers[0].budget(6_000)

    async def work(ledger: SqlLedger) -> int:
        record = ledger.journal.begin(new_id("exc"), principal(budget_id), opened())
        await record.append(attempt(), Money(600))
        return 1

    tries = [work(ledger) for _ in range(10) for ledger in ledgers]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert results.count(1) == 10
    assert ledgers[0].figures(budget_id) == (6_000, 0)


async def test_a_database_says_which_keyring_it_needs(fleet: Fleet) -> None:
    engine = open_engine(fleet.database.url)
    assert bound_keyring(engine) is None
    await fleet.start()
    assert bound_keyring(engine) == fleet.keyring.id
    engine.dispose()


async def test_another_keyring_is_refused(
    fleet: Fleet, tmp_path_factory: pytest.TempPathFactory
) -> None:
    await fleet.start()
    other = Keyring.open(tmp_path_factory.mktemp("other") / "keyring.json", None)
    with pytest.raises(WrongKeyring):
        async with SqlLedger.on(fleet.database.url, other):
            pass
