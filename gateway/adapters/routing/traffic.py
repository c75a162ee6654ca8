"""Targets as they are right now: who works, who rests, who is full. In this process."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cachetools import LRUCache

from gateway.adapters.routing.balance import ordered
from gateway.adapters.routing.health import Breaker, Health
from gateway.core.errors import Code, UpstreamError
from gateway.core.ports import Model, Turn

MOST_TARGETS = 10_000
"""Targets that are remembered; callers may make up names where a pattern serves them."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How one provider is watched. `most` calls at a time, None for any number; a call waits
    `patience` seconds for its place."""

    breaker: Breaker = field(default_factory=Breaker)
    most: int | None = None
    patience: float = 1.0


class LiveTraffic:
    """Implements `Traffic`. Providers that are not in `watches` are open to all, always.

    Health is kept for each model of a provider, places for the provider as a whole. `clock`
    is in seconds; `draw` gives a number in [0, 1).
    """

    def __init__(
        self,
        watches: Mapping[str, Watch],
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._watches = watches
        self._clock = clock
        self._draw = draw
        self._health: LRUCache[tuple[str, str], Health] = LRUCache(MOST_TARGETS)
        self._places = {
            name: asyncio.Semaphore(watch.most)
            for name, watch in watches.items()
            if watch.most is not None
        }

    def order(self, model: Model, session: str | None) -> Sequence[Model]:
        """The targets of `model`, best first; those that rest or are full come last."""
        if model.group is None:
            return [model]
        now = self._clock()
        targets = ordered(
            model.group,
            session,
            latency=lambda target: self._of(target).latency(now),
            draw=self._draw,
        )
        return sorted(targets, key=lambda target: self._shut(target, now))

    async def enter(self, target: Model) -> Turn:
        """A place for one call. Raises `UpstreamError` while the target rests or is full."""
        watch = self._watches.get(target.upstream)
        health = self._of(target)
        if watch is None:
            return Visit(Health(Breaker()), self._clock, None)
        self._check(target, health)
        places = self._places.get(target.upstream)
        if places is not None:
            await self._take(target, places, watch.patience)
            try:
                self._check(target, health)  # much may have happened during the wait
            except UpstreamError:
                places.release()
                raise
        return Visit(health, self._clock, places)

    def _check(self, target: Model, health: Health) -> None:
        now = self._clock()
        wait = health.wait(now)
        if not wait:
            return
        if health.resting(now):
            raise UpstreamError(
                Code.UPSTREAM_ERROR,
                f"The provider {target.upstream} takes no more calls for now.",
                status=429,
                retry_after=wait,
                retryable=True,
            )
        raise UpstreamError(
            Code.UPSTREAM_UNAVAILABLE,
            f"The provider {target.upstream} failed often and is left alone for now.",
            status=503,
            retry_after=wait,
            retryable=True,
        )

    @staticmethod
    async def _take(target: Model, places: asyncio.Semaphore, patience: float) -> None:
        try:
            async with asyncio.timeout(patience):
                await places.acquire()
        except TimeoutError:
            raise UpstreamError(
                Code.OVERLOADED,
                f"The provider {target.upstream} has as many calls under way as it may.",
                retry_after=1.0,
                retryable=True,
            ) from None

    def _shut(self, target: Model, now: float) -> bool:
        places = self._places.get(target.upstream)
        return self._of(target).wait(now) > 0 or (places is not None and places.locked())

    def _of(self, target: Model) -> Health:
        key = (target.upstream, target.upstream_model)
        health = self._health.get(key)
        if health is None:
            watch = self._watches.get(target.upstream)
            health = self._health[key] = Health(watch.breaker if watch else Breaker())
        return health


class Visit:
    """Implements `Turn`: one call, and what it tells of its target."""

    def __init__(
        self, health: Health, clock: Callable[[], float], places: asyncio.Semaphore | None
    ) -> None:
        self._health = health
        self._clock = clock
        self._places = places
        self._answered = False
        self._failed = False
        self._left = False
        now = self._started = clock()
        self._trial = health.begin(now)
        health.measuring(now)

    def sent(self) -> None:
        self._started = self._clock()

    def answered(self) -> None:
        now = self._clock()
        self._health.measured(now - self._started, now)
        self._health.gave_up(trial=self._trial)  # a long answer keeps no other trial waiting
        self._answered = True

    def failed(self, error: UpstreamError) -> None:
        self._failed = True
        self._health.failed(error, self._clock(), trial=self._trial)

    def leave(self) -> None:
        if self._left:
            return
        self._left = True
        if not self._failed:
            if self._answered:  # to its end: one that breaks off is no success
                self._health.succeeded()
            else:
                self._health.gave_up(trial=self._trial)
        if self._places is not None:
            self._places.release()
