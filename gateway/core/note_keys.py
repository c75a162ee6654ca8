"""The keys of signed notes: who signs, by which algorithm, and how a key is written.

c2sp.org/signed-note says what a signature names its key by, c2sp.org/tlog-cosignature what a
witness signs (its Ed25519 form). Keys are written as golang.org/x/mod/sumdb/note writes them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

DASH = "— "
"""What a signature line begins with."""

LARGEST = 2**63 - 1
"""The largest size of a log, and the latest time of a cosignature."""

_PRIVATE = "PRIVATE+KEY+"
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_KEY_ID = re.compile(r"[0-9a-f]{8}")


class NoteError(ValueError):
    """A note, a key or a proof is malformed, or is not signed by whom it should be."""


class Algorithm(IntEnum):
    """How a key signs: the signature type of c2sp.org/signed-note."""

    ED25519 = 1
    COSIGNATURE = 4


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key that is trusted under a name. Raises `NoteError` when it cannot be one."""

    name: str
    key: bytes
    algorithm: Algorithm = Algorithm.ED25519

    def __post_init__(self) -> None:
        check_name(self.name)
        try:
            Ed25519PublicKey.from_public_bytes(self.key)
        except ValueError:
            raise NoteError(f"{self.name} has a malformed public key") from None

    @classmethod
    def decoded(cls, vkey: str) -> Verifier:
        """The key of a line `name+hash+base64`. Raises `NoteError` unless it is one."""
        name, key_id, material = _key_parts(vkey)
        verifier = cls(name, material[1:], _algorithm(material))
        if verifier.key_id.hex() != key_id:
            raise NoteError(f"the key of {name} is not the one that {key_id} stands for")
        return verifier

    @property
    def key_id(self) -> bytes:
        """The four bytes that a signature names this key by."""
        material = self.name.encode() + b"\n" + bytes([self.algorithm]) + self.key
        return hashlib.sha256(material).digest()[:4]

    def encoded(self) -> str:
        """The key as `name+hash+base64`."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(bytes([self.algorithm]) + self.key)}"

    def verify(self, text: str, signature: bytes) -> bool:
        """Whether `signature`, without the key's id, is this key's of the note's `text`."""
        message = text.encode()
        if self.algorithm is Algorithm.COSIGNATURE:
            time, signature = int.from_bytes(signature[:8]), signature[8:]
            if time > LARGEST:
                return False
            message = _cosigned(text, time)
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class _PrivateKey:
    """A private Ed25519 key under a name. Raises `NoteError` when it cannot be one."""

    ALGORITHM: ClassVar[Algorithm]

    def __init__(self, name: str, seed: bytes) -> None:
        try:
            self._key = Ed25519PrivateKey.from_private_bytes(seed)
        except ValueError:
            raise NoteError(f"{name} has a malformed private key") from None
        self.verifier = Verifier(name, self._key.public_key().public_bytes_raw(), self.ALGORITHM)

    @classmethod
    def generate(cls, name: str) -> Self:
        """A new key. Raises `NoteError` when nobody can have that name."""
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def decoded(cls, text: str) -> Self:
        """The key that `encoded` wrote. Raises `NoteError`, which does not repeat it."""
        if not text.startswith(_PRIVATE):
            raise NoteError("this is not a private key of signed notes")
        name, key_id, material = _key_parts(text.removeprefix(_PRIVATE))
        if _algorithm(material) is not cls.ALGORITHM:
            raise NoteError(f"the key of {name} is not for this kind of signature")
        found = cls(name, material[1:])
        if found.verifier.key_id.hex() != key_id:
            raise NoteError(f"the key of {name} is not the one that {key_id} stands for")
        return found

    @property
    def name(self) -> str:
        return self.verifier.name

    def encoded(self) -> str:
        """The key as `PRIVATE+KEY+name+hash+base64`. It is a secret."""
        material = to_base64(bytes([self.ALGORITHM]) + self._key.private_bytes_raw())
        return f"{_PRIVATE}{self.name}+{self.verifier.key_id.hex()}+{material}"

    def _line(self, signature: bytes) -> str:
        return f"{DASH}{self.name} {to_base64(self.verifier.key_id + signature)}\n"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Signer(_PrivateKey):
    """Signs notes as a log does, by Ed25519 over the text."""

    ALGORITHM = Algorithm.ED25519

    def signature(self, text: str) -> str:
        """The signature line of the note's `text`."""
        return self._line(self._key.sign(text.encode()))


class CoSigner(_PrivateKey):
    """Signs checkpoints as a witness does: cosignature/v1, with the time.

    The signature says nothing of the name, so that a key must serve under one name only.
    """

    ALGORITHM = Algorithm.COSIGNATURE

    def signature(self, text: str, timestamp: int) -> str:
        """The signature line of a checkpoint's `text`, made at `timestamp`, in POSIX seconds."""
        if not 0 <= timestamp <= LARGEST:
            raise NoteError(f"no cosignature is of the time {timestamp}")
        signed = self._key.sign(_cosigned(text, timestamp))
        return self._line(timestamp.to_bytes(8) + signed)


def check_characters(text: str) -> None:
    """Raise `NoteError` unless `text` is Unicode without control characters but newlines."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NoteError("a note is not valid UTF-8") from None
    if _CONTROL.search(text):
        raise NoteError("a note has a control character")


def check_name(name: str) -> None:
    """Raise `NoteError` unless a key can have this name."""
    check_characters(name)
    if not name or "+" in name or any(map(str.isspace, name)):
        raise NoteError("the name of a key is empty, or has a space or a plus")


def to_base64(value: bytes) -> str:
    """The standard base64 of RFC 4648 §4."""
    return base64.b64encode(value).decode()


def from_base64(text: str) -> bytes:
    """The bytes of base64 in its one form. Raises `NoteError`."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("this is not base64") from None
    if to_base64(value) != text:
        raise NoteError("this is base64 in another form than the standard one")
    return value


def _key_parts(text: str) -> tuple[str, str, bytes]:
    """The name, the id and the type with the key of `name+hash+base64`."""
    name, _, rest = text.partition("+")
    key_id, _, material = rest.partition("+")
    check_name(name)
    if not _KEY_ID.fullmatch(key_id) or not material:
        raise NoteError(f"the key of {name} is not written as name+hash+base64")
    return name, key_id, from_base64(material)


def _algorithm(material: bytes) -> Algorithm:
    try:
        return Algorithm(material[0])
    except ValueError:
        raise NoteError(f"there is no support for keys of type {material[0]:#04x}") from None


def _cosigned(text: str, time: int) -> bytes:
    """What a witness signs of a checkpoint's text."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()
