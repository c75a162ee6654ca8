"""A journal in memory. It keeps what the port promises, and can be told to fail."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.core.attribution import Attribution
from gateway.core.errors import Code, OverBudget, Unavailable
from gateway.core.ids import new_id
from gateway.core.money import ZERO, Money
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind, Receipt, canonical, leaf_hash
from gateway.core.values import Value


@dataclass(slots=True)
class FakeBudget:
    """A budget's figures, in micro-USD."""

    limit: int
    reserved: int = 0
    settled: int = 0

    @property
    def remaining(self) -> int:
        return self.limit - self.settled - self.reserved


@dataclass(frozen=True, slots=True)
class Written:
    """An entry that is durable, and whose it is."""

    exchange_id: str
    entry: Entry
    receipt: Receipt


@dataclass(slots=True)
class FakeJournal:
    """Implements `Journal`. `written` is the ledger, oldest first."""

    budgets: dict[str, FakeBudget] = field(default_factory=dict)
    written: list[Written] = field(default_factory=list)
    commits: int = 0
    """How many transactions it took."""
    failing: Unavailable | None = None
    """Raised instead of writing, for as long as it is set."""
    gate: asyncio.Event | None = None
    """When set to an event, nothing is durable before that event is."""

    @classmethod
    def with_limits(cls, limits: Mapping[str, int]) -> FakeJournal:
        """A journal with these budgets: their ids and limits in micro-USD."""
        return cls({name: FakeBudget(limit) for name, limit in limits.items()})

    def begin(
        self,
        exchange_id: str,
        principal: Principal,
        opened: Entry,
        whose: Attribution | None = None,
    ) -> FakeRecord:
        return FakeRecord(self, exchange_id, principal, opened)

    async def note(self, actor: Principal, entry: Entry) -> Receipt:
        return await FakeRecord(self, new_id("act"), actor, None).close(entry, ZERO)

    def remaining(self, budget_id: str) -> tuple[Money, Money] | None:
        budget = self.budgets.get(budget_id)
        if budget is None:
            return None
        return Money(max(budget.remaining, 0)), Money(budget.limit)

    def entries(self, exchange_id: str | None = None) -> list[Entry]:
        """The entries written, of one exchange or of all."""
        return [w.entry for w in self.written if exchange_id in (None, w.exchange_id)]

    def kinds(self, exchange_id: str | None = None) -> list[Kind]:
        """The kinds of the entries written, of one exchange or of all."""
        return [entry.kind for entry in self.entries(exchange_id)]


class FakeRecord:
    """Implements `Record`."""

    def __init__(
        self, journal: FakeJournal, exchange_id: str, principal: Principal, opened: Entry | None
    ) -> None:
        self._journal = journal
        self._exchange_id = exchange_id
        self._budget_id = principal.budget_id
        self._staged = opened
        self._closed: Receipt | None = None
        self.opened: Receipt | None = None
        self.held = 0

    async def open(self, values: Sequence[Value] = ()) -> Receipt:
        if self._staged is not None:
            self._staged = replace(self._staged, values=values)
        return await asyncio.shield(asyncio.ensure_future(self._open()))

    async def append(self, entry: Entry, hold: Money = ZERO) -> Receipt:
        return await asyncio.shield(asyncio.ensure_future(self._append(entry, hold)))

    async def close(self, entry: Entry, spent: Money) -> Receipt:
        return await asyncio.shield(asyncio.ensure_future(self._close(entry, spent)))

    async def _open(self) -> Receipt:
        await self._durable()
        if self._closed is not None:
            raise Unavailable(Code.AUDIT_UNAVAILABLE, "The exchange is closed.")
        staged, self._staged = self._staged, None
        if staged is not None:
            self._journal.commits += 1
            self.opened = self._record(staged)
        assert self.opened is not None
        return self.opened

    async def _append(self, entry: Entry, hold: Money) -> Receipt:
        if hold < 0:
            raise ValueError("a hold is never negative")
        await self._durable()
        if self._closed is not None:
            raise Unavailable(Code.AUDIT_UNAVAILABLE, "The exchange is closed.")
        self._hold(hold)
        return self._write(entry)

    async def _close(self, entry: Entry, spent: Money) -> Receipt:
        if spent < 0:
            raise ValueError("what was spent is never negative")
        if self._closed is not None:
            return self._closed
        await self._durable()
        if self._closed is None:
            budget = self._journal.budgets.get(self._budget_id or "")
            if budget is not None:
                budget.reserved -= self.held
                budget.settled += spent
            self._closed = self._write(entry)
        return self._closed

    def _hold(self, hold: int) -> None:
        if not hold or self._budget_id is None:
            return
        budget = self._journal.budgets.get(self._budget_id)
        left = 0 if budget is None else max(budget.remaining, 0)
        if budget is None or left < hold:
            raise OverBudget(left, "The budget does not cover the most this call can cost.")
        budget.reserved += hold
        self.held += hold

    async def _durable(self) -> None:
        if self._journal.gate is not None:
            await self._journal.gate.wait()
        if self._journal.failing is not None:
            raise self._journal.failing

    def _write(self, entry: Entry) -> Receipt:
        self._journal.commits += 1
        staged, self._staged = self._staged, None
        if staged is not None:
            self.opened = self._record(staged)
        return self._record(entry)

    def _record(self, entry: Entry) -> Receipt:
        header = {"kind": entry.kind, "exchange_id": self._exchange_id, "facts": entry.facts}
        receipt = Receipt(new_id("ent"), leaf_hash(canonical(header)))
        self._journal.written.append(Written(self._exchange_id, entry, receipt))
        return receipt
