"""The local keyring: one small file that holds every secret that records rest on.

Lose it and nothing recorded can be read again, so it is made once, durably, and never beside
a database whose records were encrypted under another. At rest it may be sealed by a service
that keeps a key; in memory it is open.
"""

from __future__ import annotations

import hmac
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.adapters.keyring.document import (
    KEY_BYTES,
    KeyringError,
    Secrets,
    decoded,
    encoded,
    header_of,
)
from gateway.adapters.keyring.durable import add, replace, written_beside
from gateway.core.ids import new_id
from gateway.core.seals import KeyringSeal, SealError

_NONCE = 12
_TOO_OPEN = 0o027
"""Permissions that a keyring must not give: any to others, writing to its group."""


class Keyring(Secrets):
    """The secrets, open, and what is done with the keys among them."""

    __slots__ = ()

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

    def encoded(self, seal: KeyringSeal | None) -> bytes:
        """The file that holds it, sealed where there is a seal. Raises `KeyringError`."""
        try:
            return encoded(self, seal)
        except SealError as error:
            raise KeyringError(f"the keyring cannot be sealed: {error}") from error

    @classmethod
    def decoded(cls, content: bytes, seal: KeyringSeal | None) -> Keyring:
        """The keyring of a file; `seal` opens a sealed one. Raises `KeyringError`."""
        held = decoded(content, seal)
        return cls(held.id, held.keks, held.pepper, held.index_key)

    @classmethod
    def open(cls, path: Path, bound: str | None, seal: KeyringSeal | None = None) -> Keyring:
        """The keyring at `path`, which rests sealed by `seal`; made there when there is none yet.

        `bound` is the id of the keyring that the database's records are encrypted under, None
        when it holds none: only then is a keyring made. Raises `KeyringError`, also where the
        file is in the clear and a seal is given.
        """
        try:
            content = _read(path)
        except FileNotFoundError:
            if bound is not None:
                raise KeyringError(
                    f"no keyring at {path}, but the database's records need keyring {bound}: "
                    "restore it from its backup"
                ) from None
            path.parent.mkdir(parents=True, exist_ok=True)
            add(path, _made().encoded(seal))  # where another process was first, its keyring counts
            content = _read(path)
        keyring = _at(path, content, seal)
        if bound not in (None, keyring.id):
            raise KeyringError(
                f"the keyring at {path} is {keyring.id}, but the database's records need {bound}"
            )
        return keyring

    @classmethod
    def rotate(cls, path: Path, seal: KeyringSeal | None = None) -> Keyring:
        """Add a key-encryption key for records to come. Old records keep theirs."""
        old = _at(path, _read(path), seal)
        keks = {**old.keks, new_id("kek"): os.urandom(KEY_BYTES)}
        keyring = cls(old.id, keks, old.pepper, old.index_key)
        _put(path, keyring, seal)
        return keyring

    @classmethod
    def reseal(cls, path: Path, old: KeyringSeal | None, new: KeyringSeal | None) -> Keyring:
        """Seal the keyring at `path` anew by `new`; None leaves it in the clear.

        `old` opens it where it is sealed already. Its place is taken only by a file that was
        opened again. Raises `KeyringError`, and `FileNotFoundError`.
        """
        keyring = cls.decoded(_read(path), old)
        _put(path, keyring, new)
        return keyring


def _at(path: Path, content: bytes, seal: KeyringSeal | None) -> Keyring:
    """The keyring of a file at `path`, which must be sealed where a seal is given."""
    try:
        if seal is not None and header_of(content).seal is None:
            raise KeyringError("it is not sealed, but is to be: run `govgate keyring seal`")
        return Keyring.decoded(content, seal)
    except KeyringError as error:
        raise KeyringError(f"the keyring at {path}: {error}") from error


def _read(path: Path) -> bytes:
    """The file's content. Raises `FileNotFoundError`, and `KeyringError` when others may use it."""
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode & 0o777
        content = file.read()
    if mode & _TOO_OPEN:
        raise KeyringError(f"others may use the keyring at {path} (mode {mode:o}): chmod 600")
    return content


def _put(path: Path, keyring: Keyring, seal: KeyringSeal | None) -> None:
    """Put `keyring` in the place of the file at `path`, once it was opened from where it rests."""
    fresh = written_beside(path, keyring.encoded(seal))
    try:
        if Keyring.decoded(fresh.read_bytes(), seal) != keyring:
            raise KeyringError("what was sealed does not open again as it was")
        replace(path, fresh)
    finally:
        fresh.unlink(missing_ok=True)


def _made() -> Keyring:
    keks = {new_id("kek"): os.urandom(KEY_BYTES)}
    return Keyring(new_id("krg"), keks, os.urandom(KEY_BYTES), os.urandom(KEY_BYTES))
