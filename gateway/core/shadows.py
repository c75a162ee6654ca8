"""What a policy would have decided that is only asked beside the one in force."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import orjson

from gateway.core.policy import Effect, Verdict

MOST_SAMPLES = 20
"""Exchanges that are named for people to look at."""

_Z = 1.959964
"""Of the standard normal distribution, for 95 %."""


class Kind(StrEnum):
    """How two decisions about one question differ."""

    SAME = "same"
    NEWLY_DENIED = "newly_denied"
    NEWLY_HELD = "newly_held"
    NEWLY_CHANGED = "newly_changed"
    """Both have the same effect, with other duties."""
    NEWLY_ALLOWED = "newly_allowed"
    NOT_EVALUATED = "not_evaluated"
    """It could not be asked, or what was found in the request would not have been the same."""


def kind_of(live: Verdict, beside: Verdict) -> Kind:
    """What the one that is asked beside would change."""
    if live.effect is beside.effect:
        return Kind.SAME if _duties(live) == _duties(beside) else Kind.NEWLY_CHANGED
    if beside.effect is Effect.ALLOW:
        return Kind.NEWLY_ALLOWED
    return Kind.NEWLY_DENIED if beside.effect is Effect.DENY else Kind.NEWLY_HELD


def _duties(verdict: Verdict) -> set[bytes]:
    """What is to be done, whichever rule wants it."""
    return {
        orjson.dumps([duty.id, duty.params], option=orjson.OPT_SORT_KEYS)
        for duty in verdict.obligations
    }


@dataclass(frozen=True, slots=True)
class Sample:
    """An exchange about which the two differ."""

    exchange: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Tally:
    """What one process counted of a release."""

    release: str
    node: str
    since: datetime
    """When it began to count."""
    counts: Mapping[Kind, int] = field(default_factory=dict)
    dropped: int = 0
    """Exchanges that were not asked about, since too many waited."""
    samples: Sequence[Sample] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of a release that was asked beside the one in force."""

    release: str
    since: datetime | None
    """When the first process began to count; None where none did."""
    counts: Mapping[Kind, int]
    shares: Mapping[Kind, float]
    """Of all that is in `counts`; none where that is nothing."""
    dropped: int
    """Exchanges that were not asked about, since too many waited. In no share and no rate."""
    rate: float | None
    """The share of questions decided otherwise, of those that could be asked; None of none."""
    least: float
    most: float
    """Between these it truly lies, in 95 of 100 cases (Wilson's interval)."""
    samples: Sequence[Sample]


def report_of(release: str, tallies: Iterable[Tally]) -> Report:
    """The tallies of every process together."""
    told = list(tallies)
    counts = {kind: sum(tally.counts.get(kind, 0) for tally in told) for kind in Kind}
    every = sum(counts.values())
    shares = {kind: count / every for kind, count in counts.items()} if every else {}
    asked = every - counts[Kind.NOT_EVALUATED]
    differ = asked - counts[Kind.SAME]
    least, most = wilson(differ, asked)
    samples = [sample for tally in told for sample in tally.samples]
    newest = sorted(samples, key=lambda sample: sample.exchange, reverse=True)[:MOST_SAMPLES]
    dropped = sum(tally.dropped for tally in told)
    rate = differ / asked if asked else None
    since = min((tally.since for tally in told), default=None)
    return Report(release, since, counts, shares, dropped, rate, least, most, newest)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share: where it lies that gave `hits` of so many. (0, 1) of none.

    Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical
    Inference", 1927.
    """
    if of == 0:
        return 0.0, 1.0
    share, z2 = hits / of, _Z * _Z
    middle = share + z2 / (2 * of)
    reach = _Z * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    whole = 1 + z2 / of
    low = 0.0 if hits == 0 else (middle - reach) / whole
    high = 1.0 if hits == of else (middle + reach) / whole
    return low, high


class Tallies(Protocol):
    """Where the tallies of every process are kept, also of those that ended. Both raise
    `Unavailable`."""

    async def keep(self, tally: Tally) -> None:
        """Keep it in place of what the same process counted of the same release before."""

    async def of(self, release: str) -> Sequence[Tally]:
        """Those of a release, by node; the samples of each in the order of their exchanges."""
