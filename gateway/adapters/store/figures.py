"""Figures for reports: each is one statement, which the report shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, DateTime, bindparam, text

from gateway.adapters.store.figure_queries import COUNTS, NAMED, TIMES, spelled
from gateway.adapters.store.threads import Threads
from gateway.core.reports import Figure, Span, Value

MOST_NAMES = 200
"""Names that are counted one by one; the rest are told together."""
REST = "(others)"
_SEEN = {"org": None, "since": DateTime(timezone=True), "until": DateTime(timezone=True)}


class SqlFigures:
    """Implements `Figures` over a migrated database at `url`."""

    def __init__(self, url: str, *, patience: float = 60.0) -> None:
        self._threads = Threads(url, "figures", patience)

    async def gather(self, span: Span, names: Sequence[str]) -> Mapping[str, Figure]:
        return await self._threads.run(_gather, span, names)

    async def stop(self) -> None:
        """Close the connections."""
        await self._threads.stop()


def _gather(connection: Connection, span: Span, names: Sequence[str]) -> dict[str, Figure]:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    told = {
        "org": span.org,
        "since": span.since.astimezone(UTC),
        "until": span.until.astimezone(UTC),
    }
    return {name: _figure(connection, name, told) for name in names}


def _figure(connection: Connection, name: str, told: Mapping[str, Any]) -> Figure:
    reads: dict[str, Callable[[Sequence[Any]], Value]] = {
        **dict.fromkeys(COUNTS, _count),
        **dict.fromkeys(TIMES, _time),
        **dict.fromkeys(NAMED, _named),
    }
    read = reads[name]
    query = spelled(name, connection.dialect.name)
    mine = {each: told[each] for each in _SEEN if f":{each}" in query}
    kinds = [bindparam(each, type_=_SEEN[each]) for each in mine if _SEEN[each] is not None]
    rows = connection.execute(text(query).bindparams(*kinds), mine).all()
    return Figure(read(rows), query)


def _count(rows: Sequence[Any]) -> Value:
    value = rows[0][0] if rows else None
    return None if value is None else int(value)


def _time(rows: Sequence[Any]) -> Value:
    """A time; SQLite's is text without its zone."""
    value = rows[0][0] if rows else None
    if value is None:
        return None
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _named(rows: Sequence[Any]) -> Value:
    ordered = sorted(((str(name), int(count)) for name, count in rows), key=lambda p: (-p[1], p[0]))
    found = dict(ordered[:MOST_NAMES])
    rest = sum(count for _, count in ordered[MOST_NAMES:])
    return found | {REST: rest} if rest else found
