"""What is in force in this process: read for every exchange, and changed all at once."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from gateway.core.errors import Code, Unavailable
from gateway.core.exchange import Exchange
from gateway.core.pipeline import Stage
from gateway.core.policies import Canary
from gateway.core.ports import Policy
from gateway.core.stopping import Stops
from gateway.governance.policies.canary import is_tried_on


async def _nothing() -> None:
    """Close what holds nothing open."""


class Revision:
    """A revision at work: its stages, and how many exchanges pass them.

    `finds` names what its inspectors look for: the findings of two revisions that find the same
    are equal. It is closed once it is not in force any more and its last exchange is over.
    """

    def __init__(
        self,
        revision: str,
        stage: Stage,
        policy: Policy,
        *,
        finds: str = "",
        close: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        self.revision = revision
        self.stage = stage
        self.policy = policy
        self.finds = finds
        self.running = 0
        self._close = close
        self._retired = False

    def enter(self) -> None:
        """One more exchange passes it."""
        self.running += 1

    async def leave(self) -> None:
        """An exchange is over."""
        self.running -= 1
        await self._close_if_done()

    async def retire(self) -> None:
        """No exchange will choose it again."""
        if not self._retired:
            self._retired = True
            await self._close_if_done()

    async def _close_if_done(self) -> None:
        if self._retired and self.running == 0:
            await self._close()


@dataclass(frozen=True, slots=True)
class Trial:
    """A release that is tried on a part of the traffic."""

    release: str
    part: Canary
    under: Revision


@dataclass(frozen=True, slots=True)
class InForce:
    """What stands. It never changes: another takes its place."""

    number: int
    """Of the rollout; 0 where files of this host decide."""
    release: str | None
    active: Revision
    trial: Trial | None = None
    beside: Callable[[Exchange, Revision], None] | None = None
    """Told of every exchange under `active` once it is over, and under which revision it was."""


class LivePolicy:
    """Says under which revision an exchange passes, and what refuses it whatever that says.

    Who is in `strict` (organisations; `*` is all) is refused once what stands was not known to
    be in step for `most_stale` seconds of `clock`.
    """

    def __init__(
        self,
        strict: Collection[str] = (),
        most_stale: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._strict = frozenset(strict)
        self._most_stale = most_stale
        self._clock = clock
        self._in_step = clock()
        self._now: InForce | None = None
        self.stops = Stops()

    @property
    def in_force(self) -> InForce | None:
        """What stands; None before anything does."""
        return self._now

    def put(self, standing: InForce) -> InForce | None:
        """Let this stand from the next exchange on; what stood before."""
        before, self._now = self._now, standing
        return before

    def in_step(self, ago: float = 0.0) -> None:
        """Say that what stands is what is to stand, as was read so many seconds ago."""
        self._in_step = self._clock() - ago

    def choose(self, exchange: Exchange) -> Stage:
        """The stages that the exchange passes, and no others. Raises `Unavailable`."""
        now = self._now
        if now is None:
            raise _unavailable("No policy is in force here yet.")
        under, beside = now.active, now.beside
        trial = now.trial
        if trial is not None and is_tried_on(trial.part, trial.release, exchange):
            under, beside = trial.under, None
        under.enter()

        async def over() -> None:
            if beside is not None:
                beside(exchange, under)
            await under.leave()

        exchange.defer(over)
        return under.stage

    def stale(self, exchange: Exchange) -> Unavailable | None:
        """Why the exchange may not pass under what was last known to stand."""
        strict = self._strict
        if not strict or (exchange.principal.org not in strict and "*" not in strict):
            return None
        if self._clock() - self._in_step <= self._most_stale:
            return None
        return _unavailable("It is not known any more which policy is in force.")


def _unavailable(words: str) -> Unavailable:
    return Unavailable(Code.POLICY_UNAVAILABLE, words, retry_after=1.0)
