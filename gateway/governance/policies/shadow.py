"""A policy that is asked beside the one in force, and decides nothing.

Off the way of every exchange: in a thread of its own that gives way to all others. What cannot
be asked in time is left out, and counted as that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.core.errors import Unavailable
from gateway.core.exchange import Exchange
from gateway.core.policy import Question, Verdict
from gateway.core.ports import Policy
from gateway.core.shadows import (
    MOST_SAMPLES,
    Kind,
    Report,
    Sample,
    Tallies,
    Tally,
    kind_of,
    report_of,
)
from gateway.governance.policies.live import Revision

log = logging.getLogger("govgate.policies")

_LEAST_PRIORITY = 19
_OVER = None
"""What ends the thread."""
KEEP_EVERY = 5.0
"""Seconds between two keepings: as much is lost of a process that ends without a word."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is asked beside. `policy` is asked in one thread only, that of the shadow."""

    release: str
    policy: Policy
    finds: str
    """See `Revision.finds`."""


@dataclass(frozen=True, slots=True)
class _Asked:
    candidate: Candidate
    exchange: str
    question: Question
    verdict: Verdict
    comparable: bool


class _Count:
    """The tally of a release, as it grows."""

    def __init__(self, since: datetime) -> None:
        self.since = since
        self.counts: Counter[Kind] = Counter()
        self.dropped = 0
        self.samples: deque[Sample] = deque(maxlen=MOST_SAMPLES)

    def add(self, exchange: str, kind: Kind) -> None:
        self.counts[kind] += 1
        if kind not in (Kind.SAME, Kind.NOT_EVALUATED):
            self.samples.append(Sample(exchange, kind))


class Shadow:
    """Asks candidates about what was decided; counts how often they differ.

    `node` names this process; at most `most` questions wait. Where there is a place for
    `tallies`, what was counted is kept there every so many seconds, and at the end.
    """

    def __init__(
        self,
        node: str,
        tallies: Tallies | None = None,
        most: int = 1_000,
        every: float = KEEP_EVERY,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._node = node
        self._tallies = tallies
        self._every = every
        self._now = now
        self._waiting: queue.Queue[_Asked | None] = queue.Queue(most)
        self._counts: dict[str, _Count] = {}
        self._saved: dict[str, Tally] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()

    def beside(self, candidate: Candidate) -> Callable[[Exchange, Revision], None]:
        """What is told of each exchange, for `candidate` to be asked about it.

        Needs a running event loop.
        """
        self._start()
        with self._lock:
            self._counts.setdefault(candidate.release, _Count(self._now()))

        def offer(exchange: Exchange, under: Revision) -> None:
            if not (exchange.knows("question") and exchange.knows("decision")):
                return  # refused before anything was asked
            verdict, comparable = exchange.decision.verdict, candidate.finds == under.finds
            asked = _Asked(candidate, exchange.id, exchange.question, verdict, comparable)
            try:
                self._waiting.put_nowait(asked)
            except queue.Full:
                with self._lock:
                    self._counts[candidate.release].dropped += 1

        return offer

    async def report(self, release: str) -> Report:
        """What every process counted of a release; without a place for it, this one alone.

        Raises `Unavailable`.
        """
        mine = [self._tally(release)] if release in self._counts else []
        if self._tallies is None:
            return report_of(release, mine)
        others = [each for each in await self._tallies.of(release) if each.node != self._node]
        return report_of(release, [*mine, *others])

    async def stop(self) -> None:
        """End the thread, and keep what it counted. What still waits is left out."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._leave_out()
        self._waiting.put_nowait(_OVER)
        await asyncio.to_thread(thread.join)
        self._ending.set()
        if self._keeping is not None:
            await self._keeping
            self._keeping = None

    async def _keep(self, tallies: Tallies) -> None:
        """Keep what was counted, again and again, and once more at the end.

        Whoever ends this waits for it, and does not cancel: what is being written then must not
        come after the last.
        """
        while not self._ending.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._ending.wait()
            try:
                await self._save(tallies)
            except Unavailable as error:
                log.warning("what a shadow counted cannot be kept: %s", error.message)
            except Exception as error:  # noqa: BLE001 - it must not be the last time
                log.error("what a shadow counted cannot be kept: %s", type(error).__name__)

    async def _save(self, tallies: Tallies) -> None:
        """Keep what was counted since the last time."""
        for release in list(self._counts):
            tally = self._tally(release)
            if self._saved.get(release) != tally:
                await tallies.keep(tally)
                self._saved[release] = tally

    def _tally(self, release: str) -> Tally:
        with self._lock:
            count = self._counts[release]
            return Tally(
                release, self._node, count.since,
                dict(count.counts), count.dropped, tuple(count.samples),
            )  # fmt: skip

    def _leave_out(self) -> None:
        with suppress(queue.Empty):
            while (asked := self._waiting.get_nowait()) is not _OVER:
                with self._lock:
                    self._counts[asked.candidate.release].dropped += 1

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
            self._thread.start()
            if self._tallies is not None:
                self._ending.clear()
                self._keeping = asyncio.create_task(self._keep(self._tallies))

    def _run(self) -> None:
        with suppress(OSError):  # it may go on at the priority that it has
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LEAST_PRIORITY)
        with asyncio.Runner() as runner:
            while (asked := self._waiting.get()) is not _OVER:
                kind = runner.run(_kind(asked))
                with self._lock:
                    self._counts[asked.candidate.release].add(asked.exchange, kind)


async def _kind(asked: _Asked) -> Kind:
    if not asked.comparable:
        return Kind.NOT_EVALUATED
    try:
        beside = await asked.candidate.policy.decide(asked.question)
    except Unavailable:
        return Kind.NOT_EVALUATED
    except Exception as error:  # noqa: BLE001 - one question must not end the asking of others
        log.error("a policy that is asked beside failed: %s", type(error).__name__)
        return Kind.NOT_EVALUATED
    return kind_of(asked.verdict, beside.verdict)
