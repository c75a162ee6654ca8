"""The Merkle tree of the log: its hashes, and the proofs that it holds and only grew.

RFC 6962 §2.1 says what the hashes and the proofs are, RFC 9162 §2.1.3.2 and §2.1.4.2 how a
proof is checked. Every hash is SHA-256, 32 bytes. A leaf is always given by its `leaf_hash`.

What of a log is kept are its leaves' hashes and, of the nodes above, those at the heights 8,
16, 24 …: the tiles of c2sp.org/tlog-tiles. All others are computed when they are needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

HASH_SIZE = 32
"""Bytes of a hash."""

TILE_HEIGHT = 8
"""Levels of the tree between two that are kept."""

_WIDTH = 2**TILE_HEIGHT
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a log without entries."""


class ProofError(ValueError):
    """A proof does not show what it claims."""


class Nodes(Protocol):
    """What is kept of a log's tree."""

    def nodes(self, height: int, start: int, count: int) -> Sequence[bytes]:
        """The hashes of `count` complete subtrees of `2**height` leaves, from number `start`.

        `height` is a multiple of `TILE_HEIGHT`; those of height 0 are the leaves. What is
        asked lies in one tile, at most 256 hashes. Raises `LookupError` when one is missing.
        """
        ...


def leaf_hash(data: bytes) -> bytes:
    """The hash of an entry's bytes: over 0x00 and the bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two children: over 0x01 and their hashes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """All that is needed of a log to append to it: the roots of its complete subtrees.

    There is one for each 1 in the binary form of `size`, the largest and leftmost first.
    Raises `ValueError` when `hashes` cannot be those of `size` leaves.
    """

    __slots__ = ("_hashes", "_size")

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if size < 0 or len(hashes) != size.bit_count():
            raise ValueError(f"{len(hashes)} hashes are not the frontier of {size} leaves")
        self._size = size
        self._hashes = [_hash(each) for each in hashes]

    @classmethod
    def decoded(cls, size: int, data: bytes) -> Frontier:
        """What `encoded` wrote for `size` leaves. Raises `ValueError` on a wrong length."""
        if len(data) % HASH_SIZE:
            raise ValueError(f"{len(data)} bytes are not a row of hashes")
        return cls(size, [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)])

    @property
    def size(self) -> int:
        """How many leaves the log has."""
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The roots of the complete subtrees, the largest first."""
        return tuple(self._hashes)

    def encoded(self) -> bytes:
        """The hashes, one after the other."""
        return b"".join(self._hashes)

    def copy(self) -> Frontier:
        """One like it, that grows by itself."""
        return Frontier(self._size, self._hashes)

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Append the leaf of this hash. Gives the nodes above it that are complete with it.

        Each is `(height, index, hash)`: the subtree of the leaves from `index * 2**height`,
        `2**height` of them; the lowest comes first. Raises `ValueError` on a wrong length.
        """
        node, height, index = _hash(leaf), 0, self._size
        completed = []
        while index & 1:
            node = node_hash(self._hashes.pop(), node)
            height, index = height + 1, index >> 1
            completed.append((height, index, node))
        self._hashes.append(node)
        self._size += 1
        return completed

    def root(self) -> bytes:
        """The root hash of the log as it is."""
        return _folded_right(self._hashes)

    def __repr__(self) -> str:
        return f"Frontier({self._size}, root={self.root().hex()})"


def root_at(nodes: Nodes, size: int) -> bytes:
    """The root hash that the log had when it had `size` leaves.

    Reads one tile of each level. Raises `ValueError` when there is no such size, and
    `LookupError` when a node is missing.
    """
    if size < 0:
        raise ValueError(f"no log has {size} leaves")
    return _Tree(nodes, size).root(0, size)


def inclusion_proof(nodes: Nodes, index: int, size: int) -> list[bytes]:
    """The proof that the leaf `index` is in the log of `size` leaves: PATH of RFC 6962 §2.1.1.

    Reads at most two tiles of each level. Raises `ValueError` when there is no such leaf, and
    `LookupError` when a node is missing.
    """
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} among {size}")
    tree = _Tree(nodes, size)
    proof = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            proof.append(tree.root(middle, high))
            high = middle
        else:
            proof.append(tree.root(low, middle))
            low = middle
    return proof[::-1]


def consistency_proof(nodes: Nodes, old: int, new: int) -> list[bytes]:
    """The proof that the log of `new` leaves begins with that of `old`: PROOF of §2.1.2.

    It is empty for `old` 0, as every log begins with nothing, and for equal sizes. Reads at
    most three tiles of each level. Raises `ValueError` when `old` is no size before `new`, and
    `LookupError` when a node is missing.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a log of {new} leaves had no {old} before")
    if old in (0, new):
        return []
    tree = _Tree(nodes, new)
    proof = []
    low, high = 0, new
    while high != old:
        middle = low + _split(high - low)
        if old <= middle:
            proof.append(tree.root(middle, high))
            high = middle
        else:
            proof.append(tree.root(low, middle))
            low = middle
    if low:  # else it is the old root, which whoever checks the proof has
        proof.append(tree.root(low, high))
    return proof[::-1]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that the log of `size` leaves and this `root` has the leaf at `index`.

    Source: RFC 9162 §2.1.3.2. Raises `ProofError` unless it is shown, by exactly these hashes.
    """
    if not 0 <= index < size:
        raise ProofError(f"there is no leaf {index} among {size}")
    first, last = index, size - 1
    found = _of_proof(leaf)
    for sibling in map(_of_proof, proof):
        if last == 0:
            raise ProofError("the proof has surplus hashes")
        if first & 1 or first == last:
            found = node_hash(sibling, found)
            first, last = _risen(first, last)
        else:
            found = node_hash(found, sibling)
        first, last = first >> 1, last >> 1
    if last:
        raise ProofError("the proof lacks hashes")
    if found != root:
        raise ProofError(f"the proof leads to another root than {root.hex()}")


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the log of `new_size` leaves begins with all that the old one had.

    Source: RFC 9162 §2.1.4.2. Raises `ProofError` unless it is shown, by exactly these hashes.
    """
    if not 0 <= old_size <= new_size:
        raise ProofError(f"a log of {new_size} leaves had no {old_size} before")
    if 0 in (old_size, len(proof)) or old_size == new_size:
        _verify_without_hashes(old_size, old_root, new_size, new_root, proof)
        return
    first, last = _after_ones(old_size - 1, new_size - 1)
    hashes = [_of_proof(each) for each in proof]
    if first == 0:  # the old log is one complete subtree, whose root is not repeated
        hashes.insert(0, _of_proof(old_root))
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise ProofError("the proof has surplus hashes")
        if first & 1 or first == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            first, last = _risen(first, last)
        else:
            new = node_hash(new, sibling)
        first, last = first >> 1, last >> 1
    if last:
        raise ProofError("the proof lacks hashes")
    if old != old_root:
        raise ProofError(f"the proof leads to another old root than {old_root.hex()}")
    if new != new_root:
        raise ProofError(f"the proof leads to another root than {new_root.hex()}")


