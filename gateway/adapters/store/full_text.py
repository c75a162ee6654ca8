"""The full-text table: FTS5 on SQLite, a tsvector with a GIN index on PostgreSQL.

It holds the words of masked text alone. A query is made of words that were taken out of what
somebody typed, so that nothing typed is ever read as the database's own syntax.
Source: SQLite's "FTS5 Extension" (§3, §6); PostgreSQL's manual, "Text Search Types".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    cast,
    column,
    delete,
    exists,
    false,
    func,
    literal_column,
    select,
)
from sqlalchemy import table as lightweight_table
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR

from gateway.adapters.store.lists import listed
from gateway.adapters.store.statements import Statement, cursor_of
from gateway.adapters.store.words import Term

NAME = "exchange_text"
_SQLITE = lightweight_table(NAME, column("rowid", BigInteger), column("words"))
_POSTGRESQL = lightweight_table(
    NAME, column("org_id"), column("number", BigInteger), column("words", TSVECTOR)
)
DENSE = 100_000
"""Exchanges from which on words count as common."""
_WRITING = {
    "sqlite": (
        Statement("INSERT INTO exchange_text (rowid, words) VALUES ", "(?, ?)", ""),
        "DELETE FROM exchange_text WHERE rowid IN (SELECT value FROM json_each(?))",
    ),
    "postgresql": (
        Statement(
            "INSERT INTO exchange_text (org_id, number, words) VALUES ",
            "(%s, %s, %s::tsvector)",
            "",
        ),
        "DELETE FROM exchange_text WHERE number = ANY (%s)",
    ),
}
"""By database: what puts words in, and what takes out those of a list of exchanges."""
_PAGES = 500
"""Pages that one step of tidying up may write, so that no step is long."""


class FullText:
    """The full-text table of a database of the kind `dialect`."""

    def __init__(self, dialect: str) -> None:
        self._sqlite = dialect == "sqlite"
        self._table = _SQLITE if self._sqlite else _POSTGRESQL
        self._number: ColumnElement[int] = self._table.c["rowid" if self._sqlite else "number"]
        self._insert, self._removal = _WRITING[dialect]

    def posting(self, terms: Sequence[Term]) -> Select[Any] | None:
        """The numbers of the exchanges in which every wanted term stands; None without one."""
        wanted = [term for term in terms if not term.unwanted]
        if not wanted:
            return None
        return select(self._number).where(self._says(wanted))

    def says(
        self, terms: Sequence[Term], number: ColumnElement[int], *, dense: bool
    ) -> ColumnElement[bool]:
        """Whether the exchange called `number` says what `terms` ask. Without any, none does.

        FTS5 takes long to say so of one row. Unless the answer is `dense`, all of it is found
        first; PostgreSQL chooses for itself.
        """
        if not terms:
            return false()
        mine = self._number == number
        wanted = [term for term in terms if not term.unwanted]
        condition: ColumnElement[bool] = exists().where(mine).select_from(self._table)
        if wanted and self._sqlite and not dense:
            condition = number.in_(select(self._number).where(self._says(wanted)))
        elif wanted:
            found = exists().where(mine, self._says(wanted))
            condition = found.select_from(self._table)
        for term in terms:
            if term.unwanted:
                said = exists().where(mine, self._says([term])).select_from(self._table)
                condition = condition & ~said
        return condition

    def is_dense(self, connection: Connection, terms: Sequence[Term]) -> bool:
        """Whether so many say what is asked that one of them is never far."""
        posting = self.posting(terms) if self._sqlite else None
        if posting is None:
            return True
        some = posting.limit(DENSE).subquery()
        return connection.execute(select(func.count()).select_from(some)).scalar_one() == DENSE

    def put(
        self, connection: Connection, texts: Mapping[int, Sequence[str]], orgs: Mapping[int, str]
    ) -> None:
        """Let these words stand for these exchanges, in place of others."""
        if not texts:
            return
        cursor, dialect = cursor_of(connection), connection.dialect.name
        cursor.execute(self._removal, (listed(dialect, texts),))
        rows = [(number, said) for number, said in texts.items() if said]
        if self._sqlite:
            self._insert.run(cursor, [(number, " ".join(said)) for number, said in rows])
        else:
            vectors = [(orgs[number], number, _vector(said)) for number, said in rows]
            self._insert.run(cursor, vectors)

    def remove(self, connection: Connection, numbers: Collection[int]) -> None:
        """Take out what stands for these exchanges."""
        if numbers:
            connection.execute(delete(self._table).where(self._number.in_(list(numbers))))

    def clear(self, connection: Connection) -> None:
        """Take out everything."""
        connection.execute(delete(self._table))

    def tidy(self, connection: Connection) -> bool:
        """Let go of some of what was taken out; whether there may be more.

        FTS5 keeps removed words until segments are merged. PostgreSQL's VACUUM does its own.
        """
        if not self._sqlite:
            return False
        before = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
        merge = "INSERT INTO exchange_text(exchange_text, rank) VALUES ('merge', ?)"
        connection.exec_driver_sql(merge, (-_PAGES,))
        after = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
        return bool(after - before >= 2)  # one is the statement itself

    def _says(self, wanted: Sequence[Term]) -> ColumnElement[bool]:
        if self._sqlite:
            asked = " AND ".join(
                f'"{" ".join(term.words)}"{" *" if term.prefix else ""}' for term in wanted
            )
            return literal_column(NAME).op("MATCH", is_comparison=True)(asked)
        asked = " & ".join(f"({_run(term)})" for term in wanted)
        return _POSTGRESQL.c.words.op("@@", is_comparison=True)(cast(asked, TSQUERY))


def _run(term: Term) -> str:
    run = " <-> ".join(f"'{word}'" for word in term.words)
    return f"{run}:*" if term.prefix else run


def _vector(said: Sequence[str]) -> str:
    places: dict[str, list[str]] = defaultdict(list)
    for place, word in enumerate(said, 1):
        places[word].append(str(place))
    return " ".join(f"'{word}':{','.join(at)}" for word, at in places.items())
