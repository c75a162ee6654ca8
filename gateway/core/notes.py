"""Signed notes, and what a log writes as notes: checkpoints, cosignatures and proofs.

c2sp.org/signed-note is the form: a text, an empty line, and a line for each signature. A log
signs a checkpoint (c2sp.org/tlog-checkpoint) for the sizes that it answers for; a witness
signs it too, with the time (c2sp.org/tlog-cosignature). A checkpoint with the hashes that lead
from an entry to its root is a proof (c2sp.org/tlog-proof).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway.core.merkle import HASH_SIZE, verify_inclusion
from gateway.core.note_keys import (
    DASH,
    LARGEST,
    Algorithm,
    CoSigner,
    NoteError,
    Signer,
    Verifier,
    check_characters,
    check_name,
    from_base64,
    to_base64,
)

__all__ = [
    "Algorithm",
    "Checkpoint",
    "CoSigner",
    "NoteError",
    "Opened",
    "Proof",
    "Signer",
    "Verifier",
    "add",
    "checkpoint_of",
    "cosign",
    "decimal",
    "hash_of",
    "opened",
    "sign",
]

LONGEST_NOTE = 1_000_000
"""Bytes of a note. More is refused, as sumdb does."""

MOST_SIGNATURES = 100
"""Signatures of a note. More are refused, as sumdb does."""

MOST_HASHES = 63
"""Hashes of a proof: the levels of the largest tree."""

_PROOF = "c2sp.org/tlog-proof@v1"
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Opened:
    """A note whose signatures were checked.

    `verified` are the names of the known keys that signed it, each once; `unverified` the
    lines of unknown ones, each once and with its newline. They say nothing.
    """

    text: str
    verified: tuple[str, ...]
    unverified: tuple[str, ...]


def sign(text: str, *signers: Signer) -> str:
    """`text`, which ends in a newline, as a note. Raises `NoteError` when it cannot be one."""
    check_characters(text)
    if not text.endswith("\n"):
        raise NoteError("the text of a note ends in a newline")
    if not signers:
        raise NoteError("nobody signs the note")
    note = f"{text}\n" + "".join(signer.signature(text) for signer in signers)
    _divided(note)
    return note


def add(note: str, signature: str) -> str:
    """`note` with one more signature line, or several; they are not verified.

    A line that the note has is not repeated. Raises `NoteError` when either is malformed.
    """
    text, signatures = _divided(note)
    again, added = _divided(f"{text}\n{signature}")
    if again != text:
        raise NoteError("this is more than signature lines")
    longer = note + "".join(each.line for each in added if each not in signatures)
    _divided(longer)
    return longer


def opened(note: str, verifiers: Sequence[Verifier]) -> Opened:
    """The text of `note`, when one of the keys has signed it.

    Raises `NoteError` when it is malformed, when none has, or when a signature in the name of
    one of them is not its.
    """
    text, signatures = _divided(note)
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    if len(known) < len(set(verifiers)):
        raise NoteError("two keys have the same name and id")
    verified: dict[str, None] = {}
    unverified: dict[str, None] = {}
    for line, name, value in signatures:
        verifier = known.get((name, value[:4]))
        if verifier is None:
            unverified[line] = None
        elif verifier.verify(text, value[4:]):
            verified[name] = None
        else:
            raise NoteError(f"the signature in the name of {name} is not its")
    if not verified:
        raise NoteError("the note is signed by nobody that is known")
    return Opened(text, tuple(verified), tuple(unverified))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log answers for: its name, its size and its root hash at that size.

    Raises `NoteError` when a member cannot be written as c2sp.org/tlog-checkpoint says.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for line in (self.origin, *self.extensions):
            check_characters(line)
            if not line or "\n" in line:
                raise NoteError("a line of a checkpoint is empty, or several")
        if not 0 <= self.size <= LARGEST or len(self.root) != HASH_SIZE:
            raise NoteError("a checkpoint has no such size, or no such root")

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """The checkpoint of a note's text. Raises `NoteError` unless it is exactly one."""
        origin, *lines = text.split("\n")
        if len(lines) < 3 or lines.pop():
            raise NoteError("a checkpoint has at least three lines")
        size, root, *extensions = lines
        return cls(origin, decimal(size), hash_of(root), tuple(extensions))

    def text(self) -> str:
        """The text that is signed."""
        lines = (self.origin, str(self.size), to_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def checkpoint_of(note: str) -> Checkpoint:
    """The checkpoint of a note whose signatures are NOT checked. Raises `NoteError`."""
    return Checkpoint.parse(_divided(note)[0])


def cosign(checkpoint_note: str, signer: CoSigner, timestamp: int) -> str:
    """The signature line of a witness for a checkpoint that it has verified, in POSIX seconds.

    Raises `NoteError` when the note is malformed or is no checkpoint's.
    """
    return signer.signature(checkpoint_of(checkpoint_note).text(), timestamp)


@dataclass(frozen=True, slots=True)
class Proof:
    """That the log of a checkpoint has an entry: a `.tlog-proof`, checked without the log.

    Raises `NoteError` when it cannot be one.

    `hashes` lead from the leaf `index` to the root of `checkpoint`, which is a note as the log
    and its witnesses signed it. `extra` is anybody's: nobody has signed it.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.index <= LARGEST or len(self.hashes) > MOST_HASHES:
            raise NoteError("a proof has no such index, or not so many hashes")
        if any(len(each) != HASH_SIZE for each in self.hashes):
            raise NoteError("a proof has a hash of another length")
        checkpoint_of(self.checkpoint)

    @classmethod
    def parse(cls, text: str) -> Proof:
        """The proof of this text. Raises `NoteError` unless it is exactly one."""
        head, empty, note = text.partition("\n\n")
        first, *lines = head.split("\n")
        if first != _PROOF or not empty:
            raise NoteError("this is no tlog-proof, or of another version")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = from_base64(lines.pop(0).removeprefix("extra "))
        if not lines or not lines[0].startswith("index "):
            raise NoteError("the proof has no index")
        index = decimal(lines.pop(0).removeprefix("index "))
        return cls(index, tuple(hash_of(line) for line in lines), note, extra)

    def text(self) -> str:
        """The proof as c2sp.org/tlog-proof writes it."""
        extra = () if self.extra is None else (f"extra {to_base64(self.extra)}",)
        hashes = (to_base64(each) for each in self.hashes)
        head = (_PROOF, *extra, f"index {self.index}", *hashes)
        return "".join(f"{line}\n" for line in head) + f"\n{self.checkpoint}"

    def verify(
        self, leaf: bytes, log: Verifier, witnesses: Sequence[Verifier] = (), quorum: int = 0
    ) -> Checkpoint:
        """The checkpoint, when it is the log's and has the entry of this leaf hash at `index`.

        The log's key must be named as its origin; `quorum` of the witnesses, at least, must
        have cosigned. Raises `NoteError`, or `ProofError` of `merkle`.
        """
        found = Checkpoint.parse(opened(self.checkpoint, [log]).text)
        if found.origin != log.name:
            raise NoteError(f"the checkpoint is of {found.origin}, not of {log.name}")
        if quorum > 0 and len(opened(self.checkpoint, witnesses).verified) < quorum:
            raise NoteError(f"fewer than {quorum} witnesses have cosigned the checkpoint")
        verify_inclusion(leaf, self.index, found.size, self.hashes, found.root)
        return found


def decimal(text: str) -> int:
    """A whole number below 2**63 in its one form. Raises `NoteError`."""
    if _DECIMAL.fullmatch(text) is None or int(text) > LARGEST:
        raise NoteError("a number is not written in its one form, or is too large")
    return int(text)


def hash_of(text: str) -> bytes:
    """The hash of its base64. Raises `NoteError`."""
    value = from_base64(text)
    if len(value) != HASH_SIZE:
        raise NoteError(f"a hash has {HASH_SIZE} bytes, not {len(value)}")
    return value


class _Signature(NamedTuple):
    """A signature line: as it stands, whose it says it is, and the key's id with the rest."""

    line: str
    name: str
    value: bytes


def _divided(note: str) -> tuple[str, list[_Signature]]:
    """The text of a note and its signatures. Raises `NoteError` when it is malformed."""
    check_characters(note)
    if len(note.encode()) > LONGEST_NOTE:
        raise NoteError(f"a note has more than {LONGEST_NOTE} bytes")
    text, empty, block = note.rpartition("\n\n")
    if not empty or not block.endswith("\n"):
        raise NoteError("a note has a text, an empty line and signature lines")
    lines = block[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise NoteError(f"a note has more than {MOST_SIGNATURES} signatures")
    return f"{text}\n", [_signature(line) for line in lines]


def _signature(line: str) -> _Signature:
    name, space, value = line.removeprefix(DASH).partition(" ")
    if not line.startswith(DASH) or not space:
        raise NoteError("a signature line of a note is malformed")
    check_name(name)
    decoded = from_base64(value)
    if len(decoded) < 5:
        raise NoteError("a signature of a note is too short")
    return _Signature(f"{line}\n", name, decoded)
