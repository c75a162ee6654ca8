"""The page says what was found, and a dash for what was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.report import NOTES, keep_notes, markdown
from bench.results import Goal, Machine, Results, goals
from bench.rounds import Plan, Sample

MACHINE = Machine("2026-01-01 00:00 UTC", "A processor", 2, "3.11", {"LiteLLM": "1"}, "make bench")


def sample(per_second: float, p50: float = 1.0, **more: float | None) -> Sample:
    figures: dict[str, Any] = {
        "p99": 2.0, "loaded_p50": 3.0, "loaded_p99": 4.0,
        "first_byte_p50": 1.0, "first_byte_p99": 2.0,
    } | more  # fmt: skip
    return Sample(
        per_second=per_second, p50=p50, event_p50=None, event_p99=None, stalls=0, **figures
    )


def found(governed: list[Sample], **others: list[Sample]) -> Results:
    return Results(MACHINE, Plan(rounds=1), {"governed": governed, **others}, {})


def goal(results: Results, what: str) -> Goal:
    return next(each for each in goals(results) if each.what.startswith(what))


def test_ratios_are_of_medians() -> None:
    results = found(
        [sample(900), sample(1_000), sample(5_000)],
        litellm=[sample(80), sample(100), sample(120)],
    )
    assert results.times("governed", "litellm") == pytest.approx(10.0)
    assert goal(results, "requests/s over LiteLLM").reached is True


def test_a_goal_is_missed_or_not_measured() -> None:
    results = found([sample(999)], litellm=[sample(100)])
    assert goal(results, "requests/s over LiteLLM").reached is False
    assert goal(results, "requests/s over Portkey").reached is None


def test_commits_are_taken_off_the_added_latency() -> None:
    results = found(
        [sample(1, p50=5.0, commit=0.5), sample(1, p50=25.0, commit=10.5)],
        direct=[sample(1, p50=1.2), sample(1, p50=1.2)],
    )
    latency = goal(results, "added p50")
    assert latency.found == pytest.approx(2.8), "each round's own commits"
    assert latency.reached is True
    assert results.commit == pytest.approx(5.5)


def test_a_subject_that_lost_rounds_adds_nothing_known() -> None:
    results = found([sample(1), sample(1)], direct=[sample(1)])
    assert results.added("governed", lambda s: s.p50) is None


def test_the_page() -> None:
    results = found([sample(2_000, cpu=0.5)], direct=[sample(20_000)], portkey=[sample(500)])
    results.failures["litellm"] = "run `make bench-peers`\nor | not"
    page = markdown(results)
    (row,) = [line for line in page.splitlines() if line.startswith("| **Govgate, governed**")
              and "2,000" in line]  # fmt: skip
    cells = [cell.strip() for cell in row.strip("|").split(" | ")]
    assert cells[2:6] == ["2,000 (2,000–2,000)", "–", "4.00", "–"]
    assert "| LiteLLM proxy | run `make bench-peers` or \\| not |" in page
    widths = {line.count(" | ") for line in page.splitlines() if line.startswith("| Portkey")}
    assert len(widths) == 2, "one row in each of the two tables"


def test_notes_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    assert keep_notes("first", path).rstrip().endswith(NOTES)
    path.write_text(f"old\n{NOTES}\n\n## What fell short\n\nNothing.\n")
    assert keep_notes("new", path) == f"new\n{NOTES}\n\n## What fell short\n\nNothing.\n"
