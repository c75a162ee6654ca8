"""What every store of idempotency keys promises: the fake's and SQL's, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, update

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.engine import for_writing
from gateway.adapters.store.idempotency import SqlRepeats
from gateway.adapters.store.tables import (
    AuditEntry,
    AuditPart,
    IdempotencyKey,
    RecordKey,
    Writer,
    table,
)
from gateway.core.errors import Code, Unavailable
from gateway.core.exchange import Outcome
from gateway.core.ids import new_id
from gateway.core.money import ZERO
from gateway.core.ports import Earlier, Record, Repeats
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind
from tests.contracts.journals import FakeLedger, Ledger, SqlLedger, attempt, opened, principal
from tests.databases import Database
from tests.fakes.repeats import FakeRepeats

ANN, BOB = principal(), Principal("acme", "support", "shop-bot", "k2")


@dataclass
class Desk:
    """A store of idempotency keys, the ledger behind it, and its clock."""

    repeats: Repeats
    ledger: Ledger
    pass_hours: Callable[[float], None]

    async def begin(self, who: Principal = ANN) -> tuple[str, Record]:
        """An exchange whose `opened` entry is durable."""
        id = new_id("exc")
        record = self.ledger.journal.begin(id, who, opened())
        await record.open()
        return id, record

    async def take(self, name: str = "n", content: bytes = b"c", who: Principal = ANN) -> str:
        id, _ = await self.begin(who)
        assert await self.repeats.claim(who, name, content, id, None)
        return id


class SqlDesk:
    """SQL's, with a clock of its own."""

    def __init__(self, ledger: SqlLedger, url: str, keyring: Keyring) -> None:
        self.ledger = ledger
        self.now = datetime.now(UTC)
        self.repeats = SqlRepeats(url, keyring.pepper, ledger.records, now=lambda: self.now)

    def pass_hours(self, hours: float) -> None:
        self.now += timedelta(hours=hours)


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
async def desk(request: pytest.FixtureRequest, keyring: Keyring) -> AsyncIterator[Desk]:
    if request.param == "fake":
        fake = FakeLedger()
        held = FakeRepeats(fake.journal)

        def pass_hours(hours: float) -> None:
            held.now += hours * 3_600

        yield Desk(held, fake, pass_hours)
        return
    url = request.getfixturevalue(f"{request.param}_url")
    async with SqlLedger.on(url, keyring) as ledger:
        sql = SqlDesk(ledger, url, keyring)
        yield Desk(sql.repeats, ledger, sql.pass_hours)
        await sql.repeats.stop()


def ended(outcome: Outcome, **parts: bytes) -> Entry:
    return Entry(Kind.CLOSED, {"outcome": str(outcome)}, parts)


async def test_a_key_is_nobodys_at_first(desk: Desk) -> None:
    assert await desk.repeats.earlier("k1", "n", b"c") is None


async def test_it_is_held_by_the_exchange_that_took_it(desk: Desk) -> None:
    id = await desk.take()
    assert await desk.repeats.earlier("k1", "n", b"c") == Earlier(id, True, None)
    other, _ = await desk.begin()
    assert not await desk.repeats.claim(ANN, "n", b"c", other, None)
    assert not await desk.repeats.claim(ANN, "n", b"c", other, new_id("exc"))
    assert await desk.repeats.earlier("k1", "n", b"c") == Earlier(id, True, None)


async def test_what_is_asked_is_compared(desk: Desk) -> None:
    id = await desk.take(content=b"one")
    assert await desk.repeats.earlier("k1", "n", b"other") == Earlier(id, False, None)


async def test_callers_and_names_are_apart(desk: Desk) -> None:
    mine = await desk.take("n")
    theirs = await desk.take("n", who=BOB)
    second = await desk.take("m")
    for key_id, name, id in (("k1", "n", mine), ("k2", "n", theirs), ("k1", "m", second)):
        found = await desk.repeats.earlier(key_id, name, b"c")
        assert found is not None
        assert found.exchange_id == id


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.LOST])
async def test_how_it_ended_is_read_from_the_ledger(desk: Desk, outcome: Outcome) -> None:
    id, record = await desk.begin()
    assert await desk.repeats.claim(ANN, "n", b"c", id, None)
    await record.close(ended(outcome), ZERO)
    assert await desk.repeats.earlier("k1", "n", b"c") == Earlier(id, True, outcome)


