"""Keys destroyed, with everything that is derived of what rested under them.

The line in the erasure journal is durable before the transaction that destroys; that counts up
`deployment.erasures`, whose row every commit of the ledger holds: those under way are waited
for, later ones forget the keys that they remember.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Table, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from gateway.adapters.store.derived import (
    Forget,
    forget_exchanges,
    forget_kept,
    forget_value,
    tidy,
)
from gateway.adapters.store.engine import for_writing, open_engine, unavailable
from gateway.adapters.store.erasure_file import Erased, ErasureFile
from gateway.adapters.store.erasure_tables import SubjectKey, ValueIndex, ValueKey
from gateway.adapters.store.gone_objects import note_gone
from gateway.adapters.store.legal_holds import chunks, holding, lock
from gateway.adapters.store.person_keys import VALUE as VALUE_ID
from gateway.adapters.store.person_keys import subject_mac, value_mac
from gateway.adapters.store.tables import AuditEntry, AuditPart, Deployment, RecordKey, table
from gateway.core.erasures import SUBJECT, VALUE, Destroyed, UnderHold
from gateway.core.ids import new_id
from gateway.core.values import forms, normal

T = TypeVar("T")

_SUBJECT, _VALUE, _INDEX = table(SubjectKey), table(ValueKey), table(ValueIndex)
_RECORD, _DEPLOYMENT = table(RecordKey), table(Deployment)
_ENTRY, _PART = table(AuditEntry), table(AuditPart)
_KEYS = {SUBJECT: (_SUBJECT, _SUBJECT.c.subject_mac), VALUE: (_VALUE, _VALUE.c.value_mac)}


class Between(Protocol):
    """Does work that writes to the database, where it is least in the way: the journal's."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


