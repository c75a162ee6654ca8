"""Large payloads as objects: sealed under a key of their own, which stands in the database.

An object is a nonce and a ciphertext, and is named by the hash of both, which the header of its
entry names too. What is stored as the part itself is the object's key, sealed as any part is:
to destroy the key of the exchange, or of a value that the part is bound to, is to destroy the
object as well. An object that no part names can be read by nobody.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import msgspec

from gateway.adapters.store.sealing import Seal, SealedPart, Tampered
from gateway.core.errors import Code, Unavailable
from gateway.core.objects import ObjectMissing, ObjectsError, PayloadObjects

FOLDER = "parts"
"""The folder of payloads in object storage."""
_NONCE = 12


class ObjectKey(msgspec.Struct, frozen=True, array_like=True):
    """What stands in the database for a payload: how to read its object."""

    alg: str
    key: bytes
    key_commit: bytes


class SealedObject(NamedTuple):
    """A payload as an object. `reference` is what is stored in its place."""

    digest: bytes
    content: bytes
    reference: bytes


def name_of(digest: bytes) -> str:
    """What an object is called."""
    return f"{FOLDER}/{digest.hex()}"


def digest_of(name: str) -> bytes | None:
    """The hash that an object is called by; None for another's name."""
    folder, _, said = name.rpartition("/")
    try:
        digest = bytes.fromhex(said)
    except ValueError:
        return None
    return digest if folder == FOLDER and len(digest) == 32 and digest.hex() == said else None


def seal_object(entry_id: str, part: str, payload: bytes) -> SealedObject:
    """`payload` as an object that only its reference can be read with."""
    key = os.urandom(32)
    sealed = Seal(key, "", b"").seal(entry_id, part, payload)
    reference = msgspec.msgpack.encode(ObjectKey(sealed.alg, key, sealed.key_commit))
    return SealedObject(sealed.sha256_ct, sealed.nonce + sealed.ciphertext, reference)


def open_object(
    entry_id: str, part: str, digest: bytes, reference: bytes, objects: PayloadObjects | None
) -> bytes:
    """The payload of an object. Raises `Tampered`; `Unavailable` while it cannot be read."""
    if objects is None:
        raise Unavailable(
            Code.AUDIT_UNAVAILABLE,
            "Payloads are in object storage, and GOVGATE_OBJECTS__URL is not set.",
        )
    try:
        content = objects.read(name_of(digest))
    except ObjectMissing as error:
        raise Tampered(f"{part} of {entry_id}: its object is gone") from error
    except ObjectsError as error:
        raise Unavailable(
            Code.AUDIT_UNAVAILABLE, "Object storage cannot be read now.", retry_after=1.0
        ) from error
    try:
        known = msgspec.msgpack.decode(reference, type=ObjectKey)
    except msgspec.DecodeError as error:
        raise Tampered(f"{part} of {entry_id}: it names no object") from error
    nonce, ciphertext = content[:_NONCE], content[_NONCE:]
    sealed = SealedPart(part, known.alg, ciphertext, nonce, digest, known.key_commit, 0)
    return Seal(known.key, "", b"").unseal(entry_id, sealed)