async def test_it_passes_from_the_one_that_is_named_to_one_other(desk: Desk) -> None:
    first = await desk.take()
    others = [(await desk.begin())[0] for _ in range(5)]
    taken = await asyncio.gather(
        *(desk.repeats.claim(ANN, "n", b"d", other, first) for other in others)
    )
    assert taken.count(True) == 1
    winner = others[taken.index(True)]
    assert await desk.repeats.earlier("k1", "n", b"d") == Earlier(winner, True, None)


async def test_of_many_at_once_one_takes_it(desk: Desk) -> None:
    ids = [(await desk.begin())[0] for _ in range(8)]
    taken = await asyncio.gather(*(desk.repeats.claim(ANN, "n", b"c", id, None) for id in ids))
    assert taken.count(True) == 1


async def test_it_is_held_for_a_day(desk: Desk) -> None:
    id = await desk.take()
    desk.pass_hours(23.9)
    assert await desk.repeats.earlier("k1", "n", b"c") == Earlier(id, True, None)
    desk.pass_hours(0.2)
    assert await desk.repeats.earlier("k1", "n", b"c") is None
    later = await desk.take(content=b"new")
    assert await desk.repeats.earlier("k1", "n", b"new") == Earlier(later, True, None)


async def test_a_content_type_is_noted(desk: Desk) -> None:
    id = await desk.take()
    await desk.repeats.note_media(id, "audio/mpeg")
    assert await desk.repeats.earlier("k1", "n", b"c") == Earlier(id, True, None, "audio/mpeg")


async def test_what_was_released_is_read_back_in_order(desk: Desk) -> None:
    id, record = await desk.begin()
    await record.append(attempt())
    await record.append(Entry(Kind.SEGMENT, {"segment": 1}, {"answer_released": b"one\ntwo"}))
    await record.append(Entry(Kind.SEGMENT, {"segment": 2}, {"answer_released": b"three"}))
    parts = {"answer_received": b"all of it", "answer_released": b"four"}
    await record.close(ended(Outcome.COMPLETED, **parts), ZERO)
    assert await desk.repeats.released(id) == b"one\ntwo\nthree\nfour"


async def test_also_where_it_is_stored_as_what_was_received(desk: Desk) -> None:
    id, record = await desk.begin()
    facts = {"outcome": "completed", "answer_released": "same as answer_received"}
    await record.close(Entry(Kind.CLOSED, facts, {"answer_received": b"{}"}), ZERO)
    assert await desk.repeats.released(id) == b"{}"


async def test_nothing_was_released_of_what_has_no_answer(desk: Desk) -> None:
    id, record = await desk.begin()
    await record.close(ended(Outcome.DENIED), ZERO)
    assert await desk.repeats.released(id) is None
    assert await desk.repeats.released(new_id("exc")) is None


