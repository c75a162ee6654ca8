"""Whose is it, and may it come in now? The body is read only once the key is good."""

from __future__ import annotations

from gateway.core.answer import Events
from gateway.core.errors import Code, Denied, Malformed
from gateway.core.exchange import Exchange
from gateway.core.pipeline import Proceed
from gateway.core.ports import Allowance, Keys, RateLimits
from gateway.core.principal import Principal

_BYTES_PER_TOKEN = 4
"""A guess, good enough to share a minute out; money uses a true bound."""


class Authenticate:
    """Finds the principal, holds it to its rates, then reads and checks the request."""

    def __init__(self, keys: Keys, rates: RateLimits) -> None:
        self._keys = keys
        self._rates = rates

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        principal = await self.principal(exchange)
        exchange.principal = principal
        if not principal.may_call(exchange.dialect.action):
            raise Denied(
                Code.INSUFFICIENT_SCOPE, f"This key may not call {exchange.dialect.action}."
            )
        _check_forwarded(exchange)
        await self._take(exchange, "tokens", principal.limits.tokens, 0)  # told in any case
        await self._take(exchange, "requests", principal.limits.requests, 1)
        exchange.received = await exchange.read()
        exchange.request = exchange.dialect.check(_body(exchange))
        if principal.limits.tokens is not None:
            await self._take(exchange, "tokens", principal.limits.tokens, _tokens(exchange))
        return await proceed(exchange)

    async def principal(self, exchange: Exchange) -> Principal:
        """The caller. One wording for every way a key can be wrong."""
        handed_in = exchange.call.principal
        if handed_in is not None and await self._keys.stands(handed_in):
            return handed_in
        credential = exchange.call.credential
        found = await self._keys.principal(credential) if credential else None
        if found is None:
            raise Denied(
                Code.INVALID_API_KEY,
                "The API key is missing or not valid. Send it as 'Authorization: Bearer gg_…'.",
            )
        return found

    async def _take(self, exchange: Exchange, what: str, limit: int | None, amount: int) -> None:
        if limit is None:
            return
        if what == "tokens" and amount > limit:
            raise Malformed(f"This request may use {amount} tokens; the key's limit is {limit}.")
        key = f"{exchange.principal.key_id}/{what}"
        allowance = await self._rates.take(key, limit, amount)
        exchange.headers |= {
            f"x-ratelimit-limit-{what}": str(allowance.limit),
            f"x-ratelimit-remaining-{what}": str(allowance.remaining),
            f"x-ratelimit-reset-{what}": f"{allowance.reset:.3f}s",
        }
        if not allowance.granted:
            raise _too_fast(what, allowance)


def _check_forwarded(exchange: Exchange) -> None:
    """Raises `Malformed` for a header that would bring free text to the provider."""
    forwards = exchange.dialect.forwards
    for name, value in exchange.call.forwarded.items():
        if name not in forwards or not forwards[name].fullmatch(value):
            raise Malformed(f"The header '{name}' does not have the form it must have.", param=name)


def _body(exchange: Exchange) -> object:
    """The parsed body, with the model that the path names."""
    body = exchange.dialect.parse(exchange.received, exchange.call.content_type)
    if isinstance(body, dict) and exchange.call.model is not None:
        body["model"] = exchange.call.model
    return body


def _too_fast(what: str, allowance: Allowance) -> Denied:
    return Denied(
        Code.RATE_LIMIT_EXCEEDED,
        f"This key may use {allowance.limit} {what} a minute. "
        f"Try again in {allowance.retry_after:.1f} s.",
        retry_after=allowance.retry_after,
    )


def _tokens(exchange: Exchange) -> int:
    limit = exchange.dialect.output_limit(exchange.request) or 0
    choices = exchange.dialect.choices(exchange.request)
    return len(exchange.received) // _BYTES_PER_TOKEN + limit * choices
