"""When the database fails: refused, never lost, never twice, and well again by itself."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from structlog.testing import capture_logs

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.page import Page
from gateway.adapters.store.records import SqlRecords
from gateway.adapters.store.statements import Cursor
from gateway.core.errors import Code, Unavailable
from gateway.core.ids import new_id
from gateway.core.money import Money
from gateway.core.records import Entry, Kind, Receipt
from tests.contracts.journals import SqlLedger, attempt, closed, opened, principal
from tests.databases import Cluster, Database

BOUND = 30.0  # seconds; a bound for what never comes, not a measure


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + BOUND
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def until_closed(ledger: SqlLedger, id: str) -> list[Entry]:
    deadline = time.monotonic() + BOUND
    while True:
        entries = await ledger.entries(id)
        if entries and entries[-1].kind is Kind.CLOSED:
            return entries
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def before_entries(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something in the writer's transaction, before entries are inserted."""
    write = Page.write

    def acted(page: Page, cursor: Cursor) -> None:
        if page.last_entry_id is not None:
            act()
        write(page, cursor)

    monkeypatch.setattr(Page, "write", acted)


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Somebody else holds SQLite's write lock."""
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


async def test_a_full_disk_refuses_and_recovers(sqlite_url: str, keyring: Keyring) -> None:
    most = 400
    ledger = SqlLedger(SqlJournal(sqlite_url, keyring), SqlRecords(sqlite_url, keyring))
    journal = ledger.journal

    @event.listens_for(journal.engine, "connect")
    def limit(connection: Any, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count={most}")

    async def fill(id: str) -> Receipt:
        big = Entry(Kind.ATTEMPT, {}, {"request_sent": os.urandom(16_384)})
        return await journal.begin(id, principal(), opened()).append(big)

    async def fill_up() -> None:
        for _ in range(most):
            await fill(new_id("exc"))

    await journal.start()
    budget_id, id, fresh = ledger.budget(1_000), new_id("exc"), new_id("exc")
    record = journal.begin(id, principal(budget_id), opened())
    await record.append(attempt(), Money(10))
    with pytest.raises(Unavailable) as refused:
        await fill_up()
    assert refused.value.code is Code.AUDIT_STORAGE_FULL
    assert refused.value.retry_after is not None
    most *= 2  # the writer opens its connection anew after each failure
    with pytest.raises(Unavailable):
        await fill_up()
    most *= 2
    await until(lambda: journal.ready)
    await fill(fresh)
    await record.close(closed(), Money(3))
    assert len(await ledger.entries(fresh)) == 2
    assert ledger.figures(budget_id) == (0, 3)
    await journal.stop()


async def test_an_ending_that_found_no_room_is_written_later(
    sqlite_url: str, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = False

    def refuse() -> None:
        if full:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

    before_entries(monkeypatch, refuse)
    async with SqlLedger.on(sqlite_url, keyring) as ledger:
        budget_id, id = ledger.budget(1_000), new_id("exc")
        record = ledger.journal.begin(id, principal(budget_id), opened())
        await record.append(attempt(), Money(600))
        full = True
        with pytest.raises(Unavailable):
            await record.close(closed(), Money(250))
        full = False
        assert await until_closed(ledger, id) == [opened(), attempt(), closed()]
        assert ledger.figures(budget_id) == (0, 250)
        await record.close(closed("failed"), Money(999))
        assert len(await ledger.entries(id)) == 3


async def test_a_database_that_is_gone_refuses_and_recovers(
    cluster: Cluster, keyring: Keyring
) -> None:
    async with SqlLedger.on(cluster.create(), keyring) as ledger:
        budget_id, id = ledger.budget(1_000), new_id("exc")
        record = ledger.journal.begin(id, principal(budget_id), opened())
        await record.append(attempt(), Money(600))
        cluster.stop("immediate")
        try:
            with pytest.raises(Unavailable) as refused:
                await record.close(closed(), Money(250))
            assert refused.value.code is Code.AUDIT_UNAVAILABLE
            await until(lambda: not ledger.journal.ready)
            with pytest.raises(Unavailable):
                await ledger.journal.begin(new_id("exc"), principal(), opened()).append(attempt())
        finally:
            cluster.start()
        await until(lambda: ledger.journal.ready)
        assert await until_closed(ledger, id) == [opened(), attempt(), closed()]
        assert ledger.figures(budget_id) == (0, 250)
        await ledger.journal.begin(new_id("exc"), principal(), opened()).append(attempt())


async def test_a_locked_database_refuses_and_recovers(sqlite_url: str, keyring: Keyring) -> None:
    async with SqlLedger.on(sqlite_url, keyring, patience=0.05) as ledger:
        id = new_id("exc")
        record = ledger.journal.begin(id, principal(), opened())
        with locked(sqlite_url), pytest.raises(Unavailable):
            await record.append(attempt())
        assert await ledger.entries(id) == []
        await until(lambda: ledger.journal.ready)
        await record.append(attempt(2))
        assert await ledger.entries(id) == [opened(), attempt(2)]


@pytest.mark.parametrize("took_effect", [True, False])
async def test_a_commit_in_doubt_is_looked_up(
    database: Database, keyring: Keyring, monkeypatch: pytest.MonkeyPatch, took_effect: bool
) -> None:
    async with SqlLedger.on(database.url, keyring) as ledger:
        dialect = ledger.journal.engine.dialect
        commit, broken = dialect.do_commit, dialect.dbapi.OperationalError  # type: ignore[union-attr]
        armed = writing = False

        def watch() -> None:
            nonlocal writing
            writing = armed

        def do_commit(connection: Any) -> None:
            nonlocal armed, writing
            if not writing:
                return commit(connection)
            armed = writing = False
            if took_effect:
                commit(connection)
            raise broken("the connection broke while it was told to commit")

        before_entries(monkeypatch, watch)
        monkeypatch.setattr(dialect, "do_commit", do_commit)
        budget_id, id = ledger.budget(1_000), new_id("exc")
        record = ledger.journal.begin(id, principal(budget_id), opened())
        await record.append(attempt(), Money(100))
        armed = True
        with pytest.raises(Unavailable):
            await record.append(attempt(2), Money(300))
        assert ledger.figures(budget_id) == ((400, 0) if took_effect else (100, 0))
        await record.append(attempt(3), Money(50))
        armed = True
        with pytest.raises(Unavailable):
            await record.close(closed(), Money(20))
        await record.close(closed(), Money(20))
        second = [attempt(2)] if took_effect else []
        written = [opened(), attempt(), *second, attempt(3), closed()]
        assert await ledger.entries(id) == written
        assert ledger.figures(budget_id) == (0, 20)


async def test_a_locked_database_is_noticed_without_a_call(
    sqlite_url: str, keyring: Keyring
) -> None:
    async with SqlLedger.on(sqlite_url, keyring, patience=0.05) as ledger:
        with locked(sqlite_url):
            await until(lambda: not ledger.journal.ready)
        await until(lambda: ledger.journal.ready)


async def test_who_waits_too_long_is_told(
    sqlite_url: str, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SqlLedger.on(sqlite_url, keyring, patience=0.0) as ledger:
        answers, id = threading.Event(), new_id("exc")
        before_entries(monkeypatch, lambda: answers.wait(BOUND))
        record = ledger.journal.begin(id, principal(), opened())
        with pytest.raises(Unavailable) as refused:
            await record.append(attempt())
        assert refused.value.code is Code.AUDIT_UNAVAILABLE
        answers.set()
        await record.close(closed("failed"), Money(0))
        assert await ledger.entries(id) == [opened(), attempt(), closed("failed")]


async def test_one_spoilt_item_harms_no_neighbour(database: Database, keyring: Keyring) -> None:
    async with SqlLedger.on(database.url, keyring) as ledger:
        budget_id, twice = ledger.budget(10_000), new_id("exc")
        ids = [twice, twice, *[new_id("exc") for _ in range(6)]]
        records = [ledger.journal.begin(id, principal(budget_id), opened()) for id in ids]
        results = await asyncio.gather(
            *[record.append(attempt(), Money(100)) for record in records], return_exceptions=True
        )
        assert [isinstance(result, Receipt) for result in results] == [True, False] + [True] * 6
        assert isinstance(results[1], Unavailable)
        assert ledger.figures(budget_id) == (700, 0)
        for id in ids[2:]:
            assert await ledger.entries(id) == [opened(), attempt()]


@pytest.mark.parametrize(
    ("facts", "error"), [({"text": "x" * 62_000}, Unavailable), ({"score": 0.5}, TypeError)]
)
async def test_a_header_that_cannot_be_harms_no_neighbour(
    database: Database, keyring: Keyring, facts: dict[str, Any], error: type[Exception]
) -> None:
    async with SqlLedger.on(database.url, keyring) as ledger:
        budget_id, id, other = ledger.budget(1_000), new_id("exc"), new_id("exc")
        record = ledger.journal.begin(id, principal(budget_id), opened())
        neighbour = ledger.journal.begin(other, principal(budget_id), opened())
        results = await asyncio.gather(
            record.append(Entry(Kind.ATTEMPT, facts), Money(100)),
            neighbour.append(attempt(), Money(200)),
            return_exceptions=True,
        )
        assert isinstance(results[0], error)
        assert isinstance(results[1], Receipt)
        assert ledger.figures(budget_id) == (200, 0)
        await record.close(closed("failed"), Money(0))
        assert await ledger.entries(id) == [opened(), closed("failed")]


async def test_a_full_queue_refuses_at_once(sqlite_url: str, keyring: Keyring) -> None:
    async with SqlLedger.on(sqlite_url, keyring, most_queued=50_000) as ledger:
        journal, id = ledger.journal, new_id("exc")
        record = journal.begin(id, principal(), opened())
        await record.append(attempt())
        big = Entry(Kind.ATTEMPT, {}, {"request_sent": bytes(20_000)})
        with locked(sqlite_url):
            waiting = [
                asyncio.create_task(journal.begin(new_id("exc"), principal(), opened()).append(big))
                for _ in range(3)
            ]
            await asyncio.sleep(0)
            with pytest.raises(Unavailable) as refused:
                await journal.begin(new_id("exc"), principal(), opened()).append(attempt())
            assert (refused.value.code, refused.value.retry_after) == (Code.OVERLOADED, 1.0)
            with pytest.raises(Unavailable):
                await record.append(attempt(2))
            closing = asyncio.create_task(record.close(closed(), Money(0)))
            await asyncio.sleep(0)
            assert not closing.done()
        await asyncio.gather(*waiting, closing)
        assert await ledger.entries(id) == [opened(), attempt(), closed()]
        await journal.begin(new_id("exc"), principal(), opened()).append(attempt())


async def test_what_waits_together_is_written_together(
    sqlite_url: str, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SqlLedger.on(sqlite_url, keyring) as ledger:
        commits: list[int] = []
        before_entries(monkeypatch, lambda: commits.append(1))
        records = [ledger.journal.begin(new_id("exc"), principal(), opened()) for _ in range(512)]
        await asyncio.gather(*[record.append(attempt()) for record in records])
        assert 0 < len(commits) < 10


async def test_to_spend_more_than_was_held_is_an_alarm(sqlite_url: str, keyring: Keyring) -> None:
    async with SqlLedger.on(sqlite_url, keyring) as ledger:
        budget_id, id = ledger.budget(1_000), new_id("exc")
        record = ledger.journal.begin(id, principal(budget_id), opened())
        await record.append(attempt(), Money(100))
        with capture_logs() as logs:
            await record.close(closed(), Money(101))
    (alarm,) = [log for log in logs if log["event"] == "budget_breach"]
    assert alarm["log_level"] == "critical"
    assert (alarm["exchange_id"], alarm["spent_micro_usd"], alarm["held_micro_usd"]) == (
        id,
        101,
        100,
    )


async def test_stopping_writes_what_is_queued(sqlite_url: str, keyring: Keyring) -> None:
    id = new_id("exc")
    async with SqlLedger.on(sqlite_url, keyring) as ledger:
        record = ledger.journal.begin(id, principal(), opened())
        waiting = asyncio.create_task(record.append(attempt()))
        await asyncio.sleep(0)
        await ledger.journal.stop()
        assert isinstance(await waiting, Receipt)
        with pytest.raises(Unavailable):
            await record.close(closed(), Money(0))
        assert not ledger.journal.ready
        assert await ledger.entries(id) == [opened(), attempt()]


async def test_a_database_without_tables_is_not_started_on(
    tmp_path: Path, keyring: Keyring
) -> None:
    with pytest.raises(RuntimeError, match="govgate migrate"):
        await SqlJournal(f"sqlite:///{tmp_path}/empty.db", keyring).start()


async def test_a_budget_that_others_spend_of_is_seen_again(
    database: Database, keyring: Keyring
) -> None:
    async with (
        SqlLedger.on(database.url, keyring) as one,
        SqlLedger.on(database.url, keyring) as other,
    ):
        budget_id = one.budget(1_000)
        assert one.journal.remaining(budget_id) is None
        record = other.journal.begin(new_id("exc"), principal(budget_id), opened())
        await record.append(attempt(), Money(600))
        await until(lambda: one.journal.remaining(budget_id) == (400, 1_000))
