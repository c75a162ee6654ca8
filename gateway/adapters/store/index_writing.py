"""Rows of the index, written in place of those that stood for the same exchanges."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

import orjson
from sqlalchemy import Connection, Dialect, Select, delete, select

from gateway.adapters.store.full_text import FullText
from gateway.adapters.store.indexing import Indexed, aware
from gateway.adapters.store.lists import among, listed
from gateway.adapters.store.search_tables import ExchangeIndex, ExchangeTag
from gateway.adapters.store.statements import Statements, Values, cursor_of
from gateway.adapters.store.tables import table

_INDEX, _TAG = table(ExchangeIndex), table(ExchangeTag)
_COLUMNS = tuple(column.name for column in _INDEX.columns)
_OF_TAGS = ("org_id", "ts", "number")
Tags: TypeAlias = Mapping[str, Collection[str]]


class IndexWriting:
    """Writes to a database of the kind `dialect`."""

    def __init__(self, dialect: Dialect) -> None:
        statements = Statements(dialect)
        self._time = statements.time
        self._rows = statements.inserting(
            ExchangeIndex,
            lambda insert: insert.on_conflict_do_update(
                index_elements=["number"],
                set_={name: insert.excluded[name] for name in _COLUMNS if name != "number"},
            ),
        )
        self._tags = statements.inserting(
            ExchangeTag, lambda insert: insert.on_conflict_do_nothing()
        )
        self._text = FullText(dialect.name)

    def write(self, connection: Connection, made: Sequence[Indexed]) -> None:
        """Write `made`, no exchange twice, in the caller's transaction.

        Raises SQLAlchemy's errors, and the driver's.
        """
        if not made:
            return
        dialect = connection.dialect.name
        numbers = listed(dialect, [one.row["number"] for one in made])
        former = connection.execute(_former(dialect), {"numbers": numbers})
        tagged: dict[int, Tags] = {row.number: row.tags for row in former}
        fresh: list[Values] = []
        for one in made:
            row, before = one.row, tagged.get(one.row["number"], {})
            _untag(connection, row, _missing(before, row["tags"]))
            fresh += self._tags_of(row, _missing(row["tags"], before))
        cursor = cursor_of(connection)
        self._rows.run(cursor, [self._values(one.row) for one in made])
        self._tags.run(cursor, fresh)
        texts = {one.row["number"]: one.words for one in made if one.words is not None}
        self._text.put(connection, texts, {one.row["number"]: one.row["org_id"] for one in made})

    def _values(self, row: Mapping[str, Any]) -> Values:
        ended = row["ended_at"]
        written = {
            **row,
            "ts": self._time(row["ts"]),
            "ended_at": None if ended is None else self._time(ended),
            "tags": orjson.dumps(row["tags"]).decode(),
        }
        return tuple(written[name] for name in _COLUMNS)

    def _tags_of(self, row: Mapping[str, Any], tags: Tags) -> list[Values]:
        moment = self._time(row["ts"])
        return [
            (row["org_id"], kind, value, moment, row["number"])
            for kind, values in tags.items()
            for value in values
        ]


def forget(connection: Connection, exchange_ids: Collection[str]) -> None:
    """Take exchanges out of the index, in the caller's transaction. Safe to repeat.

    On SQLite `scrub` must follow, as FTS5 keeps removed words for a while.
    """
    mine = _INDEX.c.exchange_id.in_(list(exchange_ids))
    rows = connection.execute(
        select(_INDEX.c.org_id, _INDEX.c.number, _INDEX.c.ts, _INDEX.c.tags).where(mine)
    ).all()
    for row in rows:
        place = {"org_id": row.org_id, "ts": aware(row.ts), "number": row.number}
        _untag(connection, place, row.tags)
    FullText(connection.dialect.name).remove(connection, [row.number for row in rows])
    connection.execute(delete(_INDEX).where(mine))


def scrub(connection: Connection) -> bool:
    """One short step of letting go of words that were taken out; whether there may be more.

    For a transaction of its own, once what took them out is committed.
    """
    return FullText(connection.dialect.name).tidy(connection)


@cache
def _former(dialect: str) -> Select[Any]:
    """The tags that stand for the exchanges `numbers`."""
    return select(_INDEX.c.number, _INDEX.c.tags).where(among(dialect, _INDEX.c.number, "numbers"))


def _missing(tags: Tags, among: Tags) -> Tags:
    """The tags that are not `among` others."""
    if not among:
        return tags
    found = {kind: set(values) - set(among.get(kind, ())) for kind, values in tags.items()}
    return {kind: values for kind, values in found.items() if values}


def _untag(connection: Connection, row: Mapping[str, Any], tags: Tags) -> None:
    for kind, values in tags.items():
        connection.execute(
            delete(_TAG).where(
                _TAG.c.kind == kind,
                _TAG.c.value.in_(values),
                *(_TAG.c[name] == row[name] for name in _OF_TAGS),
            )
        )
