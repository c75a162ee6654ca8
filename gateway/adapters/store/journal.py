"""The journal over SQL: what stages call, on the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from gateway.adapters.store.batch import Item, Place, Result
from gateway.adapters.store.cutting import Cut, Cutter
from gateway.adapters.store.engine import open_engine, unavailable
from gateway.adapters.store.page import Staged, Subject
from gateway.adapters.store.person_keys import subject_mac, value_mac
from gateway.adapters.store.sealing import Vault
from gateway.adapters.store.stowing import Stowage
from gateway.adapters.store.writer import Writer
from gateway.core.attribution import Attribution, subject_of
from gateway.core.errors import Code, Unavailable
from gateway.core.ids import new_id
from gateway.core.money import ZERO, Money
from gateway.core.principal import Principal
from gateway.core.records import Entry, Receipt
from gateway.core.values import Value, normal

T = TypeVar("T")

_MOST_TURNS = 8
"""Turns of the loop that an item waits for others at the most."""
_ENTRY_BYTES = 2_048
"""What an entry takes in the queue besides its parts, roughly."""
_LONG = 256 * 1024
"""Bytes of parts from which values are looked for in another thread."""


class SqlJournal:
    """Implements `Journal` over SQLite or PostgreSQL.

    `url` is a migrated database. `lease` is for how many seconds this process is taken to be
    alive without a sign; `patience` how many to wait for the database; `most_queued` how
    many bytes may wait to be written before calls are refused. `stowage` is where large payloads
    go; without it they go into the database.
    """

    def __init__(
        self,
        url: str,
        vault: Vault,
        *,
        lease: float = 10.0,
        patience: float = 2.0,
        most_queued: int = 64 * 1024 * 1024,
        stowage: Stowage | None = None,
    ) -> None:
        self.engine = open_engine(url, patience)
        self.stowage = stowage
        self._vault = vault
        self._writer = Writer(
            self.engine, vault, timedelta(seconds=lease), self._deliver, self._told_of_erasures
        )
        self.on_erasure: list[Callable[[], None]] = []
        """Called, on the loop, when keys of people were destroyed by whomever."""
        self._most_waiting = 2 * patience + 1.0
        self._most_queued = most_queued
        self._queued = 0
        self._waiting: dict[Item, None] = {}
        self._fresh: list[Item] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serving = False
        self._watch: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Connect, and close as `lost` what dead processes left open.

        Raises SQLAlchemy's errors, `UnsafeDatabase`, `WrongKeyring`, and `RuntimeError` for
        a database that is not migrated.
        """
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._writer.start)
        self._serving = True
        self._look_after_the_waiting(self._loop)

    async def stop(self) -> None:
        """Write what is queued, and give up the lease. Later calls are refused."""
        if not self._serving:
            return
        self._serving = False
        if self._fresh:
            self._hand_over()
        if self._watch is not None:
            self._watch.cancel()
        await asyncio.to_thread(self._writer.stop)

    @property
    def ready(self) -> bool:
        """Whether records can be written now, as far as is known."""
        return self._serving and self._writer.away is None

    def begin(
        self,
        exchange_id: str,
        principal: Principal,
        opened: Entry,
        whose: Attribution | None = None,
    ) -> SqlRecord:
        org, index_key = principal.org, self._vault.index_key
        named = whose or Attribution(subject_of(principal))
        mac = subject_mac(index_key, org, named.subject)
        subject = Subject.of(exchange_id, principal)
        place = Place(subject, principal.budget_id, mac, named.session)
        return SqlRecord(
            self,
            place,
            _staged(opened),
            Cutter(lambda value: value_mac(index_key, org, normal(*value))),
        )

    async def note(self, actor: Principal, entry: Entry) -> Receipt:
        place = Place(Subject.of(new_id("act"), actor))
        return await self.write(place, None, _staged(entry), ZERO, ZERO)

    def remaining(self, budget_id: str) -> tuple[Money, Money] | None:
        seen = self._writer.seen.get(budget_id)
        if seen is None:
            self._writer.wanted.add(budget_id)
        return seen

    async def recover(self) -> int:
        """Close as `lost` what dead processes left open, now; the number of exchanges."""
        return await self._errand(self._writer.recover)

    async def between(self, work: Callable[[], T]) -> T:
        """Do `work`, which writes to the same database, where it is least in the way.

        SQLite lets one write at a time, so there it is done between two commits.
        """
        if self.engine.dialect.name == "sqlite" and self._serving:
            return await self._errand(work)
        return await asyncio.to_thread(work)

    async def _errand(self, work: Callable[[], T]) -> T:
        """Do `work` in the ledger's thread. Raises what it raises."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - told to whoever waits
                loop.call_soon_threadsafe(_told, done, None, error)
            else:
                loop.call_soon_threadsafe(_told, done, result, None)

        self._writer.put(run)
        return await done

    async def write(
        self,
        place: Place,
        opened: Staged | None,
        staged: Staged | None,
        hold: int,
        spent: int | None,
    ) -> Receipt:
        """Queue an item for the next commit and wait until that is durable.

        Refused at once while the queue is full or the database away, except what closes an
        exchange that is in the queue or the ledger. Raises `OverBudget`, `Unavailable`.
        """
        loop = self._loop
        if loop is None or not self._serving:
            raise Unavailable(Code.AUDIT_UNAVAILABLE, "The ledger is closed.")
        if spent is None or not place.queued:
            if self._writer.away is not None:
                raise unavailable(self._writer.away)
            if self._queued > self._most_queued:
                raise Unavailable(Code.OVERLOADED, "Too much waits to be written.", retry_after=1.0)
        size = sum(_size(one.cut.parts) for one in (staged, opened) if one)
        future: asyncio.Future[Receipt] = loop.create_future()
        item = Item(place, opened, staged, hold, spent, size, time.monotonic(), future)
        place.queued = True
        self._waiting[item] = None
        self._queued += size
        if not self._fresh:
            loop.call_soon(self._gather, loop, 0, _MOST_TURNS)
        self._fresh.append(item)
        return await future

    def _gather(self, loop: asyncio.AbstractEventLoop, seen: int, turns: int) -> None:
        """Hand over what is queued once a turn of the loop has added nothing to it.

        No time is waited: an idle loop turns at once. A busy one gives the writer more to
        write in one commit, and its thread and ours wait for each other less often.
        """
        if len(self._fresh) > seen and turns:
            loop.call_soon(self._gather, loop, len(self._fresh), turns - 1)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        self._writer.put(self._fresh)
        self._fresh = []

    def _deliver(self, results: Sequence[Result]) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._resolve, results)

    def _told_of_erasures(self) -> None:
        assert self._loop is not None
        for listener in self.on_erasure:
            self._loop.call_soon_threadsafe(listener)

    def _resolve(self, results: Sequence[Result]) -> None:
        for item, result in results:
            del self._waiting[item]
            self._queued -= item.size
            if item.future.done():
                continue
            if isinstance(result, Receipt):
                item.future.set_result(result)
            else:
                item.future.set_exception(result)

    def _look_after_the_waiting(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tell those who wait too long for a database that neither answers nor fails."""
        overdue = time.monotonic() - self._most_waiting
        for item in self._waiting:
            if item.since > overdue:
                break
            if not item.future.done():
                item.future.set_exception(unavailable(TimeoutError()))
        self._watch = loop.call_later(1.0, self._look_after_the_waiting, loop)


