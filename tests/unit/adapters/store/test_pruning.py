"""Pruning: what is due goes with its key, the log says so, and the verifier agrees."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from gateway.adapters.keyring import Keyring
from gateway.adapters.store import pruning as pruning_module
from gateway.adapters.store.engine import for_writing
from gateway.adapters.store.legal_holds import SqlHolds
from gateway.adapters.store.log import Log
from gateway.adapters.store.log_tables import PrunedEntry
from gateway.adapters.store.pruning import SqlPruning
from gateway.adapters.store.retention_keeper import RetentionKeeper
from gateway.adapters.store.tables import AuditPart, RecordKey, table
from gateway.core.legal_holds import Hold, Wanted
from gateway.core.money import ZERO
from gateway.core.note_keys import Verifier
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind
from gateway.core.retention import RetentionClass
from gateway.governance.retention import Schedule
from gateway.verifier.databases import read_postgresql, read_sqlite
from gateway.verifier.report import Report
from gateway.verifier.rows import Source
from gateway.verifier.verify import Trusted, verify
from tests.contracts.journals import SqlLedger, closed, opened
from tests.databases import Cluster, Database
from tests.houses import ROOT
from tests.unit.adapters.store.logs import exchange, log_of

LATER = timedelta(days=40)
SHORT = Schedule([RetentionClass("lean", 0, 30, "own choice")])


class Kept:
    """A ledger, its log, and pruners of it that live as long after as they are told."""

    def __init__(self, ledger: SqlLedger, log: Log, database: Database) -> None:
        self.ledger, self.log, self.database = ledger, log, database

    def pruner(self, terms: Schedule = SHORT, after: timedelta = LATER) -> SqlPruning:
        now = datetime.now(UTC) + after
        return SqlPruning(
            self.database.url,
            terms,
            lambda org: Principal(org, "operators", "cli", "cli:ann"),
            clock=lambda: now,
        )

    def prune(self, terms: Schedule = SHORT, after: timedelta = LATER) -> SqlPruning:
        pruner = self.pruner(terms, after)
        assert pruner.begin()
        while pruner.step():
            pass
        pruner.finish()
        pruner.stop()
        return pruner

    def verified(self) -> Report:
        assert self.log.vkey is not None
        with opened_source(self.database) as source:
            return verify(source, Trusted([Verifier.decoded(self.log.vkey)]))

    def count(self, model: Any) -> int:
        with self.ledger.journal.engine.begin() as connection:
            counting = select(func.count()).select_from(table(model))
            return int(connection.execute(counting).scalar_one())

    def writing(self) -> Any:
        return for_writing(self.ledger.journal.engine).begin()


@contextmanager
def opened_source(database: Database) -> Iterator[Source]:
    if database.kind == "sqlite":
        with read_sqlite(Path(database.url.removeprefix("sqlite:///"))) as source:
            yield source
    else:
        with read_postgresql(database.url) as source:
            yield source


@pytest.fixture
async def kept(database: Database, keyring: Keyring, tmp_path: Path) -> AsyncIterator[Kept]:
    async with SqlLedger.on(database.url, keyring) as ledger:
        log = log_of(ledger, tmp_path)
        yield Kept(ledger, log, database)
        log.close()


async def test_what_is_due_goes_and_the_ledger_stays_good(kept: Kept) -> None:
    ids = [await exchange(kept.ledger) for _ in range(7)]
    kept.log.catch_up()
    parts = kept.count(AuditPart)
    assert parts
    done = kept.prune().done
    assert done.exchanges == {"lean": 7}
    assert kept.count(AuditPart) == kept.count(RecordKey) == 0
    assert kept.count(PrunedEntry) == done.entries["lean"]
    report = kept.verified()
    assert report.good, report.problems
    assert report.pruned == done.entries["lean"]
    kept.log.catch_up()
    report = kept.verified()
    assert report.good, report.problems
    assert report.waiting == 0
    entries = await kept.ledger.records.read_exchange(ids[0])
    assert [entry.kind for entry in entries] == [Kind.OPENED, Kind.ATTEMPT, Kind.CLOSED]
    assert await kept.ledger.journal.note(Principal("acme", "t", "a", "k"), note())


async def test_the_entry_says_how_much_of_which_class(kept: Kept) -> None:
    await exchange(kept.ledger)
    kept.log.catch_up()
    done = kept.prune().done
    (act,) = await kept.ledger.acts()
    (entry,) = await kept.ledger.entries(act)
    assert entry.kind is Kind.RETENTION_PRUNED
    said = {name: entry.facts[name] for name in ("class", "max_days", "exchanges", "count")}
    assert said == {
        "class": "lean", "max_days": 30, "exchanges": 1, "count": done.entries["lean"],
    }  # fmt: skip


async def test_what_is_young_open_or_unsigned_stays(kept: Kept) -> None:
    await exchange(kept.ledger)
    assert not kept.prune().done.exchanges  # it is in no log yet
    kept.log.catch_up()
    assert not kept.prune(after=timedelta(days=29)).done.exchanges
    record = kept.ledger.journal.begin("exc_open", Principal("acme", "t", "a", "k"), opened())
    await record.open()
    kept.log.catch_up()
    assert kept.prune().done.exchanges == {"lean": 1}
    assert kept.count(RecordKey) == 1
    await record.close(closed(), ZERO)
    assert kept.verified().good


async def test_each_class_has_its_own_term(kept: Kept) -> None:
    await exchange(kept.ledger)  # of the team support
    await kept.ledger.journal.note(Principal("acme", "legal", "app", "k"), note())
    record = kept.ledger.journal.begin("exc_l", Principal("acme", "other", "app", "k"), opened())
    facts = {"outcome": "completed", "labels": ["ai-generated"]}
    await record.close(Entry(Kind.CLOSED, facts), ZERO)
    kept.log.catch_up()
    schedule = Schedule(
        [
            RetentionClass("long", 100, 200, "a law", teams=("supp*",)),
            RetentionClass("marked", 0, 60, "a law", labels=("ai-*",)),
            RetentionClass("lean", 0, 30, "own choice"),
        ]
    )
    assert kept.prune(schedule).done.exchanges == {"lean": 1}
    assert kept.prune(schedule, timedelta(days=70)).done.exchanges == {"marked": 1}
    assert kept.prune(schedule, timedelta(days=250)).done.exchanges["long"] == 1
    kept.log.catch_up()
    assert kept.verified().good


async def test_what_is_held_stays_until_the_hold_is_lifted(kept: Kept, keyring: Keyring) -> None:
    ids = [await exchange(kept.ledger) for _ in range(3)]
    kept.log.catch_up()
    holds = SqlHolds(kept.database.url, keyring.index_key)
    scope = holds.scope("acme", Wanted(exchanges=(ids[1],)))
    hold = Hold("hld_1", "acme", scope, "a suit", "ann", datetime.now(UTC))
    await holds.add(hold)
    pruner = kept.pruner()
    assert (pruner.plan().exchanges, pruner.plan().held) == ({"lean": 2}, {ids[1]})
    pruner.stop()
    done = kept.prune().done
    assert (done.exchanges, done.held) == ({"lean": 2}, {ids[1]})
    assert (await kept.ledger.entries(ids[1]))[0].parts
    await holds.ask_lift("acme", "hld_1", "ann")
    await holds.lift("acme", "hld_1", "bob")
    assert kept.prune().done.exchanges == {"lean": 1}
    assert kept.verified().good
    await holds.stop()


async def test_a_hold_on_everything_keeps_acts_too(kept: Kept, keyring: Keyring) -> None:
    await kept.ledger.journal.note(Principal("acme", "legal", "app", "k"), note())
    kept.log.catch_up()
    holds = SqlHolds(kept.database.url, keyring.index_key)
    hold = Hold("hld_1", "acme", holds.scope("acme", Wanted()), "a suit", "ann", datetime.now(UTC))
    await holds.add(hold)
    assert not kept.prune().done.exchanges
    await holds.stop()


async def test_a_dry_run_changes_nothing(kept: Kept) -> None:
    await exchange(kept.ledger)
    kept.log.catch_up()
    parts = kept.count(AuditPart)
    pruner = kept.pruner()
    assert pruner.plan().exchanges == {"lean": 1}
    pruner.stop()
    assert (kept.count(AuditPart), kept.count(PrunedEntry)) == (parts, 0)


async def test_one_prunes_at_a_time_and_not_too_often(kept: Kept) -> None:
    one, other = kept.pruner(), kept.pruner()
    assert one.begin()
    assert not other.begin()
    await exchange(kept.ledger)
    kept.log.catch_up()
    with pytest.raises(RuntimeError, match="another process prunes"):
        other.step()
    one.finish()
    assert not other.begin(timedelta(hours=1))
    assert other.begin()
    one.stop()
    other.stop()


async def test_an_ordinary_connection_still_cannot_delete(kept: Kept) -> None:
    first = await exchange(kept.ledger)
    kept.log.catch_up()
    part, pruned = table(AuditPart), table(PrunedEntry)
    with pytest.raises(DBAPIError, match="insert-only"), kept.writing() as connection:
        connection.execute(delete(part))
    ids = [entry.entry_id for entry in await kept.ledger.records.read_exchange(first)]
    rows = [{"org_id": "acme", "entry_id": id, "pruned_by": ids[0]} for id in ids]
    with kept.writing() as connection:  # under an entry that says nothing of the kind
        connection.execute(insert(pruned), rows)
    with pytest.raises(DBAPIError, match="insert-only"), kept.writing() as connection:
        connection.execute(delete(part))


async def test_more_than_is_told_cannot_be_deleted_unseen(kept: Kept) -> None:
    await exchange(kept.ledger)
    kept.log.catch_up()
    kept.prune()
    other = await exchange(kept.ledger)
    kept.log.catch_up()
    ids = [entry.entry_id for entry in await kept.ledger.records.read_exchange(other)]
    with kept.writing() as connection:
        by = connection.execute(select(table(PrunedEntry).c.pruned_by).limit(1)).scalar_one()
        rows = [{"org_id": "acme", "entry_id": id, "pruned_by": by} for id in ids]
        connection.execute(insert(table(PrunedEntry)), rows)
        connection.execute(delete(table(AuditPart)))
    assert not kept.verified().good


async def test_a_pruning_that_ends_in_the_middle_leaves_nothing_half(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        await exchange(kept.ledger)
    kept.log.catch_up()
    monkeypatch.setattr(pruning_module, "TOGETHER", 2)
    pruner = kept.pruner()
    whole, calls = pruning_module._delete, iter(range(9))

    def dying(connection: Connection, *arguments: Any) -> None:
        whole(connection, *arguments)
        if next(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(pruning_module, "_delete", dying)
    assert pruner.begin()
    with pytest.raises(KeyboardInterrupt):
        pruner.step()
    pruner.stop()
    assert kept.verified().good
    assert kept.count(RecordKey) == 2
    kept.log.catch_up()
    await kept.ledger.journal.recover()
    monkeypatch.setattr(pruning_module, "_delete", whole)
    with kept.writing() as connection:
        connection.execute(text("UPDATE follower SET claimed_until = '2000-01-01'"))
    assert kept.prune().done.exchanges == {"lean": 2}
    kept.log.catch_up()
    assert kept.verified().good


DYING = """
import os, signal, sys
from datetime import UTC, datetime, timedelta
from gateway.adapters.store import pruning
from gateway.core.principal import Principal
from gateway.core.retention import RetentionClass
from gateway.governance.retention import Schedule

