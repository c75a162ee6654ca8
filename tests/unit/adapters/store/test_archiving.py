"""What the log gives to an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.adapters.store.archiving import SqlArchiveSource
from gateway.core.archive import ArchivedExchange
from gateway.core.ids import new_id
from gateway.core.money import Money
from gateway.core.records import Entry, Kind
from tests.contracts.journals import SqlLedger, principal
from tests.databases import Database
from tests.unit.adapters.store.logs import leaves, log_of

OPENED = Entry(Kind.OPENED, {"action": "chat.completions.create", "model": "asked"})
ATTEMPT = Entry(
    Kind.ATTEMPT,
    {
        "attempt": 1,
        "model": "asked",
        "upstream": "openai",
        "upstream_model": "served",
        "decision": {"id": "dec_1", "revision": "r1", "effect": "allow", "rules": ["b", "a"]},
        "findings": [{"kind": "pii", "label": "EMAIL"}, {"kind": "pii", "label": "EMAIL"}],
    },
)
CLOSED = Entry(
    Kind.CLOSED,
    {
        "outcome": "completed",
        "usage": {"input_tokens": 5, "output_tokens": 7, "exact": True},
        "cost_micro_usd": 11,
        "cost_exact": True,
        "answer_findings": [{"kind": "topic", "label": "WAR"}],
        "labels": ["ai"],
        "elapsed_us": 1_000,
    },
)


async def every(source: SqlArchiveSource) -> list[ArchivedExchange]:
    found: list[ArchivedExchange] = []
    begin = 0
    while stretch := await source.read(begin, None):
        found += stretch.exchanges
        begin = stretch.end
    return found


async def test_an_exchange_that_ended_is_a_row(
    database: Database, keyring: Any, tmp_path: Path
) -> None:
    source = SqlArchiveSource(database.url, "archive:x")
    async with SqlLedger.on(database.url, keyring) as ledger:
        log = log_of(ledger, tmp_path)
        assert await source.read(0, None) is None
        id = new_id("exc")
        record = ledger.journal.begin(id, principal(), OPENED)
        await record.append(ATTEMPT)
        log.catch_up()
        stretch = await source.read(0, None)
        assert stretch is not None
        assert (stretch.begin, stretch.end, stretch.exchanges) == (0, 2, [])
        await record.close(CLOSED, Money(0))
        log.catch_up()
        stretch = await source.read(2, 3)
        assert stretch is not None
        (row,) = stretch.exchanges
        known = leaves(ledger)
        assert list(row.leaf_indexes) == [0, 1, 2]
        assert list(row.leaf_hashes) == [leaf.hex() for _, _, leaf, _ in known]
        assert (row.exchange_id, row.org, row.team, row.app) == (id, "acme", "support", "shop-bot")
        assert (row.model, row.provider, row.served_model) == ("asked", "openai", "served")
        assert (row.outcome, row.effect, row.policy_revision) == ("completed", "allow", "r1")
        assert (list(row.rules), list(row.labels)) == (["b", "a"], ["ai"])
        assert list(row.findings) == ["pii:EMAIL", "topic:WAR"]
        assert (row.input_tokens, row.output_tokens, row.cost_micro_usd) == (5, 7, 11)
        assert (row.attempts, row.elapsed_us, row.cost_exact) == (1, 1_000, True)
        assert row.started_at.tzinfo is not None
        assert row.started_at <= row.ended_at
        log.close()
    await source.stop()


async def test_the_size_of_stretches_changes_nothing(
    database: Database, keyring: Any, tmp_path: Path
) -> None:
    async with SqlLedger.on(database.url, keyring) as ledger:
        log = log_of(ledger, tmp_path)
        open_ones = [ledger.journal.begin(new_id("exc"), principal(), OPENED) for _ in range(4)]
        for record in open_ones:
            await record.append(ATTEMPT)
        for record in reversed(open_ones):
            await record.close(CLOSED, Money(0))
        await ledger.journal.note(principal(), Entry(Kind.AUDIT_READ, {}))
        log.catch_up()
        log.close()
        rows = []
        for most in (1, 2, 5, 100):
            source = SqlArchiveSource(database.url, "archive:x", most=most)
            rows.append(sorted(await every(source), key=lambda row: row.exchange_id))
            await source.stop()
        assert len(rows[0]) == 4
        assert all(some == rows[0] for some in rows)


async def test_one_at_a_time_and_only_onwards(database: Database) -> None:
    first, second = (SqlArchiveSource(database.url, "archive:x") for _ in range(2))
    other = SqlArchiveSource(database.url, "archive:y")
    assert await first.claim()
    assert not await second.claim()
    assert await other.claim()
    assert not await second.move(0, 5)
    assert await first.move(0, 5)
    assert not await first.move(0, 5)
    assert (await second.position(), await other.position()) == (5, 0)
    await first.release()
    assert await second.claim()
    assert not await first.move(5, 6)
    for source in (first, second, other):
        await source.stop()
