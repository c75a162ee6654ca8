"""Finding records over SQL: pages, facets, any id, sessions, kept queries."""

from __future__ import annotations

import base64
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, TypeVar

import msgspec
import orjson
from sqlalchemy import Connection, Select, Text, and_, cast, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from gateway.adapters.store.engine import unavailable
from gateway.adapters.store.full_text import FullText
from gateway.adapters.store.indexing import aware
from gateway.adapters.store.log_tables import LogLeaf
from gateway.adapters.store.naming import Names
from gateway.adapters.store.records import SqlRecords, StoredEntry
from gateway.adapters.store.search_tables import ExchangeTag, SavedQuery
from gateway.adapters.store.selecting import INDEX, Selection, column_of
from gateway.adapters.store.tables import AuditEntry, IdempotencyKey, RecordKey, table
from gateway.adapters.store.threads import Threads
from gateway.core.audit import (
    COLUMNS,
    ID_TAG,
    MOST_COUNTED,
    MOST_TURNS,
    TAGS,
    Facets,
    Filters,
    Listed,
    Page,
    Scope,
    Session,
    Standing,
    StoredQuery,
)
from gateway.core.records import Kind, leaf_hash

T = TypeVar("T")
_ENTRY, _LEAF, _KEY = table(AuditEntry), table(LogLeaf), table(RecordKey)
_TAG, _SAVED, _REPEAT = table(ExchangeTag), table(SavedQuery), table(IdempotencyKey)
_NEWEST_FIRST = (INDEX.c.ts.desc(), INDEX.c.number.desc())
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_OF_WORDS = 1_000
"""The newest that facets are counted over where very many say the words that are asked for."""
_STEPS = 20_000
"""Instructions of SQLite between two looks at the clock."""


