"""The arithmetic of the bench. Pure functions over lists of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

__all__ = ["added", "median", "median_of", "percentile", "ratio", "stalls"]


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the least value that `share` of `values` do not exceed.

    `share` is between 0 and 1. It is always one of `values`, never between two of them. Raises
    `ValueError` when there are none.
    """
    if not values:
        raise ValueError("no values to take a percentile of")
    if not 0 <= share <= 1:
        raise ValueError("a share is between 0 and 1")
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def median_of(values: Sequence[float | None]) -> float | None:
    """The median of the values that are known; None when none is."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def added(
    with_gateway: Sequence[float | None], direct: Sequence[float | None]
) -> list[float | None]:
    """What a gateway adds, round by round: its figure less the direct one of the same round."""
    return [
        None if mine is None or base is None else mine - base
        for mine, base in zip(with_gateway, direct, strict=True)
    ]


def ratio(mine: float | None, other: float | None) -> float | None:
    """How many times `other` `mine` is; None where either is unknown or `other` is nothing."""
    return mine / other if mine is not None and other else None


def stalls(sent: Sequence[int], received: Sequence[int], limit: int) -> int:
    """How often a stream stood still for longer than `limit` though the upstream went on.

    `sent` and `received` are the moments of the same events, in the same unit as `limit`.
    """
    if len(sent) != len(received):
        raise ValueError("every event received was sent once")
    return sum(
        received[i] - received[i - 1] > limit >= sent[i] - sent[i - 1]
        for i in range(1, len(received))
    )
