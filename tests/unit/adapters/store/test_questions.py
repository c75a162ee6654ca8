"""Questions read back together: as they were asked, or counted by why they cannot be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import orjson
import pytest
from sqlalchemy import delete, insert, update

from gateway.adapters.keyring import Keyring
from gateway.adapters.packs import question_of
from gateway.adapters.store.engine import for_writing, open_engine
from gateway.adapters.store.erasure_tables import ValueKey
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.questions import SqlQuestions
from gateway.adapters.store.search_tables import ExchangeIndex
from gateway.adapters.store.tables import AuditPart, RecordKey, table
from gateway.core.audit import Filters, Scope
from gateway.core.ids import new_id
from gateway.core.money import ZERO
from gateway.core.policy import Verdict
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind
from gateway.core.replays import Batch, Unread, Wanted
from gateway.core.values import Value
from tests.databases import Database
from tests.fakes.policy import ALLOW

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
APP = Principal("default", "t", "shop", "k1")
HERE = Scope("default")
VERDICT = Verdict.parse(ALLOW)
ANN = "ann@example.org"


@dataclass
class Site:
    """A ledger with exchanges, and the index of them."""

    url: str
    keyring: Keyring
    journal: SqlJournal
    questions: SqlQuestions
    ids: list[str] = field(default_factory=list)

    async def exchange(self, question: dict[str, Any] | None, *values: Value, **row: Any) -> str:
        """One exchange; None for one that was refused before the policy was asked."""
        id, number = new_id("exc"), len(self.ids)
        record = self.journal.begin(id, APP, Entry(Kind.OPENED, {"model": "m"}, {"x": b"{}"}))
        parts = {"request_sent": b"{}"}
        if question is not None:
            parts |= {
                "question": orjson.dumps(question),
                "decision": msgspec.json.encode(VERDICT),
            }
        await record.append(Entry(Kind.ATTEMPT, {"attempt": 1}, parts, values))
        await record.close(Entry(Kind.CLOSED, {"outcome": "completed"}, {}), ZERO)
        ts = BEGIN + timedelta(seconds=number)
        told = {
            "number": number, "exchange_id": id, "ts": ts, "team": "t", "app": "shop",
            "key_id": "k1", "model": "m", "revision": "r", "cost_micro": number, "tags": {},
        }  # fmt: skip
        self.write(insert(table(ExchangeIndex)).values({**told, **row}))
        self.ids.append(id)
        return id

    def write(self, statement: Any) -> None:
        engine = open_engine(self.url)
        with for_writing(engine).begin() as connection:
            connection.execute(statement)
        engine.dispose()

    async def read(self, scope: Scope = HERE) -> Batch:
        return await self.questions.read(scope, range(len(self.ids)))


def forced(url: str, statement: Any) -> None:
    """Change payloads in spite of the triggers that keep them."""
    engine = open_engine(url)
    with for_writing(engine).begin() as connection:
        names = connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_part'"
        ).all()
        for (name,) in names:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.execute(statement)
    engine.dispose()


@asynccontextmanager
async def opened(url: str, keyring: Keyring) -> AsyncIterator[Site]:
    journal, questions = SqlJournal(url, keyring), SqlQuestions(url, keyring)
    await journal.start()
    try:
        yield Site(url, keyring, journal, questions)
    finally:
        await journal.stop()
        await questions.stop()


@pytest.fixture
async def site(database: Database, keyring: Keyring) -> AsyncIterator[Site]:
    async with opened(database.url, keyring) as made:
        yield made


async def test_questions_come_back_as_they_were_asked(site: Site) -> None:
    asked = [dict(question_of({"app": f"app-{n}", "tags": ["é"]})) for n in range(5)]
    for question in asked:
        await site.exchange(question)
    batch = await site.read()
    assert [one.question for one in batch.asked] == asked[::-1]  # the newest first
    assert batch.unread == {}
    newest = batch.asked[0]
    assert (newest.exchange_id, newest.app, newest.team) == (site.ids[-1], "shop", "t")
    assert (newest.model, newest.revision, newest.cost) == ("m", "r", 4)
    assert newest.ts == BEGIN + timedelta(seconds=4)
    assert newest.verdict == VERDICT


async def test_what_cannot_be_read_is_counted_and_never_used(site: Site) -> None:
    for _ in range(6):
        await site.exchange(dict(question_of({})))
    await site.exchange(None)
    ids, key = site.ids, table(RecordKey)
    site.write(delete(key).where(key.c.exchange_id == ids[0]))
    other = await site.exchange(dict(question_of({"app": "other"})))
    site.write(update(key).where(key.c.exchange_id == ids[1]).values(wrapped=b"nothing"))
    assert other == ids[-1]
    batch = await site.read()
    assert batch.unread == {Unread.ERASED: 1, Unread.ALTERED: 1, Unread.NOT_ASKED: 1}
    assert [one.exchange_id for one in batch.asked] == [other, *ids[5:1:-1]]


async def test_parts_that_were_deleted_are_told_as_erased(
    sqlite_url: str, keyring: Keyring
) -> None:
    async with opened(sqlite_url, keyring) as site:
        await site.exchange(dict(question_of({})))
        forced(sqlite_url, delete(table(AuditPart)))
        assert (await site.read()).unread == {Unread.ERASED: 1}


async def test_a_payload_that_was_replaced_is_told(sqlite_url: str, keyring: Keyring) -> None:
    async with opened(sqlite_url, keyring) as site:
        await site.exchange(dict(question_of({})))
        only = update(table(AuditPart)).where(table(AuditPart).c.part == "question")
        forced(sqlite_url, only.values(ciphertext=b"x", sha256_ct=bytes(32)))
        assert (await site.read()).unread == {Unread.ALTERED: 1}


async def test_values_that_were_cut_out_are_put_back(site: Site) -> None:
    asked = dict(question_of({"tags": [ANN]}))
    await site.exchange(asked, Value("EMAIL_ADDRESS", ANN))
    batch = await site.read()
    assert [one.question for one in batch.asked] == [asked]
    site.write(update(table(ValueKey)).values(wrapped=None, destroyed_at=BEGIN))
    batch = await site.read()
    assert (list(batch.asked), batch.unread) == ([], {Unread.ERASED: 1})


async def test_the_newest_that_match_are_chosen(site: Site) -> None:
    for number in range(9):
        await site.exchange(None, app="shop" if number % 3 else "lab")
    shop = Filters(app=("shop",))
    some = await site.questions.choose(HERE, Wanted(shop, 4))
    assert (list(some.numbers), some.matched) == ([8, 7, 5, 4], 6)
    every = await site.questions.choose(HERE, Wanted(shop, 100))
    assert (len(every.numbers), every.matched) == (6, 6)
    until = Filters(until=BEGIN + timedelta(seconds=2))
    assert list((await site.questions.choose(HERE, Wanted(until, 9))).numbers) == [1, 0]


async def test_a_sample_is_the_same_each_time(site: Site) -> None:
    for _ in range(40):
        await site.exchange(None)
    drawn = await site.questions.choose(HERE, Wanted(Filters(), 10, sample=True))
    again = await site.questions.choose(HERE, Wanted(Filters(), 10, sample=True))
    assert list(drawn.numbers) == list(again.numbers) == sorted(drawn.numbers, reverse=True)
    assert (len(set(drawn.numbers)), drawn.matched) == (10, 40)
    more = await site.questions.choose(HERE, Wanted(Filters(), 20, sample=True))
    assert set(drawn.numbers) < set(more.numbers)
    whole = await site.questions.choose(HERE, Wanted(Filters(), 99, sample=True))
    assert list(whole.numbers) == list(range(39, -1, -1))


async def test_nobody_reads_the_questions_of_others(site: Site) -> None:
    await site.exchange(dict(question_of({})))
    for scope in (Scope("other"), Scope("default", "red")):
        assert not (await site.read(scope)).asked
        assert not (await site.questions.choose(scope, Wanted(Filters(), 9))).numbers
