"""Who may be asked right now: places, breakers and rests, on a clock of the tests."""

from __future__ import annotations

import asyncio

import pytest

from gateway.adapters.routing.health import Breaker
from gateway.adapters.routing.traffic import MOST_TARGETS, LiveTraffic, Watch
from gateway.core.errors import Code, UpstreamError
from gateway.core.ports import Choice, Group, Model, Strategy

A, B = Model("m", "a", "x"), Model("m", "b", "x")
BOTH = Model("m", "a", "x", group=Group((Choice(A), Choice(B))))
FAILED = UpstreamError(Code.UPSTREAM_UNAVAILABLE, "x", retryable=True)
AWAY = UpstreamError(Code.UPSTREAM_ERROR, "x", status=429, retry_after=7.0, retryable=True)


class Site:
    """Traffic to the providers a and b, on a clock that stands until it is moved."""

    def __init__(self, most: int | None = None, patience: float = 0.0) -> None:
        self.now = 100.0
        watch = Watch(Breaker(failures=2, open_seconds=30), most, patience)
        self.traffic = LiveTraffic({"a": watch, "b": watch}, clock=lambda: self.now)

    def first(self) -> str:
        return self.traffic.order(BOTH, None)[0].upstream

    async def fails(self, target: Model, error: UpstreamError) -> None:
        turn = await self.traffic.enter(target)
        turn.failed(error)
        turn.leave()

    async def shut(self, target: Model) -> UpstreamError:
        with pytest.raises(UpstreamError) as refused:
            await self.traffic.enter(target)
        assert refused.value.retryable
        return refused.value


async def test_who_was_turned_away_comes_last_until_it_has_rested() -> None:
    site = Site()
    assert site.first() == "a"
    await site.fails(A, AWAY)
    assert site.first() == "b"
    error = await site.shut(A)
    assert (error.status, error.retry_after) == (429, 7.0)
    site.now += 7
    assert site.first() == "a"
    (await site.traffic.enter(A)).leave()


async def test_a_breaker_opens_lets_one_in_and_closes() -> None:
    site = Site()
    for _ in range(2):
        await site.fails(A, FAILED)
    assert ((await site.shut(A)).status, site.first()) == (503, "b")
    site.now += 30
    trial = await site.traffic.enter(A)
    assert (await site.shut(A)).status == 503  # only one
    trial.sent()
    trial.answered()
    trial.leave()
    assert site.first() == "a"
    (await site.traffic.enter(A)).leave()


async def test_a_trial_that_was_hung_up_on_makes_room_for_another() -> None:
    site = Site()
    for _ in range(2):
        await site.fails(A, FAILED)
    site.now += 30
    (await site.traffic.enter(A)).leave()
    await site.fails(A, FAILED)
    assert (await site.shut(A)).retry_after == 30


async def test_an_answer_that_breaks_off_is_a_failure() -> None:
    site = Site()
    turn = await site.traffic.enter(A)
    turn.answered()
    turn.failed(FAILED)
    turn.leave()
    await site.fails(A, FAILED)
    assert (await site.shut(A)).status == 503


async def test_who_breaks_off_every_answer_is_left_alone() -> None:
    site = Site()
    for _ in range(2):
        turn = await site.traffic.enter(A)
        turn.answered()
        turn.failed(FAILED)
        turn.leave()
    assert (await site.shut(A)).status == 503
    site.now += 30
    trial = await site.traffic.enter(A)
    trial.answered()
    trial.failed(FAILED)
    trial.leave()
    assert (await site.shut(A)).retry_after == 30


async def test_a_trial_that_is_answered_at_length_keeps_nobody_out() -> None:
    site = Site()
    for _ in range(2):
        await site.fails(A, FAILED)
    site.now += 30
    trial = await site.traffic.enter(A)
    trial.answered()
    other = await site.traffic.enter(A)
    trial.leave()
    other.leave()
    await site.fails(A, FAILED)  # one is not yet too many
    assert site.first() == "a"


async def test_an_answer_counts_when_it_is_over() -> None:
    site = Site()
    await site.fails(A, FAILED)
    turn = await site.traffic.enter(A)
    turn.answered()
    turn.leave()
    await site.fails(A, FAILED)
    assert site.first() == "a"


async def test_models_of_a_provider_fail_apart_and_share_its_places() -> None:
    site = Site(most=1)
    other = Model("m", "a", "y")
    for _ in range(2):
        await site.fails(A, FAILED)
    turn = await site.traffic.enter(other)
    site.now += 30
    assert (await site.shut(A)).code is Code.OVERLOADED
    turn.leave()
    (await site.traffic.enter(A)).leave()


async def test_a_full_provider_comes_last_and_refuses_after_a_wait() -> None:
    site = Site(most=1)
    turn = await site.traffic.enter(A)
    assert site.first() == "b"
    error = await site.shut(A)
    assert (error.code, error.retry_after) == (Code.OVERLOADED, 1.0)
    turn.leave()
    turn.leave()  # which frees no second place
    again = await site.traffic.enter(A)
    await site.shut(A)
    again.leave()


async def test_who_waits_for_a_place_gets_it() -> None:
    site = Site(most=1, patience=60.0)
    turn = await site.traffic.enter(A)
    waiting = asyncio.ensure_future(site.traffic.enter(A))
    await asyncio.sleep(0)
    assert not waiting.done()
    turn.leave()
    (await waiting).leave()


async def test_who_waited_while_it_broke_is_refused_and_leaves_the_place() -> None:
    site = Site(most=1, patience=60.0)
    turn = await site.traffic.enter(A)
    waiting = asyncio.ensure_future(site.traffic.enter(A))
    await asyncio.sleep(0)
    turn.failed(AWAY)
    turn.leave()
    with pytest.raises(UpstreamError):
        await waiting
    site.now += 7
    (await site.traffic.enter(A)).leave()


async def test_first_bytes_are_measured_from_when_the_call_goes_out() -> None:
    site = Site()
    group = Group((Choice(A), Choice(B)), Strategy.LATENCY)
    model = Model("m", "a", "x", group=group)
    for target, seconds in ((A, 3.0), (B, 1.0)):
        turn = await site.traffic.enter(target)
        site.now += 50  # of recording and the like
        turn.sent()
        site.now += seconds
        turn.answered()
        turn.leave()
    found = site.traffic.order(model, None)
    assert [target.upstream for target in found] == ["b", "a"]


async def test_providers_that_nobody_watches_are_always_open() -> None:
    traffic = LiveTraffic({}, clock=lambda: 0.0)
    for _ in range(50):
        turn = await traffic.enter(A)
        turn.failed(FAILED)
    assert list(traffic.order(A, None)) == [A]
    (await traffic.enter(A)).leave()


async def test_names_that_callers_make_up_do_not_fill_the_memory() -> None:
    traffic = LiveTraffic({"a": Watch()}, clock=lambda: 0.0)
    for number in range(MOST_TARGETS + 10):
        (await traffic.enter(Model("m", "a", str(number)))).leave()
    assert len(traffic._health) == MOST_TARGETS
