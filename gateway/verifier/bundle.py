"""Verifies an evidence bundle, offline: all of a log as a database is, a selection by its proofs.

Of a selection each entry's header is hashed again, its row is held against it, its payloads are
hashed again, and its proof must lead from its place to the root that the log's key has signed.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gateway.core.bundles import (
    CHECKPOINT,
    CHECKPOINTS,
    ENTRIES,
    MEMBERS,
    PRUNED,
    README,
    SELECTION,
    BundleError,
    decoded,
    exactly,
    parsed,
)
from gateway.core.merkle import TILE_HEIGHT, Frontier, ProofError, leaf_hash, verify_inclusion
from gateway.core.note_keys import NoteError
from gateway.core.notes import Checkpoint, add, checkpoint_of
from gateway.verifier.objects import ObjectCheck
from gateway.verifier.report import Report
from gateway.verifier.rows import StoredEntry, StoredLeaf, StoredPart
from gateway.verifier.verify import (
    State,
    Trusted,
    check_pruned,
    checked_header,
    is_kept,
    read_checkpoints,
    verify,
)

_LINE = ("leaf_index", "entry_id", "leaf_hash", "entry", "parts", "proof")
_ENTRY = ("exchange_id", "kind", "org_id", "team", "app", "key_id", "writer_epoch", "writer_seq")
_PART = ("part", "alg", "size", "sha256_ct", "key_commit", "nonce", "ciphertext")
_OBJECT = ("object_sha256", "object")
_NONCE = 12
_LONGEST_LINE = 1 << 30
_PRUNED_KIND = "retention.pruned"
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeError)


class Bundle:
    """A bundle in a file; implements `Source` where it has all of the log.

    Raises `BundleError` for what is no bundle, here and while it is read.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        if tuple(archive.namelist()) != MEMBERS:
            raise BundleError("it has other members than bundles have")
        told = parsed(self._all(SELECTION), "size", "leaves")
        self.size: int = told["size"]
        self.runs: list[list[int]] = told["leaves"]
        self._all(README)
        self._check_last()

    @property
    def whole(self) -> bool:
        """Whether it has all of the log."""
        return self.runs == [[0, self.size]]

    def lines(self) -> Iterator[tuple[StoredLeaf, list[StoredPart], list[bytes] | None]]:
        """Each entry, its payloads, and the proof that the log has it."""
        for line in self._lines(ENTRIES):
            yield _entry(parsed(line, *_LINE))

    def leaves(self) -> Iterator[StoredLeaf]:
        return (leaf for leaf, _, _ in self.lines())

    def parts(self) -> Iterator[tuple[int, StoredPart]]:
        return ((leaf.place, part) for leaf, parts, _ in self.lines() for part in parts)

    def waiting(self) -> Iterator[StoredEntry]:
        return iter(())

    def strays(self) -> Iterable[str]:
        return ()

    def nodes(self) -> Iterator[tuple[int, int, bytes]]:
        """A bundle keeps none: those of its own leaves, which the checkpoints are held against."""
        frontier = Frontier()
        for leaf in self.leaves():
            for height, number, value in frontier.append(leaf.leaf_hash):
                if height % TILE_HEIGHT == 0:
                    yield height, number, value

    def head(self) -> tuple[int, bytes] | None:
        return None

    def checkpoints(self) -> Iterator[tuple[int, str]]:
        for told in self._notes():
            yield told["size"], told["note"]

    def cosignatures(self) -> Iterator[tuple[int, str, str]]:
        for told in self._notes():
            for line in told["lines"]:
                yield told["size"], "", line

    def pruned(self) -> Iterator[tuple[str, str]]:
        for line in self._lines(PRUNED):
            told = parsed(line, "entry_id", "pruned_by")
            yield told["entry_id"], told["pruned_by"]

    def last(self) -> Checkpoint:
        """The last checkpoint; whether it is signed is for others to say."""
        return checkpoint_of(self._all(CHECKPOINT).decode())

    def _check_last(self) -> None:
        """The last checkpoint is the last of them all, and of the size that is told."""
        whole = ""
        for told in self._notes():
            whole = told["note"]
            for line in told["lines"]:
                whole = add(whole, line)
        if whole != self._all(CHECKPOINT).decode() or self.last().size != self.size:
            raise BundleError("its last checkpoint is not the last that it has")

    def _notes(self) -> Iterator[dict[str, Any]]:
        return (parsed(line, "size", "note", "lines") for line in self._lines(CHECKPOINTS))

    def _all(self, name: str) -> bytes:
        return self._archive.read(name)

    def _lines(self, name: str) -> Iterator[bytes]:
        with self._archive.open(name) as member:
            while line := member.readline(_LONGEST_LINE):
                yield line