def _verify_without_hashes(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check what needs no hashes: that nothing was before, or that nothing has changed."""
    if proof:
        raise ProofError("the proof has surplus hashes")
    if old_size == 0 and old_root != EMPTY_ROOT:
        raise ProofError("an empty log has another root")
    if old_size == new_size and old_root != new_root:
        raise ProofError(f"two logs of {new_size} leaves have different roots")
    if 0 < old_size < new_size:
        raise ProofError("the proof lacks hashes")


class _Tree:
    """A log of `size` leaves, of whose kept nodes each tile is read once."""

    def __init__(self, nodes: Nodes, size: int) -> None:
        self._nodes = nodes
        self._size = size
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def root(self, low: int, high: int) -> bytes:
        """The root of the leaves from `low` up to `high`: MTH of RFC 6962 §2.1.

        They are a subtree that the RFC's division leads to, so that `low` is a multiple of
        the largest power of two in their number.
        """
        parts = []
        while low < high:
            height = (high - low).bit_length() - 1
            parts.append(self._complete(height, low >> height))
            low += 1 << height
        return _folded_right(parts)

    def _complete(self, height: int, index: int) -> bytes:
        """The root of a complete subtree, from the kept nodes next below it."""
        level, above = divmod(height, TILE_HEIGHT)
        tile, place = divmod(index << above, _WIDTH)
        row = self._tile(level, tile)[place : place + (1 << above)]
        while len(row) > 1:
            row = [node_hash(*pair) for pair in zip(row[::2], row[1::2], strict=True)]
        return row[0]

    def _tile(self, level: int, tile: int) -> list[bytes]:
        """What the log has of a tile."""
        if (level, tile) not in self._tiles:
            height, start = level * TILE_HEIGHT, tile * _WIDTH
            count = min(_WIDTH, (self._size >> height) - start)
            row = list(self._nodes.nodes(height, start, count))
            if len(row) != count or any(len(each) != HASH_SIZE for each in row):
                raise LookupError(f"not all {count} nodes of height {height} from {start} are kept")
            self._tiles[level, tile] = row
        return self._tiles[level, tile]


def _split(count: int) -> int:
    """How many of `count` leaves are to the left: the largest power of two below it."""
    return 1 << (count - 1).bit_length() - 1


def _folded_right(parts: Sequence[bytes]) -> bytes:
    """The root over complete subtrees, the largest and leftmost first."""
    if not parts:
        return EMPTY_ROOT
    folded = parts[-1]
    for left in reversed(parts[:-1]):
        folded = node_hash(left, folded)
    return folded


def _risen(first: int, last: int) -> tuple[int, int]:
    """Both numbers, shifted until `first` is odd or 0: where a node has no sibling, it rises."""
    while first and not first & 1:
        first, last = first >> 1, last >> 1
    return first, last


def _after_ones(first: int, last: int) -> tuple[int, int]:
    """Both numbers, shifted until `first` is even."""
    while first & 1:
        first, last = first >> 1, last >> 1
    return first, last


def _hash(value: bytes) -> bytes:
    if len(value) != HASH_SIZE:
        raise ValueError(f"a hash has {HASH_SIZE} bytes, not {len(value)}")
    return value


def _of_proof(value: bytes) -> bytes:
    if len(value) != HASH_SIZE:
        raise ProofError(f"a hash of {len(value)} bytes")
    return value
