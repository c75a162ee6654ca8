"""Stops: what an operator stopped is refused, whatever the policy says, and broken off."""

from __future__ import annotations

from typing import Protocol

from gateway.core.answer import Event, Events
from gateway.core.errors import Code, Denied, Filtered, GatewayError
from gateway.core.exchange import Exchange, Judgement
from gateway.core.ids import new_id
from gateway.core.pipeline import Proceed
from gateway.core.policies import Stop, Stopped
from gateway.core.policy import Decision, Effect, Reason, Severity, Verdict
from gateway.core.ports import Model
from gateway.core.stopping import Stops


class Standing(Protocol):
    """What may refuse an exchange whatever its policy says."""

    @property
    def stops(self) -> Stops:
        """The stops that stand now."""

    def stale(self, exchange: Exchange) -> GatewayError | None:
        """Why the exchange may not be decided by what was in force when that was last known."""


class HaltCalls:
    """Refuses who and what is stopped, and breaks off what is answered from the record.

    Just inside of the inspection, since what is personal must be known before the refusal is on
    record; outside of everything that answers, also from memory.
    """

    def __init__(self, standing: Standing, revision: str) -> None:
        self._standing = standing
        self._revision = revision

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        if (stale := self._standing.stale(exchange)) is not None:
            raise stale
        stops = self._standing.stops
        if stops and (stop := _asked(stops, exchange)) is not None:
            _put_on_record(exchange, stop, self._revision)
            raise _refusal(stop)
        try:
            events = await proceed(exchange)
        except Denied as refusal:
            if refusal.code is Code.STOPPED:
                exchange.stopped_by = refusal.rules[0]
            raise
        if exchange.knows("model"):  # then they were watched where they came in
            return events
        return _watched(self._standing, exchange, events)


class HaltTargets:
    """Passes over the targets of a model that are stopped; refuses where none is left. Breaks
    off what they say.

    Just outside of what answers from memory or sends, once it is settled who may be asked. It is
    asked again before each attempt. Here every event is seen as it comes, also one of which
    nothing may be shown yet.
    """

    def __init__(self, standing: Standing, revision: str) -> None:
        self._standing = standing
        self._revision = revision

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        targets = exchange.targets or [exchange.model]
        stopped = [self._standing.stops.model(names_of(target)) for target in targets]
        if any(stopped):
            left = [target for target, stop in zip(targets, stopped, strict=True) if stop is None]
            if not left:
                raise _refusal(next(filter(None, stopped)))
            exchange.targets = left
            exchange.turn_to(left[0])
        judge = exchange.judge

        async def judged(target: Model) -> Judgement:
            stop = self._standing.stops.model(names_of(target))
            if stop is None:
                return await judge(target)
            return Judgement(_decision(stop, self._revision), _refusal(stop))

        exchange.known["judge"] = judged
        return _watched(self._standing, exchange, await proceed(exchange))


def names_of(target: Model) -> tuple[str, ...]:
    """The names by which a target can be stopped: as callers say it, and as its provider does."""
    theirs = target.upstream_model
    return (target.id, theirs, f"{target.upstream}/{theirs}")


async def _watched(standing: Standing, exchange: Exchange, events: Events) -> Events:
    """The events, until something that they come of, or that they call, is stopped."""
    calls = _Calls()
    async for event in events:
        stops = standing.stops
        if stops and (stop := _said(stops, exchange, event, calls)) is not None:
            exchange.stopped_by = rule_of(stop)
            raise _broken_off(stop)
        yield event


class _Calls:
    """The names of the tools that an answer calls, put together where they come in pieces."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def of(self, exchange: Exchange, event: Event) -> set[str]:
        """The names that the event says, and what they amount to with what came before."""
        names: set[str] = set()
        for place, name in exchange.dialect.called(event.data):
            whole = self._names[place] = self._names.get(place, "") + name
            names |= {name, whole}
        return names


def _asked(stops: Stops, exchange: Exchange) -> Stop | None:
    """The stop that the request falls under: by who asks, of which model, with which tools."""
    request, dialect = exchange.request, exchange.dialect
    stop = stops.caller(exchange.principal) or stops.model(_models(exchange))
    if stop is None and stops.tools:
        named = [*dialect.tools(request), *(name for _, name in dialect.called(request))]
        stop = stops.tool(named)
    return stop


def _said(stops: Stops, exchange: Exchange, event: Event, calls: _Calls) -> Stop | None:
    """The stop that an answer falls under by now."""
    stop = stops.caller(exchange.principal) or stops.model(_models(exchange))
    if stop is None and stops.tools:
        stop = stops.tool(calls.of(exchange, event))
    return stop


def _models(exchange: Exchange) -> list[str]:
    """The name that was asked for, and those of who answers; what is repeated comes of nobody."""
    wanted = exchange.request.get("model")
    names = [wanted] if isinstance(wanted, str) else []
    return [*names, *names_of(exchange.model)] if exchange.knows("model") else names


def _put_on_record(exchange: Exchange, stop: Stop, revision: str) -> None:
    """A stop is a decision that denies, made in the place of the policy's."""
    decision = exchange.decision = _decision(stop, revision)
    exchange.stopped_by = rule_of(stop)
    exchange.headers["x-govgate-decision"] = decision.id
    exchange.headers["x-govgate-policy-revision"] = revision


def _decision(stop: Stop, revision: str) -> Decision:
    facts = {"stop": stop.id, "what": str(stop.what)}
    message = {"en": _words(stop)}
    reason = Reason(rule_of(stop), str(Code.STOPPED), message, Severity.CRITICAL, facts)
    return Decision(new_id("dec"), revision, Verdict(Effect.DENY, (reason,), (), (), ()))


def rule_of(stop: Stop) -> str:
    """What stands in a record where the id of a rule would."""
    return f"stop:{stop.id}"


def _words(stop: Stop) -> str:
    subject = "Everything" if stop.what is Stopped.EVERYTHING else f"This {stop.what}"
    return f"{subject} was stopped by an operator (stop {stop.id})."


def _refusal(stop: Stop) -> Denied:
    return Denied(Code.STOPPED, _words(stop), rules=[rule_of(stop)])


def _broken_off(stop: Stop) -> Filtered:
    broken = Filtered(Code.STOPPED, f"The answer was broken off. {_words(stop)}")
    broken.rules = (rule_of(stop),)
    return broken
