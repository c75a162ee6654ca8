"""Payloads, encrypted before they rest.

Each exchange has a random key of its own, which its subject's key wraps; to destroy either is
to erase the payloads. What is bound to found values needs the key of each of them too. AES-GCM
does not commit to its key, so each part carries `key_commit`: without it one ciphertext could
be made that reads in two ways.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import zlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PLAIN = "A256GCM"
DEFLATED = "DEF+A256GCM"
SCHEMA = "govgate/1"
"""The log and the schema that a payload belongs to; authenticated with it."""

WORTH_DEFLATING = 4_096
"""Bytes from which a part is compressed. Below, compression costs more processor time (23 µs
for 1.5 KB) than all the rest of writing the part."""
_LEAST_SAVING = 0.9


class Tampered(ValueError):
    """A stored entry or payload is not what was written."""


class Wrapping(Protocol):
    """Encrypts keys for a context, under a key whose id it tells."""

    def wrap(self, key: bytes, context: str) -> tuple[str, bytes]: ...


class Vault(Wrapping, Protocol):
    """What all keys rest on: the local keyring, or a key management service."""

    @property
    def id(self) -> str:
        """Which keyring this is: a database is bound to one."""

    @property
    def index_key(self) -> bytes:
        """Keys the hashes by which subjects and values are found."""

    def unwrap(self, kek_id: str, wrapped: bytes, context: str) -> bytes: ...


class SealedPart(NamedTuple):
    """A payload as it is stored. `sha256_ct` is over the nonce and the ciphertext."""

    part: str
    alg: str
    ciphertext: bytes
    nonce: bytes
    sha256_ct: bytes
    key_commit: bytes
    size: int


class Seal:
    """The key of one exchange, and what it does."""

    __slots__ = ("_cipher", "_key", "kek_id", "wrapped")

    def __init__(self, key: bytes, kek_id: str, wrapped: bytes) -> None:
        self._cipher = AESGCM(key)
        self._key = key
        self.kek_id = kek_id
        self.wrapped = wrapped

    @classmethod
    def new(cls, under: Wrapping, exchange_id: str) -> Seal:
        """A fresh key, wrapped for its exchange."""
        key = os.urandom(32)
        return cls(key, *under.wrap(key, exchange_id))

    def seal(
        self, entry_id: str, part: str, payload: bytes, bound: Sequence[bytes] = ()
    ) -> SealedPart:
        """`payload` encrypted as `part` of an entry, and of no other.

        `bound` are more keys, in order, without each of which it cannot be read.
        """
        alg, content = PLAIN, payload
        if len(payload) >= WORTH_DEFLATING:
            deflated = zlib.compress(payload, 1)
            if len(deflated) < len(payload) * _LEAST_SAVING:
                alg, content = DEFLATED, deflated
        nonce = os.urandom(12)
        key, cipher = self._opened(entry_id, part, bound)
        ciphertext = cipher.encrypt(nonce, content, _bound_to(entry_id, part, alg))
        digest = hashlib.sha256(nonce + ciphertext).digest()
        commit = _commit(key, entry_id, part)
        return SealedPart(part, alg, ciphertext, nonce, digest, commit, len(payload))

    def unseal(self, entry_id: str, sealed: SealedPart, bound: Sequence[bytes] = ()) -> bytes:
        """The payload. Raises `Tampered` when anything of it was altered."""
        if hashlib.sha256(sealed.nonce + sealed.ciphertext).digest() != sealed.sha256_ct:
            raise Tampered(f"{sealed.part} of {entry_id}: other bytes than were hashed")
        key, cipher = self._opened(entry_id, sealed.part, bound)
        if not hmac.compare_digest(_commit(key, entry_id, sealed.part), sealed.key_commit):
            raise Tampered(f"{sealed.part} of {entry_id}: encrypted under another key")
        aad = _bound_to(entry_id, sealed.part, sealed.alg)
        try:
            content = cipher.decrypt(sealed.nonce, sealed.ciphertext, aad)
        except InvalidTag as error:
            raise Tampered(f"{sealed.part} of {entry_id}: does not decrypt") from error
        return zlib.decompress(content) if sealed.alg == DEFLATED else content

    def derived(self, purpose: str, bound: Sequence[bytes]) -> bytes:
        """A key for `purpose` that needs this one and each of `bound`."""
        return also(hmac.digest(self._key, purpose.encode(), "sha256"), bound)

    def _opened(self, entry_id: str, part: str, bound: Sequence[bytes]) -> tuple[bytes, AESGCM]:
        if not bound:
            return self._key, self._cipher
        key = self.derived(f"bound1|{entry_id}|{part}", bound)
        return key, AESGCM(key)


def also(key: bytes, others: Sequence[bytes]) -> bytes:
    """A key that needs `key` and each of `others`, in order."""
    for other in others:
        key = hmac.digest(other, key, "sha256")
    return key


def _commit(key: bytes, entry_id: str, part: str) -> bytes:
    return hmac.digest(key, f"kc1{entry_id}{part}".encode(), "sha256")


def _bound_to(entry_id: str, part: str, alg: str) -> bytes:
    return f"{entry_id}|{part}|{SCHEMA}|{alg}".encode()
