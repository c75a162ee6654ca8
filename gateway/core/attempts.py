"""Which target is asked next, and whether one may be asked again.

A call is repeated, there or elsewhere, only while the former certainly produced nothing, since
a provider bills what it produced, delivered or not; or where the model's `retry_billed` says
that a second bill is worth an answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from gateway.core.errors import Code, GatewayError, Malformed, UpstreamError
from gateway.core.money import ZERO, Money
from gateway.core.ports import Model


class Attempts:
    """The attempts of one exchange: each target in order, then those that may be asked again.

    Nobody is asked again once there were `attempts`, nor waited for longer than `longest`
    seconds.
    """

    def __init__(self, targets: Sequence[Model], attempts: int, longest: float) -> None:
        self._left: deque[Model] = deque(targets)
        self._again: deque[tuple[Model, float]] = deque()
        """Those to be asked again, each with the seconds that it wants to be left alone."""
        self._attempts = attempts
        self._longest = longest
        self._failure: UpstreamError | None = None
        self._resting: UpstreamError | None = None
        self._unfit: Malformed | None = None
        self._forbidden: GatewayError | None = None
        self.after: str | None = None
        """What the last attempt failed of, in a word for the record; None before the first."""
        self.made = 0
        """How many calls went out."""
        self.most = ZERO
        """The most that the last one may cost."""

    async def next(self) -> Model | None:
        """The target to ask now, after the pause that it wants; None when none is left."""
        if self._left:
            return self._left.popleft()
        if not self._again or self.made >= self._attempts:
            return None
        target, wait = self._again.popleft()
        await asyncio.sleep(wait)
        return target

    def failed(self, target: Model, error: UpstreamError) -> Money | None:
        """Take note of a failure. The most that its call may cost when another attempt is
        made, None when this was the last."""
        self._failure = error
        self.after = str(error.code) if error.status is None else f"http_{error.status}"
        if not may_repeat(target, error):
            self._left.clear()
            self._again.clear()
            return None
        wait = error.retry_after or 0.1 * self.made
        if wait <= self._longest and error.code is not Code.UNKNOWN_URL:
            self._again.append((target, wait))
        more = self._left or (self._again and self.made < self._attempts)
        return self.most if more else None

    def resting(self, error: UpstreamError) -> None:
        """Take note that a target is not to be asked now; the first to be back counts."""
        sooner = self._resting is None or (error.retry_after or 0) < (
            self._resting.retry_after or 0
        )
        self._resting = error if sooner else self._resting

    def unfit(self, error: Malformed) -> None:
        """Take note that a target cannot be asked in this request's words."""
        self._unfit, self.after = error, str(error.code)

    def forbidden(self, refusal: GatewayError) -> None:
        """Take note that the policy does not allow a target."""
        self._forbidden = self._forbidden or refusal

    @property
    def error(self) -> GatewayError:
        """Why there is no answer: what failed, who rests, what does not fit, what is forbidden."""
        nobody = UpstreamError(Code.UPSTREAM_UNAVAILABLE, "No attempt was allowed.")
        return self._failure or self._resting or self._unfit or self._forbidden or nobody


def nothing_used(error: UpstreamError) -> bool:
    """Whether the call never came about or was turned away, so that it is not paid for."""
    if error.retryable or error.code is Code.UNKNOWN_URL:
        return True
    return error.status is not None and 400 <= error.status < 500 and error.status != 408


def may_repeat(target: Model, error: UpstreamError) -> bool:
    """Whether the call may be made again, at this target or another."""
    if error.retryable or error.code is Code.UNKNOWN_URL:
        return True
    return target.retry_billed and not nothing_used(error)
