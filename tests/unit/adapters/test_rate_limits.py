"""Rate limits over a clock of our own: a minute's worth at once, then the rate."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.adapters.rate_limits import LocalRateLimits


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


LIMITS = st.integers(1, 500)
ASKED = st.lists(st.tuples(st.floats(0, 40), st.integers(1, 60)), max_size=60)
"""Seconds since the one before, and how much."""


@given(LIMITS, ASKED)
async def test_in_any_time_no_more_than_a_minutes_worth_and_what_the_rate_adds(
    limit: int, asked: list[tuple[float, int]]
) -> None:
    """A whole minute's allowance may come at once, and is then due at the rate again."""
    clock = Clock()
    rates = LocalRateLimits(now=clock)
    taken: list[tuple[float, int]] = []
    for pause, amount in asked:
        clock.now += pause
        if (await rates.take("k", limit, amount)).granted:
            taken.append((clock.now, amount))
    for start, _ in taken:
        for end, _ in taken:
            if start <= end:
                inside = sum(amount for at, amount in taken if start <= at <= end)
                assert inside <= limit + limit * (end - start) / 60 + 1e-3


@given(LIMITS, ASKED)
@example(323, [(0.0, 1)] * 4)  # where rounding once hid the last of it
async def test_what_it_says_is_true(limit: int, asked: list[tuple[float, int]]) -> None:
    clock = Clock()
    rates = LocalRateLimits(now=clock)
    for pause, amount in asked:
        clock.now += pause
        said = await rates.take("k", limit, amount)
        assert said.limit == limit
        assert 0 <= said.remaining <= limit
        assert 0 <= said.reset <= 60.001
        if said.granted:
            assert said.retry_after == 0
            more = await rates.take("k", limit, said.remaining + 1)
            assert not more.granted  # `remaining` is all there is
        elif amount <= limit:
            clock.now += said.retry_after + 1e-6
            assert (await rates.take("k", limit, amount)).granted


@pytest.mark.parametrize("limit", [1, 7, 60, 323, 10_000])
async def test_a_machine_that_has_run_for_a_year_gives_as_much(limit: int) -> None:
    clock = Clock()
    clock.now = 31_536_000.1
    rates = LocalRateLimits(now=clock)
    granted = [(await rates.take("k", limit, 1)).granted for _ in range(limit + 1)]
    assert granted == [True] * limit + [False]


async def test_what_is_refused_takes_nothing() -> None:
    rates = LocalRateLimits(now=Clock())
    for _ in range(50):
        assert not (await rates.take("k", 10, 11)).granted
    assert (await rates.take("k", 10, 10)).granted


async def test_the_allowance_comes_back_little_by_little() -> None:
    clock = Clock()
    rates = LocalRateLimits(now=clock)
    await rates.take("k", 60, 60)
    clock.now += 0.99
    assert not (await rates.take("k", 60, 1)).granted
    clock.now += 0.02
    assert (await rates.take("k", 60, 1)).granted
    assert not (await rates.take("k", 60, 1)).granted


async def test_after_a_quiet_minute_all_of_it_is_there_and_no_more() -> None:
    clock = Clock()
    rates = LocalRateLimits(now=clock)
    await rates.take("k", 10, 10)
    clock.now += 3_600
    assert (await rates.take("k", 10, 10)).granted
    assert not (await rates.take("k", 10, 1)).granted


async def test_keys_do_not_share() -> None:
    rates = LocalRateLimits(now=Clock())
    assert (await rates.take("a", 1, 1)).granted
    assert (await rates.take("b", 1, 1)).granted
    assert not (await rates.take("a", 1, 1)).granted


async def test_it_remembers_so_many_keys_and_forgets_the_oldest() -> None:
    rates = LocalRateLimits(most_keys=2, now=Clock())
    for key in ("a", "b", "c"):
        await rates.take(key, 1, 1)
    assert not (await rates.take("c", 1, 1)).granted
    assert (await rates.take("a", 1, 1)).granted


@pytest.mark.parametrize("amount", [1, 7])
async def test_a_wait_that_is_too_short_is_too_short(amount: int) -> None:
    clock = Clock()
    rates = LocalRateLimits(now=clock)
    await rates.take("k", 10, 10)
    wait = (await rates.take("k", 10, amount)).retry_after
    assert wait == pytest.approx(6 * amount)
    clock.now += wait - 0.01
    assert not (await rates.take("k", 10, amount)).granted
