"""What is derived of exchanges, forgotten when something of them is erased."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias

import structlog
from sqlalchemy import ColumnElement, Connection, Engine, delete

from gateway.adapters.store import kept_items
from gateway.adapters.store.erasure_tables import ValueIndex
from gateway.adapters.store.legal_holds import chunks
from gateway.adapters.store.tables import IdempotencyKey, KeptDocument, KeptLine, table

Forget: TypeAlias = Callable[[Connection, Collection[str]], None]
"""Forgets all that it has made of exchanges, in the caller's transaction."""

_INDEX, _REPEAT = table(ValueIndex), table(IdempotencyKey)
_KEPT, _LINE = table(KeptDocument), table(KeptLine)
_TRIES = 5
_log = structlog.get_logger(__name__)


def forget_exchanges(
    connection: Connection, exchange_ids: Collection[str], forget: Sequence[Forget]
) -> None:
    """Forget all that is derived of exchanges which were erased as a whole."""
    for some in chunks(sorted(exchange_ids)):
        for each in forget:
            each(connection, some)
        connection.execute(delete(_INDEX).where(_INDEX.c.exchange_id.in_(some)))
        connection.execute(delete(_REPEAT).where(_REPEAT.c.exchange_id.in_(some)))
        _forget_documents(connection, _KEPT.c.exchange_id.in_(some))


def forget_value(
    connection: Connection, org: str, macs: Sequence[bytes], exchange_ids: Collection[str]
) -> None:
    """Forget where values stand, given by their keyed hashes, and the kept documents of these
    exchanges, which hold them in clear. What else is made of exchanges is made without values."""
    for some in chunks(sorted(exchange_ids)):
        _forget_documents(connection, _KEPT.c.exchange_id.in_(some))
    mine = (_INDEX.c.org_id == org) & _INDEX.c.value_mac.in_(macs)
    connection.execute(delete(_INDEX).where(mine))


def forget_kept(connection: Connection, org: str, macs: Sequence[bytes]) -> None:
    """Destroy what is kept for subjects, given by their keyed hashes."""
    _forget_documents(connection, (_KEPT.c.org_id == org) & _KEPT.c.subject_mac.in_(macs))


def _forget_documents(connection: Connection, which: ColumnElement[bool]) -> None:
    gone: Any = delete(_KEPT).where(which)
    rows = connection.execute(gone.returning(_KEPT.c.kept_id, _KEPT.c.org_id, _KEPT.c.app)).all()
    for some in chunks([row.kept_id for row in rows]):
        connection.execute(delete(_LINE).where(_LINE.c.kept_id.in_(some)))
    kept_items.forget(connection, [(row.kept_id, row.org_id, row.app) for row in rows])


def tidy(engine: Engine, scrub: Callable[[Connection], bool]) -> None:
    """Have the database let go of the bytes of what was deleted, as far as it can be told to.

    SQLite's write-ahead log is emptied into the file. PostgreSQL keeps dead rows until it is
    vacuumed: see the explanation of erasure.
    """
    more = True
    while more:
        with engine.begin() as connection:
            more = scrub(connection)
    if engine.dialect.name == "sqlite":
        _empty_the_log(engine)


def _empty_the_log(engine: Engine) -> None:
    """Waits for readers of older pages; where they go on reading, the next start tries again."""
    raw = engine.raw_connection()
    try:
        driver = raw.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        for _ in range(_TRIES):
            busy, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return
            time.sleep(0.05)
    finally:
        raw.close()
    _log.warning("erased_bytes_remain", where="write-ahead log")
