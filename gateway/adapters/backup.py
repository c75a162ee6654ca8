"""A backup's folder: its files, what they must hash to, and secrets under a passphrase.

    manifest.json     what is in it, with the SHA-256 of each file; written last
    database          a SQLite file, or a dump of PostgreSQL
    keyring.json, log.key…, log.state, erasures.jsonl

The folder is 0700, its files 0600. With a passphrase, the keyring and the log's keys are
encrypted: AES-256-GCM under a key of scrypt (RFC 7914), the file's name as associated data.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

MANIFEST = "manifest.json"
DATABASE = "database"
_COST, _BLOCK, _PARALLEL = 2**17, 8, 1
"""scrypt's parameters: 128 MiB and about half a second."""
_SALT, _NONCE = 16, 12
_CHUNK = 1 << 20


class BackupError(RuntimeError):
    """A backup that cannot be made, or that is not what was made."""


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a backup."""

    sha256: str
    size: int
    encrypted: bool = False


class LogHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far the log was."""

    size: int
    root: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a backup holds. `database` is the kind of it, `tables` the version of its tables."""

    version: Literal[1] = 1
    made_at: str
    database: str
    tables: str
    keyring: str
    log: LogHead
    files: dict[str, Kept]


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kdf: Literal["scrypt"]
    n: int
    r: int
    p: int
    salt: str
    nonce: str
    ciphertext: str


@dataclass
class NewBackup:
    """A folder that is being filled. `passphrase` is for what is secret."""

    folder: Path
    passphrase: bytes | None

    def __post_init__(self) -> None:
        self._encrypted: set[str] = set()

    @classmethod
    def at(cls, folder: Path, passphrase: bytes | None) -> NewBackup:
        """Begin a backup in a folder that is not there. Raises `BackupError`, `OSError`."""
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            raise BackupError(
                f"{folder} is there already: a backup gets a folder of its own"
            ) from None
        folder.chmod(0o700)
        return cls(folder, passphrase)

    def add(self, name: str, content: bytes, *, secret: bool = False) -> None:
        """Put a file in. Durable on return."""
        if secret and self.passphrase is not None:
            content = _sealed(name, content, self.passphrase)
            self._encrypted.add(name)
        _write(self.folder / name, content)

    def finish(self, **about: str | LogHead) -> Manifest:
        """Say what is in it; the backup is whole on return."""
        files = {}
        for path in sorted(self.folder.iterdir()):
            path.chmod(0o600)
            _sync(path)
            size, digest = _digest(path)
            files[path.name] = Kept(digest, size, path.name in self._encrypted)
        manifest = msgspec.convert({**about, "files": files}, Manifest, from_attributes=True)
        _write(self.folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        _sync(self.folder)
        return manifest


@dataclass(frozen=True)
class Backup:
    """A backup whose files are what was backed up."""

    folder: Path
    manifest: Manifest
    passphrase: bytes | None = None

    @classmethod
    def opened(cls, folder: Path, passphrase: bytes | None) -> Backup:
        """Check every file of a backup. Raises `BackupError`, `OSError`."""
        try:
            manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
        except FileNotFoundError:
            raise BackupError(f"{folder} holds no backup that was finished") from None
        except msgspec.DecodeError as error:
            raise BackupError(f"{folder / MANIFEST} cannot be read: {error}") from None
        if DATABASE not in manifest.files:
            raise BackupError(f"{folder} holds no database")
        for name, kept in manifest.files.items():
            _check(folder, name, kept)
        if passphrase is None and any(kept.encrypted for kept in manifest.files.values()):
            raise BackupError("the backup's keys are encrypted: --passphrase-file is missing")
        return cls(folder, manifest, passphrase)

    def read(self, name: str) -> bytes | None:
        """A file's content, decrypted; None where the backup has no such file."""
        kept = self.manifest.files.get(name)
        if kept is None:
            return None
        content = (self.folder / name).read_bytes()
        if kept.encrypted:
            return _unsealed(name, content, self.passphrase or b"")
        return content

    def secrets(self, prefix: str) -> Mapping[str, bytes]:
        """The files whose names begin with `prefix`, decrypted."""
        names = [name for name in self.manifest.files if name.startswith(prefix)]
        return {name: self.read(name) or b"" for name in names}


def _check(folder: Path, name: str, kept: Kept) -> None:
    if Path(name).name != name or name in (MANIFEST, ".", ".."):
        raise BackupError(f"the manifest names {name!r}, which is no file of a backup")
    try:
        size, digest = _digest(folder / name)
    except OSError as error:
        raise BackupError(f"{name} cannot be read: {error.strerror}") from None
    if (size, digest) != (kept.size, kept.sha256):
        raise BackupError(f"{name} is not what was backed up: it was damaged or replaced")


def _sealed(name: str, content: bytes, passphrase: bytes) -> bytes:
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    key = Scrypt(salt, 32, _COST, _BLOCK, _PARALLEL).derive(passphrase)
    ciphertext = AESGCM(key).encrypt(nonce, content, name.encode())
    sealed = _Sealed(
        "scrypt", _COST, _BLOCK, _PARALLEL, *(_text(each) for each in (salt, nonce, ciphertext))
    )
    return msgspec.json.encode(sealed)


def _unsealed(name: str, content: bytes, passphrase: bytes) -> bytes:
    try:
        sealed = msgspec.json.decode(content, type=_Sealed)
        if (sealed.n, sealed.r, sealed.p) != (_COST, _BLOCK, _PARALLEL):
            raise ValueError("other parameters")
        salt, nonce, ciphertext = map(
            base64.b64decode, (sealed.salt, sealed.nonce, sealed.ciphertext)
        )
        key = Scrypt(salt, 32, sealed.n, sealed.r, sealed.p).derive(passphrase)
        return AESGCM(key).decrypt(nonce, ciphertext, name.encode())
    except InvalidTag:
        raise BackupError(f"{name}: the passphrase is not the backup's") from None
    except ValueError as error:
        raise BackupError(f"{name} cannot be decrypted: {error}") from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _digest(path: Path) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
