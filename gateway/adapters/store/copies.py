"""Copies of a whole database, made while it is written to, and put back in its place.

SQLite: the online backup API. PostgreSQL: `pg_dump` and `pg_restore` of the installed client, in
the custom format, of one snapshot. Source: SQLite's "Online Backup API"; PostgreSQL's manual,
"pg_dump", "Snapshot Synchronization Functions".
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple

from sqlalchemy import URL, make_url, select, text
from sqlalchemy import inspect as inspected

from gateway.adapters.store.engine import open_engine
from gateway.adapters.store.leases import clock
from gateway.adapters.store.log_nodes import read_head
from gateway.adapters.store.tables import Writer, table
from gateway.core.merkle import Frontier

_WRITER = table(Writer)
_RIGHTS = re.compile(r"^[0-9]+; [0-9]+ [0-9]+ (ACL|DEFAULT ACL|POLICY|ROW SECURITY) ")
"""Lines of a dump's list."""
_LONG = "-c statement_timeout=0 -c lock_timeout=60000"


class CopyError(RuntimeError):
    """A database that cannot be copied, or put back."""


class Head(NamedTuple):
    """How far the log of a copy is."""

    size: int
    root: bytes


def copy_out(url: str, to: Path) -> Head:
    """Copy the database at `url` to the new file `to`, as it is at one moment.

    Raises `CopyError`, SQLAlchemy's errors, `OSError`.
    """
    target = make_url(url)
    if target.get_backend_name() == "sqlite":
        return _copy_file(Path(target.database or ""), to)
    engine = open_engine(url, 60.0)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            head = _of(read_head(connection))
            snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
            told = ["--no-password", "--format=custom", f"--snapshot={snapshot}", f"--file={to}"]
            _run(target, "pg_dump", *told, f"--dbname={_named(target)}")
            return head
    finally:
        engine.dispose()


def copy_in(source: Path, url: str, *, replace: bool) -> None:
    """Put the copy `source` in the place of the database at `url`, which no gateway uses.

    Without `replace`, only where there is none. Raises `CopyError`, SQLAlchemy's errors, `OSError`.
    """
    target = make_url(url)
    there = _is_there(url)
    if there:
        if not replace:
            raise CopyError("there are records in the database already: --force replaces them")
        _refuse_while_used(url)
    if target.get_backend_name() == "sqlite":
        _replace_file(source, Path(target.database or ""))
        return
    with _set_aside(url) if there else nullcontext():
        _restore(target, source)


def kind_of(url: str) -> str:
    """`sqlite` or `postgresql`."""
    return make_url(url).get_backend_name()


def _copy_file(path: Path, to: Path) -> Head:
    if not path.is_file():
        raise CopyError(f"there is no database at {path}")
    os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(to)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
        size, hashes = copy.execute("SELECT size, frontier FROM log_head").fetchone()
    return _of(Frontier.decoded(size, hashes))


def _replace_file(source: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        shutil.copyfile(source, fresh)
        fresh.chmod(0o600)
        _sync(fresh)
        for extra in ("-wal", "-shm"):
            path.with_name(path.name + extra).unlink(missing_ok=True)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _of(frontier: Frontier) -> Head:
    return Head(frontier.size, frontier.root())


def _is_there(url: str) -> bool:
    target = make_url(url)
    if target.get_backend_name() == "sqlite" and not Path(target.database or "").exists():
        return False
    engine = open_engine(url)
    try:
        return bool(inspected(engine).get_table_names())
    finally:
        engine.dispose()


def _refuse_while_used(url: str) -> None:
    """Raises `CopyError` while a gateway gives signs of life."""
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            if not inspected(connection).has_table("writer"):
                return
            alive = select(_WRITER.c.host, _WRITER.c.pid).where(
                _WRITER.c.recovered_at.is_(None), _WRITER.c.lease_until > clock(connection)
            )
            found = connection.execute(alive).first()
    finally:
        engine.dispose()
    if found is not None:
        raise CopyError(
            f"a gateway writes to the database (process {found.pid} on {found.host}): stop it; "
            "one that was killed is given up when its lease is over"
        )


@contextmanager
def _set_aside(url: str) -> Iterator[None]:
    """An empty schema in the place of what stands there, which comes back when this fails."""
    engine = open_engine(url, 60.0)
    try:
        with engine.begin() as connection:
            schema = str(connection.execute(text("SELECT current_schema()")).scalar_one())
            here, aside = (f'"{name}"' for name in (schema, f"{schema}_before_restore"))
            connection.execute(text(f"ALTER SCHEMA {here} RENAME TO {aside}"))
            connection.execute(text(f"CREATE SCHEMA {here}"))
        try:
            yield
        except BaseException:
            with engine.begin() as connection:
                connection.execute(text(f"DROP SCHEMA {here} CASCADE"))
                connection.execute(text(f"ALTER SCHEMA {aside} RENAME TO {here}"))
            raise
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {aside} CASCADE"))
    finally:
        engine.dispose()


def _restore(target: URL, source: Path) -> None:
    """Restore a dump but for who may do what, which names roles that may not be here."""
    listed = _run(None, "pg_restore", "--list", str(source))
    wanted = [line for line in listed.splitlines() if not _RIGHTS.search(line)]
    with NamedTemporaryFile("w", suffix=".list") as contents:
        contents.write("\n".join(wanted))
        contents.flush()
        told = ["--no-owner", "--exit-on-error", "--single-transaction"]
        told += [f"--use-list={contents.name}", f"--dbname={_named(target)}"]
        _run(target, "pg_restore", *told, str(source))


def _run(target: URL | None, program: str, *arguments: str) -> str:
    """What one of PostgreSQL's programs says. The password is in no argument."""
    found = shutil.which(program)
    if found is None:
        raise CopyError(f"{program} is not installed: it comes with PostgreSQL's client")
    secret = target.password if target else None
    password = {} if secret is None else {"PGPASSWORD": str(secret)}
    done = subprocess.run(  # noqa: S603 - the program is PostgreSQL's, the arguments ours
        [found, *arguments],
        env={**os.environ, **password, "PGOPTIONS": _LONG},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CopyError(f"{program} failed: {done.stderr.strip()}")
    return done.stdout


def _named(target: URL) -> str:
    """The database as libpq wants it, without the password."""
    bare = target.set(drivername="postgresql", password=None)
    return bare.render_as_string(hide_password=False)
