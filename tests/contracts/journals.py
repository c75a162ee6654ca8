"""Ledgers for the journal's contract: the fake, and SQL on each database, told alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest
from sqlalchemy import func, select

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.budgets import create_budget
from gateway.adapters.store.engine import for_writing
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.records import SqlRecords
from gateway.adapters.store.tables import AuditEntry, Budget, BudgetPost, Reservation, table
from gateway.core.ids import new_id
from gateway.core.money import Money
from gateway.core.objects import PayloadObjects
from gateway.core.ports import Journal
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind
from tests.fakes.journal import FakeBudget, FakeJournal


class Ledger(Protocol):
    """A journal, and a look behind it."""

    @property
    def journal(self) -> Journal: ...

    def budget(self, limit: int) -> str:
        """A new budget; its id."""

    def figures(self, budget_id: str) -> tuple[int, int]:
        """What is reserved and what is settled of a budget, in micro-USD."""

    async def entries(self, exchange_id: str) -> list[Entry]:
        """What is durable of an exchange, or of an act."""

    async def acts(self) -> list[str]:
        """The ids of the acts, the oldest first."""


@dataclass
class FakeLedger:
    journal: FakeJournal = field(default_factory=FakeJournal)

    def budget(self, limit: int) -> str:
        budget_id = new_id("bud")
        self.journal.budgets[budget_id] = FakeBudget(limit)
        return budget_id

    def figures(self, budget_id: str) -> tuple[int, int]:
        budget = self.journal.budgets[budget_id]
        return budget.reserved, budget.settled

    async def entries(self, exchange_id: str) -> list[Entry]:
        return self.journal.entries(exchange_id)

    async def acts(self) -> list[str]:
        return [one.exchange_id for one in self.journal.written if one.exchange_id[:3] == "act"]


@dataclass
class SqlLedger:
    journal: SqlJournal
    records: SqlRecords

    @classmethod
    @asynccontextmanager
    async def on(
        cls, url: str, keyring: Keyring, objects: PayloadObjects | None = None, **options: Any
    ) -> AsyncIterator[SqlLedger]:
        """A running journal over a migrated database; `objects` has its large payloads."""
        records = SqlRecords(url, keyring, objects=objects)
        ledger = cls(SqlJournal(url, keyring, **options), records)
        await ledger.journal.start()
        try:
            yield ledger
        finally:
            await ledger.journal.stop()
            await ledger.records.stop()

    def budget(self, limit: int) -> str:
        with for_writing(self.journal.engine).begin() as connection:
            return create_budget(connection, "acme", "key", "k1", Money(limit))

    def figures(self, budget_id: str) -> tuple[int, int]:
        """The counters; they equal the sums of their posts, and the pending reservations."""
        budget, post, reservation = table(Budget), table(BudgetPost), table(Reservation)
        sums = [
            func.coalesce(func.sum(post.c[name]), 0) for name in ("reserved_micro", "settled_micro")
        ]
        held = func.coalesce(func.sum(reservation.c.amount_micro), 0)
        with self.journal.engine.begin() as connection:
            counters = connection.execute(
                select(budget.c.reserved_micro, budget.c.settled_micro).where(
                    budget.c.budget_id == budget_id
                )
            ).one()
            posted = connection.execute(select(*sums).where(post.c.budget_id == budget_id)).one()
            pending = connection.execute(
                select(held).where(
                    reservation.c.budget_id == budget_id, reservation.c.state == "pending"
                )
            ).scalar_one()
        assert tuple(counters) == tuple(map(int, posted))
        assert counters[0] == int(pending)
        return int(counters[0]), int(counters[1])

    async def entries(self, exchange_id: str) -> list[Entry]:
        stored = await self.records.read_exchange(exchange_id)
        return [Entry(one.kind, one.header["facts"], one.parts or {}) for one in stored]

    async def acts(self) -> list[str]:
        entry = table(AuditEntry)
        newest = select(entry.c.exchange_id).where(entry.c.exchange_id.like("act_%"))
        with self.journal.engine.begin() as connection:
            return list(connection.scalars(newest.order_by(entry.c.entry_id)))


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
async def ledger(request: pytest.FixtureRequest, keyring: Keyring) -> AsyncIterator[Ledger]:
    """A ledger of each kind."""
    if request.param == "fake":
        yield FakeLedger()
        return
    url = request.getfixturevalue(f"{request.param}_url")
    async with SqlLedger.on(url, keyring) as running:
        yield running


def principal(budget_id: str | None = None) -> Principal:
    """An application, perhaps with a budget."""
    return Principal("acme", "support", "shop-bot", "k1", budget_id=budget_id)


def opened() -> Entry:
    return Entry(Kind.OPENED, {"model": "gpt-4o"}, {"request_received": b'{"messages": []}'})


def attempt(number: int = 1) -> Entry:
    return Entry(Kind.ATTEMPT, {"attempt": number}, {"request_sent": b'{"sent": 1}'})


def closed(outcome: str = "completed") -> Entry:
    return Entry(Kind.CLOSED, {"outcome": outcome}, {"answer_received": b"hello"})
