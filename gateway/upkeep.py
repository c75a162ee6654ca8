"""The composition of upkeep: what is pruned and when, what is backed up, what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from typing import NamedTuple

from sqlalchemy import make_url

from gateway.adapters.backup import DATABASE, Backup, BackupError, LogHead, Manifest, NewBackup
from gateway.adapters.packs.documents import read
from gateway.adapters.store.copies import copy_in, copy_out, kind_of
from gateway.adapters.store.engine import open_engine
from gateway.adapters.store.erasure_file import ErasureFile
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.log_files import LogFiles
from gateway.adapters.store.pruning import SqlPruning
from gateway.adapters.store.retention_keeper import RetentionKeeper
from gateway.adapters.store.session import check_schema
from gateway.adapters.store.tables import SCHEMA
from gateway.core.principal import Principal
from gateway.governance.retention import Schedule
from gateway.governance.retention_file import schedule_of
from gateway.payloads import open_gone, open_payloads
from gateway.sealing import build_seal
from gateway.settings import Settings
from gateway.upkeep_places import KeyringPlace, LogPlace, log_keys, remember_erasures
from gateway.verifier.databases import read_postgresql, read_sqlite
from gateway.verifier.report import Report
from gateway.verifier.verify import Trusted, verify

KEYRING, KEY, STATE, ERASURES = "keyring.json", "log.key", "log.state", "erasures.jsonl"
"""What files are called in a backup, wherever they are on a host."""


class Paths(NamedTuple):
    """The log's key and state, and the erasure journal."""

    key: Path
    state: Path
    erasures: Path


@dataclass
class Upkeep:
    """What looks after the records while the gateway runs."""

    _keeper: RetentionKeeper

    def start(self) -> None:
        """Begin, once the journal has."""
        self._keeper.start()

    async def stop(self) -> None:
        """Stop, before the journal does."""
        await self._keeper.stop()


def build_upkeep(settings: Settings, journal: SqlJournal) -> Upkeep:
    """Upkeep of a migrated database. Nothing runs yet. Raises what `load_schedule` raises."""
    pruning = SqlPruning(settings.database_url, load_schedule(settings.retention), _itself)
    objects = open_gone(settings, open_payloads(settings))
    return Upkeep(RetentionKeeper(pruning, journal.between, objects=objects))


def load_schedule(path: Path | None) -> Schedule:
    """The retention classes of a file; the built-in one where there is none.

    Raises `ValueError`, which names the setting and the place of what is wrong.
    """
    if path is None:
        return Schedule()
    try:
        documents = read(path, path.name)
        if len(documents) != 1:
            raise ValueError(f"{path.name}: holds one document")
        return schedule_of(documents[0])
    except ValueError as error:
        raise ValueError(f"GOVGATE_RETENTION: {error}") from None


def make_backup(
    settings: Settings, keyring_id: str, folder: Path, passphrase: bytes | None
) -> Manifest:
    """Back up the database and all that its records rest on, while a gateway may run.

    What was signed is copied before the database, so that it is never ahead of it; keys and
    the erasure journal after it, so that they are never behind.
    Raises `BackupError`, `CopyError`, SQLAlchemy's errors, `OSError`.
    """
    check_tables(settings.database_url)
    paths, new = paths_of(settings), NewBackup.at(folder, passphrase)
    try:
        if paths.state.exists():
            new.add(STATE, paths.state.read_bytes())
        head = copy_out(settings.database_url, folder / DATABASE)
        new.add(KEYRING, settings.keyring_path.read_bytes(), secret=True)
        for path in log_keys(paths.key):
            new.add(KEY + path.name.removeprefix(paths.key.name), path.read_bytes(), secret=True)
        if paths.erasures.exists():
            new.add(ERASURES, paths.erasures.read_bytes())
        return new.finish(
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            database=kind_of(settings.database_url),
            tables=SCHEMA,
            keyring=keyring_id,
            log=LogHead(head.size, head.root.hex()),
        )
    except BaseException:
        rmtree(folder)
        raise


def bring_back(settings: Settings, backup: Backup, *, force: bool) -> None:
    """Put a backup's database and files in their places. What this host signed, and which keys
    it destroyed, is never forgotten.

    Raises `BackupError`, `CopyError`, `KeyringError`, `LogKeyError`, SQLAlchemy's errors,
    `OSError`, and `ValueError` for an erasure journal that cannot be read or a seal that is
    no seal.
    """
    url, paths = settings.database_url, paths_of(settings)
    if backup.manifest.database != kind_of(url):
        raise BackupError(f"it is of {backup.manifest.database}, the settings of {kind_of(url)}")
    if backup.manifest.tables > SCHEMA:
        raise BackupError("it was made by a later version of Govgate")
    folders = (settings.keyring_path, paths.key, paths.state, paths.erasures)
    for folder in {path.parent for path in folders}:
        folder.mkdir(parents=True, exist_ok=True)
    held, seal = backup.read(KEYRING) or b"", build_seal(settings)
    keyring = KeyringPlace(settings.keyring_path, held, seal)
    log = LogPlace(LogFiles(paths.key, paths.state), backup.secrets(KEY), backup.read(STATE))
    keyring.check(force=force)
    log.check(force=force)
    remember_erasures(ErasureFile(paths.erasures), backup.read(ERASURES))
    copy_in(backup.folder / DATABASE, url, replace=force)
    keyring.put()
    log.put()


def check_tables(url: str) -> None:
    """Raises `RuntimeError` unless the database has the tables of this version."""
    engine = open_engine(url)
    try:
        check_schema(engine)
    finally:
        engine.dispose()


def paths_of(settings: Settings) -> Paths:
    """Where the log's files and the erasure journal are."""
    told, folder = settings.ledger, settings.data_dir
    return Paths(
        told.key or folder / "log.key",
        told.state or folder / "log.state",
        told.erasures or folder / "erasures.jsonl",
    )


def verified(settings: Settings) -> Report:
    """What the verifier says of the database, with every key that the log had on this host."""
    files = paths_of(settings)
    keys = [LogFiles(path, files.state).signer() for path in log_keys(files.key)]
    trusted = Trusted([key.verifier for key in keys if key is not None])
    url = make_url(settings.database_url)
    if kind_of(settings.database_url) == "sqlite":
        with read_sqlite(Path(url.database or "")) as source:
            return verify(source, trusted)
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with read_postgresql(plain) as source:
        return verify(source, trusted)


def _itself(org: str) -> Principal:
    """Who prunes when nobody told it to."""
    return Principal(org, "operators", "gateway", "gateway:retention")
