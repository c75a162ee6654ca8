"""What a ledger holds, as it is verified: plain rows, from a database or an export."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol


class StoredEntry(NamedTuple):
    """An entry as it is stored: the bytes of its header, and the columns copied from it."""

    entry_id: str
    exchange_id: str
    kind: str
    org: str
    team: str
    app: str
    key_id: str
    epoch: str
    seq: int
    header: bytes
    leaf_hash: bytes


class StoredLeaf(NamedTuple):
    """A place in the log, and the entry that stands there; None when it is gone."""

    place: int
    entry_id: str
    leaf_hash: bytes
    entry: StoredEntry | None


class StoredPart(NamedTuple):
    """An encrypted payload. `digest` is what the row says the hash of its bytes is."""

    entry_id: str
    part: str
    alg: str
    size: int
    digest: bytes
    key_commit: bytes
    content: bytes
    """The nonce and the ciphertext: what is hashed."""
    object_digest: bytes | None = None
    """What the row says the hash of its object in object storage is."""
    object_content: bytes | None = None
    """The object, where it came with the row."""


class Source(Protocol):
    """A ledger to read. Each iterator is read once, from its beginning."""

    def leaves(self) -> Iterator[StoredLeaf]:
        """The places of the log, in order."""

    def parts(self) -> Iterator[tuple[int, StoredPart]]:
        """Every payload of an entry in the log, with the entry's place, in order of places."""

    def waiting(self) -> Iterator[StoredEntry]:
        """Entries that are not in the log yet, by writer and number."""

    def strays(self) -> Iterable[str]:
        """What belongs to nothing: payloads without an entry, a second ending, in words."""

    def nodes(self) -> Iterator[tuple[int, int, bytes]]:
        """The kept nodes above the leaves: height, number, hash; by height and number."""

    def head(self) -> tuple[int, bytes] | None:
        """How far the log says it has come: its size, and its frontier; None when not kept."""

    def checkpoints(self) -> Iterator[tuple[int, str]]:
        """The signed notes, with the sizes that they are filed under, by size."""

    def cosignatures(self) -> Iterator[tuple[int, str, str]]:
        """The witnesses' lines: the size of the checkpoint, the witness, the line."""

    def pruned(self) -> Iterator[tuple[str, str]]:
        """Entries whose payloads were deleted, and by which entry, by the latter and place."""
