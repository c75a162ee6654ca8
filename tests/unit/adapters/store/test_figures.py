"""Figures count what is in the ledger: each by itself, on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from gateway.adapters.store.engine import for_writing
from gateway.adapters.store.figure_queries import COUNTS, NAMED, TIMES
from gateway.adapters.store.figures import MOST_NAMES, REST, SqlFigures
from gateway.adapters.store.keys import NewKey, SqlKeys
from gateway.adapters.store.log_tables import PrunedEntry
from gateway.adapters.store.search_tables import ExchangeIndex
from gateway.adapters.store.tables import AuditEntry, table
from gateway.core.ids import new_id
from gateway.core.money import Money
from gateway.core.records import Entry, Kind
from gateway.core.reports import Span
from tests.contracts.journals import SqlLedger, principal
from tests.databases import Database
from tests.unit.adapters.store.logs import log_of

EVERY = [*COUNTS, *TIMES, *NAMED]
DECISION = {"id": "dec_1", "revision": "r1", "effect": "allow", "rules": []}
FOUND = [{"kind": "pii", "label": "EMAIL"}, {"kind": "pii", "label": "EMAIL"}]


def span(org: str = "acme", ahead: timedelta = timedelta(minutes=5)) -> Span:
    return Span(org, datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC) + ahead)


@pytest.fixture
async def figures(database: Database) -> AsyncIterator[SqlFigures]:
    found = SqlFigures(database.url)
    yield found
    await found.stop()


@pytest.fixture
async def ledger(database: Database, keyring: Any) -> AsyncIterator[SqlLedger]:
    async with SqlLedger.on(database.url, keyring) as running:
        yield running


async def counted(figures: SqlFigures, asked: Span | None = None) -> dict[str, Any]:
    found = await figures.gather(asked or span(), EVERY)
    return {name: figure.value for name, figure in found.items()}


async def call(
    ledger: SqlLedger,
    *,
    attempt: dict[str, Any] | None = None,
    closed: dict[str, Any] | None = None,
    team: str = "support",
) -> None:
    """One exchange; without `closed` it goes on."""
    who = replace(principal(), team=team)
    record = ledger.journal.begin(new_id("exc"), who, Entry(Kind.OPENED, {"model": "m"}))
    if attempt is not None:
        await record.append(Entry(Kind.ATTEMPT, attempt, {"request_sent": b"{}"}))
    elif closed is None:
        await record.open()
    if closed is not None:
        await record.close(Entry(Kind.CLOSED, closed, {"answer_received": b"{}"}), Money(0))


async def test_an_empty_ledger_has_nothing_to_count(figures: SqlFigures) -> None:
    found = await counted(figures)
    assert {name for name, value in found.items() if value} == set()
    assert found["oldest"] is None
    assert found["signed"] is None
    assert found["youngest_pruned_days"] is None


async def test_calls_are_counted(figures: SqlFigures, ledger: SqlLedger) -> None:
    served = {"upstream": "openai", "upstream_model": "x", "decision": DECISION, "findings": FOUND,
              "region": "eu"}  # fmt: skip
    ended = {"outcome": "completed", "labels": ["ai", "b"], "answer_findings": FOUND[:1]}
    await call(ledger, attempt=served, closed=ended)
    await call(
        ledger, attempt=served | {"unavailable": ["presidio"]}, closed=ended | {"labels": []}
    )
    await call(
        ledger,
        attempt={"upstream": "local", "region": None},
        closed={"outcome": "failed", "code": "x"},
    )
    refused = {"decision": DECISION | {"effect": "deny", "revision": "r2"}, "outcome": "denied"}
    await call(ledger, closed=refused | {"code": "policy_denied"}, team="red")
    await call(ledger)
    found = await counted(figures)
    expected = {
        "calls": 5,
        "calls_ended": 4,
        "calls_sent": 3,
        "sent_with_model": 2,
        "sent_with_revision": 2,
        "calls_labelled": 1,
        "calls_uninspected": 1,
        "kinds": {"opened": 5, "closed": 4, "attempt": 3},
        "outcomes": {"completed": 2, "denied": 1, "failed": 1},
        "codes": {"policy_denied": 1, "x": 1},
        "effects": {"allow": 2, "deny": 1},
        "revisions": {"r1": 2, "r2": 1},
        "apps": {"support/shop-bot": 4, "red/shop-bot": 1},
        "providers": {"openai": 2, "local": 1},
        "regions": {"eu": 2},
        "sent_without_region": 1,
        "labels": {"ai": 1, "b": 1},
        "findings": {"pii:EMAIL": 2},
        "parts": {"A256GCM": 7},
        "waiting": 12,
    }
    assert {name: found[name] for name in expected} == expected


async def test_only_the_organisation_and_the_time_are_counted(
    figures: SqlFigures, ledger: SqlLedger
) -> None:
    await call(ledger, attempt={"upstream": "u"}, closed={"outcome": "completed"})
    elsewhere = {"waiting", "log_size", "signed", "cosigned", "anchored", "index_behind"}
    found = await counted(figures, span("other"))
    assert {name for name, value in found.items() if value} <= elsewhere
    ended = Span("acme", datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC))
    found = await counted(figures, ended)
    timeless = {"parts", "oldest"}
    assert {name for name, value in found.items() if value} <= elsewhere | timeless


async def test_the_log_and_its_keepers_are_counted(
    figures: SqlFigures, ledger: SqlLedger, tmp_path: Path
) -> None:
    await call(ledger, closed={"outcome": "completed"})
    log = log_of(ledger, tmp_path)
    log.catch_up()
    size = log.state.size
    log.keep_anchors(size, {"file:///kept": "file:///kept/1"})
    log.keep_lines(size, ["\u2014 witness.example AAAA"])
    log.close()
    await call(ledger, closed={"outcome": "completed"})
    found = await counted(figures)
    expected = {
        "log_size": 2, "signed": 2, "anchored": 2, "cosigned": 2, "waiting": 2, "index_behind": 2,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected


async def test_the_youngest_payload_that_was_pruned_is_found(
    figures: SqlFigures, ledger: SqlLedger
) -> None:
    await call(ledger, attempt={}, closed={"outcome": "completed"})
    entry = table(AuditEntry)
    with for_writing(ledger.journal.engine).begin() as connection:
        old = connection.execute(select(entry).where(entry.c.kind == "attempt")).one()
        by = dict(old._mapping) | {
            "entry_id": "ent_by", "kind": "retention.pruned", "writer_seq": 1_000,
            "ts": old.ts + timedelta(days=30, hours=5),
        }  # fmt: skip
        connection.execute(insert(entry).values(by))
        pruned = {"org_id": "acme", "entry_id": old.entry_id, "pruned_by": "ent_by"}
        connection.execute(insert(table(PrunedEntry)).values(pruned))
    found = await counted(figures)
    assert (found["pruned_entries"], found["youngest_pruned_days"]) == (1, 30)
    oldest = found["oldest"]
    assert timedelta(0) <= datetime.now(UTC) - oldest < timedelta(hours=1)


async def test_keys_are_counted(database: Database, figures: SqlFigures) -> None:
    keys = SqlKeys(database.url, b"p" * 32)
    soon = datetime.now(UTC) + timedelta(days=1)
    await keys.create(NewKey(team="t", org="acme", app="a"))
    await keys.create(NewKey(team="t", org="acme", app="b", expires_at=soon))
    _, gone = await keys.create(NewKey(team="t", org="acme", app="c"))
    await keys.revoke(gone.key_id)
    await keys.create(NewKey(team="t", org="other", app="d"))
    await keys.stop()
    found = await counted(figures)
    assert [found[f"keys_{name}"] for name in ("valid", "without_end", "revoked")] == [2, 1, 1]
    later = await counted(figures, span(ahead=timedelta(days=2)))
    assert later["keys_valid"] == 1


async def test_purposes_are_counted_and_the_many_told_together(
    figures: SqlFigures, ledger: SqlLedger
) -> None:
    now = datetime.now(UTC)
    rows = [
        {"org_id": "acme", "number": number, "exchange_id": f"exc_{number}", "ts": now,
         "team": "t", "app": "a", "key_id": "k", "hidden": False, "cost_micro": 0, "tags": {},
         "purpose": f"p{number}" if number else None}
        for number in range(MOST_NAMES + 6)
    ]  # fmt: skip
    rows[1]["purpose"] = "p2"
    with for_writing(ledger.journal.engine).begin() as connection:
        connection.execute(insert(table(ExchangeIndex)), rows)
    found = await counted(figures)
    assert found["purpose_unsaid"] == 1
    assert found["purposes"]["p2"] == 2
    assert found["purposes"][REST] == 4
    assert sum(found["purposes"].values()) == MOST_NAMES + 5


async def test_a_query_is_shown_as_it_was_run(figures: SqlFigures, database: Database) -> None:
    found = await figures.gather(span(), ["effects"])
    query = found["effects"].query
    assert ":org" in query
    assert ("json_extract" in query) is (database.kind == "sqlite")
    assert "{fact:" not in query
    with pytest.raises(KeyError):
        await figures.gather(span(), ["no such figure"])
