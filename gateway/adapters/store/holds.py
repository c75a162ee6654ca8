"""Money in one commit: budgets are locked, walked in order, and written back once.

Reserve, then post: what is held is released when what was spent is posted, in full.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select

from gateway.adapters.store.page import Subject
from gateway.adapters.store.statements import Cursor, Statements, Values
from gateway.adapters.store.tables import Budget, table
from gateway.core.errors import OverBudget
from gateway.core.money import Money, dollars

_BUDGET = table(Budget)
_FIGURES = select(
    _BUDGET.c.budget_id, _BUDGET.c.limit_micro, _BUDGET.c.reserved_micro, _BUDGET.c.settled_micro
).where(_BUDGET.c.budget_id.in_(bindparam("ids", expanding=True)))

PENDING, POSTED, PRESUMED = "pending", "posted", "presumed"


@dataclass(slots=True)
class Figures:
    """A budget's limit, what is held and what is spent, in micro-USD."""

    limit: int
    reserved: int
    settled: int
    touched: bool = False

    @property
    def remaining(self) -> int:
        """What may still be held; never below zero."""
        return max(self.limit - self.reserved - self.settled, 0)


class Change(NamedTuple):
    """One movement of money, and the entry that causes it."""

    subject: Subject
    budget_id: str
    entry_id: str
    ts: datetime


class Holds:
    """The budgets that one commit touches, locked until it is over."""

    def __init__(self, statements: Statements, budgets: dict[str, Figures]) -> None:
        self._statements = statements
        self._posts: list[Values] = []
        self._reservations: dict[str, Values] = {}
        self.budgets = budgets

    @classmethod
    def lock(cls, cursor: Cursor, statements: Statements, budget_ids: Collection[str]) -> Holds:
        """Lock these budgets, in the order of their ids so that nobody waits in a ring."""
        rows: list[Any] = []
        for budget_id in sorted(budget_ids):
            cursor.execute(statements.budget_lock, (budget_id,))
            rows += cursor.fetchall()
        return cls(statements, figures(rows))

    def check(self, budget_id: str, amount: int) -> None:
        """Raises `OverBudget` unless `amount` more fits. A budget that is gone has no room."""
        budget = self.budgets.get(budget_id)
        remaining = 0 if budget is None else budget.remaining
        if budget is None or remaining < amount:
            raise OverBudget(
                remaining,
                f"The call may cost up to ${dollars(Money(amount))}; "
                f"${dollars(Money(remaining))} of the budget is left.",
            )

    def hold(self, change: Change, amount: int, held: int) -> None:
        """Hold `amount` besides the `held` so far."""
        self._post(change, "hold", amount, 0)
        self._reserve(change, held + amount, 0, PENDING)

    def settle(self, change: Change, spent: int, held: int) -> None:
        """Release what is `held` and post what was `spent`, even where that is more."""
        self._post(change, "settle", -held, spent)
        self._reserve(change, held, spent, POSTED)

    def presume(self, change: Change, held: int) -> None:
        """Take what is `held` as spent, for want of evidence."""
        self._post(change, "presume", -held, held)
        self._reserve(change, held, held, PRESUMED)

    def write(self, cursor: Cursor) -> None:
        """Write posts, reservations and each touched budget, in the caller's transaction."""
        self._statements.post.run(cursor, self._posts)
        self._statements.reservation.run(cursor, list(self._reservations.values()))
        changed = [
            (budget.reserved, budget.settled, name)
            for name, budget in self.budgets.items()
            if budget.touched
        ]
        if changed:
            cursor.executemany(self._statements.budget_figures, changed)

    def _post(self, change: Change, kind: str, reserved: int, settled: int) -> None:
        budget = self.budgets[change.budget_id]
        budget.reserved += reserved
        budget.settled += settled
        budget.touched = True
        subject, time = change.subject, self._statements.time(change.ts)
        cause = (subject.org, change.entry_id, subject.exchange_id, change.budget_id)
        self._posts.append((*cause, kind, reserved, settled, time))

    def _reserve(self, change: Change, amount: int, spent: int, state: str) -> None:
        subject, time = change.subject, self._statements.time(change.ts)
        self._reservations[subject.exchange_id] = (
            subject.org,
            subject.exchange_id,
            change.budget_id,
            amount,
            spent,
            state,
            time,
        )


def read_figures(connection: Connection, budget_ids: Collection[str]) -> dict[str, Figures]:
    """The figures of these budgets, without a lock."""
    if not budget_ids:
        return {}
    return figures(connection.execute(_FIGURES, {"ids": sorted(budget_ids)}))


def figures(rows: Iterable[Any]) -> dict[str, Figures]:
    """Rows of budgets as figures by id."""
    return {name: Figures(limit, held, spent) for name, limit, held, spent in rows}
