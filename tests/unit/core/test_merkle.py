"""The Merkle tree: what RFC 6962 publishes, its definitions word for word, and false proofs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.merkle import (
    EMPTY_ROOT,
    TILE_HEIGHT,
    Frontier,
    ProofError,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_at,
    verify_consistency,
    verify_inclusion,
)

ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The roots of the first 0, 1, 2 … of these entries, as certificate-transparency publishes."""

MANY = 300
LARGE = 1_000_000


class Kept:
    """What is kept of a log that grew leaf by leaf, and what was read of it."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.frontier = Frontier()
        self.rows: dict[int, list[bytes]] = {0: list(leaves)}
        self.read: list[tuple[int, int, int]] = []
        for leaf in leaves:
            for height, index, node in self.frontier.append(leaf):
                row = self.rows.setdefault(height, [])
                assert len(row) == index  # each comes once, in order
                row.append(node)

    def nodes(self, height: int, start: int, count: int) -> Sequence[bytes]:
        assert height % TILE_HEIGHT == 0
        assert start // 256 == (start + count - 1) // 256
        self.read.append((height, start, count))
        found = self.rows.get(height, [])[start : start + count]
        if len(found) < count:
            raise LookupError(f"{height} {start} {count}")
        return found


class Definition:
    """RFC 6962 §2.1, §2.1.1 and §2.1.2, as they are written there."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = leaves
        self.root = cache(self._root)

    def _root(self, low: int, high: int) -> bytes:
        n = high - low
        if n == 0:
            return hashlib.sha256(b"").digest()
        if n == 1:
            return self.leaves[low]
        k = largest_power_below(n)
        left, right = self.root(low, low + k), self.root(low + k, high)
        return hashlib.sha256(b"\x01" + left + right).digest()

    def path(self, m: int, low: int, high: int) -> list[bytes]:
        n = high - low
        if n == 1:
            return []
        k = largest_power_below(n)
        if m < k:
            return [*self.path(m, low, low + k), self.root(low + k, high)]
        return [*self.path(m - k, low + k, high), self.root(low, low + k)]

    def proof(self, m: int, n: int) -> list[bytes]:
        return self.subproof(m, 0, n, True) if 0 < m < n else []

    def subproof(self, m: int, low: int, high: int, whole: bool) -> list[bytes]:
        n = high - low
        if m == n:
            return [] if whole else [self.root(low, high)]
        k = largest_power_below(n)
        if m <= k:
            return [*self.subproof(m, low, low + k, whole), self.root(low + k, high)]
        return [*self.subproof(m - k, low + k, high, False), self.root(low, low + k)]


