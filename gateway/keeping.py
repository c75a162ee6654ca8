"""The composition of what is kept for callers: files, batches, responses, and their workers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from litestar.handlers import HTTPRouteHandler

from gateway.adapters.keyring import Keyring
from gateway.adapters.providers.openai import OpenAIProvider
from gateway.adapters.store.shelf import SqlShelf
from gateway.core.errors import Malformed
from gateway.core.ports import Provider
from gateway.dialects import responses_request
from gateway.governance.batches import Batches, BatchWorker
from gateway.governance.conversations import Conversations
from gateway.governance.files import Files
from gateway.governance.responses import Responses, ResponseWorker
from gateway.governance.unattended import Bell, Run
from gateway.server.callers import Callers
from gateway.server.census import POSTURE, Posture
from gateway.server.conversations import conversation_routes
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
    conversations: Conversations
    together: int
    body_limit: int
    _batch_bell: Bell
    _response_bell: Bell
    _working: list[asyncio.Task[None]] = field(default_factory=list)

    def routes(self, callers: Callers) -> Sequence[HTTPRouteHandler]:
        """The endpoints, none of which calls a model."""
        opt = {POSTURE: Posture.CONTROL}
        who, limit = callers.principal, self.body_limit
        return [
            *kept_routes(who, self.files, self.batches, self.responses, opt, body_limit=limit),
            *conversation_routes(who, self.conversations, opt, limit),
        ]

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


def build_keeping(
    settings: Settings,
    keyring: Keyring,
    paths: Collection[str],
    providers: Mapping[str, Provider],
) -> Keeping:
    """What is kept, over a migrated database; `paths` are those of the governed endpoints."""
    storing = {name: each for name, each in providers.items() if isinstance(each, OpenAIProvider)}
    shelf = SqlShelf(settings.database_url, keyring, keyring.pepper)
    batch_bell, response_bell = Bell(), Bell()
    return Keeping(
        shelf,
        Files(shelf, settings.files.most_bytes),
        Batches(shelf, [path for path in BATCHED if path in paths], batch_bell),
        Responses(shelf, response_bell, most_bytes=settings.server.body_limit, providers=storing),
        Conversations(shelf, _check_items, settings.server.body_limit),
        settings.batches.together,
        settings.server.body_limit,
        batch_bell,
        response_bell,
    )


def _check_items(items: list[Any]) -> None:
    """Raises `Malformed` for items that could not stand in a request."""
    try:
        responses_request.check({"model": "-", "input": items})
    except Malformed as error:
        param = (error.param or "").replace("input", "items", 1)
        message = error.message.replace("'input", "'items", 1)
        raise Malformed(message, param=param, code=error.code) from error
