"""Who follows the log, how far they are, and which process goes on for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy import Connection, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from gateway.adapters.store.engine import for_writing, open_engine, unavailable
from gateway.adapters.store.indexing import aware
from gateway.adapters.store.leases import clock
from gateway.adapters.store.log_tables import Follower
from gateway.adapters.store.tables import table
from gateway.core.exports import Standing
from gateway.core.ids import new_id

T = TypeVar("T")
CLAIM = timedelta(seconds=60)
"""Longer than any delivery may take."""
_FOLLOWER = table(Follower)


class Between(Protocol):
    """Does work that writes to the database, where it is least in the way."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


class SqlFollowers:
    """Implements `Followers` over the database at `url`. `between` is the journal's."""

    def __init__(
        self, url: str, between: Between, *, claim: timedelta = CLAIM, patience: float = 2.0
    ) -> None:
        self._engine = open_engine(url, patience)
        self._writing = for_writing(self._engine)
        self._between = between
        self._lasts = claim
        self._me = new_id("fol")

    async def position(self, name: str) -> int:
        return await asyncio.to_thread(self._do, partial(_position, name=name))

    async def claim(self, name: str) -> int | None:
        return await self._write(partial(self._claim, name=name))

    async def advance(self, name: str, begin: int, end: int) -> bool:
        return await self._write(partial(self._advance, name=name, begin=begin, end=end))

    async def failed(self, name: str, why: str) -> None:
        await self._write(partial(_failed, name=name, why=why))

    async def release(self, name: str) -> None:
        await self._write(partial(self._release, name=name))

    async def standing(self, names: Sequence[str]) -> Sequence[Standing]:
        return await asyncio.to_thread(self._do, partial(_standing, names=names))

    async def stop(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._engine.dispose)

    async def _write(self, work: Callable[[Connection], T]) -> T:
        return await self._between(partial(self._do, work, writes=True))

    def _do(self, work: Callable[[Connection], T], writes: bool = False) -> T:
        try:
            with (self._writing if writes else self._engine).begin() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            raise unavailable(error) from error

    def _claim(self, connection: Connection, name: str) -> int | None:
        _register(connection, name)
        now = clock(connection)
        free = or_(
            _FOLLOWER.c.claimed_by.is_(None),
            _FOLLOWER.c.claimed_by == self._me,
            _FOLLOWER.c.claimed_until < now,
        )
        taken = connection.execute(
            update(_FOLLOWER)
            .where(_FOLLOWER.c.name == name, free)
            .values(claimed_by=self._me, claimed_until=now + self._lasts, updated_at=now)
        )
        return _position(connection, name) if taken.rowcount == 1 else None

    def _advance(self, connection: Connection, name: str, begin: int, end: int) -> bool:
        now = clock(connection)
        moved = connection.execute(
            update(_FOLLOWER)
            .where(_FOLLOWER.c.name == name, _FOLLOWER.c.claimed_by == self._me)
            .where(_FOLLOWER.c.position == begin)
            .values(position=end, failed=None, claimed_until=now + self._lasts, updated_at=now)
        )
        return moved.rowcount == 1

    def _release(self, connection: Connection, name: str) -> None:
        mine = (_FOLLOWER.c.name == name) & (_FOLLOWER.c.claimed_by == self._me)
        connection.execute(
            update(_FOLLOWER).where(mine).values(claimed_by=None, claimed_until=None)
        )


def _position(connection: Connection, name: str) -> int:
    found = connection.execute(select(_FOLLOWER.c.position).where(_FOLLOWER.c.name == name))
    return int(found.scalar() or 0)


def _register(connection: Connection, name: str) -> None:
    first = {"org_id": "default", "name": name, "position": 0, "updated_at": clock(connection)}
    put = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(put(_FOLLOWER).values(first).on_conflict_do_nothing())


def _failed(connection: Connection, name: str, why: str) -> None:
    _register(connection, name)
    noted = update(_FOLLOWER).where(_FOLLOWER.c.name == name)
    connection.execute(noted.values(failed=why, updated_at=clock(connection)))


def _standing(connection: Connection, names: Sequence[str]) -> Sequence[Standing]:
    rows = connection.execute(select(_FOLLOWER).where(_FOLLOWER.c.name.in_(list(names)))).all()
    known = {
        row.name: Standing(
            row.name,
            row.position,
            None if row.claimed_until is None else aware(row.claimed_until),
            row.failed,
            aware(row.updated_at),
        )
        for row in rows
    }
    return [known.get(name, Standing(name, 0)) for name in names]
