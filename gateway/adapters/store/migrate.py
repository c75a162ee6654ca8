"""Bring a database to the tables of this version."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, make_url, text

from gateway.adapters.store.engine import for_writing, open_engine
from gateway.adapters.store.part_months import make_parts

_LOCK = 0x676F7667
"""PostgreSQL's advisory lock for migrations: "govg"."""


def migrate(url: str, patience: float = 60.0) -> None:
    """Create or upgrade the database at `url`, in one transaction.

    Several processes may do so at once: one works, the others wait up to `patience`
    seconds. Makes the folder of a SQLite file. Raises SQLAlchemy's errors.
    """
    target = make_url(url)
    if target.get_backend_name() == "sqlite" and target.database:
        Path(target.database).parent.mkdir(parents=True, exist_ok=True)
    engine = open_engine(url, patience)
    try:
        with for_writing(engine).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            command.upgrade(configuration(connection), "head")
            make_parts(connection, datetime.now(UTC))
    finally:
        engine.dispose()


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration, which needs no file, over an open `connection`.

    Also for developers: `alembic.command.revision(configuration(c), autogenerate=True)`.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config
