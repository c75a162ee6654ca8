"""The log as an archive follows it: stretches of leaves, and the exchanges that ended in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any

import orjson
from sqlalchemy import Connection, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.adapters.store.indexing import aware
from gateway.adapters.store.leases import clock
from gateway.adapters.store.log_tables import Follower, LogLeaf
from gateway.adapters.store.tables import AuditEntry, table
from gateway.adapters.store.threads import Threads
from gateway.core.archive import ArchivedExchange, Stretch
from gateway.core.ids import new_id
from gateway.core.records import Kind

MOST = 20_000
"""Leaves of a stretch."""
_CLAIM = timedelta(minutes=10)
_ENTRY, _LEAF, _FOLLOWER = table(AuditEntry), table(LogLeaf), table(Follower)
_ENDS = (Kind.OPENED.value, Kind.CLOSED.value)
_OF_EXCHANGES = (*_ENDS, Kind.ATTEMPT.value, Kind.SEGMENT.value)


class SqlArchiveSource:
    """Implements `ArchiveSource` over a migrated database at `url`.

    `name` is the follower's: an archive in another place is another follower.
    """

    def __init__(self, url: str, name: str, *, patience: float = 60.0, most: int = MOST) -> None:
        self._threads = Threads(url, "archive", patience)
        self._mine = _FOLLOWER.c.name == name
        self._name = name
        self._me = new_id("arc")
        self._most = most

    async def claim(self) -> bool:
        return await self._threads.run(self._claim, writes=True)

    async def position(self) -> int:
        wanted = select(_FOLLOWER.c.position).where(self._mine)
        return int(await self._threads.run(lambda c: c.execute(wanted).scalar() or 0))

    async def read(self, begin: int, end: int | None) -> Stretch | None:
        return await self._threads.run(self._read, begin, end)

    async def move(self, begin: int, end: int) -> bool:
        return await self._threads.run(self._move, begin, end, writes=True)

    async def release(self) -> None:
        mine = update(_FOLLOWER).where(self._mine, _FOLLOWER.c.claimed_by == self._me)
        await self._threads.run(lambda c: c.execute(mine.values(claimed_by=None)), writes=True)

    async def stop(self) -> None:
        """Close the connections."""
        await self._threads.stop()

    def _claim(self, connection: Connection) -> bool:
        now = clock(connection)
        first = {"org_id": "default", "name": self._name, "position": 0, "updated_at": now}
        put = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(put(_FOLLOWER).values(first).on_conflict_do_nothing())
        free = or_(_FOLLOWER.c.claimed_by.is_(None), _FOLLOWER.c.claimed_until < now)
        taken = update(_FOLLOWER).where(self._mine, free)
        told = {"claimed_by": self._me, "claimed_until": now + _CLAIM, "updated_at": now}
        return connection.execute(taken.values(told)).rowcount == 1

    def _move(self, connection: Connection, begin: int, end: int) -> bool:
        now = clock(connection)
        mine = self._mine & (_FOLLOWER.c.claimed_by == self._me)
        told = {"position": end, "claimed_until": now + _CLAIM, "updated_at": now}
        moved = update(_FOLLOWER).where(mine, _FOLLOWER.c.position == begin).values(told)
        return connection.execute(moved).rowcount == 1

    def _read(self, connection: Connection, begin: int, end: int | None) -> Stretch | None:
        newest = connection.execute(select(func.max(_LEAF.c.leaf_index))).scalar()
        size = 0 if newest is None else int(newest) + 1
        last = min(begin + self._most, size) if end is None else end
        if last <= begin or last > size:
            return None
        return Stretch(begin, last, self._exchanges(connection, begin, last))

    @staticmethod
    def _exchanges(connection: Connection, begin: int, end: int) -> list[ArchivedExchange]:
        touched = (
            select(_ENTRY.c.exchange_id)
            .join(_LEAF, _LEAF.c.entry_id == _ENTRY.c.entry_id)
            .where(_LEAF.c.leaf_index >= begin, _LEAF.c.leaf_index < end)
            .where(_ENTRY.c.kind.in_(_ENDS))
        )
        rows = connection.execute(
            select(_ENTRY, _LEAF.c.leaf_index)
            .join(_LEAF, _LEAF.c.entry_id == _ENTRY.c.entry_id)
            .where(_ENTRY.c.exchange_id.in_(touched), _ENTRY.c.kind.in_(_OF_EXCHANGES))
            .where(_LEAF.c.leaf_index < end)
            .order_by(_ENTRY.c.exchange_id, _LEAF.c.leaf_index)
        )
        found = []
        for _, mine in groupby(rows, lambda row: row.exchange_id):
            entries = list(mine)
            ends = [int(row.leaf_index) for row in entries if row.kind in _ENDS]
            if len(ends) == len(_ENDS) and max(ends) >= begin:
                found.append(_archived(entries))
        return found


def _archived(entries: Sequence[Any]) -> ArchivedExchange:
    """The row of an exchange of these entries, which are in the order of the log."""
    opened = next(row for row in entries if row.kind == Kind.OPENED.value)
    closed = next(row for row in entries if row.kind == Kind.CLOSED.value)
    inner = [row for row in entries if row.kind not in _ENDS]
    facts = [orjson.loads(row.header)["facts"] for row in (opened, *inner, closed)]
    told: dict[str, Any] = {}
    for each in facts:
        told |= each
    decision, usage = told.get("decision") or {}, told.get("usage") or {}
    found = [*(told.get("findings") or ()), *(told.get("answer_findings") or ())]
    return ArchivedExchange(
        exchange_id=opened.exchange_id,
        started_at=aware(opened.ts),
        ended_at=aware(closed.ts),
        org=opened.org_id,
        team=opened.team,
        app=opened.app,
        key_id=opened.key_id,
        action=_text(told, "action"),
        model=_text(facts[0], "model"),
        provider=_text(told, "upstream"),
        served_model=_text(told, "upstream_model"),
        outcome=_text(told, "outcome"),
        code=_text(told, "code"),
        effect=_text(decision, "effect"),
        decision_id=_text(decision, "id"),
        policy_revision=_text(decision, "revision"),
        rules=[str(rule) for rule in decision.get("rules") or ()],
        labels=[str(label) for label in told.get("labels") or ()],
        findings=sorted({f"{one['kind']}:{one['label']}" for one in found}),
        input_tokens=usage.get("input_tokens"),
        output_tokens=usage.get("output_tokens"),
        cost_micro_usd=told.get("cost_micro_usd") or 0,
        cost_exact=told.get("cost_exact"),
        attempts=sum(row.kind == Kind.ATTEMPT.value for row in entries),
        elapsed_us=told.get("elapsed_us"),
        leaf_indexes=[int(row.leaf_index) for row in entries],
        leaf_hashes=[row.leaf_hash.hex() for row in entries],
    )


def _text(facts: Mapping[str, Any], name: str) -> str | None:
    value = facts.get(name)
    return None if value is None else str(value)
