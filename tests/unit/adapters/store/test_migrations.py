"""The tables: as declared, on both databases, and the ledger's insert-only."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import delete, inspect, update
from sqlalchemy.exc import DBAPIError

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.engine import UnsafeDatabase, for_writing, open_engine
from gateway.adapters.store.migrate import configuration, migrate
from gateway.adapters.store.session import check_schema
from gateway.adapters.store.tables import INSERT_ONLY, SCHEMA, Row
from gateway.core.ids import new_id
from gateway.core.money import Money
from tests.contracts.journals import SqlLedger, attempt, closed, opened, principal
from tests.databases import Cluster, Database


def test_migrations_make_the_declared_tables(database: Database) -> None:
    engine = open_engine(database.url)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Row.metadata) == []
    check_schema(engine)
    engine.dispose()


def test_the_version_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(configuration()).get_heads() == [SCHEMA]


def test_every_row_belongs_to_an_organisation() -> None:
    assert all("org_id" in table.columns for table in Row.metadata.tables.values())


def test_to_migrate_again_changes_nothing(database: Database) -> None:
    migrate(database.url)
    migrate(database.url)


def test_a_folder_is_made_for_a_new_file(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path}/var/lib/govgate.db")
    assert (tmp_path / "var/lib/govgate.db").exists()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_several_may_migrate_at_once(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path}/fresh.db"
    else:
        url = request.getfixturevalue("cluster").create(Cluster.EMPTY)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: migrate(url), range(4)))
    engine = open_engine(url)
    assert set(INSERT_ONLY) <= set(inspect(engine).get_table_names())
    engine.dispose()


def test_a_database_that_is_not_migrated_says_so(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(RuntimeError, match="govgate migrate"):
        check_schema(engine)


async def test_the_ledger_is_insert_only(database: Database, keyring: Keyring) -> None:
    async with SqlLedger.on(database.url, keyring) as ledger:
        who = principal(ledger.budget(1_000))
        record = ledger.journal.begin(new_id("exc"), who, opened())
        await record.append(attempt(), Money(10))
        await record.close(closed(), Money(5))
        for name in INSERT_ONLY:
            table = Row.metadata.tables[name]
            for change in (update(table).values(org_id="thief"), delete(table)):
                with (
                    pytest.raises(DBAPIError, match="insert-only"),
                    for_writing(ledger.journal.engine).begin() as connection,
                ):
                    connection.execute(change)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://h/d"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(UnsafeDatabase):
        open_engine(url)


@pytest.mark.parametrize("setting", ["fsync=off", "full_page_writes=off", "synchronous_commit=off"])
def test_a_postgresql_that_forgets_is_refused(cluster: Cluster, setting: str) -> None:
    cluster.stop("fast")
    cluster.start(setting)
    try:
        with pytest.raises(UnsafeDatabase, match=setting):
            open_engine(cluster.url(Cluster.TEMPLATE)).connect()
    finally:
        cluster.stop("fast")
        cluster.start()


def test_sqlite_keeps_what_it_commits(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    engine.dispose()


def test_errors_never_show_what_was_written(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    with pytest.raises(DBAPIError) as failed, engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO nowhere VALUES (?)", ("a secret prompt",))
    assert "a secret prompt" not in str(failed.value)
    engine.dispose()
