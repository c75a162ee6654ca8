"""The log as an evidence bundle holds it: entries, payloads as stored, proofs, signatures.

Everything up to a checkpoint is as it will ever be, but for payloads that are deleted in due
time. So it is read in short transactions, and what was deleted is read last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Select, func, select

from gateway.adapters.store.engine import open_engine
from gateway.adapters.store.log_nodes import SqlNodes
from gateway.adapters.store.log_tables import Checkpoint, Cosignature, LogLeaf, PrunedEntry
from gateway.adapters.store.object_parts import name_of
from gateway.adapters.store.proofs import cosigned, last_checkpoint
from gateway.adapters.store.tables import AuditEntry, AuditPart, table
from gateway.core.bundles import BundleError, coded, decoded
from gateway.core.merkle import inclusion_proof
from gateway.core.objects import ObjectMissing, ObjectsError, PayloadObjects

Runs: TypeAlias = Sequence[tuple[int, int]]
"""Leaves: from, and up to without."""
_TOGETHER = 64
_LEAF, _ENTRY, _PART = table(LogLeaf), table(AuditEntry), table(AuditPart)
_CHECKPOINT, _LINE, _PRUNED = table(Checkpoint), table(Cosignature), table(PrunedEntry)
_COLUMNS = ("exchange_id", "kind", "org_id", "team", "app", "key_id", "writer_epoch", "writer_seq")
_ROWS = (
    select(_LEAF.c.leaf_index, _LEAF.c.entry_id, _LEAF.c.leaf_hash)
    .add_columns(_ENTRY.c.header, _ENTRY.c.leaf_hash.label("own_hash"))
    .add_columns(*(_ENTRY.c[name] for name in _COLUMNS))
    .join_from(_LEAF, _ENTRY, _ENTRY.c.entry_id == _LEAF.c.entry_id, isouter=True)
    .order_by(_LEAF.c.leaf_index)
)


class SqlEvidence:
    """Reads what bundles are made of, from the database at `url`. Methods block."""

    def __init__(
        self, url: str, patience: float = 2.0, objects: PayloadObjects | None = None
    ) -> None:
        """`objects` is where large payloads are."""
        self._engine = open_engine(url, patience)
        self._objects = objects

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def last(self) -> tuple[int, str] | None:
        """The size and the note of the last checkpoint, with its witnesses' lines."""
        with self._engine.begin() as connection:
            found = last_checkpoint(connection)
            return None if found is None else (found[0], cosigned(connection, *found))

    def checkpoints(self, most: int) -> Iterator[dict[str, Any]]:
        """Every checkpoint of at most so many leaves, by size."""
        with self._engine.begin() as connection:
            rows = connection.execute(
                select(_CHECKPOINT.c.size, _CHECKPOINT.c.note)
                .where(_CHECKPOINT.c.size <= most)
                .order_by(_CHECKPOINT.c.size)
            ).all()
            lines: dict[int, list[str]] = {}
            signed = select(_LINE.c.size, _LINE.c.line).order_by(_LINE.c.size, _LINE.c.witness)
            for row in connection.execute(signed):
                lines.setdefault(row.size, []).append(row.line)
        for row in rows:
            yield {"size": row.size, "note": row.note, "lines": lines.get(row.size, [])}

    def between(self, since: datetime | None, until: datetime | None) -> tuple[int, int]:
        """From the first leaf to behind the last whose entry was written in this time."""
        place = _LEAF.c.leaf_index
        bounds = select(func.min(place), func.max(place)).join(
            _ENTRY, _ENTRY.c.entry_id == _LEAF.c.entry_id
        )
        if since is not None:
            bounds = bounds.where(_ENTRY.c.ts >= since)
        if until is not None:
            bounds = bounds.where(_ENTRY.c.ts < until)
        with self._engine.begin() as connection:
            first, last = connection.execute(bounds).one()
        return (0, 0) if first is None else (int(first), int(last) + 1)

    def of_exchange(self, exchange_id: str) -> list[int]:
        """The leaves of an exchange, in order."""
        places = (
            select(_LEAF.c.leaf_index)
            .join(_ENTRY, _ENTRY.c.entry_id == _LEAF.c.entry_id)
            .where(_ENTRY.c.exchange_id == exchange_id)
            .order_by(_LEAF.c.leaf_index)
        )
        with self._engine.begin() as connection:
            return list(connection.scalars(places))

    def deleting(self, runs: Runs, size: int) -> set[int]:
        """The leaves that say which payloads of these were deleted. Raises `BundleError` for one
        that is not signed for yet."""
        found: set[int] = set()
        with self._engine.begin() as connection:
            for run in runs:
                found |= {place for _, _, place in connection.execute(_deleted(_within(run)))}
        if any(place is None or place >= size for place in found):
            raise BundleError("payloads were deleted since the last checkpoint: try again later")
        return found

    def deleted(self, by: Sequence[int] | None, size: int) -> Iterator[dict[str, str]]:
        """All that these leaves say was deleted; None: that any leaf before `size` says."""
        with self._engine.begin() as connection:
            rows = connection.execute(_deleted()).all()
        for entry_id, pruned_by, place in rows:
            if place is not None and place < size and (by is None or place in by):
                yield {"entry_id": entry_id, "pruned_by": pruned_by}

    def entries(self, runs: Runs, proved_at: int | None) -> Iterator[dict[str, Any]]:
        """The leaves of `runs` with all that is stored of them; with the proof that the log of
        `proved_at` leaves has each, unless that is None. Raises `BundleError`."""
        for begin, end in runs:
            for first in range(begin, end, _TOGETHER):
                some = (first, min(first + _TOGETHER, end))
                with self._engine.begin() as connection:
                    found = _some(connection, some, proved_at)
                for each in found:
                    yield {**each, "parts": [self._whole(part) for part in each["parts"]]}

    def _whole(self, part: dict[str, Any]) -> dict[str, Any]:
        """A payload with its object, if it has one; None stands for one that was deleted."""
        if "object_sha256" not in part:
            return part
        if self._objects is None:
            raise BundleError("payloads are in object storage: set GOVGATE_OBJECTS__URL")
        try:
            content = self._objects.read(name_of(decoded(part["object_sha256"])))
        except ObjectMissing:
            return {**part, "object": None}
        except ObjectsError as error:
            raise BundleError(f"object storage cannot be read: {error}") from error
        return {**part, "object": coded(content)}


