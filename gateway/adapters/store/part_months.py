"""Partitions of payloads, one for each month, on PostgreSQL. SQLite has one table.

What is asked for is done by functions of migration 0009, which run as whoever owns the tables.
Source: PostgreSQL's manual, "Table Partitioning" (§5.11).
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from sqlalchemy import Connection, text

AHEAD = 3
"""Months that have a partition before they begin, with the one that runs."""


def make_parts(connection: Connection, now: datetime) -> int:
    """Make the partitions of this month and the next, where there are none; how many.

    A month of which rows stand in the default partition already gets none: they stay there.
    """
    if connection.dialect.name != "postgresql":
        return 0
    make = text("SELECT govgate_make_parts(:month)")
    return sum(
        bool(connection.execute(make, {"month": month}).scalar_one()) for month in months(now)
    )


def drop_empty_parts(connection: Connection) -> int:
    """Drop the partitions of past months of which nothing is left; how many."""
    if connection.dialect.name != "postgresql":
        return 0
    return int(connection.execute(text("SELECT govgate_drop_empty_parts()")).scalar_one())


def months(now: datetime) -> list[date]:
    """The first days of this month and the next."""
    here = now.astimezone(UTC)
    first = here.year * 12 + here.month - 1
    return [date(month // 12, month % 12 + 1, 1) for month in range(first, first + AHEAD)]
