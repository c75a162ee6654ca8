"""Follows the log and keeps the index of exchanges that searches read.

One process at a time holds the claim. An exchange is made anew from all its entries whenever
one more of them is in the log, so that to repeat a step, or to begin again, changes nothing.
What is read is decrypted and cut into words before a transaction that writes begins: the ledger
waits for SQLite's one write lock too. The index can be made again, so its own commits need not
outlast a power cut; how far it has come is in the same commit as what it wrote.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Any, TypeAlias

import structlog
from sqlalchemy import Connection, delete, event, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.adapters.store.engine import for_writing, open_engine
from gateway.adapters.store.full_text import FullText
from gateway.adapters.store.indexing import INDEXED, Entries, Indexed, Marks, aware, indexed
from gateway.adapters.store.leases import clock
from gateway.adapters.store.log_tables import Follower, LogLeaf
from gateway.adapters.store.masked_parts import MaskedParts, SealedParts
from gateway.adapters.store.search_tables import ExchangeIndex, ExchangeTag
from gateway.adapters.store.tables import AuditEntry, Deployment, table
from gateway.core.audit import Contents
from gateway.core.ids import new_id
from gateway.core.records import Kind

NAME = "index"
"""What this follower of the log is called."""
BATCH = 64
"""Entries of one step."""
CLAIM = timedelta(seconds=30)
_ENTRY, _LEAF, _FOLLOWER = table(AuditEntry), table(LogLeaf), table(Follower)
_INDEX, _TAG, _DEPLOYMENT = table(ExchangeIndex), table(ExchangeTag), table(Deployment)
_OF_TAGS = ("org_id", "ts", "number")
Tags: TypeAlias = Mapping[str, Collection[str]]
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _News:
    """What a step reads: from where to where it leads, and the exchanges that it is about."""

    begin: int
    end: int
    erasures: int
    exchanges: Sequence[Entries]
    sealed: SealedParts


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a step is to write, and the part of the log that it stands for."""

    begin: int
    end: int
    erasures: int
    made: Sequence[Indexed]


