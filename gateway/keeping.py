"""The composition of what is kept for callers: files, batches, responses, and their workers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from litestar.handlers import HTTPRouteHandler

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.shelf import SqlShelf
from gateway.governance.batches import Batches, BatchWorker
from gateway.governance.files import Files
from gateway.governance.responses import Responses, ResponseWorker
from gateway.governance.unattended import Bell, Run
from gateway.server.callers import Callers
from gateway.server.census import POSTURE, Posture
from gateway.server.kept import kept_routes
from gateway.settings import Settings

AT_ONCE = 4
"""Batches that one process works on, so that one that waits for its key's rate holds up none."""

BATCHED = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/moderations",
)
"""The endpoints whose requests may stand in a batch."""


@dataclass
class Keeping:
    """What callers have kept here, and who works on it."""

    shelf: SqlShelf
    files: Files
    batches: Batches
    responses: Responses
    together: int
    _batch_bell: Bell
    _response_bell: Bell
    _working: list[asyncio.Task[None]] = field(default_factory=list)

    def routes(self, callers: Callers) -> Sequence[HTTPRouteHandler]:
        """The endpoints, none of which calls a model."""
        opt = {POSTURE: Posture.CONTROL}
        return kept_routes(callers.principal, self.files, self.batches, self.responses, opt)

    def start(self, run: Run) -> None:
        """Begin to work; `run` runs one exchange."""
        workers: list[ResponseWorker | BatchWorker] = [
            ResponseWorker(self.shelf, run, bell=self._response_bell)
        ]
        if self.together:
            places = asyncio.Semaphore(self.together)
            workers += [
                BatchWorker(
                    self.shelf, run, places=places, together=self.together, bell=self._batch_bell
                )
                for _ in range(AT_ONCE)
            ]
        self._working += [asyncio.create_task(worker.serve()) for worker in workers]

    async def stop(self) -> None:
        """End the work, and close the connections. What runs is cut off."""
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)
        await self.shelf.stop()


def build_keeping(settings: Settings, keyring: Keyring, paths: Collection[str]) -> Keeping:
    """What is kept, over a migrated database; `paths` are those of the governed endpoints."""
    shelf = SqlShelf(settings.database_url, keyring)
    batch_bell, response_bell = Bell(), Bell()
    return Keeping(
        shelf,
        Files(shelf, settings.files.most_bytes),
        Batches(shelf, [path for path in BATCHED if path in paths], batch_bell),
        Responses(shelf, response_bell),
        settings.batches.together,
        batch_bell,
        response_bell,
    )
