"""Rate limits in this process: GCRA, one number for each key.

Source: ITU-T I.371, the generic cell rate algorithm, in its virtual scheduling form.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from cachetools import TTLCache

from gateway.core.ports import Allowance

_MINUTE = 60.0


class LocalRateLimits:
    """Implements `RateLimits` for one process. A full minute's allowance may come at once."""

    def __init__(
        self, *, most_keys: int = 100_000, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._now = now
        # A key that was idle for a minute has its whole allowance again: forgetting it is exact.
        self._full_at: TTLCache[str, float] = TTLCache(most_keys, ttl=2 * _MINUTE, timer=now)

    async def take(self, key: str, limit: int, amount: int) -> Allowance:
        """Take `amount` of `limit` per minute, if it is there; nothing is taken otherwise."""
        now = self._now()
        each = _MINUTE / limit
        full_at = max(self._full_at.get(key, now), now)
        after = full_at + amount * each
        granted = after - now <= _MINUTE + 1e-9
        if granted:
            self._full_at[key] = full_at = after
        debt = full_at - now
        return Allowance(
            granted=granted,
            limit=limit,
            remaining=max(0, int((_MINUTE - debt) / each + 1e-9)),
            reset=debt,
            retry_after=0.0 if granted else after - now - _MINUTE,
        )