def largest_power_below(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def leaves_of(count: int) -> list[bytes]:
    return [leaf_hash(str(index).encode()) for index in range(count)]


@pytest.fixture(scope="module")
def small() -> tuple[Kept, Definition]:
    leaves = leaves_of(MANY)
    return Kept(leaves), Definition(leaves)


@pytest.fixture(scope="module")
def large() -> tuple[Kept, Definition]:
    leaves = leaves_of(LARGE)
    return Kept(leaves), Definition(leaves)


@pytest.mark.parametrize("size", range(len(ROOTS)))
def test_the_published_roots(size: int) -> None:
    kept = Kept([leaf_hash(entry) for entry in ENTRIES[:size]])
    assert kept.frontier.root().hex() == ROOTS[size]
    assert root_at(kept, size).hex() == ROOTS[size]


def test_an_empty_log_has_the_hash_of_nothing() -> None:
    assert Frontier().root() == EMPTY_ROOT == hashlib.sha256().digest()


def test_a_published_proof() -> None:
    kept = Kept([leaf_hash(entry) for entry in ENTRIES])
    assert [each.hex() for each in inclusion_proof(kept, 0, 8)] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    assert [each.hex() for each in consistency_proof(kept, 6, 8)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_every_root_is_as_defined(small: tuple[Kept, Definition]) -> None:
    kept, defined = small
    grown = Frontier()
    for size in range(MANY + 1):
        assert grown.root() == root_at(kept, size) == defined.root(0, size)
        assert Frontier.decoded(size, grown.encoded()).root() == grown.root()
        if size < MANY:
            grown.append(defined.leaves[size])


def test_every_inclusion_proof_is_as_defined_and_holds(small: tuple[Kept, Definition]) -> None:
    kept, defined = small
    for size in range(1, MANY + 1):
        root = defined.root(0, size)
        for index in range(size):
            proof = inclusion_proof(kept, index, size)
            assert proof == defined.path(index, 0, size)
            verify_inclusion(defined.leaves[index], index, size, proof, root)


def test_every_consistency_proof_is_as_defined_and_holds(small: tuple[Kept, Definition]) -> None:
    kept, defined = small
    for new in range(MANY + 1):
        root = defined.root(0, new)
        for old in range(new + 1):
            proof = consistency_proof(kept, old, new)
            assert proof == defined.proof(old, new)
            verify_consistency(old, defined.root(0, old), new, root, proof)


def sizes(lowest: int = 0) -> st.SearchStrategy[int]:
    near_a_power = st.integers(0, 19).flatmap(lambda bits: st.integers(2**bits - 1, 2**bits + 1))
    return st.one_of(st.integers(lowest, LARGE), near_a_power.filter(lambda size: size >= lowest))


@settings(deadline=None, max_examples=300)
@given(sizes(1), st.data())
def test_a_large_log_is_as_defined(
    large: tuple[Kept, Definition], size: int, data: st.DataObject
) -> None:
    kept, defined = large
    root = defined.root(0, size)
    assert root_at(kept, size) == root
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(kept, index, size)
    assert proof == defined.path(index, 0, size)
    verify_inclusion(defined.leaves[index], index, size, proof, root)
    old = data.draw(sizes().filter(lambda old: old <= size))
    steps = consistency_proof(kept, old, size)
    assert steps == defined.proof(old, size)
    verify_consistency(old, defined.root(0, old), size, root, steps)


@settings(deadline=None, max_examples=100)
@given(sizes(1), st.data())
def test_a_proof_reads_few_tiles(
    large: tuple[Kept, Definition], size: int, data: st.DataObject
) -> None:
    kept, _ = large
    levels = 3  # 256 ** 3 is more than there are leaves
    kept.read.clear()
    root_at(kept, size)
    assert len(kept.read) <= levels
    kept.read.clear()
    inclusion_proof(kept, data.draw(st.integers(0, size - 1)), size)
    assert len(kept.read) <= 2 * levels
    kept.read.clear()
    consistency_proof(kept, data.draw(sizes().filter(lambda old: old <= size)), size)
    assert len(kept.read) <= 3 * levels
    assert len(set(kept.read)) == len(kept.read)


@given(st.integers(0, 200), st.integers(0, 100))
def test_a_frontier_goes_on_where_it_was_kept(before: int, after: int) -> None:
    leaves = leaves_of(before + after)
    kept = Kept(leaves[:before]).frontier
    read = Frontier.decoded(kept.size, kept.encoded())
    copied = kept.copy()
    for leaf in leaves[before:]:
        read.append(leaf)
    assert read.root() == Definition(leaves).root(0, before + after)
    assert read.size == before + after
    assert copied.root() == kept.root() == Definition(leaves).root(0, before)


@pytest.mark.parametrize(
    ("size", "data"),
    [(1, b""), (0, bytes(32)), (3, bytes(32)), (1, bytes(31)), (1, bytes(33)), (-1, b"")],
)
def test_what_is_no_frontier_is_refused(size: int, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"frontier|row of hashes"):
        Frontier.decoded(size, data)


def test_a_leaf_of_another_length_is_refused() -> None:
    frontier = Frontier()
    with pytest.raises(ValueError, match="32 bytes"):
        frontier.append(b"an entry, not its hash")
    assert frontier.size == 0


@pytest.mark.parametrize(
    "ask",
    [
        lambda kept: root_at(kept, -1),
        lambda kept: inclusion_proof(kept, 8, 8),
        lambda kept: inclusion_proof(kept, -1, 8),
        lambda kept: inclusion_proof(kept, 0, 0),
        lambda kept: consistency_proof(kept, 5, 4),
        lambda kept: consistency_proof(kept, -1, 4),
    ],
)
def test_what_no_log_has_is_refused(ask: Callable[[Kept], object]) -> None:
    with pytest.raises(ValueError, match=r"there is no|no log|had no"):
        ask(Kept(leaves_of(8)))


@pytest.mark.parametrize("height", [0, 8])
def test_a_missing_node_is_said(height: int) -> None:
    kept = Kept(leaves_of(600))
    kept.rows[height].pop()
    for ask in (
        lambda: root_at(kept, 600),
        lambda: inclusion_proof(kept, 0, 600),
        lambda: consistency_proof(kept, 300, 600),
    ):
        with pytest.raises(LookupError):
            ask()


class Short(Kept):
    """Says nothing of what it has not."""

    def nodes(self, height: int, start: int, count: int) -> Sequence[bytes]:
        return super().nodes(height, start, count)[:-1]


def test_a_row_that_is_too_short_is_not_proved_with() -> None:
    with pytest.raises(LookupError, match="not all 5 nodes"):
        root_at(Short(leaves_of(5)), 5)


def flipped(random: Random, value: bytes) -> bytes:
    place = random.randrange(len(value))
    return value[:place] + bytes([value[place] ^ 1 << random.randrange(8)]) + value[place + 1 :]


def spoiled(random: Random, proof: list[bytes]) -> list[bytes]:
    """The proof with hashes that are changed, lost, too many, in another order, or too short."""
    broken = list(proof)
    place = random.randrange(len(proof) or 1)
    match random.randrange(5) if proof else 1:
        case 0:
            broken[place] = flipped(random, broken[place])
        case 1:
            broken.insert(place, random.randbytes(32))
        case 2:
            del broken[place]
        case 3:
            broken[place] = broken[place][:-1]
        case _:
            random.shuffle(broken)
    return broken


def test_no_spoiled_inclusion_proof_holds(small: tuple[Kept, Definition]) -> None:
    _, defined = small
    random, refused = Random(6962), 0
    while refused < 10_000:
        size = random.randrange(1, MANY + 1)
        index = random.randrange(size)
        leaf, root = defined.leaves[index], defined.root(0, size)
        proof = defined.path(index, 0, size)
        match random.randrange(4):
            case 0:
                leaf = flipped(random, leaf)
            case 1:
                root = flipped(random, root)
            case 2 if size > 1:
                index = random.choice([n for n in range(size) if n != index])
            case _:
                broken = spoiled(random, proof)
                if broken == proof:
                    continue
                proof = broken
        with pytest.raises(ProofError):
            verify_inclusion(leaf, index, size, proof, root)
        refused += 1


def test_no_spoiled_consistency_proof_holds(small: tuple[Kept, Definition]) -> None:
    _, defined = small
    random, refused = Random(9162), 0
    while refused < 10_000:
        new = random.randrange(MANY + 1)
        old = random.randrange(new + 1)
        old_root, root = defined.root(0, old), defined.root(0, new)
        proof = defined.proof(old, new)
        match random.randrange(3):
            case 0:
                old_root = flipped(random, old_root)
            case 1 if old:
                root = flipped(random, root)
            case _:
                broken = spoiled(random, proof)
                if broken == proof:
                    continue
                proof = broken
        with pytest.raises(ProofError):
            verify_consistency(old, old_root, new, root, proof)
        refused += 1


@pytest.mark.parametrize(("index", "size"), [(-1, 1), (1, 1), (0, 0), (5, 3)])
def test_an_impossible_index_is_refused(index: int, size: int) -> None:
    with pytest.raises(ProofError, match="no leaf"):
        verify_inclusion(bytes(32), index, size, [], bytes(32))


@pytest.mark.parametrize(("old", "new"), [(-1, 1), (2, 1), (1, 0)])
def test_impossible_sizes_are_refused(old: int, new: int) -> None:
    with pytest.raises(ProofError, match="had no"):
        verify_consistency(old, bytes(32), new, bytes(32), [])


def test_two_logs_of_one_size_are_the_same_log_or_refused() -> None:
    verify_consistency(3, b"a" * 32, 3, b"a" * 32, [])
    with pytest.raises(ProofError, match="different roots"):
        verify_consistency(3, b"a" * 32, 3, b"b" * 32, [])
    with pytest.raises(ProofError, match="different roots"):
        verify_consistency(0, EMPTY_ROOT, 0, b"b" * 32, [])


def test_a_leaf_is_not_taken_for_a_node() -> None:
    left, right = leaf_hash(b"left"), leaf_hash(b"right")
    assert node_hash(left, right) != leaf_hash(left + right)
    with pytest.raises(ProofError):
        verify_inclusion(leaf_hash(left + right), 0, 1, [], node_hash(left, right))
