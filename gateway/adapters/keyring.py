"""The local keyring: one small file that holds every secret that records rest on.

Lose it and nothing recorded can be read again, so it is made once, durably, and never beside
a database whose records were encrypted under another.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.core.ids import new_id

_BYTES = 32
_NONCE = 12
_VERSION = 1
_TOO_OPEN = 0o027
"""Permissions that a keyring must not give: any to others, writing to its group."""


class KeyringError(RuntimeError):
    """The keyring is missing, unreadable, too open, or not the one the records need."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """Key-encryption keys by id, the newest last; and two keys for hashing.

    `pepper` keys the hashes of API keys, `index_key` those of masked and searched values, and of
    the users whose names no provider is to read.
    Each is 32 bytes.
    """

    id: str
    keks: dict[str, bytes] = field(repr=False)
    pepper: bytes = field(repr=False)
    index_key: bytes = field(repr=False)

    def wrap(self, key: bytes, context: str) -> tuple[str, bytes]:
        """`key` encrypted for `context`, and the id of the key that it is encrypted under.

        AES-256-GCM under a key derived for the context (HMAC-SHA256), so that the number of
        keys that one key-encryption key may wrap has no practical limit.
        """
        kek_id = next(reversed(self.keks))
        nonce = os.urandom(_NONCE)
        return kek_id, nonce + self._cipher(kek_id, context).encrypt(nonce, key, context.encode())

    def unwrap(self, kek_id: str, wrapped: bytes, context: str) -> bytes:
        """The key that was wrapped. Raises `KeyringError` when it is not ours, or altered."""
        if kek_id not in self.keks:
            raise KeyringError(f"the keyring holds no key {kek_id}")
        nonce, sealed = wrapped[:_NONCE], wrapped[_NONCE:]
        try:
            return self._cipher(kek_id, context).decrypt(nonce, sealed, context.encode())
        except (InvalidTag, ValueError) as error:
            raise KeyringError(f"the wrapped key of {context} was altered") from error

    def _cipher(self, kek_id: str, context: str) -> AESGCM:
        return AESGCM(hmac.new(self.keks[kek_id], b"wrap1" + context.encode(), "sha256").digest())

    @classmethod
    def open(cls, path: Path, bound: str | None) -> Keyring:
        """The keyring at `path`; made there when there is none yet.

        `bound` is the id of the keyring that the database's records are encrypted under, None
        when it holds none: only then is a keyring made. Raises `KeyringError`.
        """
        try:
            keyring = cls._read(path)
        except FileNotFoundError:
            if bound is not None:
                raise KeyringError(
                    f"no keyring at {path}, but the database's records need keyring {bound}: "
                    "restore it from its backup"
                ) from None
            keyring = cls._create(path)
        if bound not in (None, keyring.id):
            raise KeyringError(
                f"the keyring at {path} is {keyring.id}, but the database's records need {bound}"
            )
        return keyring

    @classmethod
    def rotate(cls, path: Path) -> Keyring:
        """Add a key-encryption key for records to come. Old records keep theirs."""
        old = cls._read(path)
        keks = {**old.keks, new_id("kek"): os.urandom(_BYTES)}
        keyring = cls(old.id, keks, old.pepper, old.index_key)
        fresh = _written_beside(path, keyring._encoded())
        os.replace(fresh, path)
        _sync_folder(path.parent)
        return keyring

    @classmethod
    def _create(cls, path: Path) -> Keyring:
        path.parent.mkdir(parents=True, exist_ok=True)
        keks = {new_id("kek"): os.urandom(_BYTES)}
        keyring = cls(new_id("krg"), keks, os.urandom(_BYTES), os.urandom(_BYTES))
        fresh = _written_beside(path, keyring._encoded())
        try:
            with suppress(FileExistsError):  # another process was first: its keyring counts
                os.link(fresh, path)
        finally:
            fresh.unlink()
        _sync_folder(path.parent)
        return cls._read(path)

    @classmethod
    def _read(cls, path: Path) -> Keyring:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            content = file.read()
        if mode & _TOO_OPEN:
            raise KeyringError(f"others may use the keyring at {path} (mode {mode:o}): chmod 600")
        try:
            return cls._decoded(json.loads(content))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise KeyringError(f"the file at {path} is not a keyring") from error

    @classmethod
    def _decoded(cls, file: dict[str, Any]) -> Keyring:
        keks = {str(kek["id"]): _key(kek["key"]) for kek in file["keks"]}
        if file["version"] != _VERSION or not keks:
            raise ValueError("another version, or no key")
        return cls(str(file["id"]), keks, _key(file["pepper"]), _key(file["index_key"]))

    def _encoded(self) -> bytes:
        keks = [{"id": name, "key": _text(key)} for name, key in self.keks.items()]
        file = {
            "version": _VERSION,
            "id": self.id,
            "keks": keks,
            "pepper": _text(self.pepper),
            "index_key": _text(self.index_key),
        }
        return json.dumps(file, indent=2).encode()


def _key(text: str) -> bytes:
    key = base64.b64decode(text, validate=True)
    if len(key) != _BYTES:
        raise binascii.Error("a key of another length")
    return key


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def _written_beside(path: Path, content: bytes) -> Path:
    """A durable file with `content` beside `path`, for its owner only."""
    fresh = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return fresh


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
