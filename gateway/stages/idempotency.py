"""The same request again? Then the answer that was given, on record and at no cost.

Source: the IETF's draft "The Idempotency-Key HTTP Header Field", and docs/decisions/0006.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

from gateway.core.answer import Event, Events
from gateway.core.errors import Code, Denied, Malformed
from gateway.core.exchange import Exchange, Outcome
from gateway.core.pipeline import Proceed
from gateway.core.ports import Earlier, Repeats

LONGEST = 255
"""Characters of a key."""
_BOUNDARY = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)
_TRIES = 4
"""How often a key is looked at; each time but the first, somebody else has just taken it."""


class AnswerRepeats:
    """Holds a caller's idempotency key for the exchange that first came with it.

    The exchange is on record before it takes the key, so how it ended can always be told: one
    that completed is answered from its record, one that runs is waited for by the caller, any
    other leaves the key to whoever comes with it next.
    """

    def __init__(self, repeats: Repeats) -> None:
        self._repeats = repeats

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        name = exchange.call.idempotency_key
        if name is None:
            return await proceed(exchange)
        if not (0 < len(name) <= LONGEST and name.isascii() and name.isprintable()):
            raise Malformed(f"An idempotency-key has 1 to {LONGEST} printable ASCII characters.")
        with exchange.timed("idempotency"):
            answer = await self._known(exchange, name)
        if answer is not None:
            return _again(answer)
        return self._noted(exchange, await proceed(exchange))

    async def _known(self, exchange: Exchange, name: str) -> list[Event] | None:
        """The events of the answer that was given before; None when the key is now ours.

        Raises `Denied` while the other runs, and for a key that stands for another request.
        """
        key_id, content = exchange.principal.key_id, _content(exchange)
        for _ in range(_TRIES):
            earlier = await self._repeats.earlier(key_id, name, content)
            if earlier is not None:
                _check(earlier)
                if earlier.outcome is Outcome.COMPLETED:
                    events = await self._released(exchange, earlier)
                    if events is not None:
                        return events
            await exchange.account.open()
            after = earlier.exchange_id if earlier else None
            if await self._repeats.claim(exchange.principal, name, content, exchange.id, after):
                return None
        raise _in_use()

    async def _released(self, exchange: Exchange, earlier: Earlier) -> list[Event] | None:
        released = await self._repeats.released(earlier.exchange_id)
        if released is None:
            return None
        exchange.headers["x-govgate-cache"] = f"repeat; source={earlier.exchange_id}"
        if earlier.media is not None:
            text = released.decode() if earlier.media.startswith("text/") else ""
            return [Event({"text": text}, whole=True, raw=released, media=earlier.media)]
        if exchange.streamed:
            return [Event(orjson.loads(line), raw=line) for line in _lines(released)]
        return _whole(released)

    async def _noted(self, exchange: Exchange, events: Events) -> Events:
        """`events`; what is no JSON has its content type noted before it is released."""
        async for event in events:
            if event.media is not None:
                await self._repeats.note_media(exchange.id, event.media)
            yield event


def _check(earlier: Earlier) -> None:
    if not earlier.same:
        raise Denied(
            Code.IDEMPOTENCY_KEY_REUSED,
            "This idempotency-key was used for another request. Use a new one for each request.",
        )
    if earlier.outcome is None:
        raise _in_use()


def _in_use() -> Denied:
    return Denied(
        Code.IDEMPOTENCY_KEY_IN_USE,
        "The request that came with this idempotency-key before is still running.",
        retry_after=1.0,
    )


def _content(exchange: Exchange) -> bytes:
    """What is asked: where, of which model, with which headers of the API, in which words.

    The boundary of a form is left out, since a client draws a new one when it repeats itself.
    """
    call, body = exchange.call, exchange.received
    kind = call.content_type
    if found := _BOUNDARY.search(kind):
        body = body.replace(b"--" + found[1].encode(), b"--")
        kind = kind[: found.start()]
    scope = [exchange.dialect.action, call.model, kind]
    forwarded = [dict(call.forwarded)] if call.forwarded else []
    head = orjson.dumps([*scope, *forwarded], option=orjson.OPT_SORT_KEYS)
    return head + b"\n" + body


def _whole(released: bytes) -> list[Event]:
    """An answer of one event, or of the pieces that the provider sent it in."""
    try:
        return [Event(orjson.loads(released), whole=True, raw=released)]
    except orjson.JSONDecodeError:
        return [Event(orjson.loads(line), raw=line) for line in _lines(released)]


def _lines(released: bytes) -> Iterator[bytes]:
    return (line for line in released.split(b"\n") if line)


async def _again(events: list[Event]) -> Events:
    for event in events:
        yield event
