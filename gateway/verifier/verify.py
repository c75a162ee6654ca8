"""Verifies a ledger: every stored byte, every place, every signature.

1. Each entry's header is hashed again; it is the leaf that the log has at its place.
2. The entries of each writer are numbered without a gap, each naming the one before.
3. Each payload's bytes are hashed again; an entry has the payloads that its header names.
4. The tree is built again from the leaves; the kept nodes are its nodes.
5. Each checkpoint is signed by the log's key and has the tree's root at its size; witnesses'
   lines are theirs. A checkpoint from elsewhere is held against the tree as well.
6. Payloads that are gone are those that an entry of the log says were deleted.
7. Each object is hashed again that a header names; one that is gone was erased, as the log says.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.merkle import TILE_HEIGHT, Frontier, leaf_hash
from gateway.core.note_keys import NoteError, Verifier
from gateway.core.notes import Checkpoint, add, checkpoint_of, opened
from gateway.verifier.objects import DESTROYED, ObjectCheck, Read
from gateway.verifier.report import Report
from gateway.verifier.rows import Source, StoredEntry, StoredLeaf, StoredPart

_OPENED, _CLOSED, _PRUNED = "opened", "closed", "retention.pruned"
_COPIES = ("entry_id", "exchange_id", "kind", "org", "team", "app", "key_id")


@dataclass(frozen=True, slots=True)
class Trusted:
    """What the verifier was given from elsewhere, and believes.

    `logs` are the keys that may have signed checkpoints, `witnesses` those that co-signed;
    `notes` are checkpoints that somebody else has kept.
    """

    logs: Sequence[Verifier]
    witnesses: Sequence[Verifier] = ()
    notes: Sequence[str] = ()


@dataclass(slots=True)
class _Writer:
    seq: int = 0
    leaf: bytes | None = None
    entry_id: str = ""
    index: int = 0


@dataclass(slots=True)
class State:
    """What is known while the log is read from its beginning."""

    report: Report
    objects: ObjectCheck
    frontier: Frontier = field(default_factory=Frontier)
    writers: dict[str, _Writer] = field(default_factory=dict)
    open: dict[str, int] = field(default_factory=dict)
    """Exchanges that were opened and have not ended, and where."""
    prunings: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    """Entries that say what was deleted: place, count and digest."""
    missing: list[tuple[int, str]] = field(default_factory=list)
    """Entries that lack payloads."""
    wanted: dict[int, list[Checkpoint]] = field(default_factory=dict)
    """Checkpoints by size, to be held against the tree when it is that large."""


def verify(source: Source, trusted: Trusted, read: Read | None = None) -> Report:
    """Read all of `source`, and say what is not as it was written.

    `read` reads objects; without it, those that are not in `source` are only counted. Raises
    what it raises.
    """
    report = Report()
    state = State(report, ObjectCheck(report, read))
    read_checkpoints(source, trusted, state)
    nodes, parts = _Nodes(source.nodes(), state.report), _Parts(source.parts(), state)
    _hold_against(state, 0)
    for place, leaf in enumerate(source.leaves()):
        if leaf.place != place:
            state.report.add(place, f"the log goes on with leaf {leaf.place}", leaf.entry_id)
            break
        _read_leaf(leaf, state, parts)
        nodes.check(state.frontier.append(leaf.leaf_hash), place)
        _hold_against(state, place + 1)
    size = state.frontier.size
    parts.finish(size)
    nodes.finish(size)
    _check_head(source, state)
    _check_cut_off(state)
    _read_waiting(source, state)
    check_pruned(source, state)
    state.objects.finish()
    for stray in source.strays():
        state.report.add(size, stray)
    state.report.open = len(state.open)
    state.report.root = state.frontier.root().hex()
    return state.report


def _read_leaf(leaf: StoredLeaf, state: State, parts: _Parts) -> None:
    report, entry = state.report, leaf.entry
    if entry is None:
        report.add(leaf.place, "its entry is gone", leaf.entry_id)
        parts.check(leaf.place, leaf.entry_id, None)
        return
    report.entries += 1
    if leaf_hash(entry.header) != leaf.leaf_hash:
        report.add(leaf.place, "its header is not the one that is in the log", entry.entry_id)
        parts.check(leaf.place, entry.entry_id, None)
        place = _Writer(entry.seq, leaf.leaf_hash, entry.entry_id, leaf.place)
        state.writers[entry.epoch] = place  # as far as one can tell, so that the next may follow
        return
    if entry.leaf_hash != leaf.leaf_hash:
        report.add(leaf.place, "its own leaf hash is not the log's", entry.entry_id)
    header = checked_header(entry, leaf.place, report)
    parts.check(leaf.place, entry.entry_id, header)
    if header is not None:
        _follow(entry, header, leaf.leaf_hash, leaf.place, state)
        _keep_count(entry, header, leaf.place, state)


def checked_header(entry: StoredEntry, index: int, report: Report) -> dict[str, Any] | None:
    """The header, which its row copies; None when it cannot be read."""
    try:
        header: dict[str, Any] = json.loads(entry.header)
        copied = [header[name] for name in _COPIES]
        place = header["writer"]["epoch"], header["writer"]["seq"]
    except (ValueError, KeyError, TypeError):
        report.add(index, "its header cannot be read", entry.entry_id)
        return None
    said = entry.entry_id, entry.exchange_id, entry.kind, entry.org, entry.team, entry.app
    if copied != [*said, entry.key_id] or place != (entry.epoch, entry.seq):
        report.add(index, "its row says other things than its header", entry.entry_id)
    return header


def _follow(
    entry: StoredEntry, header: dict[str, Any], leaf: bytes, index: int, state: State
) -> None:
    """Check that it comes next among its writer's."""
    epoch, seq = header["writer"]["epoch"], header["writer"]["seq"]
    writer = state.writers.setdefault(epoch, _Writer())
    if seq != writer.seq + 1:
        state.report.add(
            index, f"entry {writer.seq + 1} of writer {epoch} should stand here", entry.entry_id
        )
    elif header["writer"]["prev_leaf"] != (writer.leaf.hex() if writer.leaf else None):
        state.report.add(
            writer.index, "what follows it names another in its place", writer.entry_id
        )
    writer.seq, writer.leaf, writer.entry_id, writer.index = seq, leaf, entry.entry_id, index


