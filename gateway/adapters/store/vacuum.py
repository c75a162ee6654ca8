"""Gives the space of what was deleted back to the system.

PostgreSQL's autovacuum frees rows for others to use; whole months go as partitions. A SQLite
file that was made by this version or a later one shrinks; an older one only uses the pages again.
Source: SQLite's manual, "PRAGMA incremental_vacuum".
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from sqlalchemy import Connection, Engine

from gateway.adapters.store.derived import tidy

PAGES = 1_000
"""Pages of one step; each is a transaction of its own."""


def give_back(engine: Engine, scrub: Callable[[Connection], bool] = lambda _: False) -> None:
    """Let go of the bytes of what was deleted. Raises the driver's errors."""
    if engine.dialect.name == "sqlite":
        _shrink(engine)
    tidy(engine, scrub)


def _shrink(engine: Engine) -> None:
    raw = engine.raw_connection()
    try:
        driver = raw.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        free, before = _free(driver), -1
        while free and free != before:
            driver.execute(f"PRAGMA incremental_vacuum({PAGES})").fetchall()
            before, free = free, _free(driver)
    finally:
        raw.close()


def _free(driver: sqlite3.Connection) -> int:
    return int(driver.execute("PRAGMA freelist_count").fetchone()[0])
