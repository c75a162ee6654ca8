"""Legal holds over SQL, and what they say of exchanges that are to be erased."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from gateway.adapters.store.erasure_tables import LegalHold, SubjectKey, ValueIndex
from gateway.adapters.store.person_keys import subject_mac, value_mac
from gateway.adapters.store.tables import AuditEntry, Deployment, RecordKey, table
from gateway.adapters.store.threads import Threads
from gateway.core.legal_holds import Hold, Matter, Scope, Wanted, covers
from gateway.core.records import Kind
from gateway.core.values import forms

_HOLD, _ENTRY, _DEPLOYMENT = table(LegalHold), table(AuditEntry), table(Deployment)
_VALUE, _RECORD, _SUBJECT = table(ValueIndex), table(RecordKey), table(SubjectKey)
MOST_IDS = 500
"""Ids in one list of a statement."""


class SqlHolds:
    """Implements `HoldStore` over a migrated database at `url`."""

    def __init__(self, url: str, index_key: bytes, *, patience: float = 2.0) -> None:
        self._threads = Threads(url, "holds", patience)
        self._index_key = index_key

    def scope(self, org: str, wanted: Wanted) -> Scope:
        subject, value = wanted.subject, wanted.value
        if value is not None and not forms(value):
            raise ValueError("nothing is left of the value that could be looked for")
        return Scope(
            wanted.team,
            wanted.app,
            None if subject is None else subject_mac(self._index_key, org, subject),
            tuple(value_mac(self._index_key, org, form) for form in forms(value or "")),
            wanted.exchanges,
            wanted.since,
            wanted.until,
        )

    async def add(self, hold: Hold) -> None:
        await self._threads.run(_add, hold, writes=True)

    async def get(self, org: str, id: str) -> Hold | None:
        found = await self._threads.run(_select, _named(org, id))
        return found[0] if found else None

    async def listed(self, org: str) -> Sequence[Hold]:
        return await self._threads.run(_select, _HOLD.c.org_id == org)

    async def ask_lift(self, org: str, id: str, by: str) -> bool:
        stands = _named(org, id) & _HOLD.c.lifted_at.is_(None) & _HOLD.c.lift_asked_by.is_(None)
        values = {"lift_asked_by": by, "lift_asked_at": datetime.now(UTC)}
        return await self._threads.run(_change, stands, values, writes=True)

    async def lift(self, org: str, id: str, by: str) -> bool:
        stands = _named(org, id) & _HOLD.c.lifted_at.is_(None) & (_HOLD.c.lift_asked_by != by)
        values = {"lifted_by": by, "lifted_at": datetime.now(UTC)}
        return await self._threads.run(_change, stands, values, writes=True)

    async def stop(self) -> None:
        """Close the connections."""
        await self._threads.stop()


def lock(connection: Connection) -> None:
    """Wait for commits under way; none follows, and nobody erases or holds, until this ends."""
    connection.execute(select(_DEPLOYMENT.c.erasures).with_for_update()).all()


def holding(connection: Connection, org: str, exchange_ids: Collection[str]) -> list[str]:
    """The ids of the holds that cover any of these exchanges."""
    active = standing(connection, org)
    if not active:
        return []
    found: dict[str, None] = {}
    for matter in matters(connection, exchange_ids):
        found.update(dict.fromkeys(hold.id for hold in active if covers(hold.scope, matter)))
    return list(found)


def standing(connection: Connection, org: str) -> list[Hold]:
    """The holds of an organisation that were not lifted."""
    return [hold for hold in _select(connection, _HOLD.c.org_id == org) if not hold.lifted_at]


def matters(connection: Connection, exchange_ids: Collection[str]) -> Iterator[Matter]:
    """What holds may ask of exchanges."""
    for ids in chunks(exchange_ids):
        values: dict[str, set[bytes]] = {}
        stands = select(_VALUE.c.exchange_id, _VALUE.c.value_mac)
        for id, mac in connection.execute(stands.where(_VALUE.c.exchange_id.in_(ids))):
            values.setdefault(id, set()).add(bytes(mac))
        rows = connection.execute(
            select(
                _ENTRY.c.exchange_id,
                _ENTRY.c.ts,
                _ENTRY.c.team,
                _ENTRY.c.app,
                _SUBJECT.c.subject_mac,
            )
            .outerjoin(_RECORD, _RECORD.c.exchange_id == _ENTRY.c.exchange_id)
            .outerjoin(_SUBJECT, _SUBJECT.c.key_id == _RECORD.c.kek_id)
            .where(_ENTRY.c.exchange_id.in_(ids), _ENTRY.c.kind == Kind.OPENED.value)
        )
        for row in rows:
            mac = None if row.subject_mac is None else bytes(row.subject_mac)
            known = values.get(row.exchange_id, ())
            yield Matter(row.exchange_id, _aware(row.ts), row.team, row.app, mac, known)


def chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    """`ids` in lists that a statement can take."""
    listed = list(ids)
    for start in range(0, len(listed), MOST_IDS):
        yield listed[start : start + MOST_IDS]


def _add(connection: Connection, hold: Hold) -> None:
    lock(connection)
    connection.execute(
        insert(_HOLD).values(
            org_id=hold.org,
            hold_id=hold.id,
            scope=hold.scope.as_json(),
            reason=hold.reason,
            placed_by=hold.placed_by,
            placed_at=hold.placed_at,
        )
    )


def _change(connection: Connection, which: ColumnElement[bool], values: dict[str, Any]) -> bool:
    lock(connection)
    return connection.execute(update(_HOLD).where(which).values(values)).rowcount == 1


def _select(connection: Connection, which: ColumnElement[bool]) -> list[Hold]:
    rows = connection.execute(select(_HOLD).where(which).order_by(_HOLD.c.hold_id.desc()))
    return [_hold(row) for row in rows]


def _hold(row: Any) -> Hold:
    moments = (row.placed_at, row.lift_asked_at, row.lifted_at)
    placed, asked, lifted = (None if at is None else _aware(at) for at in moments)
    assert placed is not None
    return Hold(
        row.hold_id,
        row.org_id,
        Scope.from_json(row.scope),
        row.reason,
        row.placed_by,
        placed,
        row.lift_asked_by,
        asked,
        row.lifted_by,
        lifted,
    )


def _named(org: str, id: str) -> ColumnElement[bool]:
    mine: ColumnElement[bool] = _HOLD.c.org_id == org
    named: ColumnElement[bool] = _HOLD.c.hold_id == id
    return mine & named


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