def _keep_count(entry: StoredEntry, header: dict[str, Any], index: int, state: State) -> None:
    if entry.kind == _OPENED:
        if entry.exchange_id in state.open:
            state.report.add(index, "its exchange is open already", entry.entry_id)
        state.open[entry.exchange_id] = index
    elif entry.kind == _CLOSED and state.open.pop(entry.exchange_id, None) is None:
        state.report.add(index, "its exchange is not open", entry.entry_id)
    elif entry.kind == _PRUNED:
        facts = header.get("facts", {})
        said = facts.get("count", 0), str(facts.get("digest"))
        state.prunings[entry.entry_id] = (index, *said)
    elif entry.kind == DESTROYED:
        state.objects.note(header.get("facts", {}))


class _Parts:
    """The payloads, read beside the entries that they belong to."""

    def __init__(self, rows: Iterator[tuple[int, StoredPart]], state: State) -> None:
        self._rows = rows
        self._state = state
        self._next = next(rows, None)

    def check(self, index: int, entry_id: str, header: dict[str, Any] | None) -> None:
        """Check the payloads of the entry at `index` against its header."""
        report = self._state.report
        promised = {each["part"]: each for each in header["parts"]} if header else None
        while self._next is not None and self._next[0] <= index:
            part = self._next[1]
            self._next = next(self._rows, None)
            report.parts += 1
            said = None if promised is None else promised.pop(part.part, None)
            if promised is not None and said is None:
                report.add(index, f"it has a payload {part.part} that it does not name", entry_id)
            elif said is not None and not is_kept(part, said):
                report.add(index, f"its payload {part.part} is not what was written", entry_id)
            elif said is not None and header is not None:
                self._state.objects.check(index, header, part, said)
        if promised:
            self._state.missing.append((index, entry_id))

    def finish(self, size: int) -> None:
        """Whatever is left belongs to no place."""
        while self._next is not None:
            self._state.report.add(size, "a payload of no place in the log")
            self._next = next(self._rows, None)


def is_kept(part: StoredPart, said: dict[str, Any]) -> bool:
    """Whether a payload's bytes and its row are what the header names."""
    digest = hashlib.sha256(part.content).digest()
    named = part.alg, part.size, part.key_commit.hex()
    kept = part.object_digest
    return (
        digest == part.digest
        and digest.hex() == said["sha256_ct"]
        and (kept.hex() if kept is not None else None) == said.get("object_sha256")
        and named == (said["alg"], said["size"], said["key_commit"])
    )


class _Nodes:
    """The kept nodes, held against those of the tree that is built."""

    def __init__(self, rows: Iterable[tuple[int, int, bytes]], report: Report) -> None:
        self._kept = {(height, number): value for height, number, value in rows}
        self._report = report

    def check(self, completed: Sequence[tuple[int, int, bytes]], index: int) -> None:
        """Check the nodes that the leaf at `index` completed."""
        for height, number, value in completed:
            if height % TILE_HEIGHT == 0 and self._kept.pop((height, number), None) != value:
                first = number << height
                self._report.add(index, f"the node over leaves {first} to {index} is another")

    def finish(self, size: int) -> None:
        """Whatever is left is of no tree."""
        for _ in self._kept:
            self._report.add(size, "a node that the tree does not have")


