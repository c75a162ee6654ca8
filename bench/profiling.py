"""Where the processor time of a running Govgate goes, by package, function and thread."""

from __future__ import annotations

import os
import signal
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from bench import process
from bench.jobs import Answers, Streamed, Streams, Whole
from bench.rounds import await_answer, run, start, upstream
from bench.subjects import ROOT, Launch, Place, Subject

Stacks = Mapping[tuple[str, ...], int]


def profile(subject: Subject, directory: Path, seconds: float, *, streams: bool) -> str:
    """A page of text. Raises `Failed`, and `ValueError` for a subject that is not Govgate."""
    if subject.launch is None or subject.name in ("floor", "litellm", "portkey"):
        raise ValueError(f"{subject.name} is not Govgate")
    directory.mkdir(parents=True, exist_ok=True)
    output = directory / "stacks.txt"
    output.unlink(missing_ok=True)
    with upstream(directory / "upstream") as model:
        model.shape(30, 0.02)
        place = Place(directory, process.free_port(), model.port)
        launch = subject.launch(place)
        sampled = [sys.executable, "-m", "bench.sampled", str(output), *launch.argv[1:]]
        env = {**launch.env, "PYTHONPATH": str(ROOT)}
        with start(Launch(sampled, env, launch.headers), directory) as program:
            await_answer(place.port, launch.headers, program, seconds=60)
            run(Whole(place.port, launch.headers, 8, 500, seconds), Answers)
            before = process.threads(program.pid)
            os.kill(program.pid, signal.SIGUSR1)
            begun = time.perf_counter()
            done = _load(place, launch, seconds, streams=streams)
            took = time.perf_counter() - begun
            after = process.threads(program.pid)
            os.kill(program.pid, signal.SIGUSR2)
            stacks = read(_written(output))
    used = {name: after[name] - before.get(name, 0.0) for name in after}
    each = sum(used.values()) / done * 1e3
    head = f"{subject.name}: {done:,} in {took:.1f} s, {each:.3f} ms of processor time each"
    return "\n\n".join([head, _threads(used, done), *tables(stacks)])


def _written(path: Path) -> str:
    """The text of a file that another process is about to write. Raises `TimeoutError`."""
    deadline = time.monotonic() + 20
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path.name} was not written")
        time.sleep(0.05)
    return path.read_text()


def _load(place: Place, launch: Launch, seconds: float, *, streams: bool) -> int:
    """Ask for `seconds`; the number of exchanges, or of streamed events."""
    if streams:
        job = Streams(place.port, launch.headers, round(seconds) * 100, 100, 0.6, 1.0, seconds + 60)
        return run(job, Streamed).events
    whole = Whole(place.port, launch.headers, 8, 1_000_000, seconds, first=10_000)
    return len(run(whole, Answers).latencies)


def read(text: str) -> Stacks:
    """The stacks that `bench.sampled` wrote, with their counts."""
    stacks: Counter[tuple[str, ...]] = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        stacks[tuple(stack.split(";"))] += int(count)
    return stacks


def tables(stacks: Stacks, rows: int = 30) -> list[str]:
    """Shares of the main thread's time: packages and functions alone, then with what they call."""
    every = sum(stacks.values())
    if not every:
        return ["no samples"]
    alone: Counter[str] = Counter()
    rooms: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for stack, count in stacks.items():
        alone[_short(stack[-1])] += count
        rooms[_room(stack[-1])] += count
        for name in {_short(frame) for frame in stack}:
            within[name] += count
    for name in [name for name, count in within.items() if count == every]:
        del within[name]  # what starts the server, below every sample
    return [
        _shares(f"main thread, by package ({every:,} samples)", rooms, every, rows),
        _shares("by function, itself", alone, every, rows),
        _shares("by function, with what it calls", within, every, 2 * rows),
    ]


def _short(frame: str) -> str:
    """`gateway/stages/route.py:Route.__call__` for a frame with its whole path."""
    path, _, name = frame.rpartition(":")
    return f"{_module(path)}:{name}"


def _module(path: str) -> str:
    for root in ("/site-packages/", f"{ROOT}/", f"{sysconfig.get_path('stdlib')}/"):
        if root in path:
            return path.rpartition(root)[2]
    return path


def _room(frame: str) -> str:
    """The package a frame belongs to; of Govgate, the room."""
    parts = _module(frame.rpartition(":")[0]).split("/")
    return "/".join(parts[:2]) if parts[0] == "gateway" else parts[0]


def _shares(title: str, counts: Counter[str], every: int, rows: int) -> str:
    lines = [f"{count / every:7.1%}  {name}" for name, count in counts.most_common(rows)]
    return "\n".join([title, *lines])


def _threads(used: Mapping[str, float], done: int) -> str:
    busy = sorted(used.items(), key=lambda each: -each[1])[:8]
    lines = [f"{seconds / done * 1e3:7.3f} ms  {name}" for name, seconds in busy if seconds]
    return "\n".join(["by thread, each", *lines])
