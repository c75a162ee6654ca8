"""Group commit: one thread writes for everyone, a batch as soon as the last one is durable."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import TypeAlias

import structlog
from sqlalchemy import Engine

from gateway.adapters.store.batch import Batch, Item, Place, Result
from gateway.adapters.store.engine import is_poison, unavailable
from gateway.adapters.store.sealing import Vault
from gateway.adapters.store.session import Session, check_schema
from gateway.core.money import Money

MOST_ITEMS = 256
MOST_BYTES = 1024 * 1024
IDLE = 1.0
"""Seconds between two rounds of housekeeping."""
AWAY = 0.25
"""Seconds between two attempts to reach a database that is gone."""

_Work: TypeAlias = Sequence[Item] | Callable[[], None] | None
"""What stands in the queue: items, an errand for the thread, or None: the end."""
_log = structlog.get_logger(__name__)


class Writer:
    """The thread that owns the database connection.

    `deliver` is called in the thread with the results of a batch, once it is durable or has
    failed; `erased` when keys of subjects or values were destroyed, by whomever. What a caller
    gave up waiting for is written all the same.
    """

    def __init__(
        self,
        engine: Engine,
        vault: Vault,
        lease: timedelta,
        deliver: Callable[[Sequence[Result]], None],
        erased: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._session = Session(engine, vault, lease, erased)
        self._deliver = deliver
        self._queue: SimpleQueue[_Work] = SimpleQueue()
        self._backlog: deque[Item] = deque()
        self._ending = False
        self._owed: dict[Place, Item] = {}
        self._renew_every = lease.total_seconds() / 3
        self._pause = min(IDLE, self._renew_every)
        self._renewed = 0.0
        self._tick_at = 0.0
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self.away: BaseException | None = None
        """Why nothing can be written now, None while it can."""
        self.wanted: set[str] = set()
        """Budgets to keep an eye on."""
        self.seen: dict[str, tuple[Money, Money]] = {}
        """What was left of each budget, and its limit, when last seen."""

    def start(self) -> None:
        """Connect, recover what the dead left open, then serve. Raises what went wrong."""
        check_schema(self._engine)
        self._session.connect()
        self._session.recover()
        self._renewed = time.monotonic()
        self._thread.start()

    def put(self, work: Sequence[Item] | Callable[[], None]) -> None:
        """Queue items, or an errand to run between two batches. For any thread."""
        self._queue.put(work)

    def stop(self) -> None:
        """Write what is queued, give the lease up, end the thread. Waits for it."""
        self._queue.put(None)
        self._thread.join()
        self._engine.dispose()

    def recover(self) -> int:
        """Close what dead writers left open; for the writer's own thread."""
        return self._session.recover()

    def _run(self) -> None:
        while self._backlog or not self._ending:
            items = self._take()
            if items:
                self._deliver(self._written(items))
            if time.monotonic() >= self._tick_at:
                self._tick()
        self._pay_what_is_owed()
        self._session.end()

    def _take(self) -> list[Item]:
        """The next batch: all there is, or what comes first until housekeeping is due."""
        self._listen()
        items: list[Item] = []
        size = 0
        while self._backlog and len(items) < MOST_ITEMS:
            size += self._backlog[0].size
            if items and size > MOST_BYTES:
                break
            items.append(self._backlog.popleft())
        return items

    def _listen(self) -> None:
        """Take what is queued into the backlog; wait for it only when there is none."""
        wait = max(self._tick_at - time.monotonic(), 0.0)
        with contextlib.suppress(Empty):
            work = self._queue.get_nowait() if self._backlog else self._queue.get(timeout=wait)
            while True:
                if work is None:
                    self._ending = True
                elif callable(work):
                    work()
                else:
                    self._backlog.extend(work)
                work = self._queue.get_nowait()

    def _written(self, items: Sequence[Item]) -> Sequence[Result]:
        """The results of writing `items`; when one spoils the commit, of each by itself."""
        try:
            return self._committed(self._session.write(items))
        except Exception as error:  # noqa: BLE001 - the thread must outlive any fault
            if is_poison(error) and len(items) > 1:
                return [result for item in items for result in self._written([item])]
            return self._failed(items, error)

    def _committed(self, batch: Batch) -> Sequence[Result]:
        self.away = None
        for budget_id, figures in batch.holds.budgets.items():
            self.seen[budget_id] = (Money(figures.remaining), Money(figures.limit))
        for place, spent, held in batch.breaches:
            _log.critical(
                "budget_breach",
                exchange_id=place.subject.exchange_id,
                budget_id=place.budget_id,
                spent_micro_usd=spent,
                held_micro_usd=held,
            )
        return batch.results

    def _failed(self, items: Sequence[Item], error: Exception) -> Sequence[Result]:
        """Nothing was written, as far as we know. Endings of opened exchanges stay owed."""
        _log.error("records_not_written", items=len(items), error=type(error).__name__)
        for item in items:
            place = item.place
            opened = place.standing.epoch is not None or self._session.in_doubt(place)
            if item.terminal and opened and not is_poison(error):
                self._owed[place] = item
        self._reconnect()
        return [(item, unavailable(error)) for item in items]

    def _reconnect(self) -> None:
        try:
            self._session.connect()
        except Exception as error:  # noqa: BLE001 - whatever it is, we try again
            if self.away is None:
                _log.error("database_away", error=type(error).__name__)
            self.away = error
            self._tick_at = time.monotonic() + AWAY
        else:
            self.away = None

    def _tick(self) -> None:
        """Housekeeping: the lease, endings that are owed, the dead, the budgets' figures."""
        self._tick_at = time.monotonic() + self._pause
        self._reconnect()
        if self.away is not None:
            return
        try:
            renew = time.monotonic() - self._renewed >= self._renew_every
            budgets = self._session.keep_alive(self.wanted | self.seen.keys(), renew=renew)
            if renew:
                self._renewed = time.monotonic()
            for budget_id, figures in budgets.items():
                self.seen[budget_id] = (Money(figures.remaining), Money(figures.limit))
            self._pay_what_is_owed()
            if lost := self._session.recover():
                _log.warning("exchanges_lost", count=lost)
        except Exception as error:  # noqa: BLE001 - the thread must outlive any fault
            _log.error("ledger_housekeeping_failed", error=type(error).__name__)
            self._reconnect()

    def _pay_what_is_owed(self) -> None:
        """Write endings that failed, so that no exchange stays open while we live."""
        while self._owed and self.away is None:
            items = list(self._owed.values())[:MOST_ITEMS]
            before = len(self._owed)
            for place in [item.place for item in items]:
                self._owed.pop(place)
            self._written(items)
            if len(self._owed) >= before:
                return
