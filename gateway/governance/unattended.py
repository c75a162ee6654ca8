"""Exchanges that nobody waits for: the lines of a batch, responses in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from gateway.core.errors import Unavailable
from gateway.core.exchange import Call
from gateway.core.kept import Owner
from gateway.core.principal import Principal


@dataclass(frozen=True, slots=True)
class Reply:
    """What a caller would have been told: the HTTP status, the exchange's id and the body."""

    status: int
    exchange_id: str
    body: dict[str, Any]
    too_fast: float | None = None
    """Seconds to wait, where it was refused for its key's rate and nothing was done."""
    upstream: str | None = None
    """The provider that answered."""


T = TypeVar("T")

_WAITS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Seconds between attempts; less than a claim in all."""

Run: TypeAlias = Callable[[str, bytes, Call], Awaitable[Reply]]
"""Runs one exchange for an endpoint such as `/v1/chat/completions`, with this body. The call
names the principal, who was authenticated when the work was handed in. Never raises but for
cancellation: what went wrong is the reply."""


async def persistently(attempt: Callable[[], Awaitable[T]]) -> T:
    """What `attempt` gives, tried again while the database is away.

    For work that has cost something: it must not be lost for one lock that came too late.
    Raises what is not `Unavailable`, and that too after a minute.
    """
    for wait in _WAITS:
        try:
            return await attempt()
        except Unavailable:
            await asyncio.sleep(wait)
    return await attempt()


class Bell:
    """Rings when work was handed in, so that workers need not look all the time."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake every worker of this process."""
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Until it rings, or so long: other processes ring other bells."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        self._rung.clear()


def owner_of(principal: Principal) -> Owner:
    """Who may see what a principal has kept: its app."""
    return Owner(principal.org, principal.app)
