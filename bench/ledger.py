"""Whether what was measured is on record: counted in the database itself, by nobody's cache."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def completed(directory: Path) -> int:
    """How many exchanges the embedded database in `directory` holds as completed."""
    path = directory / "govgate.db"
    if not path.exists():
        return 0
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        (count,) = connection.execute(
            "SELECT count(*) FROM audit_entry WHERE kind = 'closed' AND outcome = 'completed'"
        ).fetchone()
    finally:
        connection.close()
    return int(count)
