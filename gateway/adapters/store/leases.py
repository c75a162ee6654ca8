"""Who is writing, and what the dead have left open.

Each run of a process is an epoch with a lease. When a lease has lapsed, another writer closes
what that one left open, as `lost`, and fences it: it may write no more, should it wake up.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, func, insert, select, update

from gateway.adapters.store.cutting import NOTHING
from gateway.adapters.store.holds import PENDING, Change, Holds
from gateway.adapters.store.page import Page, Staged, Subject, Tail
from gateway.adapters.store.statements import Cursor, Statements, cursor_of
from gateway.adapters.store.tables import AuditEntry, Reservation, Writer, table
from gateway.core.exchange import Outcome
from gateway.core.ids import new_id
from gateway.core.records import Entry, Kind

_WRITER, _ENTRY, _RESERVATION = table(Writer), table(AuditEntry), table(Reservation)
_NEWEST = (
    select(_ENTRY.c.writer_epoch, _ENTRY.c.writer_seq, _ENTRY.c.leaf_hash)
    .order_by(_ENTRY.c.entry_id.desc())
    .limit(1)
)


class Fenced(Exception):
    """Another writer took this one for dead and closed what it had open."""


def clock(connection: Connection) -> datetime:
    """The time that leases are measured by: PostgreSQL's own, as hosts may disagree."""
    if connection.dialect.name == "postgresql":
        now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return now
    return datetime.now(UTC)


def begin_epoch(connection: Connection, lease: timedelta) -> tuple[Tail, Tail | None]:
    """Register a new writer: its empty chain, and the newest entry of any other."""
    now, epoch = clock(connection), new_id("wrt")
    connection.execute(
        insert(_WRITER).values(
            epoch=epoch,
            started_at=now,
            lease_until=now + lease,
            open_from=1,
            host=socket.gethostname(),
            pid=os.getpid(),
        )
    )
    newest = connection.execute(_NEWEST).one_or_none()
    return Tail(epoch, 0, None), None if newest is None else Tail(*newest)


def read_tail(connection: Connection, epoch: str) -> Tail:
    """The last entry that a writer wrote."""
    mine = _NEWEST.where(_ENTRY.c.writer_epoch == epoch).order_by(None)
    row = connection.execute(mine.order_by(_ENTRY.c.writer_seq.desc())).one_or_none()
    return Tail(epoch, 0, None) if row is None else Tail(*row)


def check_alive(cursor: Cursor, statements: Statements, epoch: str) -> int:
    """How many keys were destroyed so far; until the commit nobody may destroy another.

    Raises `Fenced` unless this writer may write; until the commit nobody may fence it.
    """
    cursor.execute(statements.writer_standing, (epoch,))
    rows = cursor.fetchall()
    if len(rows) != 1 or rows[0][0] is not None:
        raise Fenced(epoch)
    return int(rows[0][1])


def renew(connection: Connection, epoch: str, lease: timedelta, open_from: int) -> None:
    """Stay alive for another `lease`. Zero ends it: what is open then counts as left open."""
    until = clock(connection) + lease
    mine = update(_WRITER).where(_WRITER.c.epoch == epoch)
    connection.execute(mine.values(lease_until=until, open_from=open_from))


def recover(connection: Connection, statements: Statements, page: Page) -> int:
    """Close as `lost` what writers with a lapsed lease left open; their number.

    Adds to `page`, whose writer it is; the caller writes the page in the same transaction.
    """
    lapsed = connection.execute(
        select(_WRITER.c.epoch, _WRITER.c.open_from)
        .where(_WRITER.c.recovered_at.is_(None), _WRITER.c.epoch != page.tail.epoch)
        .where(_WRITER.c.lease_until < clock(connection))
        .order_by(_WRITER.c.epoch)
        .with_for_update(skip_locked=True)
    ).all()
    if not lapsed:
        return 0
    orphans: list[Any] = []
    for epoch, open_from in lapsed:
        orphans += _left_open(connection, epoch, open_from)
    _close_as_lost(connection, statements, page, orphans)
    epochs = [epoch for epoch, _ in lapsed]
    dead = update(_WRITER).where(_WRITER.c.epoch.in_(epochs))
    connection.execute(dead.values(recovered_at=clock(connection)))
    return len(orphans)


def _left_open(connection: Connection, epoch: str, open_from: int) -> Sequence[Any]:
    """The opened exchanges without a terminal entry, and what is known to be released."""
    later = _ENTRY.alias("later")
    closed = _ENTRY.alias("closed")
    is_open = ~(
        select(closed.c.entry_id)
        .where(closed.c.exchange_id == _ENTRY.c.exchange_id, closed.c.kind == Kind.CLOSED.value)
        .exists()
    )
    segment = case((later.c.kind == Kind.SEGMENT.value, 1), else_=0)
    columns = [_ENTRY.c[name] for name in ("exchange_id", "org_id", "team", "app", "key_id")]
    rows = connection.execute(
        select(*columns, func.sum(segment).label("segments"), func.count().label("entries"))
        .join(later, later.c.exchange_id == _ENTRY.c.exchange_id)
        .where(_ENTRY.c.writer_epoch == epoch, _ENTRY.c.writer_seq >= open_from)
        .where(_ENTRY.c.kind == Kind.OPENED.value, is_open)
        .group_by(*columns)
        .order_by(_ENTRY.c.exchange_id)
    )
    return rows.all()


def _close_as_lost(
    connection: Connection, statements: Statements, page: Page, orphans: Sequence[Any]
) -> None:
    pending = {
        row.exchange_id: row
        for some in _chunks([orphan.exchange_id for orphan in orphans])
        for row in connection.execute(
            select(_RESERVATION).where(
                _RESERVATION.c.exchange_id.in_(some), _RESERVATION.c.state == PENDING
            )
        )
    }
    budget_ids = {row.budget_id for row in pending.values()}
    cursor = cursor_of(connection)
    holds = Holds.lock(cursor, statements, budget_ids)
    now = clock(connection)
    for orphan in orphans:
        subject = Subject(*(orphan[index] for index in range(5)))
        held = pending.get(subject.exchange_id)
        facts = {
            "outcome": Outcome.LOST.value,
            "segments": int(orphan.segments),
            "entries": int(orphan.entries),
            "cost_micro_usd": held.amount_micro if held else 0,
            "presumed": held is not None,
        }
        staged = Staged(new_id("ent"), now, Entry(Kind.CLOSED, facts), NOTHING)
        page.add_bare(subject, staged)
        if held is not None and held.budget_id in holds.budgets:
            change = Change(subject, held.budget_id, staged.entry_id, now)
            holds.presume(change, held.amount_micro)
    holds.write(cursor)


def _chunks(ids: Sequence[str], most: int = 500) -> list[Sequence[str]]:
    return [ids[start : start + most] for start in range(0, len(ids), most)]
