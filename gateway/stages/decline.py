"""Say no by an answer where a rule wants that: whole, as a stream, or as the end of one.

Only what the policy refuses is told so. Whatever else goes wrong stays an error, and so does a
refusal that its dialect cannot tell as an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gateway.core.answer import Event, Events
from gateway.core.declined import Declined, Manner, RespondWith
from gateway.core.errors import Code, Denied, Filtered, GatewayError
from gateway.core.exchange import Exchange
from gateway.core.money import Usage
from gateway.core.pipeline import Proceed


async def decline(exchange: Exchange, proceed: Proceed) -> Events:
    """The stage, just inside of `account`: what the caller is told is recorded and released
    like any answer, and the outcome is that of the refusal."""
    try:
        events = await proceed(exchange)
    except (Denied, Filtered) as error:
        return _each(_told(exchange, error, ()))
    return events if exchange.respond_with is None else _ended(exchange, events)


async def _ended(exchange: Exchange, events: Events) -> Events:
    """The events, and what says no where they are stopped.

    Who asked for no stream has seen nothing until all is there, so nothing of it is shown.
    """
    said: list[Event] = []
    try:
        async for event in events:
            said.append(event)
            if exchange.streamed:
                yield event
    except (Denied, Filtered) as error:
        said = list(_told(exchange, error, said if exchange.streamed else ()))
    else:
        if exchange.streamed:
            return
    for event in said:
        yield event


def _told(exchange: Exchange, error: GatewayError, said: Sequence[Event]) -> Sequence[Event]:
    """The events that say no after `said`. Raises `error` where it is to be told as one."""
    wanted = exchange.respond_with
    if wanted is None or error.code is not Code.CONTENT_FILTER:
        raise error
    dialect, asked = exchange.dialect, _asked(exchange)
    declined = _declined(exchange, error, wanted, asked)
    told: Sequence[Event] = ()
    if said:
        told = dialect.break_off(asked, declined, said)
    elif (answer := dialect.decline(asked, declined)) is not None:
        whole = [Event(answer, whole=True)]
        told = dialect.unfold(answer, asked) if exchange.streamed else whole
    if not told:
        raise error
    exchange.declined = declined
    return told


def _asked(exchange: Exchange) -> dict[str, Any]:
    """The request as it came: neither masked, nor with what was added on its way."""
    body = exchange.dialect.parse(exchange.received, exchange.call.content_type)
    asked: dict[str, Any] = body if isinstance(body, dict) else {}
    return asked | {"model": exchange.request["model"]}


def _declined(
    exchange: Exchange, error: GatewayError, wanted: RespondWith, asked: dict[str, Any]
) -> Declined:
    """The refusal as it is told. Plain text is no JSON: who asked for that reads a refusal."""
    how = wanted.how
    if how is Manner.MESSAGE and exchange.dialect.answers_json(asked):
        how = Manner.REFUSAL
    unasked = Usage(0, 0, exact=True)
    return Declined(
        why=error,
        how=how,
        text=wanted.message or error.message,
        id=exchange.id,
        model=asked["model"],
        created=int(exchange.started.timestamp()),
        usage=exchange.usage if exchange.usage or exchange.heard else unasked,
    )


async def _each(events: Iterable[Event]) -> Events:
    for event in events:
        yield event
