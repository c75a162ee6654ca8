"""A place in memory for what shadows count."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.core.shadows import Kind, Tally


class FakeTallies:
    """Implements `Tallies`. Counts what it is told to keep."""

    def __init__(self, *told: Tally) -> None:
        self.tallies = {(tally.release, tally.node): tally for tally in told}
        self.writes = 0
        self.kept = asyncio.Event()
        """Set by each keeping."""
        self.failing: Exception | None = None

    async def keep(self, tally: Tally) -> None:
        self.writes += 1
        self.kept.set()
        if self.failing is not None:
            raise self.failing
        samples = sorted(tally.samples, key=lambda sample: sample.exchange)
        kept = replace(tally, counts=_counted(tally.counts), samples=tuple(samples))
        self.tallies[tally.release, tally.node] = kept

    async def of(self, release: str) -> Sequence[Tally]:
        those = [tally for (id, _), tally in self.tallies.items() if id == release]
        return sorted(those, key=lambda tally: tally.node)


def _counted(counts: Mapping[Kind, int]) -> Mapping[Kind, int]:
    """Without what is none."""
    return {kind: count for kind, count in counts.items() if count}
