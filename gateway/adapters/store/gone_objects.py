"""Objects of payloads that were pruned or erased, and objects that belong to no payload.

What is gone is noted in the transaction that prunes or erases. Its object is deleted a day
later: until then whoever reads a snapshot of the database, as the verifier does, still finds it.
An object without a payload was put by somebody who died before the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, delete, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.adapters.store.engine import for_writing, open_engine
from gateway.adapters.store.erasure_tables import ObjectGone
from gateway.adapters.store.object_parts import FOLDER, digest_of, name_of
from gateway.adapters.store.tables import AuditPart, table
from gateway.core.objects import PayloadObjects

T = TypeVar("T")
GRACE = timedelta(days=1)
"""How long an object stays after its payload is gone, or before it must have one."""
_TOGETHER = 200
_PART, _GONE = table(AuditPart), table(ObjectGone)


class Between(Protocol):
    """Does work that writes to the database, where it is least in the way."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


def note_gone(connection: Connection, which: ColumnElement[bool], now: datetime) -> None:
    """Note that the objects of these payloads may go, in the caller's transaction."""
    put = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    found = select(_PART.c.org_id, _PART.c.object_sha256, literal(now, _GONE.c.since.type)).where(
        which, _PART.c.object_sha256.is_not(None)
    )
    names = ["org_id", "object_sha256", "since"]
    connection.execute(put(_GONE).from_select(names, found).on_conflict_do_nothing())


class GoneObjects:
    """Deletes objects that are gone from the database at `url`. `clock` tells the time.

    Methods raise `ObjectsError` and SQLAlchemy's errors.
    """

    def __init__(
        self,
        url: str,
        objects: PayloadObjects,
        *,
        patience: float = 30.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine = open_engine(url, patience)
        self._objects = objects
        self._clock = clock

    async def clear(self, between: Between) -> int:
        """Delete what has been gone for a day; how many objects. Safe to repeat, and for
        several processes at once."""
        count = 0
        while due := await asyncio.to_thread(self._due):
            await asyncio.to_thread(self._objects.remove, [name_of(each) for each in due])
            await between(partial(self._forget, due))
            count += len(due)
        return count

    def strays(self) -> Iterator[str]:
        """The names of objects older than a day that belong to no payload."""
        before = self._clock() - GRACE
        for some in self._objects.listed(FOLDER):
            old = {digest_of(name): name for name, put in some if put < before}
            old.pop(None, None)
            digests = [digest for digest in old if digest is not None]
            for start in range(0, len(digests), _TOGETHER):
                asked = digests[start : start + _TOGETHER]
                known = self._known(asked)
                yield from (old[digest] for digest in asked if digest not in known)

    def remove(self, names: Collection[str]) -> None:
        """Delete objects by their names."""
        self._objects.remove(names)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _due(self) -> Sequence[bytes]:
        due = select(_GONE.c.object_sha256).where(_GONE.c.since < self._clock() - GRACE)
        with self._engine.connect() as connection:
            return [bytes(each) for each in connection.scalars(due.limit(_TOGETHER))]

    def _forget(self, digests: Sequence[bytes]) -> None:
        with for_writing(self._engine).begin() as connection:
            connection.execute(delete(_GONE).where(_GONE.c.object_sha256.in_(digests)))

    def _known(self, digests: Sequence[bytes]) -> set[bytes]:
        """Those that a payload has, or had until lately."""
        with self._engine.connect() as connection:
            return {
                bytes(found)
                for column in (_PART.c.object_sha256, _GONE.c.object_sha256)
                for found in connection.scalars(select(column).where(column.in_(digests)))
            }
