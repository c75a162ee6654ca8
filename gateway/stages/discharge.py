"""Do what the decision obliges us to do. A duty that nobody here knows refuses the exchange."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import reduce
from typing import Any, TypeAlias

import msgspec

from gateway.core.answer import FAILURE, Chain, Events, Lane, MakeRewriter, Rewriter, per_lane
from gateway.core.errors import Code, Denied, Filtered, Unavailable, UpstreamError
from gateway.core.exchange import Exchange
from gateway.core.pipeline import Proceed
from gateway.core.policy import Obligation

Discharger: TypeAlias = Callable[[Exchange, Mapping[str, Any]], Awaitable[MakeRewriter | None]]
"""Acts on the request now; returns how the answer's text is rewritten, if it is.

Raises `msgspec.ValidationError` when the params are not what it takes.
"""


WITHHELD = "The provider refused the call, or broke; what it said could not be looked at."
"""What is told in the place of words that no rule could judge."""


class Discharge:
    """Runs the duties in the order of `dischargers`, whatever order the policy names them in.

    Answers pass the other way: what acted on the request first acts on the answer last. So does
    what a provider says when it refuses or breaks.
    """

    def __init__(self, dischargers: Mapping[str, Discharger]) -> None:
        self._dischargers = dischargers
        self._order = {id: place for place, id in enumerate(dischargers)}

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        duties = exchange.decision.obligations
        if unknown := [duty.id for duty in duties if duty.id not in self._dischargers]:
            raise _impossible(f"the policy asks for {', '.join(unknown)}, which is unknown here")
        makes: list[MakeRewriter] = []
        with exchange.timed("discharge"):
            for duty in sorted(duties, key=lambda duty: self._order[duty.id]):
                if make := await self._discharged(exchange, duty):
                    makes.append(make)
        if not makes:
            return await proceed(exchange)
        makes.reverse()
        try:
            events = await proceed(exchange)
        except UpstreamError as error:
            await _govern(error, makes)
            raise
        rewritten = per_lane(lambda lane: _chained(makes, lane), exchange.dialect)(events)
        return _failing_well(rewritten, makes)

    async def _discharged(self, exchange: Exchange, duty: Obligation) -> MakeRewriter | None:
        try:
            make = await self._dischargers[duty.id](exchange, duty.params)
        except Denied as refusal:
            refusal.rules = refusal.rules or tuple(duty.rule.split(","))
            raise
        except msgspec.ValidationError as error:
            raise _impossible(f"the duty {duty.id!r} is not well formed ({error})") from error
        if make is None:
            return None
        return lambda lane: _Ruled(make(lane), duty.rule)


class _Ruled:
    """A rewriter that says, when it stops an answer, which rules asked it to."""

    def __init__(self, rewriter: Rewriter, rule: str) -> None:
        self._rewriter = rewriter
        self._rules = tuple(rule.split(","))

    async def feed(self, text: str) -> str:
        return await self._told(self._rewriter.feed(text))

    async def finish(self) -> str:
        return await self._told(self._rewriter.finish())

    async def _told(self, cleared: Awaitable[str]) -> str:
        try:
            return await cleared
        except Filtered as broken:
            broken.rules = broken.rules or self._rules
            raise


def _chained(makes: list[MakeRewriter], lane: Lane) -> Rewriter:
    return reduce(Chain, [make(lane) for make in makes])


async def _failing_well(events: Events, makes: list[MakeRewriter]) -> Events:
    try:
        async for event in events:
            yield event
    except UpstreamError as error:
        await _govern(error, makes)
        raise


async def _govern(error: UpstreamError, makes: list[MakeRewriter]) -> None:
    """Let a provider's words pass as those of an answer would; ours stand for what cannot be
    judged."""
    try:
        error.body = error.body and {
            name: await _shown(said, makes) for name, said in error.body.items()
        }
        error.message = await _shown(error.message, makes)
    except Filtered:
        error.body, error.message = None, WITHHELD


async def _shown(said: Any, makes: list[MakeRewriter]) -> Any:
    """`said` as a caller may read it; as it came, where nothing has to be changed."""
    if not isinstance(said, str | int) or isinstance(said, bool):
        return said
    rewriter, text = _chained(makes, FAILURE), str(said)
    shown = await rewriter.feed(text) + await rewriter.finish()
    return said if shown == text else shown


def _impossible(why: str) -> Unavailable:
    return Unavailable(Code.POLICY_ERROR, f"The decision cannot be carried out: {why}.")
