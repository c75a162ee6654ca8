"""The tables: as declared, on both databases, and the ledger's insert-only."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import delete, insert, inspect, select, update
from sqlalchemy.exc import DBAPIError

from gateway.adapters.keyring import Keyring
from gateway.adapters.store import full_text
from gateway.adapters.store.engine import UnsafeDatabase, for_writing, open_engine
from gateway.adapters.store.migrate import configuration, migrate
from gateway.adapters.store.session import check_schema
from gateway.adapters.store.tables import INSERT_ONLY, SCHEMA, AuditPart, Row, table
from gateway.core.ids import new_id
from gateway.core.money import Money
from tests.contracts.journals import SqlLedger, attempt, closed, opened, principal
from tests.databases import Cluster, Database


def declared(name: str | None, kind: str, parents: object) -> bool:
    """All but the full-text table, which each database has in a form of its own, and the
    partitions of a table."""
    return kind != "table" or name is None or not name.startswith((full_text.NAME, "audit_part_"))


def test_migrations_make_the_declared_tables(database: Database) -> None:
    engine = open_engine(database.url)
    with engine.begin() as connection:
        options = {"compare_type": True, "include_name": declared}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Row.metadata) == []
    check_schema(engine)
    engine.dispose()


def test_the_version_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(configuration()).get_heads() == [SCHEMA]


def test_every_row_belongs_to_an_organisation() -> None:
    assert all("org_id" in table.columns for table in Row.metadata.tables.values())


def test_the_index_of_items_can_be_taken_back(database: Database) -> None:
    engine = open_engine(database.url)
    with for_writing(engine).begin() as connection:
        script = ScriptDirectory.from_config(configuration()).get_revision("0005")
        context = MigrationContext.configure(connection, opts={"include_name": declared})
        with Operations.context(context):
            script.module.downgrade()
            assert "kept_item" not in inspect(connection).get_table_names()
            script.module.upgrade()
        assert compare_metadata(context, Row.metadata) == []
    engine.dispose()


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


def test_payloads_that_are_there_move_into_their_months(cluster: Cluster) -> None:
    """What an older version wrote is kept, byte for byte, in the partition of its month."""
    engine = open_engine(cluster.create(Cluster.EMPTY))
    stamps = {"2026_06": 0x019E8FFF0000, "2026_09": 0x01A060000000}
    rows = [
        {
            "org_id": "acme",
            "entry_id": f"ent_{stamp + number:012x}{'7' * 20}",
            "part": "request_received",
            "alg": "A256GCM",
            "ciphertext": os.urandom(64),
            "nonce": os.urandom(12),
            "sha256_ct": os.urandom(32),
            "key_commit": os.urandom(32),
            "size": number,
        }
        for stamp in stamps.values()
        for number in range(50)
    ]
    part = table(AuditPart)
    with engine.begin() as connection:
        command.upgrade(configuration(connection), "0008")
        connection.execute(insert(part), rows)
    with engine.begin() as connection:
        command.upgrade(configuration(connection), "head")
    with engine.begin() as connection:
        kept = connection.execute(select(part).order_by(part.c.entry_id))
        assert [dict(row._mapping) for row in kept] == [
            {**row, "object_sha256": None} for row in rows
        ]
        names = "SELECT tableoid::regclass::text, count(*) FROM audit_part GROUP BY 1"
        found = dict(tuple(row) for row in connection.exec_driver_sql(names))
    assert sorted(found.values()) == [50, 50]
    assert "audit_part_default" not in found
    engine.dispose()
