"""How two decisions differ, and how much of the traffic that is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.shadows import MOST_SAMPLES, Kind, Sample, Tally, kind_of, report_of, wilson
from tests.exchanges import allowing

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MASK = ("mask", {"labels": ["A", "B"]})
LABEL = ("label", {"labels": ["x"]})


@pytest.mark.parametrize(
    ("live", "beside", "kind"),
    [
        (allowing(), allowing(), Kind.SAME),
        (allowing(MASK, LABEL), allowing(LABEL, MASK), Kind.SAME),
        (allowing(), allowing(effect="deny"), Kind.NEWLY_DENIED),
        (allowing(effect="review"), allowing(effect="deny"), Kind.NEWLY_DENIED),
        (allowing(), allowing(effect="review"), Kind.NEWLY_HELD),
        (allowing(effect="deny"), allowing(effect="review"), Kind.NEWLY_HELD),
        (allowing(effect="deny"), allowing(), Kind.NEWLY_ALLOWED),
        (allowing(effect="review"), allowing(MASK), Kind.NEWLY_ALLOWED),
        (allowing(), allowing(MASK), Kind.NEWLY_CHANGED),
        (allowing(MASK), allowing(("mask", {"labels": ["A"]})), Kind.NEWLY_CHANGED),
    ],
)
def test_the_kinds(live: object, beside: object, kind: Kind) -> None:
    assert kind_of(live, beside) is kind  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 100, 0.0, 0.0370), (100, 100, 0.9630, 1.0), (5, 100, 0.0215, 0.1118)],
)
def test_wilsons_interval_against_published_figures(
    hits: int, of: int, low: float, high: float
) -> None:
    assert wilson(hits, of) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10**6).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_the_interval_holds_the_share_and_stays_a_share(told: tuple[int, int]) -> None:
    hits, of = told
    low, high = wilson(hits, of)
    assert 0.0 <= low <= hits / of <= high <= 1.0


def test_a_report_adds_up_what_every_process_counted() -> None:
    one = Tally(
        "rel_1",
        "n1",
        NOON,
        {Kind.SAME: 8, Kind.NEWLY_DENIED: 1},
        2,
        (Sample("exc_1", Kind.NEWLY_DENIED),),
    )
    other = Tally(
        "rel_1",
        "n2",
        NOON - timedelta(days=1),
        {Kind.SAME: 10, Kind.NOT_EVALUATED: 5, Kind.NEWLY_HELD: 1},
        0,
        tuple(Sample(f"exc_{n}", Kind.NEWLY_HELD) for n in range(2, 40)),
    )
    report = report_of("rel_1", [one, other])
    assert report.counts[Kind.SAME] == 18
    assert report.counts[Kind.NEWLY_ALLOWED] == 0
    assert (report.rate, report.dropped) == (0.1, 2)
    assert report.least < 0.1 < report.most
    assert len(report.samples) == MOST_SAMPLES
    assert report.since == NOON - timedelta(days=1)
    assert report.shares[Kind.SAME] == 18 / 25
    assert sum(report.shares.values()) == pytest.approx(1.0)


def test_of_nothing_no_rate_is_told() -> None:
    report = report_of("rel_1", [Tally("rel_1", "n", NOON, {Kind.NOT_EVALUATED: 3})])
    assert report.rate is None
    assert (report.least, report.most) == (0.0, 1.0)
    assert report.shares[Kind.NOT_EVALUATED] == 1.0


@pytest.mark.parametrize("told", [[], [Tally("rel_1", "n", NOON, dropped=2)]])
def test_where_nothing_was_counted_there_are_no_shares(told: list[Tally]) -> None:
    report = report_of("rel_1", told)
    assert report.shares == {}
    assert report.rate is None
    assert report.since == (NOON if told else None)
    assert report.dropped == sum(tally.dropped for tally in told)
