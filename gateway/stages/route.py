"""Choose, send, try again or elsewhere before the first byte; count what was said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import orjson

from gateway.core.answer import Events
from gateway.core.attempts import Attempts, nothing_used
from gateway.core.errors import Code, Denied, Malformed, OverBudget, UpstreamError
from gateway.core.exchange import Exchange, Judgement
from gateway.core.money import ZERO, Money, Price, Usage
from gateway.core.pipeline import Proceed
from gateway.core.ports import Model, Provider, Turn

OPAQUE_TOKENS = {"image": 65_536, "audio": 65_536, "reasoning": 0}
"""An upper bound for one part whose tokens are not bounded by its bytes. Encrypted reasoning is."""

Enter: TypeAlias = Callable[[Model], Awaitable[Turn]]


def dispatch(providers: Mapping[str, Provider]) -> Proceed:
    """The end of the pipeline: send to the provider that serves the model."""

    async def send(exchange: Exchange) -> Events:
        model = exchange.model
        return await providers[model.upstream].send(exchange, model, exchange.request)

    return send


class Unwatched:
    """Implements `Turn` for a target of which nobody keeps a memory."""

    def sent(self) -> None: ...
    def answered(self) -> None: ...
    def failed(self, error: UpstreamError) -> None: ...
    def leave(self) -> None: ...


async def unwatched(target: Model) -> Turn:
    """A way in that is always open."""
    return Unwatched()


class Route:
    """Innermost: what the provider says is counted even if nobody may see it.

    Each target is asked once, in order; then those that may be asked again, until there were
    `attempts`. Another target is asked only as the policy allows it, under the same duties.
    `enter` gives a place at a target.
    """

    LEAST_USEFUL = 64
    """Output tokens below which an answer is refused rather than cut down to fit a budget."""
    LONGEST_WAIT = 2.0
    """Seconds before another attempt; a provider that asks for more is not asked again."""

    def __init__(
        self, *, attempts: int = 2, default_output: int = 4_096, enter: Enter = unwatched
    ) -> None:
        self._attempts = attempts
        self._default_output = default_output
        self._enter = enter

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        hide = exchange.dialect.count_usage(exchange.request)
        targets = exchange.targets or [exchange.model]
        attempts = Attempts(targets, self._attempts, self.LONGEST_WAIT)
        while (target := await attempts.next()) is not None:
            turn = await self._admitted(exchange, target, attempts)
            if turn is None:
                continue
            try:
                with exchange.timed("upstream"):
                    turn.sent()
                    events = await proceed(exchange)
            except UpstreamError as error:
                _note(exchange, error)
                turn.failed(error)
                turn.leave()
                _settle(exchange, error, again=attempts.failed(target, error))
                continue
            except Malformed as error:  # the provider does not have what the request says
                turn.leave()
                attempts.unfit(error)
                exchange.usage = Usage(0, 0, exact=True)
                continue
            turn.answered()
            return _counted(exchange, events, hide, turn)
        raise attempts.error

    async def _admitted(self, exchange: Exchange, target: Model, attempts: Attempts) -> Turn | None:
        """A place at `target`, with the attempt on record; None when it is passed over.

        What stops the first attempt of all is raised; later, the failure before it counts.
        """
        judged = await _judged(exchange, target)
        if judged is not None and judged.refusal is not None:
            _pass_over(exchange, target, "forbidden", decision=judged.decision.id)
            attempts.forbidden(judged.refusal)
            return None
        try:
            turn = await self._enter(target)
        except UpstreamError as resting:
            _pass_over(exchange, target, str(resting.code))
            attempts.resting(resting)
            return None
        _leave_at_the_end(exchange, turn)
        before = exchange.model
        exchange.turn_to(target)
        try:
            attempts.most = await self._open(exchange, _why(attempts, judged))
        except Denied as error:
            turn.leave()
            if attempts.made == 0:
                raise
            exchange.turn_to(before)
            _pass_over(exchange, target, str(error.code))
            return None
        attempts.made += 1
        exchange.usage = None
        exchange.headers["x-govgate-upstream-attempts"] = str(attempts.made)
        exchange.headers["x-govgate-model"] = _ascii(f"{target.upstream}/{target.upstream_model}")
        return turn

    async def _open(self, exchange: Exchange, why: Mapping[str, Any]) -> Money:
        """Record the attempt and hold the most it can cost, cut down to what fits.

        Without a budget nothing is held back; the bound is recorded where a price is known.
        """
        price = exchange.model.price
        limit = exchange.dialect.output_limit(exchange.request) or self._most_output(exchange)
        if exchange.principal.budget_id is None:
            body = _body(exchange)
            most = _most(exchange, len(body), price, limit) if price else ZERO
            return await _attempt(exchange, body, most, why)
        if price is None:
            raise Denied(
                Code.MODEL_NOT_PRICED,
                f"This key has a budget, and no price is known for {exchange.model.id!r}.",
                param="model",
            )
        exchange.dialect.limit_output(exchange.request, limit)
        _bounded(exchange)
        body = _body(exchange)
        try:
            return await _attempt(exchange, body, _most(exchange, len(body), price, limit), why)
        except OverBudget as error:
            fitting = self._fitting(exchange, len(body), price, limit, error)
        exchange.dialect.limit_output(exchange.request, fitting)
        exchange.headers["x-govgate-output-limit"] = str(fitting)
        body = _body(exchange)
        return await _attempt(exchange, body, _most(exchange, len(body), price, fitting), why)

    def _fitting(
        self, exchange: Exchange, size: int, price: Price, limit: int, error: OverBudget
    ) -> int:
        """The output that still fits. Raises `error` when that is little.

        What former attempts hold is there for this one, but for what they may have cost.
        """
        account = exchange.account
        each = exchange.dialect.choices(exchange.request) * price.output
        left = error.remaining + account.held - account.sunk
        spare = left * 1_000_000 - _read(exchange, size) * price.input
        fitting = min(limit, spare // each if each else limit)
        if fitting < min(self.LEAST_USEFUL, limit):
            raise error
        return fitting

    def _most_output(self, exchange: Exchange) -> int:
        return exchange.model.max_output_tokens or self._default_output


async def _judged(exchange: Exchange, target: Model) -> Judgement | None:
    """What the policy says of `target`, where it is not the one that was decided about."""
    if not exchange.knows("judge"):
        return None
    judged = await exchange.judge(target)
    return None if judged.decision is exchange.decision else judged


def _why(attempts: Attempts, judged: Judgement | None) -> dict[str, Any]:
    """What a record says of an attempt besides: what came before it, and a further decision."""
    why: dict[str, Any] = {}
    if attempts.after is not None:
        why["after"] = attempts.after
    if judged is not None:
        why["decided_again"] = {
            "id": judged.decision.id,
            "revision": judged.decision.revision,
            "effect": str(judged.decision.effect),
            "obligations": [duty.id for duty in judged.decision.obligations],
        }
    return why


def _pass_over(exchange: Exchange, target: Model, why: str, **more: str) -> None:
    """Note for the record that a target was not asked."""
    named = {"upstream": target.upstream, "upstream_model": target.upstream_model}
    exchange.account.passed_over.append({**named, "why": why, **more})


def _leave_at_the_end(exchange: Exchange, turn: Turn) -> None:
    async def leave() -> None:
        turn.leave()

    exchange.defer(leave)


async def _attempt(exchange: Exchange, body: bytes, most: Money, why: Mapping[str, Any]) -> Money:
    """Record the attempt, and hold what it may cost beyond what is held already; `most`.

    What an attempt that came to nothing held is not held again; what one that may have been
    billed held is.
    """
    account = exchange.account
    more = Money(max(0, account.sunk + most - account.held))
    with exchange.timed("commit"):
        await account.attempt(body, more, most=most, why=why)
    return most


def _note(exchange: Exchange, error: UpstreamError) -> None:
    """Keep for the record what a provider said, before anything of it is struck out."""
    if error.body is not None:
        exchange.failures.append(orjson.dumps({"status": error.status, "error": error.body}))


def _settle(exchange: Exchange, error: UpstreamError, *, again: Money | None) -> None:
    """Count what a failed attempt used: nothing, or, where it is made `again`, the most."""
    if not nothing_used(error):
        if again is None:
            return
        exchange.account.sunk = Money(exchange.account.sunk + again)
    exchange.usage = Usage(0, 0, exact=True)


def _most(exchange: Exchange, size: int, price: Price, limit: int) -> Money:
    """The price of the most that can be read and said."""
    said = limit * exchange.dialect.choices(exchange.request)
    return price.cost(_read(exchange, size), said)


def _read(exchange: Exchange, size: int) -> int:
    """A true upper bound of input tokens: none is shorter than a byte of a body of `size`."""
    opaque = [finding.label for finding in exchange.findings if finding.kind == "opaque"]
    return size + sum(OPAQUE_TOKENS.get(label, 0) for label in opaque)


def _bounded(exchange: Exchange) -> None:
    """Refuse what has no upper bound."""
    opaque = [finding.label for finding in exchange.findings if finding.kind == "opaque"]
    if unbounded := [label for label in opaque if label not in OPAQUE_TOKENS]:
        raise Denied(
            Code.MODEL_NOT_PRICED,
            "This key has a budget, and the cost of a part of the request has no upper bound "
            f"({unbounded[0]}).",
            param=exchange.dialect.asks,
        )


def _body(exchange: Exchange) -> bytes:
    return exchange.dialect.encode({**exchange.request, "model": exchange.model.upstream_model})[1]


def _ascii(text: str) -> str:
    """`text` as a header may hold it: a caller's own words may stand in a model's name."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)[:200]


async def _counted(exchange: Exchange, events: Events, hide: bool, turn: Turn) -> Events:
    dialect = exchange.dialect
    try:
        async for event in events:
            exchange.heard.append(event.encode())
            if (usage := dialect.usage(event)) is not None:
                exchange.usage = usage.after(exchange.usage)
            if hide:
                if dialect.only_usage(event):
                    continue
                dialect.hide_usage(event)
            yield event
    except UpstreamError as error:
        _note(exchange, error)
        turn.failed(error)
        raise
    turn.leave()
