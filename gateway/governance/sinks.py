"""Records sent on as they come into the log: in order, each at least once, none left out.

A sink that is away is waited for, for as long as it takes; nothing else waits for it. One
process at a time sends to a sink; how far it has come is noted when the sink has it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog

from gateway.core.errors import Code, Denied
from gateway.core.exports import Delivery, Followers, LogReader, Record, Sink, Standing
from gateway.core.principal import Principal
from gateway.core.roles import SEES_ALL, Role

PREFIX = "sink/"
"""What the names of sinks begin with among those who follow the log."""
MOST_LEAVES = 128
"""Leaves of one delivery."""
LONGEST_WAIT = 60.0
LONGEST_DELIVERY = 30.0
"""Seconds that a delivery may take; less than a claim lasts."""
_log = structlog.get_logger(__name__)

Write = Callable[[Sequence[Record]], Awaitable[Sequence[bytes]]]
"""Records as lines of the sink's format, one each."""
Announce = Callable[[int], Awaitable[object]]
"""Puts on record that what was said is sent, from a leaf on."""


class Feed:
    """Feeds one sink from the log.

    `announce` is awaited before the first records are read for their content; each process that
    comes to send does so once.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        write: Write,
        reader: LogReader,
        followers: Followers,
        announce: Announce | None = None,
    ) -> None:
        self.name = f"{PREFIX}{name}"
        self.sink = sink
        self._write = write
        self._reader = reader
        self._followers = followers
        self._announce = announce

    async def step(self) -> int:
        """Send what is next; how many leaves it was, 0 for none, or while another process sends.

        Raises what the sink raises, `TimeoutError`, `LogBroken`, `Unavailable`.
        """
        if await self._reader.size() <= await self._followers.position(self.name):
            return 0
        begin = await self._followers.claim(self.name)
        if begin is None:
            return 0
        stretch = await self._reader.read(begin, MOST_LEAVES)
        if stretch.records and self._announce is not None:
            await self._announce(begin)
            self._announce = None
        if lines := await self._write(stretch.records):
            async with asyncio.timeout(LONGEST_DELIVERY):
                await self.sink.send(Delivery(begin, stretch.end, lines))
        if not await self._followers.advance(self.name, begin, stretch.end):
            return 0
        return stretch.end - begin

    async def failed(self, error: Exception) -> None:
        """Say why it does not go on: in the log, and where operators look."""
        why = f"{type(error).__name__}: {error}"
        _log.error("sink_waits", sink=self.name, why=why)
        try:
            await self._followers.failed(self.name, why)
        except Exception as failure:  # noqa: BLE001 - the database is away, which the log says
            _log.warning("sink_failure_not_noted", error=type(failure).__name__)

    async def stop(self) -> None:
        """Give up the claim and close the sink."""
        try:
            await self._followers.release(self.name)
        except Exception as error:  # noqa: BLE001 - the claim ends by itself
            _log.warning("sink_claim_not_released", error=type(error).__name__)
        await self.sink.stop()


class Sinks:
    """All sinks. Each has a task of its own, which looks at the log every `seconds`."""

    def __init__(
        self, feeds: Sequence[Feed], followers: Followers, reader: LogReader, seconds: float = 1.0
    ) -> None:
        self._feeds = feeds
        self._followers = followers
        self._reader = reader
        self._seconds = seconds
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._keep(feed)) for feed in self._feeds]

    async def stop(self) -> None:
        """Stop, before the journal does. What is not noted as sent is sent again."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        for feed in self._feeds:
            await feed.stop()

    async def standing(self, who: Principal) -> tuple[int, Sequence[Standing]]:
        """The size of the log, and how each sink stands. Raises `Denied`, `Unavailable`."""
        allowed = SEES_ALL | {Role.ADMIN}
        if allowed.isdisjoint(who.roles):
            named = " or ".join(sorted(allowed))
            raise Denied(Code.INSUFFICIENT_ROLE, f"This needs the role {named}.")
        names = [feed.name for feed in self._feeds]
        return await self._reader.size(), await self._followers.standing(names)

    async def _keep(self, feed: Feed) -> None:
        failures = 0
        while True:
            try:
                pause = 0.0 if await feed.step() else self._seconds
                failures = 0
            except Exception as error:  # noqa: BLE001 - said, and tried again
                await feed.failed(error)
                failures += 1
                pause = wait(failures)
            await asyncio.sleep(pause)


def wait(failures: int) -> float:
    """Seconds to wait after so many failures in a row: doubled each time, up to a minute."""
    longest = min(LONGEST_WAIT, 2.0 ** min(failures, 10) / 2)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - so that replicas do not march in step