class SqlErasure:
    """Implements `ErasureStore` over a migrated database at `url`.

    `forget` is called with exchanges, in the transaction that erases them as a whole, for what
    else is derived of them; `scrub` afterwards, step by step, as long as it says so.
    `between` is the journal's; `patience` how many seconds to wait for commits under way.
    """

    def __init__(
        self,
        url: str,
        index_key: bytes,
        file: ErasureFile,
        between: Between,
        *,
        forget: Sequence[Forget] = (),
        scrub: Callable[[Connection], bool] = lambda _: False,
        patience: float = 30.0,
    ) -> None:
        self.engine = for_writing(open_engine(url, patience))
        self._index_key = index_key
        self._file = file
        self._between = between
        self._forget = forget
        self._scrub = scrub

    async def destroy_subject(self, org: str, subject: str, by: str) -> Destroyed:
        mac = subject_mac(self._index_key, org, subject)
        return await self._do(lambda: self._destroy(SUBJECT, org, [mac], by))

    async def destroy_value(self, org: str, label: str | None, value: str, by: str) -> Destroyed:
        said = forms(value) if label is None else [normal(label, value)]
        macs = [value_mac(self._index_key, org, form) for form in said if form]
        return await self._do(lambda: self._destroy(VALUE, org, macs, by))

    async def reapply(self) -> int:
        return await self._do(self._reapply)

    async def unrecorded(self) -> Sequence[Destroyed]:
        return await self._do(self._unrecorded)

    async def recorded(self, keys: Collection[str]) -> None:
        await self._do(lambda: self._recorded(keys))

    async def exchanges_of(self, org: str, subject: str) -> tuple[Sequence[str], Sequence[str]]:
        mac = subject_mac(self._index_key, org, subject)

        def find() -> tuple[Sequence[str], Sequence[str]]:
            with self.engine.connect() as connection:
                keys = _living(connection, SUBJECT, org, [mac])
                return keys, _under(connection, keys)

        return await self._do(find)

    def stop(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    async def _do(self, work: Callable[[], T]) -> T:
        try:
            return await self._between(work)
        except SQLAlchemyError as error:
            raise unavailable(error) from error

    def _destroy(self, of: str, org: str, macs: Sequence[bytes], by: str) -> Destroyed:
        now = datetime.now(UTC)
        with self.engine.begin() as connection:
            lock(connection)
            keys = _living(connection, of, org, macs)
            exchanges, whole = _touched(connection, of, org, macs, keys)
            if held := holding(connection, org, exchanges):
                raise UnderHold(held)
            if whole and not keys:
                keys = [_carrier(connection, org, macs[0], now)]
            if keys:
                line = {"at": now.isoformat(), "org": org, "of": of, "by": by}
                self._file.append([Erased(keys=keys, exchanges=whole, **line)])
                self._wipe(connection, of, org, keys, whole, now)
            if of == SUBJECT:
                forget_kept(connection, org, macs)
        tidy(self.engine, self._scrub)
        return Destroyed(org, of, tuple(keys), tuple(whole), len(exchanges))

    def _wipe(
        self,
        connection: Connection,
        of: str,
        org: str,
        keys: Sequence[str],
        whole: Sequence[str],
        now: datetime,
    ) -> None:
        """Destroy keys, and forget what is derived of what rested under them."""
        these, column = _KEYS[of]
        macs = [
            bytes(mac)
            for some in chunks(keys)
            for mac in connection.scalars(select(column).where(these.c.key_id.in_(some)))
        ]
        exchanges, _ = _touched(connection, of, org, macs, keys)
        if of == SUBJECT:
            forget_exchanges(connection, exchanges, self._forget)
            forget_kept(connection, org, macs)
        else:
            forget_value(connection, org, macs, exchanges)
            forget_exchanges(connection, whole, self._forget)
        for some in chunks(exchanges if of == SUBJECT else whole):
            mine = select(_ENTRY.c.entry_id).where(_ENTRY.c.exchange_id.in_(some))
            note_gone(connection, _PART.c.entry_id.in_(mine), now)
        for some in chunks(whole):
            connection.execute(delete(_RECORD).where(_RECORD.c.exchange_id.in_(some)))
        for some in chunks(keys):
            gone = update(these).where(these.c.key_id.in_(some), these.c.wrapped.is_not(None))
            connection.execute(gone.values(wrapped=None, destroyed_at=now))
        connection.execute(update(_DEPLOYMENT).values(erasures=_DEPLOYMENT.c.erasures + 1))

    def _reapply(self) -> int:
        lines = self._file.read()
        count = 0
        with self.engine.begin() as connection:
            lock(connection)
            for of, (these, _) in _KEYS.items():
                told = [line for line in lines if line.of == of]
                back = _still_there(connection, these.c.key_id, these.c.wrapped, told, "keys")
                rows = _RECORD.c.exchange_id, _RECORD.c.wrapped
                whole = _still_there(connection, *rows, told, "exchanges")
                for line in told:
                    if not back.isdisjoint(line.keys) or not whole.isdisjoint(line.exchanges):
                        now = datetime.now(UTC)
                        self._wipe(connection, of, line.org, line.keys, line.exchanges, now)
                count += len(back)
            self._file.append(_missing(connection, lines))
        if lines:
            tidy(self.engine, self._scrub)
        return count

    def _unrecorded(self) -> Sequence[Destroyed]:
        whole = {id: line.exchanges for line in self._file.read() for id in line.keys}
        found: list[Destroyed] = []
        with self.engine.connect() as connection:
            for of, (these, _) in _KEYS.items():
                rows = connection.execute(
                    select(these.c.org_id, these.c.key_id)
                    .where(these.c.destroyed_at.is_not(None), these.c.recorded_at.is_(None))
                    .order_by(these.c.key_id)
                )
                found += [
                    Destroyed(row.org_id, of, (row.key_id,), tuple(whole.get(row.key_id, ())))
                    for row in rows
                ]
        return found

    def _recorded(self, keys: Collection[str]) -> None:
        now = datetime.now(UTC)
        with self.engine.begin() as connection:
            for these, _ in _KEYS.values():
                for some in chunks(keys):
                    mine = update(these).where(these.c.key_id.in_(some))
                    connection.execute(mine.values(recorded_at=now))


def _living(connection: Connection, of: str, org: str, macs: Sequence[bytes]) -> list[str]:
    these, column = _KEYS[of]
    living = these.c.destroyed_at.is_(None) & (these.c.org_id == org) & column.in_(macs)
    return list(connection.scalars(select(these.c.key_id).where(living)))


def _still_there(
    connection: Connection, id: Any, wrapped: Any, lines: Sequence[Erased], member: str
) -> set[str]:
    """The keys that these lines name and that can be read all the same."""
    named = {each for line in lines for each in getattr(line, member)}
    return {
        found
        for some in chunks(named)
        for found in connection.scalars(select(id).where(id.in_(some), wrapped.is_not(None)))
    }


def _under(connection: Connection, keys: Sequence[str]) -> list[str]:
    """The exchanges whose keys rest under these, the oldest first."""
    mine = select(_RECORD.c.exchange_id).where(_RECORD.c.kek_id.in_(keys))
    return list(connection.scalars(mine.order_by(_RECORD.c.exchange_id)))


def _touched(
    connection: Connection, of: str, org: str, macs: Sequence[bytes], keys: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The exchanges that something is erased of, and those of which all is."""
    if of == SUBJECT:
        return _under(connection, keys), []
    rows = connection.execute(
        select(_INDEX.c.exchange_id, func.max(_as_number(_INDEX)).label("whole"))
        .where(_INDEX.c.org_id == org, _INDEX.c.value_mac.in_(macs))
        .group_by(_INDEX.c.exchange_id)
        .order_by(_INDEX.c.exchange_id)
    ).all()
    return [row.exchange_id for row in rows], [row.exchange_id for row in rows if row.whole]


def _as_number(index: Table) -> Any:
    return index.c.whole.cast(_DEPLOYMENT.c.id.type)


def _carrier(connection: Connection, org: str, mac: bytes, now: datetime) -> str:
    """A key that never was, for the record of a value that only went with whole exchanges."""
    id = new_id(VALUE_ID)
    connection.execute(
        insert(_VALUE).values(
            org_id=org, key_id=id, value_mac=mac, kek_id="", created_at=now, destroyed_at=now
        )
    )
    return id


def _missing(connection: Connection, lines: Sequence[Erased]) -> list[Erased]:
    """What the database knows to be destroyed and the journal does not: it was written on
    another host."""
    known = {id for line in lines for id in line.keys}
    found: list[Erased] = []
    for of, (these, _) in _KEYS.items():
        rows = connection.execute(
            select(these.c.org_id, these.c.key_id, these.c.destroyed_at).where(
                these.c.destroyed_at.is_not(None)
            )
        )
        found += [
            Erased(at=str(row.destroyed_at), org=row.org_id, of=of, by="", keys=[row.key_id])
            for row in rows
            if row.key_id not in known
        ]
    return found
