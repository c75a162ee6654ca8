"""Which policy an exchange passes: chosen once, before anything is looked at.

All that a policy makes different stands behind the choice: what is found, what is decided, then
and later, and what is done about it. So no exchange is governed by two revisions.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.answer import Events
from gateway.core.exchange import Exchange
from gateway.core.pipeline import Proceed, Stage


class Govern:
    """The stage: hands the exchange to the stages of the revision that `choose` names."""

    def __init__(self, choose: Callable[[Exchange], Stage]) -> None:
        self._choose = choose

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        return await self._choose(exchange)(exchange, proceed)