whole = pruning._delete

def dying(*arguments):
    whole(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

pruning._delete = dying
pruner = pruning.SqlPruning(
    sys.argv[1],
    Schedule([RetentionClass("lean", 0, 30, "own choice")]),
    lambda org: Principal(org, "operators", "cli", "cli:ann"),
    clock=lambda: datetime.now(UTC) + timedelta(days=40),
)
assert pruner.begin()
pruner.step()
"""


async def test_a_pruning_that_is_killed_leaves_nothing_half(kept: Kept) -> None:
    await exchange(kept.ledger)
    kept.log.catch_up()
    parts = kept.count(AuditPart)
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DYING, kept.database.url, cwd=ROOT
    )
    assert await killed.wait() == -signal.SIGKILL
    assert kept.verified().good
    assert (kept.count(AuditPart), kept.count(PrunedEntry)) == (parts, 0)
    with kept.writing() as connection:
        connection.execute(text("UPDATE follower SET claimed_until = '2000-01-01'"))
    assert kept.prune().done.exchanges == {"lean": 1}
    kept.log.catch_up()
    assert kept.verified().good


async def test_the_gateway_writes_on_while_it_is_pruned(kept: Kept) -> None:
    for _ in range(5):
        await exchange(kept.ledger)
    kept.log.catch_up()
    pruned = asyncio.create_task(kept.ledger.journal.between(kept.prune))
    fresh = [await exchange(kept.ledger) for _ in range(5)]
    assert (await pruned).done.exchanges["lean"] >= 5
    assert len(fresh) == 5
    kept.log.catch_up()
    assert kept.verified().good


async def test_the_gateways_own_pruning_runs_once_an_hour(kept: Kept) -> None:
    await exchange(kept.ledger)
    kept.log.catch_up()
    keeper = RetentionKeeper(kept.pruner(), kept.ledger.journal.between)
    await keeper.prune()
    assert keeper.pruning.done.exchanges == {"lean": 1}
    await exchange(kept.ledger)
    kept.log.catch_up()
    await keeper.prune()
    assert not keeper.pruning.done.exchanges
    assert kept.count(RecordKey) == 1
    await keeper.stop()


async def test_a_file_shrinks(sqlite_url: str, keyring: Keyring, tmp_path: Path) -> None:
    async with SqlLedger.on(sqlite_url, keyring) as ledger:
        log = log_of(ledger, tmp_path)
        kept = Kept(ledger, log, Database(sqlite_url, "sqlite"))
        record = ledger.journal.begin("exc_1", Principal("acme", "t", "a", "k"), opened())
        await record.close(closed(), ZERO)
        await record_noise(ledger)
        log.catch_up()
        before = pages_of(ledger)
        kept.prune()
        assert pages_of(ledger) < before / 2
        log.close()


def pages_of(ledger: SqlLedger) -> int:
    with ledger.journal.engine.begin() as connection:
        return int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())


async def record_noise(ledger: SqlLedger) -> None:
    """Some payloads that cannot be compressed."""
    who = Principal("acme", "t", "a", "k")
    for _ in range(4):
        await ledger.journal.note(who, Entry(Kind.AUDIT_READ, {}, {"reason": os.urandom(500_000)}))


async def test_months_get_partitions_and_lose_them(cluster: Cluster) -> None:
    pruner = SqlPruning(cluster.create(), SHORT, lambda org: Principal(org, "t", "a", "k"))
    assert pruner.look_ahead() == 0  # migrated just now
    with pruner.engine.begin() as connection:
        assert connection.execute(text("SELECT govgate_make_parts('2024-02-29')")).scalar_one()
        names = select(text("relname FROM pg_class WHERE relname ~ '^audit_part_[0-9]+_[0-9]+$'"))
        made = set(connection.scalars(names))
    assert "audit_part_2024_02" in made
    assert len(made) == 4
    with pytest.raises(DBAPIError, match="insert-only"), pruner.engine.begin() as connection:
        connection.execute(text("TRUNCATE audit_part_2024_02"))
    with pytest.raises(DBAPIError, match="so far ahead"), pruner.engine.begin() as connection:
        connection.execute(text("SELECT govgate_make_parts('2999-01-01')"))
    assert pruner.begin()
    pruner.finish()
    with pruner.engine.begin() as connection:
        assert set(connection.scalars(names)) == made - {"audit_part_2024_02"}
    pruner.stop()


def note() -> Entry:
    return Entry(Kind.AUDIT_READ, {}, {"reason": b"an audit"})
