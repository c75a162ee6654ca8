"""PostgreSQL roles: each can do its duty, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from gateway.adapters.store.roles import OF_ORGS, READER, RETENTION, SEQUENCER, WRITER
from tests.databases import Cluster
from tests.houses import House, settings_of


class Logins:
    """A database with roles, and logins that are members of them."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.url, self.folder = cluster.create(Cluster.EMPTY), folder
        self.owner = self.house(self.url)
        done = self.owner.run("database", "roles", "--apply")
        assert done.returncode == 0, done.stderr
        again = self.owner.run("database", "roles", "--apply")
        assert again.returncode == 0, again.stderr

    def house(self, url: str, **more: str) -> House:
        return House(self.folder, url, settings_of(self.folder, url, **more))

    def login(self, *roles: str) -> str:
        """The URL of a new login."""
        name = f"l{uuid4().hex}"
        with self.engine(self.url).begin() as connection:
            connection.execute(text(f"CREATE ROLE {name} LOGIN IN ROLE {', '.join(roles)}"))
        return make_url(self.url).set(username=name).render_as_string(hide_password=False)

    @staticmethod
    def engine(url: str) -> Engine:
        return create_engine(make_url(url).set(drivername="postgresql+psycopg"))


@pytest.fixture(scope="module")
def logins(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Logins:
    return Logins(cluster, tmp_path_factory.mktemp("roles"))


@pytest.fixture(scope="module")
def served(logins: Logins) -> Iterator[House]:
    """A gateway that runs as writer and sequencer, with records of two organisations."""
    house = logins.house(logins.login(WRITER, SEQUENCER))
    house.start()
    try:
        for org in ("a", "b"):
            assert ask(house, org).status_code == 200
        yield house
    finally:
        house.stop()


def ask(house: House, org: str) -> httpx.Response:
    return httpx.post(
        f"{house.base_url}/chat/completions",
        json={"model": "replay-small", "messages": [{"role": "user", "content": "hi"}]},
        headers={"authorization": f"Bearer {house.key('--org', org)}"},
        timeout=30,
    )


def test_a_gateway_runs_as_writer_and_sequencer(logins: Logins, served: House) -> None:
    assert ask(served, "a").status_code == 200
    served.stop()
    state = served.run("audit", "log", "state")
    assert state.returncode == 0, state.stdout + state.stderr
    key = state.stdout.split()[1]
    proved = logins.owner.run("audit", "verify", logins.url, "--log", key)
    assert proved.returncode == 0, proved.stdout + proved.stderr
    assert "0 entries, 0" not in proved.stdout
    served.start()
    assert ask(served, "b").status_code == 200


LEDGER = ("audit_entry", "audit_part", "budget_post", "log_leaf", "checkpoint", "pruned_entry")
DEEDS = [
    *(f"UPDATE {name} SET org_id = 'x'" for name in LEDGER),
    *(f"DELETE FROM {name}" for name in LEDGER),
    *(f"TRUNCATE {name}" for name in LEDGER),
    "DELETE FROM audit_part_default",
    "DROP TRIGGER audit_part_kept ON audit_part",
    "ALTER TABLE audit_entry DISABLE TRIGGER ALL",
    "DROP TABLE audit_part_default",
    "SET session_replication_role = replica",
    "ALTER TABLE audit_entry DISABLE ROW LEVEL SECURITY",
    "INSERT INTO pruned_entry VALUES ('x', 'y', 'z')",
    "SELECT govgate_drop_empty_parts()",
    "CREATE TABLE mine (x int)",
]


@pytest.mark.parametrize("deed", DEEDS)
def test_the_gateway_cannot_touch_what_is_written(logins: Logins, served: House, deed: str) -> None:
    refused(logins.engine(served.database_url), deed)


@pytest.mark.parametrize(
    "deed",
    [
        "INSERT INTO audit_part SELECT * FROM audit_part",
        "UPDATE audit_part SET org_id = 'x'",
        "DELETE FROM audit_entry",
        "DELETE FROM pruned_entry",
        "TRUNCATE audit_part",
        "UPDATE api_key SET org_id = 'x'",
        "INSERT INTO log_leaf SELECT * FROM log_leaf",
    ],
)
def test_nor_can_who_prunes(logins: Logins, served: House, deed: str) -> None:
    refused(logins.engine(logins.login(RETENTION)), deed)


def test_who_prunes_deletes_nothing_that_is_not_told(logins: Logins, served: House) -> None:
    refused(logins.engine(logins.login(RETENTION)), "DELETE FROM audit_part", "insert-only")


def test_who_prunes_can(logins: Logins, served: House) -> None:
    file = logins.folder / "retention.yaml"
    file.write_text("classes: [{name: none, max_days: 0, legal_basis: test}]\n")
    served.stop()  # so that all is in the log and signed for
    told = {"GOVGATE_RETENTION": str(file)}
    refused_here = logins.house(served.database_url, **told).run("audit", "prune")
    assert "may not delete" in refused_here.stderr
    done = logins.house(logins.login(RETENTION), **told).run("audit", "prune")
    assert done.returncode == 0, done.stderr
    assert "deleted: class none" in done.stdout
    served.start()
    assert ask(served, "a").status_code == 200


def seen(engine: Engine, org: str | None, table: str) -> set[str]:
    with engine.begin() as connection:
        if org is not None:
            connection.execute(text("SELECT set_config('govgate.org', :org, true)"), {"org": org})
        return set(connection.scalars(text(f"SELECT DISTINCT org_id FROM {table}")))


@pytest.mark.parametrize("table", OF_ORGS)
def test_a_reader_sees_one_organisation(logins: Logins, served: House, table: str) -> None:
    engine = logins.engine(logins.login(READER))
    assert seen(engine, "a", table) <= {"a"}
    assert seen(engine, "b", table) <= {"b"}
    assert seen(engine, None, table) == set()
    assert seen(engine, "", table) == set()
    engine.dispose()


def test_a_reader_reads_its_own(logins: Logins, served: House) -> None:
    engine = logins.engine(logins.login(READER))
    assert seen(engine, "a", "audit_entry") == {"a"}
    for deed in (
        "INSERT INTO audit_entry SELECT * FROM audit_entry",
        "SELECT * FROM api_key",
        "SELECT * FROM record_key",
        "SELECT * FROM audit_part_default",
        "SELECT * FROM provider_credential",
    ):
        refused(engine, deed)


def test_the_statements_can_be_printed(logins: Logins) -> None:
    said = logins.owner.run("database", "roles", "--sql").stdout
    assert "CREATE ROLE govgate_reader NOLOGIN" in said


def test_sqlite_has_no_roles(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/govgate.db"
    done = House(tmp_path, url, settings_of(tmp_path, url)).run("database", "roles", "--apply")
    assert done.returncode == 1
    assert "SQLite has no roles" in done.stderr


def refused(engine: Engine, deed: str, why: str = "permission denied|must be owner") -> None:
    with pytest.raises(DBAPIError, match=why), engine.begin() as connection:
        connection.execute(text(deed))
    engine.dispose()
