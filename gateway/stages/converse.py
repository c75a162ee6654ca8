"""A response in a conversation: what was said in it goes first; what is said is added to it."""

from __future__ import annotations

import logging
from typing import Any

import orjson

from gateway.core.answer import Event, Events
from gateway.core.dialect import read_again
from gateway.core.errors import Denied, GatewayError
from gateway.core.exchange import Exchange
from gateway.core.kept import StoredConversations
from gateway.core.pipeline import Proceed

log = logging.getLogger("govgate.stages")

_CONVERSATION = "conversation"


class Converse:
    """For one action; exchanges of others pass. Inside of `keep_responses`, outside of `account`.

    A conversation is kept here for one app, and its provider is not told of it. Its items are put
    before the input while nothing has looked at the request yet, so that all of it is governed as
    if the caller had sent it. A turn is added when the response has completed, before its end is
    released; not where a rule had it told as an answer that the request was refused.
    """

    def __init__(
        self, conversations: StoredConversations, action: str = "responses.create"
    ) -> None:
        self._conversations = conversations
        self._action = action

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        if exchange.dialect.action != self._action:
            return await proceed(exchange)
        named = exchange.request.get(_CONVERSATION)
        if named is None:
            return await proceed(exchange)
        id = str(named["id"] if isinstance(named, dict) else named)
        await self._put_before(exchange, id)
        return self._noted(exchange, id, await proceed(exchange))

    async def _put_before(self, exchange: Exchange, id: str) -> None:
        """What was said so far, before the input. Raises `Denied`."""
        try:
            said = await self._conversations.turns(exchange.principal, id)
        except Denied as error:
            raise Denied(error.code, error.message, param=_CONVERSATION) from error
        del exchange.request[_CONVERSATION]
        exchange.request["input"] = [*said, *_items(exchange.request.get("input"))]
        exchange.request.update(read_again(exchange.dialect, exchange.request))

    async def _noted(self, exchange: Exchange, id: str, events: Events) -> Events:
        """`events`; the last leaves when the turn is added, or cannot be.

        It is on record and paid for by then: not to tell it would only have it asked again.
        """
        said: list[Event] = []
        async for event in events:
            said.append(event)
            if event.whole or exchange.dialect.complete(exchange.request, (), event):
                told = exchange.dialect.fold(said)
                if told.get("status") == "completed" and exchange.declined is None:
                    await self._append(exchange, id, told)
            yield event

    async def _append(self, exchange: Exchange, id: str, told: dict[str, Any]) -> None:
        asked = orjson.loads(exchange.received)
        try:
            await self._conversations.append(exchange.principal, id, asked, told)
        except GatewayError as error:
            log.error("exchange %s: its turn could not be kept (%s)", exchange.id, error.code)


def _items(given: Any) -> list[Any]:
    if isinstance(given, list):
        return given
    return [{"role": "user", "content": given}] if given else []
