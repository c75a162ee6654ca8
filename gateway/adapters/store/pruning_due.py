"""Which payloads' time is over: read from the ledger alone, never from an index of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, func, select

from gateway.adapters.store.legal_holds import chunks, matters, standing
from gateway.adapters.store.log_tables import Checkpoint, LogLeaf
from gateway.adapters.store.tables import AuditEntry, AuditPart, table
from gateway.core.legal_holds import Hold, Matter, covers
from gateway.core.records import Kind
from gateway.core.retention import Filed, Term, Terms

_ENTRY, _PART = table(AuditEntry), table(AuditPart)
_LEAF, _CHECKPOINT = table(LogLeaf), table(Checkpoint)
_PARTS_OF_EXCHANGES = frozenset({Kind.OPENED, Kind.ATTEMPT, Kind.SEGMENT, Kind.CLOSED})
_COLUMNS = ("entry_id", "exchange_id", "org_id", "team", "app", "kind", "ts")


class Due(NamedTuple):
    """An exchange, or an act, all of whose payloads may go."""

    exchange_id: str
    org: str
    term: Term
    entries: Sequence[tuple[int, str]]
    """Those that have payloads: their places in the log, and their ids."""


class Found(NamedTuple):
    """What is due of some entries, and the ids of what would be, did no legal hold cover it."""

    due: Sequence[Due]
    held: frozenset[str]


def look_at(
    connection: Connection, terms: Terms, now: datetime, after: str, most: int
) -> Sequence[str]:
    """The next entries that have payloads and may be old enough, after the entry `after`."""
    newest = entry_bound(now - timedelta(days=terms.shortest))
    return connection.scalars(
        select(_PART.c.entry_id)
        .where(_PART.c.entry_id > after, _PART.c.entry_id < newest)
        .distinct()
        .order_by(_PART.c.entry_id)
        .limit(most)
    ).all()


def find(connection: Connection, terms: Terms, now: datetime, ids: Sequence[str]) -> Found:
    """What is due of the exchanges that these entries belong to.

    An exchange is due when it has ended, its last entry is older than its term says, all of
    its entries are signed for, and no hold covers it.
    """
    over = list(_over(connection, terms, now, ids))
    held = _held(connection, [one for one, _ in over], [matter for _, matter in over])
    return Found([one for one, _ in over if one.exchange_id not in held], held)


def entry_bound(moment: datetime) -> str:
    """The lowest id that an entry of `moment` can have."""
    return f"ent_{max(int(moment.timestamp() * 1_000), 0) << 80:032x}"


def _over(
    connection: Connection, terms: Terms, now: datetime, ids: Sequence[str]
) -> Iterator[tuple[Due, Matter]]:
    signed = connection.execute(select(func.max(_CHECKPOINT.c.size))).scalar() or 0
    exchanges = _exchanges(connection, ids)
    every = [row for rows in exchanges.values() for row in rows]
    filled, labels = _filled(connection, every), _labels(connection, every)
    for exchange_id, rows in exchanges.items():
        first = rows[0]
        ended = any(row.kind == Kind.CLOSED for row in rows)
        if not ended and first.kind in _PARTS_OF_EXCHANGES:
            continue
        if any(row.leaf_index is None or row.leaf_index >= signed for row in rows):
            continue
        term = terms.of(Filed(first.team, first.app, labels.get(exchange_id, ())))
        if max(_aware(row.ts) for row in rows) + timedelta(days=term.max_days) > now:
            continue
        entries = sorted((row.leaf_index, row.entry_id) for row in rows if row.entry_id in filled)
        matter = Matter(exchange_id, _aware(first.ts), first.team, first.app)
        yield Due(exchange_id, first.org_id, term, entries), matter


def _exchanges(connection: Connection, ids: Sequence[str]) -> Mapping[str, list[Any]]:
    """All entries of the exchanges that these entries belong to, in the order written."""
    named = select(_ENTRY.c.exchange_id).where(_ENTRY.c.entry_id.in_(ids)).distinct()
    rows = connection.execute(
        select(*(_ENTRY.c[name] for name in _COLUMNS), _LEAF.c.leaf_index)
        .outerjoin(_LEAF, _LEAF.c.entry_id == _ENTRY.c.entry_id)
        .where(_ENTRY.c.exchange_id.in_(named))
        .order_by(_ENTRY.c.entry_id)
    )
    found: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.exchange_id].append(row)
    return found


def _labels(connection: Connection, rows: Sequence[Any]) -> Mapping[str, Sequence[str]]:
    """What terminal entries say that their exchanges were labelled."""
    found: dict[str, Sequence[str]] = {}
    for some in chunks(row.entry_id for row in rows if row.kind == Kind.CLOSED):
        headers = select(_ENTRY.c.exchange_id, _ENTRY.c.header).where(_ENTRY.c.entry_id.in_(some))
        for exchange_id, header in connection.execute(headers):
            found[exchange_id] = orjson.loads(header)["facts"].get("labels") or ()
    return found


def _filled(connection: Connection, rows: Sequence[Any]) -> set[str]:
    """The ids of those of these entries that have payloads."""
    return {
        found
        for some in chunks(row.entry_id for row in rows)
        for found in connection.scalars(
            select(_PART.c.entry_id).where(_PART.c.entry_id.in_(some)).distinct()
        )
    }


def _held(connection: Connection, due: Sequence[Due], plain: Sequence[Matter]) -> frozenset[str]:
    """The ids of those that a legal hold covers."""
    by_org: dict[str, list[Hold]] = {
        org: standing(connection, org) for org in {one.org for one in due}
    }
    if not any(by_org.values()):
        return frozenset()
    known = {matter.exchange_id: matter for matter in plain}
    known |= {each.exchange_id: each for each in matters(connection, list(known))}
    return frozenset(
        one.exchange_id
        for one in due
        if any(covers(hold.scope, known[one.exchange_id]) for hold in by_org[one.org])
    )


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
