"""Keeps this process in step with what is to be in force, and tells what it runs.

Stops take effect at every reading. What is new is built beside, while the old goes on deciding;
what cannot be built leaves the old in force.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeAlias

from gateway.core.errors import Code, Unavailable
from gateway.core.last_policy import KeepsLast, LastPolicy
from gateway.core.policies import Node, PolicyStore, Rollout, Standing
from gateway.core.stopping import Stops
from gateway.governance.policies.bringing import Bringing, Builds
from gateway.governance.policies.live import InForce, LivePolicy, Revision
from gateway.governance.policies.shadow import Shadow

log = logging.getLogger("govgate.policies")

EVERY = 0.4
"""Seconds between two readings."""
SIGN = 5.0
"""Seconds between two signs of life, and before what could not be built is tried again."""


Told: TypeAlias = Callable[[Node], Awaitable[None]]


async def _nobody(node: Node) -> None:
    """Nobody is told."""


@dataclass(frozen=True, slots=True)
class Here:
    """This process, as it names itself: an id that is new each time, and the host's name."""

    node: str
    host: str


class Follower:
    """Reads what stands, brings it into force in `live`, and says so.

    `fixed` is what decides where files of this host do: then only stops are followed. `last` is
    where what is in force is kept for a start without the database. `told` hears of each
    revision that this process begins to run, or why it does not, once that is acknowledged.
    """

    def __init__(
        self,
        store: PolicyStore,
        live: LivePolicy,
        builds: Builds,
        shadow: Shadow,
        here: Here,
        *,
        last: KeepsLast | None = None,
        fixed: Revision | None = None,
        told: Told = _nobody,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._store = store
        self._live = live
        self._shadow = shadow
        self._here = here
        self._bringing = Bringing(store, builds, shadow)
        self._last = last
        self._fixed = fixed
        self._told = told
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._nudged = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._work: asyncio.Task[None] | None = None
        self._tried: tuple[int, float] | None = None
        self._said: tuple[Node, float] | None = None
        self._told_of: tuple[str | None, int, str | None] | None = None
        self._kept: tuple[str | None, Stops] | None = None
        self._lacking: str | None = None
        self.problem: str | None = None
        """Why this process does not follow what is to be in force; None while it does."""

    async def start(self) -> None:
        """Begin; return once something is in force. Raises `Unavailable`, with what to do."""
        if self._fixed is not None:
            self._live.put(InForce(0, None, self._fixed))
        try:
            standing = await self._read()
            if self._fixed is None:
                await self._first(standing)
        except (Unavailable, ValueError) as error:
            await self._go_on_from_the_last(error)
        await self._sign()
        self._task = asyncio.create_task(self._follow())

    def nudge(self) -> None:
        """Look at once: somebody has just acted in this process."""
        self._nudged.set()

    async def stop(self) -> None:
        """End. What is in force stays so."""
        for task in (self._task, self._work):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        self._task = self._work = None
        await self._shadow.stop()
        await self._bringing.close()

    def told(self) -> dict[str, object]:
        """What this process runs, for whoever asks how it is."""
        now = self._live.in_force
        return {
            "revision": now.active.revision if now else None,
            "rollout": now.number if now else None,
            "stops": len(self._live.stops),
            "problem": self.problem,
        }

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._nudged.wait()
            self._nudged.clear()
            await self._look()

    async def _look(self) -> None:
        """One round. Whatever goes wrong is told, and tried again in the next."""
        try:
            standing = await self._read()
            if self._fixed is None and self._wanting(standing):
                self._begin(standing)
            await self._sign()
        except Unavailable as error:
            self._trouble(error.message)
        except Exception as error:  # noqa: BLE001 - a round that fails must not be the last
            self._trouble(f"{type(error).__name__}: {error}")

    async def _read(self) -> Standing:
        """What stands; its stops are in force with it. Raises `Unavailable`."""
        standing = await self._store.standing()
        stops = Stops(standing.stops)
        if stops != self._live.stops:
            self._live.stops = stops
        if self._fixed is not None or _in_step(self._live.in_force, standing.rollout):
            self._live.in_step()
            self.problem = self._lacking
        return standing

    def _wanting(self, standing: Standing) -> bool:
        """Whether something is to be built now that is not in force."""
        rollout = standing.rollout
        if rollout is None:
            self._trouble("There is no rollout any more; what was in force goes on.")
            return False
        whole = _in_step(self._live.in_force, rollout) and self._lacking is None
        if whole or (self._work is not None and not self._work.done()):
            return False
        tried = self._tried
        return not tried or tried[0] != rollout.number or self._clock() - tried[1] >= SIGN

    def _begin(self, standing: Standing) -> None:
        assert standing.rollout is not None
        self._tried = (standing.rollout.number, self._clock())
        self._work = asyncio.create_task(self._bring(standing.rollout))

    async def _bring(self, rollout: Rollout) -> None:
        try:
            await self._put(rollout)
        except (Unavailable, ValueError) as error:
            self._trouble(f"Rollout {rollout.number} cannot be followed: {error}")
        except Exception as error:  # noqa: BLE001 - the old stays in force, and people are told
            self._trouble(f"Rollout {rollout.number}: {type(error).__name__}: {error}")
        self.nudge()

    async def _put(self, rollout: Rollout) -> None:
        """Build what the rollout names, and bring it into force at once."""
        waiting = self._live.in_force is not None  # until then nothing is served anyway
        built, lacking = await self._bringing.build(rollout, waiting=waiting)
        self._live.put(built)
        self._live.in_step()
        self._lacking = lacking
        if lacking is None:
            self.problem = None
        else:
            self._trouble(lacking)
        await self._bringing.retire_others(rollout)

    async def _first(self, standing: Standing) -> None:
        if standing.rollout is None:
            raise Unavailable(
                Code.POLICY_UNAVAILABLE,
                "no policy was ever brought into force in this database: activate a release, or "
                "set GOVGATE_POLICY__PACK to a directory with a pack",
            )
        await self._put(standing.rollout)

    async def _go_on_from_the_last(self, error: Exception) -> None:
        """Decide by what was in force here last. Raises `Unavailable` where there is nothing."""
        self._trouble(str(error))
        if self._fixed is not None:
            return
        last = await self._read_last(error)
        under = await self._bringing.last(last)
        self._live.put(InForce(last.number, last.release, under))
        if not self._live.stops:
            self._live.stops = Stops(last.stops)
        self._live.in_step((datetime.now(UTC) - last.written_at).total_seconds())

    async def _read_last(self, error: Exception) -> LastPolicy:
        why = f"What policy is in force cannot be read ({error})"
        if self._last is None:
            raise Unavailable(Code.POLICY_UNAVAILABLE, f"{why}.") from error
        try:
            last = await asyncio.to_thread(self._last.read)
        except ValueError as bad:
            raise Unavailable(Code.POLICY_UNAVAILABLE, f"{why}, and {bad}.") from error
        if last is None:
            told = f"{why}, and none was in force on this host before."
            raise Unavailable(Code.POLICY_UNAVAILABLE, told) from error
        return last

    async def _sign(self) -> None:
        """Say what this process runs, where that is new or was not said for a while."""
        now, stops = self._live.in_force, self._live.stops
        if now is None:
            return
        await self._keep(now, stops)
        node = Node(
            self._here.node, self._here.host, now.active.revision, now.number, len(stops),
            datetime.now(UTC), self.problem,
        )  # fmt: skip
        if self._said is not None:
            before, at = self._said
            same = replace(before, seen_at=node.seen_at) == node
            if same and self._clock() - at < SIGN:
                return
        try:
            await self._store.acknowledge(node)
            self._said = (node, self._clock())
            told_of = (node.revision, node.number, node.problem)
            if self._told_of != told_of:
                await self._told(node)
                self._told_of = told_of
        except Unavailable as error:
            log.warning("what runs here cannot be acknowledged: %s", error.message)

    async def _keep(self, now: InForce, stops: Stops) -> None:
        """Keep what is in force, for a start without the database."""
        if self._last is None or now.release is None or self._kept == (now.release, stops):
            return
        versions = self._bringing.versions(now.release)
        last = LastPolicy(now.release, now.number, versions, stops.standing, datetime.now(UTC))
        try:
            await asyncio.to_thread(self._last.write, last)
        except OSError as error:
            log.warning("the policy in force cannot be kept on this host: %s", error.strerror)
            return
        self._kept = (now.release, stops)

    def _trouble(self, words: str) -> None:
        if self.problem != words:
            log.error("policy: %s", words)
        self.problem = words


def _in_step(now: InForce | None, rollout: Rollout | None) -> bool:
    return now is not None and rollout is not None and now.number == rollout.number
