"""The circuit breaker: when it opens, who may try, and what a cancelled call says."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.opa import Breaker
from gateway.adapters.opa.breaker import BreakerOpen


class Away(Exception):
    """Nobody was there."""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def fails(breaker: Breaker, error: BaseException) -> None:
    with pytest.raises(type(error)), breaker.call((Away,)):
        raise error


def works(breaker: Breaker) -> None:
    with breaker.call((Away,)):
        pass


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = Breaker(3, now=Clock())
    for _ in range(4):
        fails(breaker, Away())
        fails(breaker, Away())
        works(breaker)
    assert not breaker.open
    for _ in range(3):
        fails(breaker, Away())
    assert breaker.open
    with pytest.raises(BreakerOpen):
        works(breaker)


def test_an_answer_that_says_no_is_an_answer() -> None:
    breaker = Breaker(2, now=Clock())
    fails(breaker, Away())
    fails(breaker, ValueError())
    fails(breaker, Away())
    assert not breaker.open


def test_one_at_a_time_may_try() -> None:
    clock = Clock()
    breaker = Breaker(1, pause=2.0, now=clock)
    fails(breaker, Away())
    clock.now = 2.0
    with breaker.call((Away,)):
        with pytest.raises(BreakerOpen) as refused:
            works(breaker)
        assert refused.value.seconds > 0
    works(breaker)
    assert not breaker.open


def test_a_try_that_fails_leaves_it_open_for_another_pause() -> None:
    clock = Clock()
    breaker = Breaker(1, pause=2.0, now=clock)
    fails(breaker, Away())
    clock.now = 2.0
    fails(breaker, Away())
    with pytest.raises(BreakerOpen) as refused:
        works(breaker)
    assert refused.value.seconds == 2.0
    clock.now = 4.0
    works(breaker)
    assert not breaker.open


def test_a_try_that_is_cancelled_says_nothing_and_lets_another_try() -> None:
    clock = Clock()
    breaker = Breaker(1, now=clock)
    fails(breaker, Away())
    clock.now = 1.0
    fails(breaker, asyncio.CancelledError())
    assert breaker.open
    works(breaker)
    assert not breaker.open


def test_with_no_number_it_never_opens() -> None:
    breaker = Breaker(0)
    for _ in range(100):
        fails(breaker, Away())
    works(breaker)


@given(
    st.integers(1, 4),
    st.lists(st.sampled_from(["away", "answers", "says no", "cancelled", "later"]), max_size=40),
)
def test_it_is_open_when_the_last_calls_failed_and_never_asks_before_its_time(
    most: int, acts: list[str]
) -> None:
    clock = Clock()
    breaker = Breaker(most, pause=1.0, now=clock)
    row, until = 0, 0.0
    errors = {"away": Away(), "says no": ValueError(), "cancelled": asyncio.CancelledError()}
    for act in acts:
        if act == "later":
            clock.now += 0.6
            continue
        if row >= most and clock.now < until:
            with pytest.raises(BreakerOpen):
                works(breaker)
            continue
        if act in errors:
            fails(breaker, errors[act])
        else:
            works(breaker)
        if act == "away":
            row, until = row + 1, clock.now + 1.0
        elif act != "cancelled":
            row = 0
        assert breaker.open == (row >= most)
