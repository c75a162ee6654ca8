"""SQLite's connections: safe settings, which do not get in the way of whoever writes."""

from __future__ import annotations

from sqlalchemy import text

from gateway.adapters.store.engine import for_writing, open_engine


def test_a_connection_opens_while_another_writes(sqlite_url: str) -> None:
    writing, reading = open_engine(sqlite_url), open_engine(sqlite_url, patience=0.0)
    with for_writing(writing).begin() as transaction:
        transaction.execute(text("UPDATE log_head SET size = 7"))
        with reading.connect() as connection:
            assert connection.execute(text("SELECT size FROM log_head")).scalar() == 0
            settings = ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
            found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in settings]
    assert found == ["wal", 2, 1, 1]
    for engine in (writing, reading):
        engine.dispose()


def test_a_file_that_is_made_now_can_give_space_back(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    with engine.connect() as connection:
        incremental = 2
        assert connection.exec_driver_sql("PRAGMA auto_vacuum").scalar() == incremental
    engine.dispose()
