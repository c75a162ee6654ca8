"""Rate limits in this process: GCRA, one number for each key.

Source: ITU-T I.371, the generic cell rate algorithm, in its virtual scheduling form.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from cachetools import TTLCache

from gateway.core.ports import Allowance

_MINUTE = 60.0
_SLACK = 1e-6
"""Seconds, far more than rounding can take from an allowance."""


class LocalRateLimits:
    """Implements `RateLimits` for one process. A full minute's allowance may come at once."""

    def __init__(
        self, *, most_keys: int = 100_000, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._now = now
        # What a key owes, in seconds, and since when: small numbers, so that rounding stays small
        # whatever the clock says. A key that was idle for a minute owes nothing: forgetting it
        # is exact.
        self._owed: TTLCache[str, tuple[float, float]] = TTLCache(
            most_keys, ttl=2 * _MINUTE, timer=now
        )

    async def take(self, key: str, limit: int, amount: int) -> Allowance:
        """Take `amount` of `limit` per minute, if it is there; nothing is taken otherwise."""
        now = self._now()
        each = _MINUTE / limit
        owed, since = self._owed.get(key, (0.0, now))
        owed = max(0.0, owed - (now - since))
        after = owed + amount * each
        granted = after <= _MINUTE + _SLACK
        if granted:
            owed = after
            self._owed[key] = owed, now
        return Allowance(
            granted=granted,
            limit=limit,
            remaining=min(limit, int((_MINUTE + _SLACK - owed) / each)),
            reset=owed,
            retry_after=0.0 if granted else after - _MINUTE,
        )
