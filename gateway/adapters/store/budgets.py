"""Making budgets. Money moves only through the journal."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, insert

from gateway.adapters.store.tables import Budget, table
from gateway.core.ids import new_id
from gateway.core.money import Money

_BUDGET = table(Budget)


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