class SqlRecord:
    """Implements `Record`. Cancelling whoever waits for an entry does not take it back."""

    def __init__(self, journal: SqlJournal, place: Place, opened: Staged, cutter: Cutter) -> None:
        self._journal = journal
        self._place = place
        self._opened = opened
        self._cutter = cutter
        self._refused = False
        """Whether a payload could not be put into object storage."""

    @property
    def opened(self) -> Receipt | None:
        return self._place.standing.opened

    async def open(self, values: Sequence[Value] = ()) -> Receipt:
        await self._find(values)
        if self.opened is None:
            self._opened = await self._stowed(self._opened, ends=False)
        return await self._journal.write(self._place, self._opened, None, ZERO, None)

    async def append(self, entry: Entry, hold: Money = ZERO) -> Receipt:
        if hold < 0:
            raise ValueError("a hold is never negative")
        return await self._write(entry, hold, None)

    async def close(self, entry: Entry, spent: Money) -> Receipt:
        if spent < 0:
            raise ValueError("what was spent is never negative")
        return await self._write(entry, ZERO, spent)

    async def _write(self, entry: Entry, hold: int, spent: int | None) -> Receipt:
        await self._find(entry.values)
        staged, ends = await self._cut(_staged(entry)), spent is not None
        if self.opened is None:
            self._opened = await self._stowed(self._opened, ends=ends)
        staged = await self._stowed(staged, ends=ends)
        return await self._journal.write(self._place, self._opened, staged, hold, spent)

    async def _find(self, values: Sequence[Value]) -> None:
        """Cut what was found by now out of the first entry too, unless that is written."""
        known = self._opened.entry.values
        if self.opened is None and len(values) > len(known):
            entry = replace(self._opened.entry, values=values)
            first = self._opened._replace(entry=entry, cut=Cut(entry.parts), stowed={})
            self._opened = await self._cut(first)

    async def _stowed(self, staged: Staged, *, ends: bool) -> Staged:
        """The entry with its large payloads in object storage, durably. Raises `Unavailable`.

        What ends an exchange goes into the database instead where they cannot be put: nobody
        would write it later, and no exchange may stay open.
        """
        stowage = self._journal.stowage
        if stowage is None or (ends and self._refused) or not stowage.wants(staged):
            return staged
        try:
            return await stowage.stow(staged, ends=ends)
        except Unavailable:
            self._refused = True
            if not ends:
                raise
            return staged

    async def _cut(self, staged: Staged) -> Staged:
        entry = staged.entry
        if not entry.values:
            return staged
        if _size(entry.parts) < _LONG:
            return staged._replace(cut=self._cutter.cut(entry))
        return staged._replace(cut=await asyncio.to_thread(self._cutter.cut, entry))


def _told(done: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    """Tell whoever waits, if anybody still does."""
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)


def _staged(entry: Entry) -> Staged:
    return Staged(new_id("ent"), datetime.now(UTC), entry, Cut(entry.parts))


def _size(parts: Mapping[str, bytes]) -> int:
    return sum(map(len, parts.values())) + _ENTRY_BYTES
