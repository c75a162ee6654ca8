"""The arithmetic that the published figures rest on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import added, median_of, percentile, ratio, stalls

numbers = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50)
shares = st.floats(0, 1)


def test_percentile_is_the_nearest_rank() -> None:
    values = [15.0, 20.0, 35.0, 40.0, 50.0]
    assert [percentile(values, share) for share in (0.05, 0.3, 0.4, 0.5, 1.0)] == [
        15.0, 20.0, 20.0, 35.0, 50.0,
    ]  # fmt: skip


def test_the_99th_of_a_hundred_leaves_one_out() -> None:
    assert percentile([float(i) for i in range(1, 101)], 0.99) == 99.0


@given(numbers, shares)
def test_a_percentile_is_one_of_the_values(values: list[float], share: float) -> None:
    assert percentile(values, share) in values


@given(numbers, shares)
def test_at_least_the_share_does_not_exceed_it(values: list[float], share: float) -> None:
    found = percentile(values, share)
    below = sum(value <= found for value in values)
    assert below >= share * len(values)


@given(numbers, shares, st.randoms())
def test_order_does_not_matter(values: list[float], share: float, random: object) -> None:
    mixed = sorted(values, reverse=True)
    assert percentile(mixed, share) == percentile(values, share)


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_is_between_nothing_and_all(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        percentile([1.0], share)


def test_a_median_leaves_out_what_is_not_known() -> None:
    assert median_of([3.0, None, 1.0]) == 2.0
    assert median_of([None]) is None
    assert median_of([]) is None


def test_what_is_added_is_counted_in_the_same_round() -> None:
    assert added([5.0, 9.0, None], [1.0, 2.0, 3.0]) == [4.0, 7.0, None]
    with pytest.raises(ValueError, match="argument 2"):
        added([5.0], [1.0, 2.0])


def test_a_ratio_to_nothing_is_not_known() -> None:
    assert ratio(10.0, 4.0) == 2.5
    assert ratio(10.0, 0.0) is None
    assert ratio(None, 1.0) is None
    assert ratio(1.0, None) is None


def test_a_stall_is_a_gap_that_the_upstream_did_not_make() -> None:
    sent = [0, 100, 200, 1_300, 1_400]
    assert stalls(sent, [5, 105, 205, 1_305, 1_405], limit=700) == 0, "the upstream paused"
    assert stalls(sent, [5, 105, 1_205, 1_305, 1_405], limit=700) == 1, "200 came a second late"
    assert stalls(sent, [5, 805, 805, 1_305, 1_405], limit=700) == 1
    assert stalls(sent, [5, 705, 705, 1_305, 1_405], limit=700) == 0, "at the limit is no stall"


@given(st.lists(st.integers(0, 10_000), max_size=30), st.integers(0, 500))
def test_a_constant_delay_is_never_a_stall(gaps: list[int], delay: int) -> None:
    sent = [sum(gaps[:i]) for i in range(len(gaps))]
    assert stalls(sent, [each + delay for each in sent], limit=700) == 0


def test_events_are_paired() -> None:
    with pytest.raises(ValueError, match="sent once"):
        stalls([1, 2], [1], limit=1)
