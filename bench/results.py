"""What a run of the bench found, and what follows from it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from bench.figures import added, median_of, ratio
from bench.rounds import Plan, Sample
from bench.subjects import PEERS

COMMITS = 2
"""Commits that a whole governed exchange waits for: before it is sent, before it is released."""


class Machine(msgspec.Struct, frozen=True):
    """Where and with what it was measured."""

    when: str
    processor: str
    cores: int
    python: str
    versions: dict[str, str]
    command: str


class Results(msgspec.Struct):
    """All rounds of a run, by subject."""

    machine: Machine
    plan: Plan
    samples: dict[str, list[Sample]]
    failures: dict[str, str]
    """Why a subject has no figures."""

    def figure(self, subject: str, read: Callable[[Sample], float | None]) -> float | None:
        """The median over the rounds."""
        return median_of([read(sample) for sample in self.samples.get(subject, [])])

    def added(self, subject: str, read: Callable[[Sample], float | None]) -> float | None:
        """The median of what a subject adds to the direct call of the same round."""
        mine, direct = self.samples.get(subject, []), self.samples.get("direct", [])
        if len(mine) != len(direct):
            return None
        return median_of(added([read(s) for s in mine], [read(s) for s in direct]))

    def times(self, subject: str, other: str) -> float | None:
        """How many times as many requests a second as `other`."""
        return ratio(self.figure(subject, per_second), self.figure(other, per_second))

    @property
    def commit(self) -> float | None:
        """The disk's commit, in milliseconds; None when nothing that records was measured."""
        return median_of([s.commit for samples in self.samples.values() for s in samples])


def per_second(sample: Sample) -> float:
    return sample.per_second


class Goal(msgspec.Struct, frozen=True):
    """One figure to reach. `found` is None where it could not be measured."""

    what: str
    wanted: str
    found: float | None
    reached: bool | None
    unit: str = ""


def goals(results: Results) -> list[Goal]:
    """What the governed subject must reach, and whether it did."""

    def at_most(what: str, most: float, found: float | None, unit: str) -> Goal:
        return Goal(what, f"≤ {most:g}", found, None if found is None else found <= most, unit)

    def at_least(what: str, least: float, found: float | None) -> Goal:
        reached = None if found is None else found >= least
        return Goal(what, f"≥ {least:g}", found, reached, " ×")

    def beside_commits(read: Callable[[Sample], float]) -> float | None:
        return results.added("governed", lambda s: read(s) - COMMITS * (s.commit or 0.0))

    figure = results.figure
    return [
        at_least("requests/s over LiteLLM's", 10, results.times("governed", "litellm")),
        at_least("requests/s over Portkey's", 1, results.times("governed", "portkey")),
        at_most("CPU per exchange", 1.2, figure("governed", lambda s: s.cpu), " ms"),
        at_most(f"added p50, less {COMMITS} commits", 3, beside_commits(lambda s: s.p50), " ms"),
        at_most(
            f"added time to first byte p99, less {COMMITS} commits",
            10,
            beside_commits(lambda s: s.first_byte_p99),
            " ms",
        ),
        at_most("CPU per streamed event", 0.3, figure("governed", lambda s: s.event_cpu), " ms"),
        at_most("stalls in a round of streams", 0, _most_stalls(results, "governed"), ""),
        at_most("cold start", 2.5, figure("governed", lambda s: s.start_seconds), " s"),
        at_most("resident memory", 200, figure("governed", lambda s: s.rss_mb), " MB"),
    ]


def _most_stalls(results: Results, subject: str) -> float | None:
    return max((s.stalls for s in results.samples.get(subject, [])), default=None)


def machine(command: str) -> Machine:
    """This machine, now."""
    return Machine(
        when=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        processor=_processor(),
        cores=os.cpu_count() or 1,
        python=platform.python_version(),
        versions=_versions(),
        command=command,
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _versions() -> dict[str, str]:
    found = {name: version(name) for name in ("uvicorn", "uvloop", "aiohttp")}
    python = PEERS / "litellm/bin/python"
    if python.exists():
        ask = "from importlib.metadata import version; print(version('litellm'))"
        told = subprocess.run(
            [python, "-c", ask], capture_output=True, text=True, timeout=60, check=True
        )
        found["LiteLLM"] = told.stdout.strip()
    package = PEERS / "portkey/node_modules/@portkey-ai/gateway/package.json"
    if package.exists():
        found["Portkey"] = json.loads(package.read_text())["version"]
        node = subprocess.run(
            ["node", "--version"], capture_output=True, text=True, timeout=60, check=True
        )
        found["Node.js"] = node.stdout.strip().removeprefix("v")
    return found


def command_line() -> str:
    """The command that is running, as one would type it."""
    return " ".join(["python -m bench", *sys.argv[1:]])