class SqlSearch:
    """Implements `Search` over a migrated database at `url`.

    `repeats` gives the keyed hash of an idempotency key. A query may take `longest` seconds on
    SQLite; PostgreSQL has its own limit.
    """

    def __init__(
        self,
        url: str,
        names: Names,
        repeats: Callable[[str], bytes],
        *,
        patience: float = 2.0,
        longest: float = 10.0,
    ) -> None:
        self._threads = Threads(url, "search", patience)
        self.engine = self._threads.engine
        self._names = names
        self._repeats = repeats
        self._longest = longest
        self._text = FullText(self.engine.dialect.name)

    async def page(self, scope: Scope, filters: Filters, after: str | None, limit: int) -> Page:
        place = None if after is None else _place(after)
        rows = await self._run(self._rows, scope, filters, place, limit + 1)
        shown = tuple(_listed(row) for row in rows[:limit])
        return Page(shown, _cursor(rows[limit - 1]) if len(rows) > limit else None)

    async def facets(self, scope: Scope, filters: Filters) -> Facets:
        return await self._run(self._facets, scope, filters)

    async def find(self, org: str, id: str) -> str | None:
        return await self._run(self._find, org, id) if _askable(id) else None

    async def listed(self, scope: Scope, exchange_id: str) -> Listed | None:
        if not _askable(exchange_id):
            return None
        mine = select(INDEX).where(INDEX.c.exchange_id == exchange_id, *_within(scope, INDEX))
        rows = await self._run(_all, mine)
        return _listed(rows[0]) if rows else None

    async def entries(self, scope: Scope, exchange_id: str) -> Sequence[Standing]:
        return await self._run(_entries, scope, exchange_id) if _askable(exchange_id) else ()

    async def session(self, scope: Scope, session: str) -> Session:
        mark = self._names.marks.asked(scope.org, session)
        mine = select(INDEX).where(INDEX.c.session == mark, *_within(scope, INDEX))
        oldest = mine.order_by(INDEX.c.ts, INDEX.c.number).limit(MOST_TURNS + 1)
        rows = await self._run(_all, oldest)
        turns = tuple(_listed(row) for row in rows[:MOST_TURNS])
        return Session(mark, turns, len(rows) <= MOST_TURNS)

    async def saved(self, org: str) -> Sequence[StoredQuery]:
        mine = select(_SAVED).where(_SAVED.c.org_id == org).order_by(_SAVED.c.name)
        return [_stored(row) for row in await self._run(_all, mine)]

    async def save(self, org: str, query: StoredQuery) -> bool:
        row = {
            "org_id": org,
            "name": query.name,
            "filters": msgspec.to_builtins(query.filters),
            "made_by": query.made_by,
            "created_at": query.created_at,
        }
        return await self._threads.run(_save, row, writes=True)

    async def forget(self, org: str, name: str, made_by: str) -> bool:
        mine = delete(_SAVED).where(
            _SAVED.c.org_id == org, _SAVED.c.name == name, _SAVED.c.made_by == made_by
        )
        done = await self._threads.run(lambda c: c.execute(mine).rowcount, writes=True)
        return bool(done)

    async def stop(self) -> None:
        """Close the connections."""
        await self._threads.stop()

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        def bounded(connection: Connection) -> T:
            with _no_longer_than(connection, self._longest):
                return work(connection, *arguments)

        return await self._threads.run(bounded)

    def _rows(
        self,
        connection: Connection,
        scope: Scope,
        filters: Filters,
        place: tuple[datetime, int] | None,
        limit: int,
    ) -> Sequence[Any]:
        selection = Selection(connection, scope, filters, self._names, self._text)
        wanted = _newest(select(INDEX), selection, limit)
        if place is not None:
            at, number = place
            earlier = or_(INDEX.c.ts < at, INDEX.c.number < number)
            wanted = wanted.where(and_(INDEX.c.ts <= at, earlier))
        return connection.execute(wanted).all()

    def _facets(self, connection: Connection, scope: Scope, filters: Filters) -> Facets:
        selection = Selection(connection, scope, filters, self._names, self._text)
        most = MOST_OF_WORDS if selection.dense else MOST_COUNTED
        columns = [column_of(name) for name in COLUMNS]
        wanted = select(cast(INDEX.c.tags, Text), *columns)
        rows = connection.execute(_newest(wanted, selection, most + 1)).all()
        counted = rows[:most]
        dimensions: dict[str, Counter[str]] = {}
        tagged, *values = zip(*counted, strict=True) if counted else ((), *((),) * len(columns))
        for name, column in zip(COLUMNS, values, strict=True):
            dimensions[name] = Counter(column)
            del dimensions[name][None]
        tags = [orjson.loads(each) for each in tagged]
        for name in TAGS:
            dimensions[name] = Counter(chain.from_iterable(each.get(name, ()) for each in tags))
        told = {name: _in_order(count) for name, count in dimensions.items() if count}
        return Facets(len(counted), len(rows) == len(counted), told)

    def _find(self, connection: Connection, org: str, id: str) -> str | None:
        """Looked up in the ledger first, which is never behind."""
        mine = select(_ENTRY.c.exchange_id).where(_ENTRY.c.org_id == org).limit(1)
        mark = self._names.marks.id(org, id.lower() if _is_hash(id) else id)
        tagged = (
            select(INDEX.c.exchange_id)
            .join(_TAG, _TAG.c.number == INDEX.c.number)
            .where(_TAG.c.org_id == org, _TAG.c.kind == ID_TAG, _TAG.c.value == mark)
            .order_by(_TAG.c.ts.desc())
            .limit(1)
        )
        repeated = select(_REPEAT.c.exchange_id).where(
            _REPEAT.c.org_id == org, _REPEAT.c.name_mac == self._repeats(id)
        )
        exchange = mine.where(
            _ENTRY.c.exchange_id == id, _ENTRY.c.kind.in_([Kind.OPENED, Kind.CLOSED])
        )
        for wanted in (exchange, mine.where(_ENTRY.c.entry_id == id), tagged, repeated.limit(1)):
            found = connection.execute(wanted).scalar()
            if found is not None:
                return str(found)
        return None


