"""The breaker's state machine, the cool-down and the moving average."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.adapters.routing.health import Breaker, Health
from gateway.core.errors import Code, UpstreamError

BREAKER = Breaker(failures=3, open_seconds=30, rest_seconds=5, longest_rest=100)


def error(status: int | None = 500, wait: float | None = None, code: Code = Code.UPSTREAM_ERROR
          ) -> UpstreamError:  # fmt: skip
    return UpstreamError(code, "x", status=status, retry_after=wait)


class Breaking(RuleBasedStateMachine):
    """Calls that begin, and end in any order, against a model of what the breaker must do."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self.health = Health(BREAKER)
        self.running: list[bool] = []
        """Whether each call under way is a trial."""
        self.in_a_row = 0
        self.open_until: float | None = None

    @property
    def shut(self) -> bool:
        return self.open_until is not None and (self.now < self.open_until or any(self.running))

    @rule(seconds=st.sampled_from([1.0, 29.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.health.wait(self.now) == 0)
    @rule()
    def a_call_begins(self) -> None:
        trial = self.health.begin(self.now)
        assert trial == (self.open_until is not None)
        assert not (trial and any(self.running)), "one trial at a time"
        self.running.append(trial)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def one_is_answered(self, data: st.DataObject) -> None:
        self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        self.running = [False] * len(self.running)
        self.health.succeeded()
        self.in_a_row, self.open_until = 0, None

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def one_fails(self, data: st.DataObject) -> None:
        trial = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        self.health.failed(error(), self.now, trial=trial)
        self.in_a_row += 1
        if trial or (self.in_a_row >= BREAKER.failures and self.open_until is None):
            self.open_until = self.now + BREAKER.open_seconds

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def one_gives_up(self, data: st.DataObject) -> None:
        trial = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        self.health.gave_up(trial=trial)

    @invariant()
    def nobody_is_let_in_while_it_is_open(self) -> None:
        assert (self.health.wait(self.now) > 0) == self.shut


class TestBreaker(Breaking.TestCase):  # type: ignore[misc, name-defined]
    settings = settings(max_examples=150, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize(("asked", "rests"), [(None, 5), (0.0, 0), (7.5, 7.5), (1e9, 100)])
def test_who_is_turned_away_rests_as_long_as_was_asked(asked: float | None, rests: float) -> None:
    health = Health(BREAKER)
    health.failed(error(429, asked), 10.0, trial=False)
    assert health.wait(10.0) == rests
    assert health.resting(10.0) == (rests > 0)
    assert health.wait(10.0 + rests) == 0


def test_turning_away_is_no_failure_and_a_refusal_shows_that_it_works() -> None:
    health = Health(BREAKER)
    for status in (500, 500, 400, 500, 500, 429, 500, 500):
        health.failed(error(status, 0.0), 0.0, trial=False)
    assert health.wait(0.0) == 0
    health.failed(error(None, code=Code.UPSTREAM_TIMEOUT), 0.0, trial=False)
    assert health.wait(0.0) == 30
    assert not health.resting(0.0)


def test_an_endpoint_that_a_provider_lacks_tells_nothing_of_it() -> None:
    health = Health(BREAKER)
    for _ in range(9):
        health.failed(error(None, code=Code.UNKNOWN_URL), 0.0, trial=False)
    assert health.wait(0.0) == 0


def test_the_average_follows_what_is_measured_and_grows_old() -> None:
    health = Health(BREAKER)
    assert health.latency(0.0) == 0
    health.measured(1.0, 0.0)
    assert health.latency(0.0) == 1.0
    health.measured(2.0, 1.0)
    assert health.latency(1.0) == pytest.approx(1.2)
    later = 1.0 + Health.FRESH + 1
    assert health.latency(later) == 0  # to be measured again
    health.measuring(later)
    assert health.latency(later) == pytest.approx(1.2)  # by one call, not by all
    health.measured(9.0, later + Health.FRESH + 1)
    assert health.latency(later + Health.FRESH + 1) == 9.0
