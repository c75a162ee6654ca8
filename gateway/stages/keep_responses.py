"""Keep what the caller is told of a response, so that its owner can read it again."""

from __future__ import annotations

import orjson

from gateway.core.answer import Event, Events
from gateway.core.exchange import Exchange
from gateway.core.pipeline import Proceed
from gateway.core.ports import StoredResponses


class KeepResponses:
    """For one action; exchanges of others pass. Outside of `account`: it sees what is released.

    What is asked to run in the background is taken in and answered at once; it becomes an
    exchange, with a record of its own, when a worker runs it.
    """

    def __init__(self, stored: StoredResponses, action: str = "responses.create") -> None:
        self._stored = stored
        self._action = action

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        if exchange.dialect.action != self._action:
            return await proceed(exchange)
        if exchange.request.get("background") is True:
            asked = orjson.loads(exchange.received)
            told = await self._stored.begin(exchange.principal, asked)
            return _one(Event(told, whole=True))
        return self._kept(exchange, await proceed(exchange))

    async def _kept(self, exchange: Exchange, events: Events) -> Events:
        """`events`; the last leaves when the response is kept."""
        async for event in events:
            if event.whole or exchange.dialect.complete(exchange.request, (), event):
                asked = orjson.loads(exchange.received)
                told = exchange.dialect.fold([event])
                await self._stored.keep(exchange.principal, asked, told)
            yield event


async def _one(event: Event) -> Events:
    yield event
