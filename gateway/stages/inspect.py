"""Look for personal data, banned phrases and secrets in every text of the request."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.answer import Events
from gateway.core.exchange import Exchange
from gateway.core.pipeline import Proceed
from gateway.core.ports import Inspector


class Inspect:
    """Asks each inspector. One that fails is noted as unavailable; the policy decides."""

    def __init__(self, inspectors: Sequence[Inspector]) -> None:
        self._inspectors = inspectors

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        with exchange.timed("inspect"):
            exchange.found(exchange.dialect.opaque(exchange.request))
            exchange.slots = exchange.dialect.slots(exchange.request)
            passages = [slot.passage() for slot in exchange.slots if slot.text]
            for inspector in self._inspectors:
                try:
                    exchange.found(await inspector.inspect(passages))
                except Exception:  # noqa: BLE001 - whatever it is, the text was not inspected
                    exchange.unavailable.append(inspector.name)
        return await proceed(exchange)