class Indexer:
    """Keeps the index, over a migrated database at `url`. For one thread.

    `contents` reads payloads; None keeps no text and no names. `key` hashes what must be found
    and must not be read.
    """

    def __init__(
        self,
        url: str,
        parts: MaskedParts,
        contents: Contents | None,
        key: bytes,
        *,
        patience: float = 2.0,
    ) -> None:
        self.engine = open_engine(url, patience)
        self._writing = for_writing(self.engine)
        self._parts = parts
        self._contents = contents
        self._marks = Marks(key)
        self._text = FullText(self.engine.dialect.name)
        self._me = new_id("idx")
        self._renew_at = 0.0
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _need_not_outlast)

    def step(self) -> int:
        """Index some of what is new in the log; how many entries of it, 0 when there are none or
        another process holds the claim. Raises SQLAlchemy's errors."""
        prepared = self.prepare()
        return 0 if prepared is None else self.write(prepared)

    def prepare(self) -> Prepared | None:
        """Read some of what is new in the log, decrypt it and cut it into words; None when there
        is nothing new. Writes nothing."""
        with self.engine.begin() as connection:
            news = self._read(connection)
        if news is None:
            return None
        made = [self._made(entries, news.sealed) for entries in news.exchanges]
        return Prepared(news.begin, news.end, news.erasures, made)

    def write(self, prepared: Prepared) -> int:
        """Write what was prepared, in one short transaction; how many entries of the log it was.

        0 where another process holds the claim, or was faster, or something was erased since.
        """
        with self._writing.begin() as connection:
            if self.engine.dialect.name == "postgresql":
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            if not (self._claim(connection) and self._move(connection, prepared)):
                return 0
            self._write(connection, prepared.made)
        return prepared.end - prepared.begin

    def rebuild(self) -> None:
        """Empty the index, so that the steps to come make all of it again."""
        self._renew_at = 0.0
        with self._writing.begin() as connection:
            self._register(connection)
            connection.execute(
                update(_FOLLOWER)
                .where(_FOLLOWER.c.name == NAME)
                .values(position=0, claimed_by=None, failed=None, updated_at=clock(connection))
            )
            connection.execute(delete(_TAG))
            connection.execute(delete(_INDEX))
            self._text.clear(connection)

    def behind(self) -> int:
        """How many entries of the log are not in the index yet."""
        with self.engine.begin() as connection:
            last = connection.execute(
                select(_LEAF.c.leaf_index).order_by(_LEAF.c.leaf_index.desc()).limit(1)
            ).scalar()
            return 0 if last is None else int(last) + 1 - self._position(connection)

    def failed(self, why: str | None) -> None:
        """Note why the last step failed, where operators look; None when it did not."""
        with self._writing.begin() as connection:
            self._register(connection)
            noted = update(_FOLLOWER).where(_FOLLOWER.c.name == NAME)
            connection.execute(noted.values(failed=why, updated_at=clock(connection)))

    def stop(self) -> None:
        """Give up the claim and close the connections."""
        if self._renew_at:
            with self._writing.begin() as connection:
                mine = (_FOLLOWER.c.name == NAME) & (_FOLLOWER.c.claimed_by == self._me)
                connection.execute(update(_FOLLOWER).where(mine).values(claimed_by=None))
        self.engine.dispose()

    def _read(self, connection: Connection) -> _News | None:
        begin = self._position(connection)
        leaves = connection.execute(
            select(_LEAF.c.leaf_index, _ENTRY.c.exchange_id, _ENTRY.c.kind)
            .join(_ENTRY, _ENTRY.c.entry_id == _LEAF.c.entry_id)
            .where(_LEAF.c.leaf_index >= begin, _LEAF.c.leaf_index < begin + BATCH)
            .order_by(_LEAF.c.leaf_index)
        ).all()
        if not leaves:
            return None
        end = int(leaves[-1].leaf_index) + 1
        touched = {leaf.exchange_id for leaf in leaves if leaf.kind in INDEXED}
        exchanges = list(self._entries(connection, touched, end))
        ended = [one.rows[0].exchange_id for one in exchanges if one.ended]
        erasures = connection.execute(select(_DEPLOYMENT.c.erasures)).scalar() or 0
        sealed = self._parts.fetch(connection, ended if self._contents else ())
        return _News(begin, end, erasures, exchanges, sealed)

    @staticmethod
    def _entries(connection: Connection, ids: Collection[str], end: int) -> Iterator[Entries]:
        """The entries of these exchanges that stand in the log before `end`."""
        names = ("org_id", "exchange_id", "kind", "ts", "header", "leaf_hash", "team", "app")
        rows = connection.execute(
            select(_LEAF.c.leaf_index, _ENTRY.c.key_id, *(_ENTRY.c[name] for name in names))
            .join(_LEAF, _LEAF.c.entry_id == _ENTRY.c.entry_id)
            .where(_ENTRY.c.exchange_id.in_(ids), _ENTRY.c.kind.in_(INDEXED))
            .where(_LEAF.c.leaf_index < end)
            .order_by(_ENTRY.c.exchange_id, _LEAF.c.leaf_index)
        ).all()
        for _, mine in groupby(rows, lambda row: row.exchange_id):
            inside = sorted(mine, key=lambda row: (INDEXED.index(row.kind), row.leaf_index))
            if inside[0].kind == Kind.OPENED.value:  # else its end stands before its beginning
                yield Entries(int(inside[0].leaf_index), inside)

    def _made(self, entries: Entries, sealed: SealedParts) -> Indexed:
        exchange_id = entries.rows[0].exchange_id
        if self._contents is not None and entries.ended:
            try:
                whole = Entries(entries.number, entries.rows, *sealed.opened(exchange_id))
                return indexed(whole, self._contents, self._marks)
            except Exception as error:  # noqa: BLE001 - whatever it is, its text is not searched
                _log.error("not_searchable", exchange_id=exchange_id, why=type(error).__name__)
        return indexed(entries, None, self._marks)

    def _claim(self, connection: Connection) -> bool:
        """Hold the claim, renewing it when half of it is over."""
        if time.monotonic() < self._renew_at:
            return True
        self._register(connection)
        now = clock(connection)
        free = or_(
            _FOLLOWER.c.claimed_by.is_(None),
            _FOLLOWER.c.claimed_by == self._me,
            _FOLLOWER.c.claimed_until < now,
        )
        taken = connection.execute(
            update(_FOLLOWER)
            .where(_FOLLOWER.c.name == NAME, free)
            .values(claimed_by=self._me, claimed_until=now + CLAIM, updated_at=now)
        )
        held = taken.rowcount == 1
        self._renew_at = time.monotonic() + CLAIM.total_seconds() / 2 if held else 0.0
        return held

    def _move(self, connection: Connection, news: Prepared) -> bool:
        """Say how far the index is; False when another was there first, or something was erased
        since it was read."""
        erasures = select(_DEPLOYMENT.c.erasures).with_for_update(read=True)
        if (connection.execute(erasures).scalar() or 0) != news.erasures:
            return False
        moved = connection.execute(
            update(_FOLLOWER)
            .where(_FOLLOWER.c.name == NAME, _FOLLOWER.c.position == news.begin)
            .where(_FOLLOWER.c.claimed_by == self._me)
            .values(position=news.end, failed=None, updated_at=clock(connection))
        )
        if moved.rowcount != 1:
            self._renew_at = 0.0
        return moved.rowcount == 1

    def _write(self, connection: Connection, made: Sequence[Indexed]) -> None:
        if not made:
            return
        numbers = [one.row["number"] for one in made]
        former = select(_INDEX.c.number, _INDEX.c.tags).where(_INDEX.c.number.in_(numbers))
        tagged = {row.number: row.tags for row in connection.execute(former)}
        fresh = []
        for one in made:
            before, now = tagged.get(one.row["number"], {}), one.row["tags"]
            _untag(connection, one.row, _missing(before, now))
            fresh += [
                {**{name: one.row[name] for name in _OF_TAGS}, "kind": kind, "value": value}
                for kind, values in _missing(now, before).items()
                for value in values
            ]
        put = postgresql.insert if self.engine.dialect.name == "postgresql" else sqlite.insert
        rows = put(_INDEX)
        changed = {column.name: rows.excluded[column.name] for column in _INDEX.c}
        connection.execute(
            rows.on_conflict_do_update(index_elements=["number"], set_=changed),
            [one.row for one in made],
        )
        if fresh:
            connection.execute(put(_TAG).on_conflict_do_nothing(), fresh)
        texts = {one.row["number"]: one.words for one in made if one.words is not None}
        self._text.put(connection, texts, {one.row["number"]: one.row["org_id"] for one in made})

    @staticmethod
    def _position(connection: Connection) -> int:
        mine = select(_FOLLOWER.c.position).where(_FOLLOWER.c.name == NAME)
        return int(connection.execute(mine).scalar() or 0)

    def _register(self, connection: Connection) -> None:
        first = {"org_id": "default", "name": NAME, "position": 0, "updated_at": clock(connection)}
        put = postgresql.insert if self.engine.dialect.name == "postgresql" else sqlite.insert
        connection.execute(put(_FOLLOWER).values(first).on_conflict_do_nothing())


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


def _missing(tags: Mapping[str, list[str]], among: Mapping[str, list[str]]) -> Tags:
    """The tags that are not `among` others."""
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


def _need_not_outlast(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