def _some(
    connection: Connection, run: tuple[int, int], proved_at: int | None
) -> list[dict[str, Any]]:
    rows = connection.execute(_ROWS.where(_within(run))).all()
    if [row.leaf_index for row in rows] != list(range(*run)):
        raise BundleError(f"the log lacks a leaf between {run[0]} and {run[1]}")
    parts: dict[str, list[dict[str, Any]]] = {}
    stored = select(_PART).where(_PART.c.entry_id.in_([row.entry_id for row in rows]))
    for part in connection.execute(stored.order_by(_PART.c.part)):
        parts.setdefault(part.entry_id, []).append(_part(part))
    nodes = SqlNodes(connection)
    found = []
    for row in rows:
        proof = None
        if proved_at is not None:
            proof = [coded(each) for each in inclusion_proof(nodes, row.leaf_index, proved_at)]
        found.append(
            {
                "leaf_index": row.leaf_index,
                "entry_id": row.entry_id,
                "leaf_hash": coded(row.leaf_hash),
                "entry": None if row.header is None else _entry(row),
                "parts": parts.get(row.entry_id, []),
                "proof": proof,
            }
        )
    return found


def _within(run: tuple[int, int]) -> ColumnElement[bool]:
    return (_LEAF.c.leaf_index >= run[0]) & (_LEAF.c.leaf_index < run[1])


def _deleted(within: ColumnElement[bool] | None = None) -> Select[Any]:
    """Entries without payloads, which entry says so, and where that stands: in the order in
    which it counts them."""
    says = _LEAF.alias("says")
    rows = (
        select(_PRUNED.c.entry_id, _PRUNED.c.pruned_by, says.c.leaf_index)
        .join(_LEAF, _LEAF.c.entry_id == _PRUNED.c.entry_id)
        .outerjoin(says, says.c.entry_id == _PRUNED.c.pruned_by)
        .order_by(_PRUNED.c.pruned_by, _LEAF.c.leaf_index)
    )
    return rows if within is None else rows.where(within)


def _entry(row: Any) -> dict[str, Any]:
    told = {name: row._mapping[name] for name in _COLUMNS}
    return {**told, "header": coded(row.header), "leaf_hash": coded(row.own_hash)}


def _part(row: Any) -> dict[str, Any]:
    told = {name: coded(row._mapping[name]) for name in ("nonce", "ciphertext")}
    hashes = {name: coded(row._mapping[name]) for name in ("sha256_ct", "key_commit")}
    if row.object_sha256 is not None:
        hashes["object_sha256"] = coded(row.object_sha256)
    return {"part": row.part, "alg": row.alg, "size": row.size, **told, **hashes}