def read_checkpoints(source: Source, trusted: Trusted, state: State) -> None:
    """Check every signature, and file the checkpoints by size."""
    report = state.report
    lines: dict[int, list[str]] = {}
    for size, _, line in source.cosignatures():
        lines.setdefault(size, []).append(line)
    for size, note in source.checkpoints():
        report.checkpoints += 1
        try:
            known = opened(note, trusted.logs)
            checkpoint = Checkpoint.parse(known.text)
            if checkpoint.size != size or checkpoint.origin not in known.verified:
                raise NoteError("it is filed as another")
            whole = note
            for line in lines.pop(size, []):
                whole = add(whole, line)
            if trusted.witnesses:
                for name in opened(whole, [*trusted.logs, *trusted.witnesses]).verified:
                    if name not in known.verified:
                        report.cosigned[name] = max(report.cosigned.get(name, 0), size)
        except NoteError as error:
            report.add(size, f"the checkpoint of {size} entries: {error}")
            continue
        report.signed = max(report.signed, size)
        state.wanted.setdefault(size, []).append(checkpoint)
    for size in lines:
        report.add(size, f"a witness's line under no checkpoint of {size} entries")
    for note in trusted.notes:
        _read_foreign(note, trusted, state)


def _read_foreign(note: str, trusted: Trusted, state: State) -> None:
    """A checkpoint that somebody else has kept."""
    try:
        opened(note, [*trusted.logs, *trusted.witnesses])
        checkpoint = checkpoint_of(note)
    except NoteError as error:
        state.report.add(0, f"a checkpoint that was given: {error}")
        return
    state.wanted.setdefault(checkpoint.size, []).append(checkpoint)


def _hold_against(state: State, size: int) -> None:
    """Hold the checkpoints of this size against the tree, which is this large now."""
    wanted = state.wanted.pop(size, ())
    if not wanted:
        return
    root = state.frontier.root()
    if any(checkpoint.root != root for checkpoint in wanted):
        state.report.add(max(size - 1, 0), f"the first {size} entries are not those signed for")


def _check_cut_off(state: State) -> None:
    """Whatever was signed beyond the end of the log is gone."""
    if state.wanted:
        size, largest = state.frontier.size, max(state.wanted)
        state.report.add(size, f"the log ends here, but {largest} entries were signed for")


def _check_head(source: Source, state: State) -> None:
    head = source.head()
    if head is None:
        return
    size = state.frontier.size
    if head != (size, state.frontier.encoded()):
        state.report.add(min(size, head[0]), f"the log says that it has {head[0]} entries")


def _read_waiting(source: Source, state: State) -> None:
    """Entries that are not in the log yet still follow each other.

    They come one writer after the other, so an exchange may seem to end before it begins: where
    another writer closed it, as lost.
    """
    size = state.frontier.size
    ends: list[tuple[StoredEntry, dict[str, Any]]] = []
    for entry in source.waiting():
        state.report.waiting += 1
        header = checked_header(entry, size, state.report)
        leaf = leaf_hash(entry.header)
        if leaf != entry.leaf_hash:
            state.report.add(size, "it has other bytes than were hashed", entry.entry_id)
        if header is not None:
            _follow(entry, header, leaf, size, state)
            if entry.kind == _CLOSED:
                ends.append((entry, header))
            else:
                _keep_count(entry, header, size, state)
    for entry, header in ends:
        _keep_count(entry, header, size, state)


def check_pruned(source: Source, state: State) -> None:
    """Payloads are missing only where the log says that they were deleted."""
    told: dict[str, Any] = {}
    covered: set[str] = set()
    for entry_id, by in source.pruned():
        covered.add(entry_id)
        count, digest = told.setdefault(by, [0, hashlib.sha256()])
        digest.update(f"{entry_id}\n".encode())
        told[by][0] = count + 1
    state.report.pruned = len(covered)
    for by, (count, digest) in told.items():
        index, promised, said = state.prunings.get(by, (state.frontier.size, -1, ""))
        if (count, digest.hexdigest()) != (promised, said):
            state.report.add(index, "it names other deleted payloads than are missing", by)
    for index, entry_id in state.missing:
        if entry_id not in covered:
            state.report.add(index, "payloads that it names are gone", entry_id)