def verify_bundle(path: Path, trusted: Trusted) -> Report:
    """What is wrong with the bundle at `path`. Raises `OSError`."""
    report = Report()
    try:
        with zipfile.ZipFile(path) as archive:
            bundle = Bundle(archive)
            return verify(bundle, trusted) if bundle.whole else _verify_some(bundle, trusted)
    except (BundleError, NoteError) as error:
        report.add(0, f"the bundle: {error}")
    except _BROKEN as error:
        report.add(0, f"the bundle is damaged: {type(error).__name__}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        report.add(0, f"the bundle holds what no bundle has: {type(error).__name__}")
    return report


def _verify_some(bundle: Bundle, trusted: Trusted) -> Report:
    """Each entry by itself, against the last checkpoint that is signed."""
    report = Report()
    state = State(report, ObjectCheck(report))
    read_checkpoints(bundle, trusted, state)
    last = bundle.last()
    if last not in state.wanted.get(last.size, ()):
        report.add(last.size, "the last checkpoint is not signed by the log")
        return report
    for others in state.wanted.values():
        for other in others:
            if other.size == last.size and other.root != last.root:
                report.add(last.size, "a checkpoint of as many entries has another root")
    promised = (place for run in bundle.runs for place in range(*run))
    for leaf, parts, proof in bundle.lines():
        if next(promised, None) != leaf.place:
            report.add(leaf.place, "it is not what should stand here", leaf.entry_id)
            return report
        _check_proof(leaf, proof, last, report)
        _check_entry(leaf, parts, state)
    if (place := next(promised, None)) is not None:
        report.add(place, "it is chosen, and not here")
    check_pruned(bundle, state)
    report.root = last.root.hex()
    return report


def _check_proof(
    leaf: StoredLeaf, proof: list[bytes] | None, last: Checkpoint, report: Report
) -> None:
    try:
        verify_inclusion(leaf.leaf_hash, leaf.place, last.size, proof or (), last.root)
    except ProofError as error:
        report.add(leaf.place, f"the log does not have it: {error}", leaf.entry_id)


def _check_entry(leaf: StoredLeaf, parts: list[StoredPart], state: State) -> None:
    """The entry against its leaf, its row against its header, its payloads against that."""
    report, entry = state.report, leaf.entry
    if entry is None:
        report.add(leaf.place, "its entry is gone", leaf.entry_id)
        return
    report.entries += 1
    if not leaf_hash(entry.header) == leaf.leaf_hash == entry.leaf_hash:
        report.add(leaf.place, "its header is not the one that is in the log", leaf.entry_id)
        return
    header = checked_header(entry, leaf.place, report)
    if header is None:
        return
    if entry.kind == _PRUNED_KIND:
        facts = header["facts"]
        state.prunings[entry.entry_id] = leaf.place, facts["count"], str(facts["digest"])
    said = {part["part"]: part for part in header["parts"]}
    for part in parts:
        report.parts += 1
        promised = said.pop(part.part, None)
        if promised is None or not is_kept(part, promised):
            report.add(leaf.place, f"its payload {part.part} is not its own", leaf.entry_id)
        else:
            state.objects.check(leaf.place, header, part, promised)
    if said:
        state.missing.append((leaf.place, leaf.entry_id))


def _entry(line: dict[str, Any]) -> tuple[StoredLeaf, list[StoredPart], list[bytes] | None]:
    entry_id, stored = line["entry_id"], line["entry"]
    entry = None
    if stored is not None:
        exactly(stored, *_ENTRY, "header", "leaf_hash")
        columns: list[Any] = [stored[name] for name in _ENTRY]
        columns += decoded(stored["header"]), decoded(stored["leaf_hash"])
        entry = StoredEntry._make([entry_id, *columns])
    leaf = StoredLeaf(line["leaf_index"], entry_id, decoded(line["leaf_hash"]), entry)
    parts = [_part(entry_id, part) for part in line["parts"]]
    proof = line["proof"]
    return leaf, parts, None if proof is None else [decoded(each) for each in proof]


def _part(entry_id: str, told: Any) -> StoredPart:
    """A payload; of one that is in object storage, with its object where the bundle has it."""
    away = isinstance(told, dict) and "object_sha256" in told
    exactly(told, *_PART, *(_OBJECT if away else ()))
    nonce = decoded(told["nonce"])
    if len(nonce) != _NONCE:
        raise BundleError("a nonce has another length")
    digests = decoded(told["sha256_ct"]), decoded(told["key_commit"])
    content = nonce + decoded(told["ciphertext"])
    stored = StoredPart(entry_id, told["part"], told["alg"], told["size"], *digests, content)
    if not away:
        return stored
    held = told["object"]
    return stored._replace(
        object_digest=decoded(told["object_sha256"]),
        object_content=None if held is None else decoded(held),
    )