class ReadingLedger:
    """Implements `Ledger` over `records`. Raises `Unavailable` where they cannot be read."""

    def __init__(self, records: SqlRecords) -> None:
        self._records = records

    async def read_exchange(self, exchange_id: str) -> Sequence[StoredEntry]:
        try:
            return await self._records.read_exchange(exchange_id)
        except SQLAlchemyError as error:
            raise unavailable(error) from error


def _newest(wanted: Select[Any], selection: Selection, limit: int) -> Select[Any]:
    return wanted.where(*selection.conditions()).order_by(*_NEWEST_FIRST).limit(limit)


def _entries(connection: Connection, scope: Scope, exchange_id: str) -> list[Standing]:
    rows = connection.execute(
        select(_ENTRY, _LEAF.c.leaf_index)
        .outerjoin(_LEAF, _LEAF.c.entry_id == _ENTRY.c.entry_id)
        .where(_ENTRY.c.exchange_id == exchange_id, *_within(scope, _ENTRY))
        .order_by(_ENTRY.c.kind == Kind.CLOSED.value, _ENTRY.c.writer_seq)
    ).all()
    kept = connection.execute(select(_KEY.c.org_id).where(_KEY.c.exchange_id == exchange_id)).all()
    return [
        Standing(
            row.entry_id,
            row.kind,
            aware(row.ts),
            orjson.loads(row.header),
            row.leaf_hash,
            leaf_hash(row.header) == row.leaf_hash,
            row.leaf_index,
            not kept,
        )
        for row in rows
    ]


def _all(connection: Connection, wanted: Any) -> Sequence[Any]:
    return connection.execute(wanted).all()


def _within(scope: Scope, place: Any) -> Iterator[Any]:
    yield place.c.org_id == scope.org
    if scope.team is not None:
        yield place.c.team == scope.team


def _save(connection: Connection, row: dict[str, Any]) -> bool:
    put = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    fresh = put(_SAVED).values(row)
    kept = connection.execute(
        fresh.on_conflict_do_update(
            index_elements=["org_id", "name"],
            set_={"filters": fresh.excluded.filters, "created_at": fresh.excluded.created_at},
            where=_SAVED.c.made_by == row["made_by"],
        ).returning(_SAVED.c.name)
    )
    return kept.one_or_none() is not None


def _stored(row: Any) -> StoredQuery:
    filters = msgspec.convert(row.filters, Filters)
    return StoredQuery(row.name, filters, row.made_by, aware(row.created_at))


def _listed(row: Any) -> Listed:
    columns = row._mapping
    return Listed(
        exchange_id=row.exchange_id,
        ts=aware(row.ts),
        ended_at=None if row.ended_at is None else aware(row.ended_at),
        subject=row.subject,
        decision_id=row.decision_id,
        hidden=row.hidden,
        cost_micro_usd=row.cost_micro,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        elapsed_us=row.elapsed_us,
        tags={kind: values for kind, values in row.tags.items() if kind != ID_TAG},
        **{name: columns[column_of(name)] for name in COLUMNS},
    )


def _in_order(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _cursor(row: Any) -> str:
    """Where a row stands: opaque to others."""
    micros = (aware(row.ts) - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(f"{micros}.{row.number}".encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[datetime, int]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        told = base64.b64decode(padded, b"-_", validate=True).decode("ascii")
        micros, number = map(int, told.split("."))
        return _EPOCH + timedelta(microseconds=micros), number
    except (ValueError, OverflowError) as error:
        raise ValueError("after: no page named this place") from error


def _askable(id: str) -> bool:
    return 0 < len(id) <= 512 and "\x00" not in id


def _is_hash(id: str) -> bool:
    return len(id) == 64 and all(character in "0123456789abcdefABCDEF" for character in id)


@contextmanager
def _no_longer_than(connection: Connection, seconds: float) -> Iterator[None]:
    """Break off what SQLite does in this block once it takes too long."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        yield
        return
    deadline = time.monotonic() + seconds
    driver.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)
