"""Keeps the index up to date while the gateway runs: off the event loop, in small steps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeVar

import structlog

from gateway.adapters.store.indexer import Indexer

T = TypeVar("T")
AFTER_FAILURE = 5.0
"""Seconds before a step that failed is tried again."""
MOST_LAST_STEPS = 50
"""Steps that are made when everything else has stopped; the next process makes the others."""
_log = structlog.get_logger(__name__)


class Between(Protocol):
    """Does work that writes to the database, where it is least in the way."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


class IndexKeeper:
    """Looks at the log every `seconds`, and at once where it is behind. `between` is the journal's.

    Each step has a price of its own, whatever it finds: that is why it waits for more to come.

    A step that fails is said and tried again; the gateway goes on without it.
    """

    def __init__(self, indexer: Indexer, between: Between, *, seconds: float = 1.0) -> None:
        self.indexer = indexer
        self._between = between
        self._seconds = seconds
        self._thread = ThreadPoolExecutor(1, "index")
        self._task: asyncio.Task[None] | None = None
        self._finished = False

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Stop, before the journal does."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def finish(self, *, index: bool = True) -> None:
        """Index what is left, once all of it is in the log, and close the connections; once."""
        if self._finished:
            return
        self._finished = True
        await asyncio.get_running_loop().run_in_executor(self._thread, self._finish, index)
        await asyncio.to_thread(self._thread.shutdown)

    async def _keep(self) -> None:
        while True:
            try:
                pause = 0.0 if await self._step() else self._seconds
            except Exception as error:  # noqa: BLE001 - said, and tried again
                await asyncio.get_running_loop().run_in_executor(self._thread, self._note, error)
                pause = AFTER_FAILURE
            await asyncio.sleep(pause)

    async def _step(self) -> bool:
        """Make a step; whether there may be more to do at once."""
        loop = asyncio.get_running_loop()
        prepared = await loop.run_in_executor(self._thread, self.indexer.prepare)
        if prepared is None:
            return False
        done = await self._between(partial(self.indexer.write, prepared))
        return bool(done) and prepared.full

    def _finish(self, index: bool) -> None:
        try:
            for _ in range(MOST_LAST_STEPS if index else 0):
                if not self.indexer.step():
                    break
            self.indexer.stop()
        except Exception as error:  # noqa: BLE001 - the next process to start does it
            self._note(error)

    def _note(self, error: Exception) -> None:
        _log.error("index_failed", error=type(error).__name__)
        try:
            self.indexer.failed(type(error).__name__)
        except Exception as failure:  # noqa: BLE001 - the database is away, which the log says
            _log.warning("index_failure_not_noted", error=type(failure).__name__)
