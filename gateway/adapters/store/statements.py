"""The hot path's statements, compiled once from the tables, and run on the driver itself.

SQLAlchemy makes the text; the driver's own cursor runs it. A statement through
`Connection.execute` costs five times what SQLite takes for it, and the writer's thread holds
the interpreter for all of that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Protocol, TypeAlias

from sqlalchemy import Connection, Dialect, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.adapters.store.tables import (
    AuditEntry,
    AuditPart,
    Budget,
    BudgetPost,
    RecordKey,
    Reservation,
    Row,
    Writer,
    table,
)

Values: TypeAlias = tuple[Any, ...]
"""A row in the order of its table's columns; times as `Statements.time` gives them."""


class Cursor(Protocol):
    """What we use of a driver's cursor (PEP 249)."""

    def execute(self, statement: str, values: Sequence[Any] = ..., /) -> Any: ...
    def executemany(self, statement: str, rows: Sequence[Values], /) -> Any: ...
    def fetchall(self) -> Sequence[Any]: ...


def cursor_of(connection: Connection) -> Cursor:
    """The driver's cursor in the connection's transaction. It raises the driver's errors."""
    cursor: Cursor = connection.connection.cursor()
    return cursor


_FEW, _MANY = 16, 64
"""One statement inserts 64 rows, or any number up to 16: many rows to a statement, since
drivers let go of the interpreter for each one they run; a few sizes, so that all stay
prepared."""

_WRITER, _BUDGET = table(Writer), table(Budget)
_WRITER_STANDING = (
    select(_WRITER.c.recovered_at)
    .where(_WRITER.c.epoch == bindparam("epoch"))
    .with_for_update(read=True)
)
_BUDGET_LOCK = (
    select(
        _BUDGET.c.budget_id,
        _BUDGET.c.limit_micro,
        _BUDGET.c.reserved_micro,
        _BUDGET.c.settled_micro,
    )
    .where(_BUDGET.c.budget_id == bindparam("id"))
    .with_for_update()
)
_BUDGET_FIGURES = (
    update(_BUDGET)
    .where(_BUDGET.c.budget_id == bindparam("id"))
    .values(reserved_micro=bindparam("reserved"), settled_micro=bindparam("settled"))
)


class Statement:
    """An insert into one table, for rows of plain values."""

    def __init__(self, head: str, row: str, tail: str) -> None:
        self._texts = {
            count: f"{head}{', '.join([row] * count)}{tail}"
            for count in (*range(1, _FEW + 1), _MANY)
        }

    def run(self, cursor: Cursor, rows: Sequence[Values]) -> None:
        """Insert `rows`, if there are any."""
        start = 0
        while left := len(rows) - start:
            count = _MANY if left >= _MANY else min(left, _FEW)
            flat = tuple(chain.from_iterable(rows[start : start + count]))
            cursor.execute(self._texts[count], flat)
            start += count


class Statements:
    """Compiled for one database. Values go to the driver as they are."""

    def __init__(self, dialect: Dialect) -> None:
        self._insert = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
        self._dialect = dialect
        self._begin = "BEGIN IMMEDIATE" if dialect.name == "sqlite" else None
        self.entry = self._inserting(AuditEntry)
        self.part = self._inserting(AuditPart)
        self.record_key = self._inserting(RecordKey)
        self.post = self._inserting(BudgetPost)
        self.reservation = self._inserting(Reservation, or_update="exchange_id")
        self.writer_standing = str(_WRITER_STANDING.compile(dialect=dialect))
        """Given an epoch: when the writer was fenced. Locks it against being fenced."""
        self.budget_lock = str(_BUDGET_LOCK.compile(dialect=dialect))
        """Given an id: the budget's id, limit and figures. Locks it."""
        self.budget_figures = str(_BUDGET_FIGURES.compile(dialect=dialect))
        """Given what is reserved, what is settled, and the id: writes a budget back."""
        self.time: Callable[[datetime], Any] = (
            _aware if dialect.name == "postgresql" else _sqlite_text
        )

    def begin(self, cursor: Cursor) -> None:
        """Begin a transaction that writes. PostgreSQL's driver begins by itself."""
        if self._begin is not None:
            cursor.execute(self._begin)

    def _inserting(self, model: type[Row], or_update: str | None = None) -> Statement:
        columns = table(model).columns
        statement = self._insert(table(model)).values({column.name: None for column in columns})
        if or_update is not None:
            new = {name: statement.excluded[name] for name in columns.keys() if name != or_update}  # noqa: SIM118
            statement = statement.on_conflict_do_update(index_elements=[or_update], set_=new)
        compiled = statement.compile(dialect=self._dialect)
        if tuple(getattr(compiled, "positiontup", None) or ()) != tuple(columns.keys()):
            raise AssertionError(f"values would not be in the order of {model.__tablename__}")
        head, values, row_and_tail = str(compiled).partition(" VALUES ")
        row, conflict, tail = row_and_tail.partition(" ON CONFLICT ")
        return Statement(head + values, row, conflict + tail)


def _aware(moment: datetime) -> datetime:
    return moment


def _sqlite_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(" ", "microseconds")[:26]
