"""Prunes every hour while the gateway runs, and looks ahead for the months to come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Protocol, TypeVar

import structlog

from gateway.adapters.store.gone_objects import GoneObjects
from gateway.adapters.store.pruning import SqlPruning

T = TypeVar("T")
EVERY = timedelta(hours=1)
_log = structlog.get_logger(__name__)


class Between(Protocol):
    """Does work that writes to the database, where it is least in the way."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


class RetentionKeeper:
    """Looks every `seconds` whether it is time; of several processes one prunes.

    `between` is the journal's; `objects` deletes what is in object storage no more. What fails
    is said and tried again.
    """

    def __init__(
        self,
        pruning: SqlPruning,
        between: Between,
        *,
        objects: GoneObjects | None = None,
        seconds: float = 300.0,
    ) -> None:
        self.pruning = pruning
        self._objects = objects
        self._between = between
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, once the journal has."""
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Stop, before the journal does, and close the connections. A step that has begun ends."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await asyncio.to_thread(self.pruning.stop)
        if self._objects is not None:
            await asyncio.to_thread(self._objects.close)

    async def prune(self) -> None:
        """Prune all that is due, if it is time, and if we may: roles can leave it to others.

        Raises SQLAlchemy's errors, `RuntimeError`.
        """
        await self._between(self.pruning.look_ahead)
        if not await self._between(self.pruning.allowed):
            return
        if not await self._between(lambda: self.pruning.begin(EVERY)):
            return
        try:
            while await self._between(self.pruning.step):
                pass
        finally:
            await asyncio.shield(self._between(self.pruning.finish))
        if self.pruning.done.entries:
            _log.info("pruned", entries=dict(self.pruning.done.entries))

    async def clear(self) -> None:
        """Delete the objects of payloads that are gone. Raises `ObjectsError`, SQLAlchemy's
        errors."""
        if self._objects is None:
            return
        if count := await self._objects.clear(self._between):
            _log.info("objects_deleted", count=count)

    async def _keep(self) -> None:
        while True:
            for work in (self.prune, self.clear):
                try:
                    await work()
                except Exception as error:  # noqa: BLE001 - said, and tried again
                    _log.error("retention_failed", error=type(error).__name__)
            await asyncio.sleep(self._seconds)