class TestSql:
    """What only a database can do."""

    async def test_what_a_dead_process_held_is_lost_and_free(
        self, database: Database, keyring: Keyring
    ) -> None:
        """Killed between taking the key and the first call of a provider."""
        async with (
            SqlLedger.on(database.url, keyring, lease=3_600.0) as dead,
            SqlLedger.on(database.url, keyring, lease=3_600.0) as alive,
        ):
            repeats = SqlRepeats(database.url, keyring.pepper, alive.records)
            id = new_id("exc")
            await dead.journal.begin(id, ANN, opened()).open()
            assert await repeats.claim(ANN, "n", b"c", id, None)
            await alive.journal.recover()
            assert await repeats.earlier("k1", "n", b"c") == Earlier(id, True, None)
            lapse(alive, id)
            await alive.journal.recover()
            assert await repeats.earlier("k1", "n", b"c") == Earlier(id, True, Outcome.LOST)
            next_id = new_id("exc")
            await alive.journal.begin(next_id, ANN, opened()).open()
            assert await repeats.claim(ANN, "n", b"c", next_id, id)
            await repeats.stop()

    async def test_an_erased_answer_is_not_to_be_had(
        self, database: Database, keyring: Keyring
    ) -> None:
        async with SqlLedger.on(database.url, keyring) as ledger:
            repeats = SqlRepeats(database.url, keyring.pepper, ledger.records)
            id = await completed(ledger, b"secret")
            assert await repeats.released(id) == b"secret"
            with for_writing(ledger.journal.engine).begin() as connection:
                keys = table(RecordKey)
                connection.execute(delete(keys).where(keys.c.exchange_id == id))
            assert await repeats.released(id) is None
            await repeats.stop()

    async def test_an_answer_that_was_altered_is_not_given(
        self, sqlite_url: str, keyring: Keyring
    ) -> None:
        async with SqlLedger.on(sqlite_url, keyring) as ledger:
            repeats = SqlRepeats(sqlite_url, keyring.pepper, ledger.records)
            id = await completed(ledger, b"secret")
            with for_writing(ledger.journal.engine).begin() as connection:
                connection.exec_driver_sql("DROP TRIGGER audit_part_no_update")
                connection.execute(update(table(AuditPart)).values(ciphertext=b"forged"))
            with pytest.raises(Unavailable) as refused:
                await repeats.released(id)
            assert refused.value.code is Code.AUDIT_UNAVAILABLE
            await repeats.stop()

    async def test_no_text_rests_in_the_table(self, database: Database, keyring: Keyring) -> None:
        async with SqlLedger.on(database.url, keyring) as ledger:
            repeats = SqlRepeats(database.url, keyring.pepper, ledger.records)
            id = new_id("exc")
            assert await repeats.claim(ANN, "canary-name", b"canary-content", id, None)
            with ledger.journal.engine.begin() as connection:
                row = connection.execute(select(table(IdempotencyKey))).one()
            assert "canary" not in repr(tuple(row))
            await repeats.stop()

    async def test_keys_of_yesterday_are_swept_out(
        self, database: Database, keyring: Keyring
    ) -> None:
        async with SqlLedger.on(database.url, keyring) as ledger:
            desk = SqlDesk(ledger, database.url, keyring)
            for number in range(5):
                assert await desk.repeats.claim(ANN, f"n{number}", b"c", new_id("exc"), None)
            desk.pass_hours(25)
            assert await desk.repeats.claim(ANN, "today", b"c", new_id("exc"), None)
            with ledger.journal.engine.begin() as connection:
                left = select(func.count()).select_from(table(IdempotencyKey))
                assert connection.execute(left).scalar_one() == 1
            await desk.repeats.stop()

    async def test_without_the_database_nothing_is_said(
        self, tmp_path: Path, keyring: Keyring, sqlite_url: str
    ) -> None:
        async with SqlLedger.on(sqlite_url, keyring) as ledger:
            repeats = SqlRepeats(f"sqlite:///{tmp_path}/empty.db", keyring.pepper, ledger.records)
            with pytest.raises(Unavailable):
                await repeats.earlier("k1", "n", b"c")
            with pytest.raises(Unavailable):
                await repeats.claim(ANN, "n", b"c", new_id("exc"), None)
            await repeats.stop()


async def completed(ledger: SqlLedger, answer: bytes) -> str:
    id = new_id("exc")
    record = ledger.journal.begin(id, ANN, opened())
    await record.close(ended(Outcome.COMPLETED, answer_released=answer), ZERO)
    return id


def lapse(alive: SqlLedger, id: str) -> None:
    """Let the lease of the writer that opened an exchange run out."""
    entry, writer = table(AuditEntry), table(Writer)
    epoch = select(entry.c.writer_epoch).where(entry.c.exchange_id == id).distinct()
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    with for_writing(alive.journal.engine).begin() as connection:
        connection.execute(
            update(writer).where(writer.c.epoch.in_(epoch)).values(lease_until=long_ago)
        )
