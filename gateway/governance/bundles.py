"""Evidence bundles: written line by line, so that a log of any size needs little memory."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, BinaryIO, Protocol

from gateway.core.bundles import (
    CHECKPOINT,
    CHECKPOINTS,
    ENTRIES,
    PRUNED,
    README,
    SELECTION,
    BundleError,
    line_of,
)

Runs = Sequence[tuple[int, int]]
_ABOUT = """\
Evidence from the log of a Govgate gateway.

  selection.json     which leaves of the log are here, and of how many
  entries.jsonl      each entry: its header as it was hashed, its payloads as they are stored
                     (encrypted), and where not all of the log is here, the proof that the log
                     has it
  pruned.jsonl       entries whose payloads were deleted when their time was over
  checkpoints.jsonl  what the log's key has signed, and the lines of witnesses
  checkpoint         the last of them

To verify it, without the gateway that wrote it and without a network:

  govgate audit verify BUNDLE.zip --log VKEY [--witness VKEY] [--checkpoint FILE]

VKEY is the public key of the log. Have it from somebody you trust, not from whoever gave you
this file. By hand: the leaf hash is SHA-256 over a zero byte and the header (RFC 6962, 2.1); a
proof is checked as RFC 9162, 2.1.3.2 says; a checkpoint is a signed note (c2sp.org/signed-note);
the sha256_ct of a payload is SHA-256 over its nonce and its ciphertext, and stands in the header.
Where a payload was in object storage, object_sha256 in the header is SHA-256 over its object, and
what stands for the payload is the object's key, encrypted; an object that is null was deleted.

What is here is proved. That nothing else was asked for and left out is proved only where all of
the log is here.
"""


class Evidence(Protocol):
    """What bundles are made of."""

    def last(self) -> tuple[int, str] | None: ...
    def checkpoints(self, most: int) -> Iterator[dict[str, Any]]: ...
    def between(self, since: datetime | None, until: datetime | None) -> tuple[int, int]: ...
    def of_exchange(self, exchange_id: str) -> list[int]: ...
    def deleting(self, runs: Runs, size: int) -> set[int]: ...
    def deleted(self, by: Sequence[int] | None, size: int) -> Iterator[dict[str, str]]: ...
    def entries(self, runs: Runs, proved_at: int | None) -> Iterator[dict[str, Any]]: ...


class Chosen:
    """Which leaves a bundle is to have: a run of them, a time, or exchanges; else all."""

    def __init__(
        self,
        begin: int | None = None,
        end: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        exchanges: Sequence[str] = (),
    ) -> None:
        ways = (begin, end) != (None, None), (since, until) != (None, None), bool(exchanges)
        if sum(ways) > 1:
            raise BundleError("choose by leaves, by time or by exchanges, not by several of them")
        self._begin, self._end = begin, end
        self._since, self._until = since, until
        self._exchanges = exchanges

    def runs(self, evidence: Evidence, size: int) -> Runs:
        """The leaves, of a log of `size`. Raises `BundleError` where there are none."""
        if self._exchanges:
            return _runs(self._places(evidence, size))
        begin, end = self._begin or 0, size if self._end is None else self._end
        if self._since is not None or self._until is not None:
            begin, end = evidence.between(self._since, self._until)
            end = min(end, size)
        if not 0 <= begin < end <= size:
            raise BundleError(f"no such leaves are signed for: {size} are")
        return [(begin, end)]

    def _places(self, evidence: Evidence, size: int) -> set[int]:
        places: set[int] = set()
        for id in self._exchanges:
            found = evidence.of_exchange(id)
            if not found or max(found) >= size:
                raise BundleError(f"{id} is not in the log, or not signed for yet")
            places.update(found)
        return places


def write_bundle(file: BinaryIO, evidence: Evidence, chosen: Chosen) -> int:
    """Write a bundle; how many entries it has. Raises `BundleError`."""
    last = evidence.last()
    if last is None:
        raise BundleError("nothing has been signed yet: there is nothing to prove")
    size, note = last
    runs = chosen.runs(evidence, size)
    whole = list(runs) == [(0, size)]
    says: list[int] | None = None
    if not whole:
        deleting = evidence.deleting(runs, size)
        says = sorted(deleting)
        runs = _runs({*deleting, *(place for run in runs for place in range(*run))})
    lines = evidence.entries(runs, None if whole else size)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        archive.writestr(README, _ABOUT)
        archive.writestr(SELECTION, line_of({"size": size, "leaves": [list(run) for run in runs]}))
        _write(archive, ENTRIES, lines)
        if whole:
            evidence.deleting(runs, size)  # raises when what is missing is not explained yet
        _write(archive, PRUNED, evidence.deleted(says, size))
        _write(archive, CHECKPOINTS, evidence.checkpoints(size))
        archive.writestr(CHECKPOINT, note)
    return sum(end - begin for begin, end in runs)


def _write(archive: zipfile.ZipFile, name: str, lines: Iterable[dict[str, Any]]) -> None:
    with archive.open(name, "w", force_zip64=True) as member:
        for line in lines:
            member.write(line_of(line))


def _runs(places: set[int]) -> Runs:
    ordered = sorted(places)
    starts = [ordered[0], *(b for a, b in pairwise(ordered) if b != a + 1)]
    ends = [*(a + 1 for a, b in pairwise(ordered) if b != a + 1), ordered[-1] + 1]
    return list(zip(starts, ends, strict=True))
