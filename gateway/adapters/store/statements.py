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

from sqlalchemy import Connection, Dialect, bindparam, literal_column, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.adapters.store.erasure_tables import ValueIndex
from gateway.adapters.store.tables import (
    AuditEntry,
    AuditPart,
    Budget,
    BudgetPost,
    Deployment,
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

_WRITER, _BUDGET, _DEPLOYMENT = table(Writer), table(Budget), table(Deployment)
_VALUE_INDEX = table(ValueIndex)
_WRITER_STANDING = (
    select(_WRITER.c.recovered_at, _DEPLOYMENT.c.erasures)
    .select_from(_WRITER.join(_DEPLOYMENT, _DEPLOYMENT.c.id == literal_column("1")))
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

    def returned(self, cursor: Cursor, rows: Sequence[Values]) -> list[Any]:
        """Insert `rows`; what the statement returns of those that it inserted."""
        found: list[Any] = []
        for start in range(0, len(rows), _FEW):
            self.run(cursor, rows[start : start + _FEW])
            found += cursor.fetchall()
        return found


class Statements:
    """Compiled for one database. Values go to the driver as they are."""

    def __init__(self, dialect: Dialect) -> None:
        self._insert = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
        self.dialect = dialect
        self._begin = "BEGIN IMMEDIATE" if dialect.name == "sqlite" else None
        self.entry = self.inserting(AuditEntry)
        self.part = self.inserting(AuditPart)
        self.record_key = self.inserting(RecordKey)
        self.post = self.inserting(BudgetPost)
        self.value_index = self.inserting(
            ValueIndex,
            lambda insert: insert.on_conflict_do_update(
                index_elements=["org_id", "value_mac", "exchange_id"],
                set_={"whole": or_(_VALUE_INDEX.c.whole, insert.excluded.whole)},
            ),
        )
        self.reservation = self.inserting(Reservation, _latest("exchange_id"))
        self.writer_standing = str(_WRITER_STANDING.compile(dialect=dialect))
        """Given an epoch: when the writer was fenced, and how many keys were destroyed so far.
        Locks it against being fenced, and against a key's being destroyed before the commit."""
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

    def inserting_once(self, model: type[Row], returning: str) -> Statement:
        """An insert that leaves out rows that are there, and returns a column of the others."""
        column = table(model).c[returning]
        return self.inserting(model, lambda i: i.on_conflict_do_nothing().returning(column))

    def inserting(self, model: type[Row], finish: Callable[[Any], Any] | None = None) -> Statement:
        """An insert of rows in the order of the table's columns; `finish` says what is done
        where one is there already."""
        columns = table(model).columns
        statement: Any = self._insert(table(model)).values(
            {column.name: None for column in columns}
        )
        compiled = (finish(statement) if finish else statement).compile(dialect=self.dialect)
        if tuple(getattr(compiled, "positiontup", None) or ()) != tuple(columns.keys()):
            raise AssertionError(f"values would not be in the order of {model.__tablename__}")
        head, values, row_and_tail = str(compiled).partition(" VALUES ")
        row, conflict, tail = row_and_tail.partition(" ON CONFLICT ")
        return Statement(head + values, row, conflict + tail)


def _latest(key: str) -> Callable[[Any], Any]:
    """Makes an insert write over the row that has the same `key`."""

    def finish(insert: Any) -> Any:
        names = [column.name for column in insert.table.columns if column.name != key]
        new = {name: insert.excluded[name] for name in names}
        return insert.on_conflict_do_update(index_elements=[key], set_=new)

    return finish


def _aware(moment: datetime) -> datetime:
    return moment


def _sqlite_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(" ", "microseconds")[:26]
