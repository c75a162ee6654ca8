"""The parts of one entry, sealed and opened: what stands in them, and the values cut out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.adapters.store.cutting import Cut, Known, Piece, put_back
from gateway.adapters.store.person_keys import PersonKey
from gateway.adapters.store.sealing import Seal, SealedPart, Tampered, also

VALUES = "values"
"""The part that holds the values which were cut out of the others."""

ValueKeys = Callable[[Known], PersonKey]
"""The key of a value that stands in an exchange."""
Secrets = Mapping[str, bytes]
"""The keys of values, by their ids; those that were destroyed are not there."""


class Sealed(NamedTuple):
    """A sealed part, and the keys of values without which it cannot be read."""

    part: SealedPart
    bound: Sequence[str] = ()


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """One piece that was cut out: the labels and the key ids of the values that stand in it,
    and its ciphertext, under the exchange's key and all of theirs."""

    labels: list[str]
    keys: list[str]
    nonce: bytes
    ciphertext: bytes


class CutOut(msgspec.Struct, frozen=True, array_like=True):
    """What the part `values` holds: the parts that were cut, and the pieces by number."""

    cut: list[str]
    pieces: list[Kept]


def seal_entry(entry_id: str, cut: Cut, seal: Seal, keys: ValueKeys) -> list[Sealed]:
    """The parts of an entry as they are stored. Raises what `keys` raises."""
    opened = {number: keys(cut.known[number]) for number in cut.standing}
    sealed: list[Sealed] = []
    for name, payload in cut.parts.items():
        bound = _distinct([opened[number] for number in cut.bound.get(name, ())])
        part = seal.seal(entry_id, name, payload, [key.secret for key in bound])
        sealed.append(Sealed(part, [key.id for key in bound]))
    if cut.pieces:
        base = seal.derived(_purpose(entry_id), ())
        pieces = [
            _kept(base, number, piece, cut, _distinct([opened[n] for n in piece.values]))
            for number, piece in enumerate(cut.pieces)
        ]
        content = msgspec.msgpack.encode(CutOut(list(cut.cut), pieces))
        sealed.append(Sealed(seal.seal(entry_id, VALUES, content)))
    return sealed


def _kept(base: bytes, number: int, piece: Piece, cut: Cut, keys: Sequence[PersonKey]) -> Kept:
    nonce = os.urandom(12)
    cipher = AESGCM(also(base, [each.secret for each in keys]))
    return Kept(
        list(dict.fromkeys(cut.known[n].value.label for n in piece.values)),
        [each.id for each in keys],
        nonce,
        cipher.encrypt(nonce, piece.content, b"%d" % number),
    )


def _purpose(entry_id: str) -> str:
    return f"pieces1|{entry_id}"


def _distinct(keys: Sequence[PersonKey]) -> Sequence[PersonKey]:
    return list({key.id: key for key in keys}.values())


def cut_out(content: bytes) -> CutOut:
    """What the part `values` says."""
    return msgspec.msgpack.decode(content, type=CutOut)


def opened(base: bytes, number: int, kept: Kept, secrets: Secrets) -> bytes | None:
    """A piece as it was cut out; None once the key of a value in it is destroyed.

    `base` is the key of the entry's pieces. Raises `InvalidTag`.
    """
    if any(id not in secrets for id in kept.keys):
        return None
    cipher = AESGCM(also(base, [secrets[id] for id in kept.keys]))
    return cipher.decrypt(kept.nonce, kept.ciphertext, b"%d" % number)


def restored(
    entry_id: str, parts: Mapping[str, bytes], values: CutOut, seal: Seal, secrets: Secrets
) -> tuple[dict[str, bytes], set[str]]:
    """The parts with their values put back, and the names of those that miss one.

    Raises `Tampered`.
    """
    base = seal.derived(_purpose(entry_id), ())
    try:
        pieces = [opened(base, number, kept, secrets) for number, kept in enumerate(values.pieces)]
    except InvalidTag as error:
        raise Tampered(f"{VALUES} of {entry_id}: a piece does not decrypt") from error
    whole, lacking = dict(parts), set[str]()
    for name in values.cut:
        if name not in parts:
            continue
        try:
            whole[name], all_there = put_back(parts[name], pieces)
        except ValueError as error:
            raise Tampered(f"{name} of {entry_id}: {error}") from error
        if not all_there:
            lacking.add(name)
    return whole, lacking
