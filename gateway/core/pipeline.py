"""The pipeline: one exchange, through the stages in order, to a model and back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, TypeAlias

from gateway.core.answer import Events
from gateway.core.exchange import Exchange

Proceed: TypeAlias = Callable[[Exchange], Awaitable[Events]]


class Stage(Protocol):
    """One concern, both halves of it.

    Look at the request, or change it. `await proceed(exchange)`. Hand back the events, or
    events made from them. Raise `Denied` to stop; answer without proceeding to answer from
    here; `exchange.defer` what must happen at the end, however the exchange ends.
    """

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events: ...


def pipeline(stages: Sequence[Stage], upstream: Proceed) -> Proceed:
    """Join `stages`, outermost first, onto `upstream`. Done once, at startup."""
    proceed = upstream
    for stage in reversed(stages):
        proceed = partial(stage, proceed=proceed)
    return proceed


class Joined:
    """Several stages as one, outermost first."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = stages
        self._onto: Proceed | None = None
        self._joined: Proceed | None = None

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        if self._joined is None or self._onto is not proceed:  # always the same, once it serves
            self._onto, self._joined = proceed, pipeline(self._stages, proceed)
        return await self._joined(exchange)
