"""What the calls of one target tell about it: whether it works, when it rests, how fast it is.

A circuit breaker (closed, open, half open), a cool-down, and a moving average. Learned from
traffic alone: nothing here calls a model. Times are seconds on a clock of the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.errors import Code, UpstreamError

_EARLY = 0.01
"""Seconds by which a timer may ring before its time."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """When a target is left alone. Times in seconds.

    After `failures` in a row for `open_seconds`; then one call is let in, and decides. After a
    429 for as long as the provider asks, `longest_rest` at most, or for `rest_seconds` where
    it does not say.
    """

    failures: int = 5
    open_seconds: float = 30.0
    rest_seconds: float = 5.0
    longest_rest: float = 300.0


class Health:
    """The state of one target."""

    WEIGHT = 0.2
    """Of the newest measurement in the average."""
    FRESH = 60.0
    """Seconds after which an average that nothing was added to is measured anew."""

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._failures = 0
        self._open_until: float | None = None
        self._trial = False
        self._rest_until = float("-inf")
        self._latency: float | None = None
        self._measured = float("-inf")

    def wait(self, now: float) -> float:
        """Seconds until it may be asked: 0 for now. A trial under way counts as a second."""
        until = max(self._rest_until, self._open_until or self._rest_until)
        if now < until - _EARLY:
            return until - now
        return 1.0 if self._trial else 0.0

    def resting(self, now: float) -> bool:
        """Whether a provider that turned a call away asked to be left alone."""
        return now < self._rest_until - _EARLY

    def begin(self, now: float) -> bool:
        """A call is about to be made; whether it is the trial of a breaker that is half open."""
        if self._open_until is not None:
            self._trial = True
        return self._trial

    def succeeded(self) -> None:
        """A call was answered."""
        self._failures, self._open_until, self._trial = 0, None, False

    def failed(self, error: UpstreamError, now: float, *, trial: bool) -> None:
        """A call failed. One that the target itself refused shows that it works."""
        if error.status == 429:
            asked = error.retry_after
            self._rest(self._breaker.rest_seconds if asked is None else asked, now)
            self.succeeded()
        elif error.status is not None and 400 <= error.status < 500 and error.status != 408:
            self.succeeded()
        elif error.code is Code.UNKNOWN_URL:
            self.gave_up(trial=trial)
        else:
            if error.status == 503 and error.retry_after is not None:
                self._rest(error.retry_after, now)
            self._failures += 1
            if trial or (self._failures >= self._breaker.failures and self._open_until is None):
                self._open_until = now + self._breaker.open_seconds
            self.gave_up(trial=trial)

    def gave_up(self, *, trial: bool) -> None:
        """A call ended without telling anything; another may be the trial."""
        if trial:
            self._trial = False

    def measured(self, seconds: float, now: float) -> None:
        """Add a first-byte time to the average."""
        known = None if now - self._measured > self.FRESH else self._latency
        self._latency = seconds if known is None else known + self.WEIGHT * (seconds - known)
        self._measured = now

    def latency(self, now: float) -> float:
        """The moving average of first-byte times in seconds; 0 where it is to be measured."""
        return self._latency if self._latency and now - self._measured <= self.FRESH else 0.0

    def measuring(self, now: float) -> None:
        """A call that measures is under way: others need not rush after it."""
        if self._latency is not None and now - self._measured > self.FRESH:
            self._measured = now

    def _rest(self, seconds: float, now: float) -> None:
        until = now + min(seconds, self._breaker.longest_rest)
        self._rest_until = max(self._rest_until, until)
