"""What a keyring's file says: JSON, in version 1 in the clear, in version 2 sealed.

A sealed one tells its id, the ids of its keys and what it is sealed by. The secrets are AES-256-GCM
under a random key of the file, which the service of the seal encrypted for this keyring's id.
What is told in the clear is authenticated with them, so neither can be exchanged.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.core.seals import KeyringSeal, SealError

KEY_BYTES = 32
_NONCE = 12
_PLAIN, _SEALED = 1, 2
_WRONG = (ValueError, KeyError, TypeError, AttributeError)


class KeyringError(RuntimeError):
    """The keyring is missing, unreadable, too open, sealed, or not the one the records need."""


class Header(NamedTuple):
    """What is told of a keyring without its secrets. `seal` is None where they are in the clear."""

    id: str
    keks: tuple[str, ...]
    seal: str | None


@dataclass(frozen=True, slots=True)
class Secrets:
    """Key-encryption keys by id, the newest last; and two keys for hashing.

    `pepper` keys the hashes of API keys, `index_key` those of masked and searched values, and of
    the users whose names no provider is to read.
    Each is 32 bytes.
    """

    id: str
    keks: dict[str, bytes] = field(repr=False)
    pepper: bytes = field(repr=False)
    index_key: bytes = field(repr=False)


def header_of(content: bytes) -> Header:
    """What a file tells of itself; of a sealed one, not yet proved. Raises `KeyringError`."""
    try:
        return _header(json.loads(content))
    except _WRONG as error:
        raise KeyringError("it is not a keyring") from error


def encoded(secrets: Secrets, seal: KeyringSeal | None) -> bytes:
    """The file that holds `secrets`, sealed where there is a seal. Raises `SealError`."""
    held = _held(secrets)
    if seal is None:
        told: dict[str, Any] = {"version": _PLAIN, "id": secrets.id, **held}
        return json.dumps(told, indent=2).encode()
    header = Header(secrets.id, tuple(secrets.keks), seal.name)
    key, nonce = os.urandom(KEY_BYTES), os.urandom(_NONCE)
    ciphertext = AESGCM(key).encrypt(nonce, json.dumps(held).encode(), _told(header))
    file = {
        "version": _SEALED,
        "id": header.id,
        "keks": [{"id": name} for name in header.keks],
        "seal": header.seal,
        "key": seal.seal(key, header.id),
        "nonce": _text(nonce),
        "secrets": _text(ciphertext),
    }
    return json.dumps(file, indent=2).encode()


def decoded(content: bytes, seal: KeyringSeal | None) -> Secrets:
    """The secrets of a file; `seal` opens a sealed one, in one call.

    Raises `KeyringError`, which says what to check.
    """
    header = header_of(content)
    try:
        file = json.loads(content)
        if header.seal is None:
            return _secrets(header.id, file)
        if seal is None:
            raise KeyringError(f"it is sealed by {header.seal}: set GOVGATE_KEYRING__SEAL")
        return _secrets(header.id, _opened(header, file, seal))
    except SealError as error:
        other = "" if header.seal == seal_name(seal) else f" (it was sealed by {header.seal})"
        raise KeyringError(f"it cannot be opened{other}: {error}") from error
    except _WRONG as error:
        raise KeyringError("it is not a keyring") from error


def seal_name(seal: KeyringSeal | None) -> str | None:
    """What a header calls `seal`."""
    return None if seal is None else seal.name


def _opened(header: Header, file: dict[str, Any], seal: KeyringSeal) -> dict[str, Any]:
    """The secrets of a sealed file, as they stand in it."""
    nonce, ciphertext = _bytes(file["nonce"]), _bytes(file["secrets"])
    key = seal.unseal(str(file["key"]), header.id)
    try:
        content = AESGCM(key).decrypt(nonce, ciphertext, _told(header))
    except (InvalidTag, ValueError) as error:
        raise KeyringError("it was altered since it was sealed") from error
    held: dict[str, Any] = json.loads(content)
    return held


def _header(file: dict[str, Any]) -> Header:
    if file["version"] not in (_PLAIN, _SEALED):
        raise ValueError("another version")
    keks = tuple(str(kek["id"]) for kek in file["keks"])
    if not keks:
        raise ValueError("no key")
    return Header(str(file["id"]), keks, str(file["seal"]) if file["version"] == _SEALED else None)


def _told(header: Header) -> bytes:
    """What is authenticated besides the secrets of a sealed file."""
    told = {"version": _SEALED, "id": header.id, "keks": header.keks, "seal": header.seal}
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


def _held(secrets: Secrets) -> dict[str, Any]:
    return {
        "keks": [{"id": name, "key": _text(key)} for name, key in secrets.keks.items()],
        "pepper": _text(secrets.pepper),
        "index_key": _text(secrets.index_key),
    }


def _secrets(id: str, held: dict[str, Any]) -> Secrets:
    keks = {str(kek["id"]): _key(kek["key"]) for kek in held["keks"]}
    return Secrets(id, keks, _key(held["pepper"]), _key(held["index_key"]))


def _key(text: str) -> bytes:
    key = _bytes(text)
    if len(key) != KEY_BYTES:
        raise binascii.Error("a key of another length")
    return key


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
