"""A circuit breaker: who is not there is not asked again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class BreakerOpen(Exception):
    """Nobody is asked now. `seconds` is until somebody will be."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it is left alone for {seconds:.1f} s")
        self.seconds = seconds


class Breaker:
    """Opens after so many failures in a row; then lets one call in `pause` seconds try.

    Open, it refuses at once, so that callers do not wait for a deadline each, and what comes
    back is not met by all of them. The first call that succeeds closes it. With `failures` 0
    it never opens. Belongs to one event loop.
    """

    def __init__(
        self, failures: int = 5, pause: float = 1.0, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = failures
        self._pause = pause
        self._now = now
        self._failures = 0
        self._until = 0.0
        self._trying = False

    @property
    def open(self) -> bool:
        """Whether calls are refused, but for one that tries."""
        return 0 < self._most <= self._failures

    @contextmanager
    def call(self, counts: tuple[type[Exception], ...]) -> Iterator[None]:
        """Around one call; exceptions of the types `counts` are failures, others are answers.

        A call that was cancelled says nothing. Raises `BreakerOpen` in place of a call.
        """
        tries = self._enter()
        try:
            yield
        except counts:
            self._failed()
            raise
        except Exception:
            self._failures = 0
            raise
        else:
            self._failures = 0
        finally:
            if tries:
                self._trying = False

    def _enter(self) -> bool:
        """Whether this call is the one that tries."""
        if not self.open:
            return False
        left = self._until - self._now()
        if left > 0 or self._trying:
            raise BreakerOpen(max(left, self._pause / 10))
        self._trying = True
        return True

    def _failed(self) -> None:
        self._failures += 1
        self._until = self._now() + self._pause
