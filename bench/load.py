"""The load generator: `python -m bench.load`, a job on standard input, its result on output.

Bounded in count and in time; it speaks to loopback only.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import uvloop

from bench import figures, workload
from bench.connection import Answer, Connection
from bench.jobs import Answers, Job, Streamed, Streams, Whole

_PATIENCE = 50
"""So many faults in one job, and it is given up."""


@dataclass
class Faults:
    """What went wrong, counted; the first is kept in words."""

    count: int = 0
    first: str | None = None

    def add(self, fault: str) -> None:
        self.count += 1
        self.first = self.first or fault

    @property
    def too_many(self) -> bool:
        return self.count > _PATIENCE


@dataclass
class Caller:
    """One worker: asks, one request at a time, on a connection it keeps while it can."""

    port: int
    faults: Faults
    connection: Connection | None = None

    async def ask(self, request: bytes) -> Answer | None:
        """The answer, when it came whole and says 200; else the fault is noted."""
        try:
            if self.connection is None or not self.connection.usable:
                self.connection = await Connection.open(self.port)
            answer = await self.connection.ask(request)
        except OSError as error:
            self.faults.add(str(error))
            return None
        if answer.status != 200:
            self.faults.add(f"{answer.status} {answer.body[:300]!r}")
            return None
        return answer

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()


async def whole(job: Whole) -> Answers:
    """Ask for whole answers as `job` says."""
    requests = workload.Requests(job.port, job.headers, stream=False)
    numbers = iter(range(job.first, job.first + job.requests))
    faults = Faults()
    took: list[tuple[float, bytes]] = []
    begun = time.perf_counter()

    async def worker() -> None:
        caller = Caller(job.port, faults)
        for number in numbers:
            asked = time.perf_counter()
            if asked - begun > job.seconds or faults.too_many:
                break
            answer = await caller.ask(requests.number(number))
            if answer is not None:
                took.append((time.perf_counter() - asked, answer.body))
        caller.close()

    async with asyncio.timeout(job.seconds + 60):
        await asyncio.gather(*(worker() for _ in range(job.connections)))
    seconds = time.perf_counter() - begun
    return Answers(
        seconds=seconds,
        latencies=sorted(latency * 1e3 for latency, _ in took),
        restored=sum(workload.restored(_content(body)) for _, body in took),
        errors=faults.count,
        fault=faults.first,
    )


def _content(body: bytes) -> str:
    text: str = json.loads(body)["choices"][0]["message"]["content"]
    return text


@dataclass
class Trace:
    """What was seen of all streams. Moments in nanoseconds."""

    first_bytes: list[int] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)
    events: int = 0
    stalls: int = 0
    restored: int = 0

    def add(self, asked: int, answer: Answer, stall: int) -> None:
        """Count one stream in. Raises `ValueError` when it did not come to its end."""
        arrived = list(_events(answer))
        if not arrived or arrived[-1][1] != b"data: [DONE]":
            raise ValueError(f"the stream broke off: {answer.body[-300:]!r}")
        events = [(when, event) for when, event in arrived[:-1] if event.startswith(b"data:")]
        stamped = [(sent, when) for when, event in events if (sent := workload.sent_at(event))]
        self.first_bytes.append(events[0][0] - asked)
        self.delays += [when - sent for sent, when in stamped]
        self.events += len(events)
        self.stalls += figures.stalls([s for s, _ in stamped], [w for _, w in stamped], stall)
        self.restored += workload.restored("".join(workload.said(event) for _, event in events))


def _events(answer: Answer) -> Iterator[tuple[int, bytes]]:
    """The events of an answer, each with the moment at which its last byte was read."""
    rest = b""
    for when, piece in answer.pieces:
        *whole_events, rest = (rest + piece).replace(b"\r\n", b"\n").split(b"\n\n")
        for event in whole_events:
            yield when, event


async def streams(job: Streams) -> Streamed:
    """Ask for streams as `job` says."""
    requests = workload.Requests(job.port, job.headers, stream=True)
    numbers = iter(range(job.first, job.first + job.streams))
    faults = Faults()
    seen: list[tuple[int, Answer]] = []
    begun = time.perf_counter()

    async def worker(wait: float) -> None:
        caller = Caller(job.port, faults)
        await asyncio.sleep(wait)
        for number in numbers:
            if faults.too_many:
                break
            asked = time.monotonic_ns()
            answer = await caller.ask(requests.number(number))
            if answer is not None:
                seen.append((asked, answer))
        caller.close()

    waits = itertools.islice(itertools.count(0, job.spread / job.together), job.together)
    async with asyncio.timeout(job.seconds):
        await asyncio.gather(*(worker(wait) for wait in waits))
    seconds = time.perf_counter() - begun

    trace = Trace()
    for asked, answer in seen:
        try:
            trace.add(asked, answer, round(job.stall * 1e9))
        except ValueError as error:
            faults.add(str(error))
    return Streamed(
        seconds=seconds,
        first_bytes=sorted(each / 1e6 for each in trace.first_bytes),
        delays=sorted(each / 1e6 for each in trace.delays),
        events=trace.events,
        stalls=trace.stalls,
        restored=trace.restored,
        errors=faults.count,
        fault=faults.first,
    )


async def do(job: Job) -> Answers | Streamed:
    return await (whole(job) if isinstance(job, Whole) else streams(job))


if __name__ == "__main__":
    told: Job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(do(told))))
