"""Keep what the caller is told of a response, so that its owner can read it again."""

from __future__ import annotations

import logging

import orjson

from gateway.core.answer import Event, Events
from gateway.core.dialect import read_again
from gateway.core.errors import Code, Denied, Unavailable
from gateway.core.exchange import Exchange
from gateway.core.kept import Came, StoredResponses
from gateway.core.pipeline import Proceed

log = logging.getLogger("govgate.stages")

_PREVIOUS = "previous_response_id"
_UNKNOWN = (
    "Item with id '{}' not found. An item is kept for the app that it was told to, unless `store` "
    "was false. Send the item itself, or leave it out."
)
"""It begins as OpenAI's does, since clients look for that."""


class KeepResponses:
    """For one action; exchanges of others pass. Outside of `account`: it sees what is released.

    What is asked to run in the background is taken in and answered at once; it becomes an
    exchange, with a record of its own, when a worker runs it. To go on from an earlier response,
    or to name an item of one, is for the app alone whose it is: a provider's account knows no apps.
    An item that is named is put in its place before anything looks at the request, so it is
    governed as if the caller had sent it.
    """

    def __init__(self, stored: StoredResponses, action: str = "responses.create") -> None:
        self._stored = stored
        self._action = action

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        if exchange.dialect.action != self._action:
            return await proceed(exchange)
        await self._put_in(exchange)
        await self._go_on(exchange)
        if exchange.request.get("background") is True:
            asked = orjson.loads(exchange.received)
            told = await self._stored.begin(exchange.principal, asked, exchange.call)
            return _one(Event(told, whole=True))
        if exchange.call.kept_elsewhere:
            return await proceed(exchange)
        return self._kept(exchange, await proceed(exchange))

    async def _put_in(self, exchange: Exchange) -> None:
        """The items that the request names. Raises `Denied`."""
        named = exchange.dialect.references(exchange.request)
        if not named:
            return
        items = await self._stored.items(exchange.principal, [each.id for each in named])
        for each in named:
            if each.id not in items:
                raise Denied(Code.NOT_FOUND, _UNKNOWN.format(each.id), param=each.param)
            each.holder[each.place] = items[each.id]
        exchange.request.update(read_again(exchange.dialect, exchange.request))

    async def _go_on(self, exchange: Exchange) -> None:
        """Name the earlier response as the provider does. Raises `Denied`."""
        id = exchange.request.get(_PREVIOUS)
        if id is None:
            return
        try:
            exchange.request[_PREVIOUS] = await self._stored.upstream_id(exchange.principal, id)
        except Denied as error:
            raise Denied(Code.NOT_FOUND, error.message, param=_PREVIOUS) from error

    async def _kept(self, exchange: Exchange, events: Events) -> Events:
        """`events`; the last leaves when the response is kept, or cannot be.

        It is on record and paid for by then: not to tell it would only have it asked again. What
        was declined is not kept: the provider knows of nothing to go on from.
        """
        said: list[Event] = []
        async for event in events:
            said.append(event)
            ends = event.whole or exchange.dialect.complete(exchange.request, (), event)
            if ends and exchange.declined is None:
                asked = orjson.loads(exchange.received)
                told = exchange.dialect.fold(said)
                try:
                    came = Came(exchange.id, exchange.account.upstream)
                    await self._stored.keep(exchange.principal, asked, told, came)
                except Unavailable:
                    log.error("exchange %s: its response could not be kept", exchange.id)
            yield event


async def _one(event: Event) -> Events:
    yield event
