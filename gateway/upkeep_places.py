"""Where a backup's keys go on a host that may have keys of its own. None is ever destroyed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.adapters.backup import BackupError
from gateway.adapters.keyring import Keyring, KeyringError, header_of
from gateway.adapters.store.erasure_file import ErasureFile
from gateway.adapters.store.log_files import LogFiles
from gateway.core.note_keys import Signer
from gateway.core.seals import KeyringSeal


@dataclass
class KeyringPlace:
    """The keyring's place, and the keyring that the backup needs there.

    `seal` is what the host's keyring rests sealed by.
    """

    path: Path
    content: bytes
    seal: KeyringSeal | None = None
    _wanted: bytes | None = None

    def check(self, *, force: bool) -> None:
        """Find out whether the host's own will do; what is used must open.

        Raises `BackupError` for another keyring, unless `force`; `KeyringError`.
        """
        theirs = header_of(self.content)
        if self.path.exists():
            ours = header_of(self.path.read_bytes())
            if ours.id != theirs.id and not force:
                raise BackupError(
                    f"{self.path} is the keyring {ours.id}, the backup needs {theirs.id}: "
                    "--force puts the former aside"
                )
            if ours.id == theirs.id and set(theirs.keks) <= set(ours.keks):
                Keyring.open(self.path, theirs.id, self.seal)
                return
            if ours.id == theirs.id and not set(ours.keks) <= set(theirs.keks):
                raise BackupError(f"{self.path} and the backup's keyring have different keys")
        keyring = self._theirs()
        plain = theirs.seal is None and self.seal is not None
        self._wanted = keyring.encoded(self.seal) if plain else self.content

    def put(self) -> None:
        """Put the backup's there, unless the host's own has all of its keys.

        One that was backed up in the clear is sealed where the host's is to be.
        """
        if self._wanted is not None:
            _put_aside(self.path)
            _put(self.path, self._wanted, 0o600)

    def _theirs(self) -> Keyring:
        try:
            return Keyring.decoded(self.content, self.seal)
        except KeyringError as error:
            raise KeyringError(f"the backup's keyring: {error}") from error


@dataclass
class LogPlace:
    """The places of the log's key and state, and what the backup has for them.

    What this host signed stays: against that a restored database is held.
    """

    files: LogFiles
    keys: Mapping[str, bytes]
    """By what follows the name of the first: the key itself, and those that were retired."""
    state: bytes | None
    _replace: bool = False

    def check(self, *, force: bool) -> None:
        """Raises `BackupError` when the host has the key of another log, unless `force`;
        `LogKeyError`."""
        ours = self.files.signer()
        theirs = {_key_id(content) for content in self.keys.values()}
        if ours is None or not theirs:
            return
        known = {_key_id(path.read_bytes()) for path in log_keys(self.files.key)}
        if theirs & known:
            return
        if not force:
            raise BackupError(f"{self.files.key} is the key of another log: --force puts it aside")
        self._replace = True

    def put(self) -> None:
        """Put what is missing; where the host's key is of another log, put the backup's."""
        if self._replace:
            for path in (*log_keys(self.files.key), self.files.state):
                _put_aside(path)
        fresh = not self.files.key.exists()
        for name, content in self.keys.items():
            path = self.files.key.with_name(self.files.key.name + name.removeprefix("log.key"))
            if not path.exists() and (fresh or path != self.files.key):
                _put(path, content, 0o400)
        if fresh and self.state is not None and not self.files.state.exists():
            _put(self.files.state, self.state, 0o600)


def log_keys(key: Path) -> list[Path]:
    """The log's key, and those that it had before."""
    return sorted(path for path in key.parent.glob(f"{key.name}*") if ".before-" not in path.name)


def remember_erasures(file: ErasureFile, content: bytes | None) -> None:
    """Add what the backup knows to be erased to what this host knows.

    Raises `ValueError` when either cannot be read.
    """
    if content is None:
        return
    fresh = file.path.with_name(f".{file.path.name}.{os.urandom(8).hex()}")
    try:
        _put(fresh, content, 0o600)
        known = file.read()
        file.append([line for line in ErasureFile(fresh).read() if line not in known])
    finally:
        fresh.unlink(missing_ok=True)


def _key_id(content: bytes) -> bytes:
    return Signer.decoded(content.decode().strip()).verifier.key_id


def _put_aside(path: Path) -> None:
    if path.exists():
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        path.rename(path.with_name(f"{path.name}.before-{moment}"))


def _put(path: Path, content: bytes, mode: int) -> None:
    """Write a new file. Durable on return."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
