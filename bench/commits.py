"""How long the disk itself takes to make a record durable."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from bench.figures import median


def commit_ms(directory: Path, commits: int = 50) -> float:
    """The median milliseconds of a durable SQLite commit of one 4 KB row in `directory`.

    Write-ahead log with `synchronous=FULL`: every commit waits for an fsync, as the ledger's
    do. What it takes is the disk's, and the same for whoever wants to be durable.
    """
    path = directory / "commit-probe.sqlite"
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS probe (row BLOB)")
        took = []
        for _ in range(commits):
            row = os.urandom(4096)
            begun = time.perf_counter()
            connection.execute("INSERT INTO probe VALUES (?)", (row,))
            took.append(time.perf_counter() - begun)
    finally:
        connection.close()
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            (directory / name).unlink(missing_ok=True)
    return median(took) * 1e3
