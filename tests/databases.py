"""Databases for tests: SQLite files, and a private PostgreSQL that keeps what it commits."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.migrate import migrate


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    """A fresh keyring at `tmp_path/keyring.json`."""
    return Keyring.open(tmp_path / "keyring.json", None)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A migrated SQLite database of its own."""
    url = f"sqlite:///{tmp_path}/govgate.db"
    migrate(url)
    return url


class Cluster:
    """A private PostgreSQL on a unix socket, with `fsync` on. For one test session."""

    TEMPLATE = "migrated"
    EMPTY = "template0"

    def __init__(self, bin: Path) -> None:
        self._bin = bin
        self._user = "postgres" if os.getuid() == 0 else None  # it refuses to run as root
        self._folder = Path(tempfile.mkdtemp(prefix="govgate-pg-"))
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        auth = ("--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale")
        self._run("initdb", "--no-sync", *auth, "--pgdata", str(self._folder / "data"))
        self.start()
        self._execute(f"CREATE DATABASE {self.TEMPLATE}")
        migrate(self.url(self.TEMPLATE))

    def url(self, database: str) -> str:
        """How to connect to a database of this cluster."""
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def create(self, template: str = TEMPLATE) -> str:
        """A database of its own, migrated unless it is made from `EMPTY`; its URL."""
        name = f"t{uuid4().hex}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def start(self, *settings: str) -> None:
        """Start it, with `settings` such as `fsync=off` besides the usual."""
        given = [f"unix_socket_directories={self._folder}", "listen_addresses=", *settings]
        options = " ".join(f"-c {setting}" for setting in given)
        log = str(self._folder / "log")
        self._run(
            "pg_ctl",
            "start",
            "-w",
            "-t",
            "180",
            "-D",
            str(self._folder / "data"),
            "-l",
            log,
            "-o",
            options,
        )

    def stop(self, mode: str = "immediate") -> None:
        """Stop it; `immediate` is a crash."""
        self._run("pg_ctl", "stop", "-w", "-m", mode, "-D", str(self._folder / "data"))

    def remove(self) -> None:
        """Stop it and delete everything."""
        self.stop()
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        done = subprocess.run(
            command, user=self._user, cwd="/", stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stderr}")

    def _execute(self, statement: str) -> None:
        url = make_url(self.url("postgres")).set(drivername="postgresql+psycopg")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()


def postgresql_programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`: on the PATH, or where Debian puts them."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(installed, key=lambda path: int(path.parts[-3]), default=None)
    return None if newest is None else newest.parent


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The session's PostgreSQL."""
    programs = postgresql_programs()
    if programs is None:
        missing = "PostgreSQL is not installed: neither initdb on the PATH nor Debian's"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    running = Cluster(programs)
    yield running
    running.remove()


@pytest.fixture
def postgresql_url(cluster: Cluster) -> str:
    """A migrated PostgreSQL database of its own."""
    return cluster.create()


@dataclass(frozen=True)
class Database:
    """A migrated database, of either kind."""

    url: str
    kind: str


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """A migrated database of its own; the test runs once on each kind."""
    kind: str = request.param
    return Database(request.getfixturevalue(f"{kind}_url"), kind)
