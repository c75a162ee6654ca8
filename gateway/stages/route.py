"""Choose, send, try again before the first byte; count what was said."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gateway.core.answer import Events
from gateway.core.errors import Code, Denied, OverBudget, UpstreamError
from gateway.core.exchange import Exchange
from gateway.core.money import ZERO, Money, Price, Usage
from gateway.core.pipeline import Proceed
from gateway.core.ports import Provider

OPAQUE_TOKENS = {"image": 65_536, "audio": 65_536}
"""An upper bound for one part whose tokens are not bounded by its bytes."""


def dispatch(providers: Mapping[str, Provider]) -> Proceed:
    """The end of the pipeline: send to the provider that serves the model."""

    async def send(exchange: Exchange) -> Events:
        model = exchange.model
        return await providers[model.upstream].send(exchange, model, exchange.request)

    return send


class Route:
    """Innermost: what the provider says is counted even if nobody may see it."""

    LEAST_USEFUL = 64
    """Output tokens below which an answer is refused rather than cut down to fit a budget."""
    LONGEST_WAIT = 2.0
    """Seconds before another attempt; a provider that asks for more is not asked again."""

    def __init__(self, *, attempts: int = 2, default_output: int = 4_096) -> None:
        self._attempts = attempts
        self._default_output = default_output

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        hide = exchange.dialect.count_usage(exchange.request)
        for attempt in range(1, self._attempts + 1):
            await self._open(exchange)
            exchange.headers["x-govgate-upstream-attempts"] = str(attempt)
            try:
                with exchange.timed("upstream"):
                    events = await proceed(exchange)
                return _counted(exchange, events, hide)
            except UpstreamError as error:
                wait = error.retry_after or 0.1 * attempt
                if not error.retryable or wait > self.LONGEST_WAIT or attempt == self._attempts:
                    _note_nothing_used(exchange, error)
                    raise
                await asyncio.sleep(wait)
        raise UpstreamError(Code.UPSTREAM_UNAVAILABLE, "No attempt was allowed.")

    async def _open(self, exchange: Exchange) -> None:
        """Record the attempt and hold the most it can cost, cut down to what fits.

        Without a budget nothing is held back; the bound is recorded where a price is known.
        """
        price = exchange.model.price
        limit = exchange.dialect.output_limit(exchange.request) or self._most_output(exchange)
        if exchange.principal.budget_id is None:
            await self._attempt(exchange, self._most(exchange, price, limit) if price else ZERO)
            return
        if price is None:
            raise Denied(
                Code.MODEL_NOT_PRICED,
                f"This key has a budget, and no price is known for {exchange.model.id!r}.",
                param="model",
            )
        exchange.dialect.limit_output(exchange.request, limit)
        _bounded(exchange)
        try:
            await self._attempt(exchange, self._most(exchange, price, limit))
        except OverBudget as error:
            await self._clamped(exchange, price, limit, error)

    async def _clamped(
        self, exchange: Exchange, price: Price, limit: int, error: OverBudget
    ) -> None:
        """Once more, with the output that still fits. Raises `error` when little does."""
        each = exchange.dialect.choices(exchange.request) * price.output
        spare = error.remaining * 1_000_000 - _read(exchange) * price.input
        fitting = min(limit, spare // each if each else limit)
        if fitting < min(self.LEAST_USEFUL, limit):
            raise error
        exchange.dialect.limit_output(exchange.request, fitting)
        exchange.headers["x-govgate-output-limit"] = str(fitting)
        await self._attempt(exchange, self._most(exchange, price, fitting))

    async def _attempt(self, exchange: Exchange, most: Money) -> None:
        """Record the attempt; what an attempt that came to nothing held is not held again."""
        more = Money(max(0, most - exchange.account.held))
        with exchange.timed("commit"):
            await exchange.account.attempt(_body(exchange), more)

    def _most_output(self, exchange: Exchange) -> int:
        return exchange.model.max_output_tokens or self._default_output

    def _most(self, exchange: Exchange, price: Price, limit: int) -> Money:
        """The price of the most that can be read and said."""
        said = limit * exchange.dialect.choices(exchange.request)
        return price.cost(_read(exchange), said)


def _read(exchange: Exchange) -> int:
    """A true upper bound of input tokens: no token is shorter than a byte of the body."""
    opaque = [finding.label for finding in exchange.findings if finding.kind == "opaque"]
    return len(_body(exchange)) + sum(OPAQUE_TOKENS.get(label, 0) for label in opaque)


def _note_nothing_used(exchange: Exchange, error: UpstreamError) -> None:
    """A call that never came about, or was turned away, is not paid for."""
    turned_away = error.status is not None and 400 <= error.status < 500 and error.status != 408
    if error.retryable or turned_away:
        exchange.usage = Usage(0, 0, exact=True)


def _bounded(exchange: Exchange) -> None:
    """Refuse what has no upper bound."""
    if any(f.kind == "opaque" and f.label not in OPAQUE_TOKENS for f in exchange.findings):
        raise Denied(
            Code.MODEL_NOT_PRICED,
            "This key has a budget, and the cost of a file has no upper bound.",
            param="messages",
        )


def _body(exchange: Exchange) -> bytes:
    return exchange.dialect.encode({**exchange.request, "model": exchange.model.upstream_model})[1]


async def _counted(exchange: Exchange, events: Events, hide: bool) -> Events:
    dialect = exchange.dialect
    async for event in events:
        exchange.heard.append(event.encode())
        if (usage := dialect.usage(event)) is not None:
            exchange.usage = usage
        if hide:
            if dialect.only_usage(event):
                continue
            dialect.hide_usage(event)
        yield event
