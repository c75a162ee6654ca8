"""Connections to the database: safe settings, and what its errors mean.

SQLite runs in WAL mode with `synchronous=FULL`, so that a commit survives a power cut. Of
PostgreSQL the same is demanded: `fsync` and `full_page_writes` on, `synchronous_commit` not
weaker than `on` promises.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError

from gateway.core.errors import Code, Unavailable

_PG_DISK_FULL = "53100"
_STRONG_COMMITS = ("on", "remote_write", "remote_apply")
_ABOUT_ROWS = frozenset(("IntegrityError", "DataError"))
"""What every driver calls such errors (PEP 249)."""
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "secure_delete=ON",
)
"""Of SQLite. The last writes zeros over what was deleted, such as a destroyed key."""
_OF_A_NEW_FILE = "auto_vacuum=INCREMENTAL"
"""Lets it give back free pages. Of another file it does nothing, but takes the write lock."""
_PRIMARY = 0xFF
"""The bits of SQLite's extended result codes that name the error."""
_ASK_AGAIN = 0.005
"""Seconds between two attempts to open a file that another process opens or closes."""
RETRY_AFTER = 1.0
"""Seconds after which a caller may try again, when the database was away."""


class UnsafeDatabase(RuntimeError):
    """The database would lose what it has confirmed, or is of a kind we do not know."""


def open_engine(url: str, patience: float = 2.0) -> Engine:
    """An engine for `sqlite:///file` or `postgresql://…`.

    `patience` is how long to wait for a lock or a connection, in seconds. A SQLite file is
    not made here: `migrate` does that. Raises `UnsafeDatabase` for any other database; on
    connecting, also for settings that do not keep what was committed.
    """
    target = make_url(url)
    match target.get_backend_name():
        case "sqlite":
            return _sqlite(target, patience)
        case "postgresql":
            return _postgresql(target.set(drivername="postgresql+psycopg"), patience)
        case other:
            raise UnsafeDatabase(f"records are kept in SQLite or PostgreSQL, not in {other}")


def for_writing(engine: Engine) -> Engine:
    """`engine`, with transactions that take SQLite's write lock when they begin."""
    return engine.execution_options(writes=True)


def _sqlite(target: URL, patience: float) -> Engine:
    if target.database in (None, "", ":memory:"):
        raise UnsafeDatabase("records need a database file, not one in memory")
    engine = create_engine(
        target, hide_parameters=True, connect_args={"isolation_level": None, "timeout": patience}
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        deadline = time.monotonic() + patience
        empty = _set(connection, "page_count", deadline) == [(0,)]
        for pragma in (_OF_A_NEW_FILE, *_PRAGMAS) if empty else _PRAGMAS:
            _set(connection, pragma, deadline)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _set(connection: sqlite3.Connection, pragma: str, deadline: float) -> list[Any]:
    """Set `pragma`, or ask for it; what SQLite says.

    While another process opens or closes the file, SQLite may call it locked without waiting
    (sqlite.org/wal.html, section 9): then it is asked again until `deadline`.
    """
    while True:
        try:
            return connection.execute(f"PRAGMA {pragma}").fetchall()
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & _PRIMARY == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() >= deadline:
                raise
            time.sleep(_ASK_AGAIN)


def _postgresql(target: URL, patience: float) -> Engine:
    milliseconds = int(patience * 1_000)
    engine = create_engine(
        target,
        hide_parameters=True,
        paramstyle="format",
        connect_args={
            "connect_timeout": max(2, round(patience)),
            "tcp_user_timeout": 2 * milliseconds,
            "keepalives_idle": 5,
            "options": f"-c lock_timeout={milliseconds} -c statement_timeout={5 * milliseconds}",
        },
    )

    @event.listens_for(engine, "connect")
    def check(connection: Any, _: object) -> None:
        connection.autocommit = True
        settings = {
            name: connection.execute(f"SHOW {name}").fetchone()[0]
            for name in ("fsync", "full_page_writes", "synchronous_commit")
        }
        connection.autocommit = False
        weak = [name for name in ("fsync", "full_page_writes") if settings[name] != "on"]
        if settings["synchronous_commit"] not in _STRONG_COMMITS:
            weak.append("synchronous_commit")
        if weak:
            said = ", ".join(f"{name}={settings[name]}" for name in weak)
            raise UnsafeDatabase(f"PostgreSQL runs with {said}: it may lose committed records")

    return engine


def unavailable(error: BaseException) -> Unavailable:
    """What a caller is told when the database said `error`."""
    if _storage_full(error):
        return Unavailable(
            Code.AUDIT_STORAGE_FULL, "The record's storage is full.", retry_after=RETRY_AFTER
        )
    return Unavailable(
        Code.AUDIT_UNAVAILABLE, "The record cannot be written now.", retry_after=RETRY_AFTER
    )


def _storage_full(error: BaseException) -> bool:
    original = _driver_error(error)
    if isinstance(original, sqlite3.Error):
        return getattr(original, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return getattr(original, "sqlstate", None) == _PG_DISK_FULL


def is_poison(error: BaseException) -> bool:
    """Whether `error` is about the rows, so that other rows would have gone in."""
    return not _ABOUT_ROWS.isdisjoint(kind.__name__ for kind in type(_driver_error(error)).__mro__)


def _driver_error(error: BaseException) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error
