"""Making and reading budgets. Money moves only through the journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select

from gateway.adapters.store.tables import Budget, table
from gateway.core.ids import new_id
from gateway.core.money import Money

_BUDGET = table(Budget)


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget and its figures, in micro-USD."""

    budget_id: str
    org: str
    scope_type: str
    scope_id: str
    limit: Money
    reserved: Money
    settled: Money


def create_budget(
    connection: Connection, org: str, scope_type: str, scope_id: str, limit: Money
) -> str:
    """Make a budget for a scope, such as the key `k1`; its id.

    Raises `ValueError` for a limit below zero.
    """
    if limit < 0:
        raise ValueError("a budget is never negative")
    budget_id = new_id("bud")
    connection.execute(
        insert(_BUDGET).values(
            budget_id=budget_id,
            org_id=org,
            scope_type=scope_type,
            scope_id=scope_id,
            limit_micro=limit,
            reserved_micro=0,
            settled_micro=0,
            created_at=datetime.now(UTC),
        )
    )
    return budget_id


def read_budgets(connection: Connection, org: str) -> Sequence[BudgetState]:
    """Every budget of an organisation, the oldest first."""
    rows = connection.execute(
        select(_BUDGET).where(_BUDGET.c.org_id == org).order_by(_BUDGET.c.budget_id)
    )
    return [
        BudgetState(
            row.budget_id,
            row.org_id,
            row.scope_type,
            row.scope_id,
            row.limit_micro,
            row.reserved_micro,
            row.settled_micro,
        )
        for row in rows
    ]
