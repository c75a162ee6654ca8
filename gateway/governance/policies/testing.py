"""Test tables run: those of each pack by itself, and what becomes of them together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.policies import PackFiles
from gateway.core.rulesets import Packs, Tested

MOST_TOLD = 50
"""Failures that are kept as evidence."""


@dataclass(frozen=True, slots=True)
class TestRun:
    """What became of the tables of some packs."""

    __test__ = False  # or pytest takes it for a test

    cases: Sequence[Tested]
    """Each pack's tables, with that pack alone in force: they speak of nothing else."""
    together: Sequence[Tested] = ()
    """The cases that end otherwise with all the packs in force. They hinder nothing, but whoever
    approves should know."""

    @property
    def failed(self) -> Sequence[Tested]:
        return [case for case in self.cases if case.failures]

    @property
    def passed(self) -> bool:
        """Whether there are cases, and none of them failed."""
        return bool(self.cases) and not self.failed

    def facts(self) -> dict[str, Any]:
        """How many, for the record."""
        return {
            "run": len(self.cases),
            "failed": len(self.failed),
            "otherwise_together": len(self.together),
        }

    def evidence(self) -> dict[str, Any]:
        """The same with the cases that failed, or end otherwise."""
        return {
            **self.facts(),
            "failures": [_told(case) for case in self.failed[:MOST_TOLD]],
            "together": [_told(case) for case in self.together[:MOST_TOLD]],
        }


async def run_tables(packs: Packs, files: Mapping[str, PackFiles]) -> TestRun:
    """Run the tables of packs. Raises `Unfit`, `Unavailable`."""
    return await asyncio.to_thread(_run, packs, files)


def _run(packs: Packs, files: Mapping[str, PackFiles]) -> TestRun:
    everything = list(files.values())
    alone = [case for own in everything for case in packs.test(own, [own])]
    if len(everything) == 1:
        return TestRun(alone)
    together = [case for own in everything for case in packs.test(own, everything)]
    return TestRun(
        alone,
        [other for one, other in zip(alone, together, strict=True) if _apart(one, other)],
    )


def _apart(one: Tested, other: Tested) -> bool:
    return bool(other.failures) and not one.failures


def _told(case: Tested) -> dict[str, Any]:
    return {
        "pack": case.pack,
        "suite": case.suite,
        "name": case.name,
        "failures": list(case.failures),
    }
