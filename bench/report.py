"""The results as a page of Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.results import COMMITS, Goal, Results, goals, per_second
from bench.subjects import SUBJECTS

NOTES = "<!-- What stands below this line is written by hand, and kept. -->"


def markdown(results: Results) -> str:
    """The whole page but for the notes."""
    names = [name for name in SUBJECTS if name in results.samples]
    parts = [
        "# What the bench found",
        _setting(results),
        "## Whole answers",
        _table(_WHOLE, [_whole(results, name) for name in names]),
        "## Streams",
        _table(_STREAMS, [_streams(results, name) for name in names]),
        "## What it must reach",
        _table(("governed", "wanted", "found", ""), [_goal(goal) for goal in goals(results)]),
    ]
    if results.failures:
        rows = [(SUBJECTS[name].title, reason) for name, reason in results.failures.items()]
        parts += ["## Not measured", _table(("", "because"), rows)]
    return "\n\n".join(parts) + "\n"


def keep_notes(page: str, path: Path) -> str:
    """`page`, followed by the notes that stand in the file at `path`."""
    old = path.read_text() if path.exists() else ""
    _, found, notes = old.partition(NOTES)
    return f"{page}\n{NOTES}{notes if found else chr(10)}"


def _setting(results: Results) -> str:
    machine, plan = results.machine, results.plan
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items())
    return (
        f"`{machine.command}` on {machine.when}: {machine.processor}, {machine.cores} cores, "
        f"Python {machine.python}; {versions}.\n\n"
        f"Medians of {plan.rounds} interleaved rounds, one gateway process, upstream and load "
        "generator in processes of their own on the same machine; 1 KB prompt, 0.6 KB answer. "
        "Only ratios carry over to another machine. "
        f"A durable commit on this disk took {_number(results.commit)} ms; a governed exchange "
        f"waits for {COMMITS}, and the figures below include them. "
        "[README.md](README.md) says what each column means."
    )


_WHOLE = (
    "gateway", "governance", "requests/s", "× LiteLLM", "× Portkey", "× floor",
    "added p50 ms", "added p99 ms", "p50 ms at load", "p99 ms at load",
    "CPU ms", "RSS MB", "start s",
)  # fmt: skip


def _whole(results: Results, name: str) -> tuple[str, ...]:
    subject = SUBJECTS[name]
    rates = [per_second(sample) for sample in results.samples[name]]
    rate = f"{_number(results.figure(name, per_second))} ({min(rates):,.0f}–{max(rates):,.0f})"
    return (
        subject.title,
        subject.governance,
        rate,
        *(_number(results.times(name, other)) for other in ("litellm", "portkey", "floor")),
        *_over_direct(results, name, "p50", "p99"),
        _number(results.figure(name, lambda s: s.loaded_p50)),
        _number(results.figure(name, lambda s: s.loaded_p99)),
        _number(results.figure(name, lambda s: s.cpu)),
        _number(results.figure(name, lambda s: s.rss_mb)),
        _number(results.figure(name, lambda s: s.start_seconds)),
    )


_STREAMS = (
    "gateway", "added first byte p50 ms", "p99", "added per event p50 ms", "p99",
    "CPU ms per event", "stalls",
)  # fmt: skip


def _streams(results: Results, name: str) -> tuple[str, ...]:
    return (
        SUBJECTS[name].title,
        *_over_direct(results, name, "first_byte_p50", "first_byte_p99"),
        *_over_direct(results, name, "event_p50", "event_p99"),
        _number(results.figure(name, lambda s: s.event_cpu)),
        f"{sum(sample.stalls for sample in results.samples[name])}",
    )


def _over_direct(results: Results, name: str, *figures: str) -> list[str]:
    """What a subject adds; of the direct call, what it takes, in brackets."""
    if name == "direct":
        taken = (results.figure(name, lambda s, f=figure: getattr(s, f)) for figure in figures)  # type: ignore[misc]
        return [f"({_number(each)})" for each in taken]
    return [
        _number(results.added(name, lambda s, f=figure: getattr(s, f)))  # type: ignore[misc]
        for figure in figures
    ]


def _goal(goal: Goal) -> tuple[str, ...]:
    word = {True: "reached", False: "**missed**", None: "not measured"}[goal.reached]
    found = "–" if goal.found is None else _number(goal.found) + goal.unit
    return (goal.what, goal.wanted + goal.unit, found, word)


def _number(value: float | None) -> str:
    """Three digits that count; a dash for what is not known."""
    if value is None:
        return "–"
    for least, digits in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= least:
            return f"{value:,.{digits}f}"
    return f"{value:.3f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---" if i == 0 else "--:" for i in range(len(head))]
    lines = [head, rule, *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
