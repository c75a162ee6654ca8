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
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import Connection, bindparam, delete, event, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.adapters.store.engine import for_writing, open_engine
from gateway.adapters.store.full_text import FullText
from gateway.adapters.store.index_reading import NAME, Entries, IndexReading
from gateway.adapters.store.index_writing import IndexWriting
from gateway.adapters.store.indexing import Indexed, Marks, indexed
from gateway.adapters.store.leases import clock
from gateway.adapters.store.log_tables import Follower, LogLeaf
from gateway.adapters.store.masked_parts import Masked, MaskedParts, SealedParts
from gateway.adapters.store.search_tables import ExchangeIndex, ExchangeTag
from gateway.adapters.store.tables import Deployment, table
from gateway.core.audit import Contents
from gateway.core.errors import Unavailable
from gateway.core.ids import new_id

BATCH = 256
"""Entries of one step, at most. Its write takes a few milliseconds, for which the ledger waits
on SQLite; much of that each step costs, however few entries it has."""
CLAIM = timedelta(seconds=30)
_LEAF, _FOLLOWER = table(LogLeaf), table(Follower)
_INDEX, _TAG, _DEPLOYMENT = table(ExchangeIndex), table(ExchangeTag), table(Deployment)
_MINE = _FOLLOWER.c.name == NAME
_ERASURES = select(_DEPLOYMENT.c.erasures).with_for_update(read=True)
_MOVED = (
    update(_FOLLOWER)
    .where(_MINE, _FOLLOWER.c.position == bindparam("begin"))
    .where(_FOLLOWER.c.claimed_by == bindparam("me"))
    .values(position=bindparam("end"), failed=None, updated_at=bindparam("now"))
)
_said = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a step is to write, and the part of the log that it stands for."""

    begin: int
    end: int
    erasures: int
    made: Sequence[Indexed]
    full: bool
    """Whether there may be more in the log."""


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
        self._log = IndexReading(self.engine.dialect.name, parts if contents else None)
        self._rows = IndexWriting(self.engine.dialect)
        self._contents = contents
        self._marks = Marks(key)
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
            news = self._log.read(connection, BATCH)
        if news is None:
            return None
        made = [self._made(entries, news.sealed) for entries in news.exchanges]
        return Prepared(news.begin, news.end, news.erasures, made, news.full)

    def write(self, prepared: Prepared) -> int:
        """Write what was prepared, in one short transaction; how many entries of the log it was.

        0 where another process holds the claim, or was faster, or something was erased since.
        """
        with self._writing.begin() as connection:
            if self.engine.dialect.name == "postgresql":
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            if not (self._claim(connection) and self._move(connection, prepared)):
                return 0
            self._rows.write(connection, prepared.made)
        return prepared.end - prepared.begin

    def rebuild(self) -> None:
        """Empty the index, so that the steps to come make all of it again."""
        self._renew_at = 0.0
        with self._writing.begin() as connection:
            self._register(connection)
            connection.execute(
                update(_FOLLOWER)
                .where(_MINE)
                .values(position=0, claimed_by=None, failed=None, updated_at=clock(connection))
            )
            connection.execute(delete(_TAG))
            connection.execute(delete(_INDEX))
            FullText(connection.dialect.name).clear(connection)

    def behind(self) -> int:
        """How many entries of the log are not in the index yet."""
        with self.engine.begin() as connection:
            last = connection.execute(
                select(_LEAF.c.leaf_index).order_by(_LEAF.c.leaf_index.desc()).limit(1)
            ).scalar()
            return 0 if last is None else int(last) + 1 - self._log.position(connection)

    def failed(self, why: str | None) -> None:
        """Note why the last step failed, where operators look; None when it did not."""
        with self._writing.begin() as connection:
            self._register(connection)
            noted = update(_FOLLOWER).where(_MINE)
            connection.execute(noted.values(failed=why, updated_at=clock(connection)))

    def stop(self) -> None:
        """Give up the claim and close the connections."""
        if self._renew_at:
            with self._writing.begin() as connection:
                mine = _MINE & (_FOLLOWER.c.claimed_by == self._me)
                connection.execute(update(_FOLLOWER).where(mine).values(claimed_by=None))
        self.engine.dispose()

    def _made(self, entries: Entries, sealed: SealedParts) -> Indexed:
        exchange_id = entries.rows[0].exchange_id
        if self._contents is not None and entries.ended:
            try:
                return indexed(entries, sealed.of(exchange_id), self._contents, self._marks)
            except Unavailable:
                raise  # object storage is away: the step is repeated
            except Exception as error:  # noqa: BLE001 - whatever it is, its text is not searched
                _said.error("not_searchable", exchange_id=exchange_id, why=type(error).__name__)
        return indexed(entries, Masked(), None, self._marks)

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
            .where(_MINE, free)
            .values(claimed_by=self._me, claimed_until=now + CLAIM, updated_at=now)
        )
        held = taken.rowcount == 1
        self._renew_at = time.monotonic() + CLAIM.total_seconds() / 2 if held else 0.0
        return held

    def _move(self, connection: Connection, news: Prepared) -> bool:
        """Say how far the index is; False when another was there first, or something was erased
        since it was read."""
        if (connection.execute(_ERASURES).scalar() or 0) != news.erasures:
            return False
        to = {"begin": news.begin, "end": news.end, "me": self._me, "now": clock(connection)}
        moved = connection.execute(_MOVED, to)
        if moved.rowcount != 1:
            self._renew_at = 0.0
        return moved.rowcount == 1

    def _register(self, connection: Connection) -> None:
        first = {"org_id": "default", "name": NAME, "position": 0, "updated_at": clock(connection)}
        put = postgresql.insert if self.engine.dialect.name == "postgresql" else sqlite.insert
        connection.execute(put(_FOLLOWER).values(first).on_conflict_do_nothing())


def _need_not_outlast(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
