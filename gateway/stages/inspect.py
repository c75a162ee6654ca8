"""Look for personal data, banned phrases and secrets in every text of the request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.core.answer import Events
from gateway.core.exchange import Exchange, shielded
from gateway.core.passages import Passage
from gateway.core.pipeline import Proceed
from gateway.core.ports import Inspector
from gateway.core.values import named


class Inspect:
    """Asks each inspector. One that fails is noted as unavailable; the policy decides.

    Who hangs up meanwhile is waited for: what was found must be known before the request is
    recorded, since personal values are cut out of the record.
    """

    def __init__(self, inspectors: Sequence[Inspector]) -> None:
        self._inspectors = inspectors

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        with exchange.timed("inspect"):
            exchange.found(exchange.dialect.opaque(exchange.request))
            exchange.slots = exchange.dialect.slots(exchange.request)
            passages = [slot.passage() for slot in exchange.slots if slot.text]
            for place, inspector in enumerate(self._inspectors):
                try:
                    await _look(exchange, inspector, passages)
                except asyncio.CancelledError:
                    await shielded(_look_on(exchange, self._inspectors[place:], passages))
                    raise
        return await proceed(exchange)


async def _look_on(
    exchange: Exchange, inspectors: Sequence[Inspector], passages: Sequence[Passage]
) -> None:
    for inspector in inspectors:
        await _look(exchange, inspector, passages)


async def _look(exchange: Exchange, inspector: Inspector, passages: Sequence[Passage]) -> None:
    try:
        found = await inspector.inspect(passages)
    except Exception:  # noqa: BLE001 - whatever it is, the text was not inspected
        exchange.unavailable.append(inspector.name)
        return
    exchange.found(found)
    exchange.mention(named(found, passages))
