"""One round of one subject: start it, ask, and read what it used."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from bench import ledger, workload
from bench.commits import commit_ms
from bench.figures import percentile
from bench.jobs import Answers, Job, Streamed, Streams, Whole
from bench.process import Program, free_port
from bench.subjects import ROOT, Launch, Place, Subject, clean_env

Result = TypeVar("Result", Answers, Streamed)


class Failed(Exception):
    """A subject did not do what it is measured for."""


class Plan(msgspec.Struct, frozen=True):
    """How much is asked in a round."""

    rounds: int = 5
    warm_up: int = 500
    """Requests that are not counted. Just-in-time compilers and connection pools need some."""
    alone: int = 400
    """Requests one after the other: the latency at low load."""
    requests: int = 5_000
    """Requests on `connections` at a time, or as many as fit into `seconds`."""
    connections: int = 8
    seconds: float = 5.0
    few_streams: int = 100
    """Short streams, two at a time: time to the first byte, and of each event."""
    few_events: int = 10
    few_pace: float = 0.005
    streams: int = 100
    """Streams at once: stalls, and processor time per event."""
    events: int = 30
    pace: float = 0.1
    """Seconds between two events of one stream."""

    @property
    def stall(self) -> float:
        """A gap of more seconds than this is a stall."""
        return 5 * self.pace + 0.2


QUICK = Plan(
    rounds=2, warm_up=50, alone=50, requests=400, seconds=2.0,
    few_streams=20, streams=20, events=10,
)  # fmt: skip


class Sample(msgspec.Struct, frozen=True):
    """What one round of one subject showed. Milliseconds but for the names that say else."""

    per_second: float
    p50: float
    p99: float
    loaded_p50: float
    loaded_p99: float
    first_byte_p50: float
    first_byte_p99: float
    event_p50: float | None
    event_p99: float | None
    stalls: int
    cpu: float | None = None
    """Processor time per whole exchange."""
    event_cpu: float | None = None
    """Processor time per streamed event: of a stream less that of a whole exchange."""
    rss_mb: float | None = None
    start_seconds: float | None = None
    """From starting the process to its first answer."""
    commit: float | None = None
    """The disk's own durable commit, beside the latency at low load, of what records."""


@dataclass
class Upstream:
    """The model's side, in a process of its own."""

    port: int

    def shape(self, events: int, pace: float) -> None:
        """Set how streams go: so many events, `pace` seconds apart."""
        self._post("/shape", {"events": events, "pace": pace})

    def report(self) -> dict[str, int]:
        """What was asked since the last report."""
        return self._post("/report", {})

    def _post(self, path: str, body: dict[str, float]) -> dict[str, int]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", path, json.dumps(body))
            told: dict[str, int] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return told


@contextmanager
def upstream(directory: Path) -> Iterator[Upstream]:
    """The upstream, running, for as long as the context lasts."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    argv = [sys.executable, "-m", "bench.upstream", str(port)]
    with Program(argv, clean_env(directory, {"PYTHONPATH": str(ROOT)}), directory) as program:
        await_answer(port, {}, program, seconds=20)
        yield Upstream(port)


def measure(subject: Subject, directory: Path, model: Upstream, plan: Plan, turn: int) -> Sample:
    """One round. `turn` numbers the prompts apart. Raises `Failed`."""
    first = turn * 100_000
    if subject.launch is None:
        return _figures(_Caller(model.port, {}, first), subject, model, plan, None)[0]
    directory.mkdir(parents=True, exist_ok=True)
    place = Place(directory, free_port(), model.port)
    launch = subject.launch(place)
    on_record = ledger.completed(directory) if subject.records else 0
    begun = time.perf_counter()
    with start(launch, directory) as program:
        await_answer(place.port, launch.headers, program, seconds=120)
        start_seconds = time.perf_counter() - begun
        caller = _Caller(place.port, launch.headers, first)
        sample, answers = _figures(caller, subject, model, plan, program)
    if subject.records:
        found = ledger.completed(directory) - on_record
        if found < answers:
            raise Failed(f"{answers} answers, but {found} records")
    return msgspec.structs.replace(sample, start_seconds=start_seconds)


def start(launch: Launch, directory: Path) -> Program:
    return Program(launch.argv, clean_env(directory, launch.env), directory)


@dataclass
class _Caller:
    """Gives the load generator its jobs; every prompt has a number of its own."""

    port: int
    headers: dict[str, str]
    next: int

    def whole(self, connections: int, requests: int, seconds: float) -> Answers:
        self.next += requests
        job = Whole(self.port, self.headers, connections, requests, seconds, self.next - requests)
        return run(job, Answers)

    def streams(self, streams: int, together: int, spread: float, plan: Plan) -> Streamed:
        self.next += streams
        job = Streams(
            *(self.port, self.headers, streams, together, spread),
            stall=plan.stall, seconds=300, first=self.next - streams,
        )  # fmt: skip
        return run(job, Streamed)


def run(job: Job, kind: type[Result]) -> Result:
    """The result of `job`, done by a load generator in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=msgspec.json.encode(job),
        capture_output=True,
        cwd=ROOT,
        timeout=400,
        check=False,
    )
    if done.returncode != 0:
        raise Failed(f"the load generator failed: {done.stderr.decode()[-800:]}")
    return msgspec.json.decode(done.stdout, type=kind)


