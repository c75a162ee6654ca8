"""What every gateway counted of the releases that are asked beside what is in force."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.adapters.store.indexing import aware
from gateway.adapters.store.policy_rows import utc
from gateway.adapters.store.policy_tables import PolicyShadowCount
from gateway.adapters.store.tables import table
from gateway.adapters.store.threads import Threads
from gateway.core.shadows import Kind, Sample, Tally

COUNT = table(PolicyShadowCount)
DROPPED = "dropped"
"""The class of what was not asked about."""
_KEYS = ("org_id", "release_id", "node_id", "kind")


class SqlShadowCounts:
    """Implements `Tallies` for one organisation over a migrated database at `url`.

    Connections are opened when something is kept or read, not before.
    """

    def __init__(self, url: str, *, org: str = "default", patience: float = 2.0) -> None:
        self._threads = Threads(url, "shadow-counts", patience)
        self._org = org

    async def keep(self, tally: Tally) -> None:
        await self._threads.run(_keep, _rows(self._org, tally), writes=True)

    async def of(self, release: str) -> Sequence[Tally]:
        return await self._threads.run(_of, self._org, release)

    async def stop(self) -> None:
        """Close the connections."""
        await self._threads.stop()


def _keep(connection: Connection, values: Sequence[dict[str, Any]]) -> None:
    kind = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    rows = kind(COUNT).values(values)
    new = {column.name: rows.excluded[column.name] for column in COUNT.columns}
    changing = {name: value for name, value in new.items() if name not in _KEYS}
    connection.execute(rows.on_conflict_do_update(index_elements=_KEYS, set_=changing))


def _of(connection: Connection, org: str, release: str) -> Sequence[Tally]:
    mine = (COUNT.c.org_id == org) & (COUNT.c.release_id == release)
    found = connection.execute(select(COUNT).where(mine).order_by(COUNT.c.node_id)).all()
    by_node = groupby(found, key=lambda row: row.node_id)
    return [_tally(release, node, list(rows)) for node, rows in by_node]


def _rows(org: str, tally: Tally) -> list[dict[str, Any]]:
    """A row for every class, also for what was not counted: it takes the place of what was."""
    counts = {kind.value: tally.counts.get(kind, 0) for kind in Kind} | {DROPPED: tally.dropped}
    return [
        {
            "org_id": org,
            "release_id": tally.release,
            "node_id": tally.node,
            "kind": kind,
            "since": utc(tally.since),
            "counted": counted,
            "samples": [sample.exchange for sample in tally.samples if sample.kind == kind],
        }
        for kind, counted in counts.items()
    ]


def _tally(release: str, node: str, rows: Sequence[Any]) -> Tally:
    counted = {row.kind: row.counted for row in rows}
    samples = [Sample(id, Kind(row.kind)) for row in rows for id in row.samples]
    return Tally(
        release,
        node,
        aware(rows[0].since),
        {kind: counted[kind.value] for kind in Kind if counted.get(kind.value)},
        counted.get(DROPPED, 0),
        tuple(sorted(samples, key=lambda sample: sample.exchange)),
    )