def _figures(
    caller: _Caller, subject: Subject, model: Upstream, plan: Plan, program: Program | None
) -> tuple[Sample, int]:
    """What the round showed, and how many answers came. Raises `Failed`."""
    model.report()
    done: list[Answers | Streamed] = []
    done.append(caller.whole(plan.connections, plan.warm_up, plan.seconds))
    alone = caller.whole(1, plan.alone, plan.seconds)
    commit = commit_ms(program.log.parent) if program and subject.records else None
    before = _cpu(program)
    loaded = caller.whole(plan.connections, plan.requests, plan.seconds)
    cpu = _cpu(program) - before
    model.shape(plan.few_events, plan.few_pace)
    few = caller.streams(plan.few_streams, 2, 2 * plan.few_pace, plan)
    model.shape(plan.events, plan.pace)
    before = _cpu(program)
    many = caller.streams(plan.streams, plan.streams, plan.pace, plan)
    stream_cpu = _cpu(program) - before
    done += [alone, loaded, few, many]
    for part in done:
        _check(part, subject)
    answers = sum(_count(part) for part in done)
    _check_upstream(model.report(), answers, subject)
    each = cpu / len(loaded.latencies)
    sample = Sample(
        per_second=len(loaded.latencies) / loaded.seconds,
        p50=percentile(alone.latencies, 0.50),
        p99=percentile(alone.latencies, 0.99),
        loaded_p50=percentile(loaded.latencies, 0.50),
        loaded_p99=percentile(loaded.latencies, 0.99),
        first_byte_p50=percentile(few.first_bytes, 0.50),
        first_byte_p99=percentile(few.first_bytes, 0.99),
        event_p50=percentile(few.delays, 0.50) if few.delays else None,
        event_p99=percentile(few.delays, 0.99) if few.delays else None,
        stalls=many.stalls,
        cpu=each * 1e3 if program else None,
        event_cpu=(stream_cpu / plan.streams - each) / plan.events * 1e3 if program else None,
        rss_mb=program.rss_mb() if program else None,
        commit=commit,
    )
    return sample, answers


def _cpu(program: Program | None) -> float:
    return program.cpu_seconds() if program else 0.0


def _count(part: Answers | Streamed) -> int:
    return len(part.latencies if isinstance(part, Answers) else part.first_bytes)


def _check(part: Answers | Streamed, subject: Subject) -> None:
    """Raises `Failed` unless every answer came, and restored where it had to be."""
    if part.errors or not _count(part):
        raise Failed(f"{part.errors} exchanges failed; the first: {part.fault}")
    wanted = _count(part) if subject.masks else 0
    if part.restored != wanted:
        raise Failed(f"{part.restored} of {_count(part)} answers were restored, not {wanted}")


def _check_upstream(report: dict[str, int], answers: int, subject: Subject) -> None:
    """Raises `Failed` unless the upstream saw each exchange, masked where it had to be."""
    if report["requests"] < answers:
        raise Failed(f"{answers} answers, but the upstream was asked {report['requests']} times")
    wanted = 0 if subject.masks else report["requests"]
    if report["in_clear"] != wanted:
        raise Failed(f"{report['in_clear']} prompts were in clear, not {wanted}")


def await_answer(port: int, headers: dict[str, str], program: Program, *, seconds: float) -> None:
    """Ask until an answer comes. Raises `Failed` when the program ends or time is up."""
    deadline = time.perf_counter() + seconds
    last = "no connection"
    while time.perf_counter() < deadline:
        if not program.running:
            raise Failed(f"it ended: {program.last_words()}")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request(
                "POST",
                "/v1/chat/completions",
                workload.prompt(stream=False),
                {"content-type": "application/json", **headers},
            )
            answer = connection.getresponse()
            if answer.status == 200:
                answer.read()
                return
            last = f"{answer.status} {answer.read(500)!r}"
        except (OSError, http.client.HTTPException) as error:
            last = str(error)
        finally:
            connection.close()
        time.sleep(0.01)
    raise Failed(f"no answer in {seconds:.0f} s; the last was {last}; {program.last_words()}")
