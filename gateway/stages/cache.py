"""Known question? Then the known answer. Holds masked text only; rules run on it again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from copy import deepcopy

import orjson

from gateway.core.answer import Event, Events
from gateway.core.exchange import Exchange, Outcome
from gateway.core.pipeline import Proceed
from gateway.core.ports import Cache, CachedAnswer

_DELIVERY = frozenset({"stream", "stream_options", "user", "safety_identifier", "metadata"})
"""Members that change how an answer is delivered or attributed, not what it says."""


class UseCache:
    """Exact matches, within one app and one policy revision, where a rule allows keeping."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        if exchange.keep_seconds is None or not exchange.dialect.repeatable(exchange.request):
            exchange.headers["x-govgate-cache"] = "off"
            return await proceed(exchange)
        key = _key(exchange)
        known = await self._cache.find(key)
        if known is not None:
            exchange.headers["x-govgate-cache"] = f"hit; source={known.source}"
            return _again(_events(exchange, known))
        exchange.headers["x-govgate-cache"] = "miss"
        whole = not exchange.streamed

        async def keep() -> None:
            if exchange.outcome is Outcome.COMPLETED and exchange.keep_seconds is not None:
                # As the provider said it: usage may have been hidden from this caller.
                said = [Event(orjson.loads(event), whole=whole) for event in exchange.heard]
                answer = exchange.dialect.fold(said)
                if not exchange.dialect.tool_calls(answer):
                    kept = CachedAnswer(answer, exchange.id)
                    await self._cache.keep(key, kept, exchange.keep_seconds)

        exchange.defer(keep)
        return _json_alone(exchange, await proceed(exchange))


async def _json_alone(exchange: Exchange, events: Events) -> Events:
    """The events; an answer that is no JSON, such as speech, is not kept."""
    async for event in events:
        if event.media is not None:
            exchange.keep_seconds = None
        yield event


def _key(exchange: Exchange) -> bytes:
    """SHA-256 over everything that may shape the answer, tenant and policy first."""
    asked = {name: value for name, value in exchange.request.items() if name not in _DELIVERY}
    scope = [
        exchange.principal.org,
        exchange.principal.app,
        exchange.decision.revision,
        exchange.dialect.action,
        dict(exchange.call.forwarded),
        asked,
    ]
    written = orjson.dumps(scope, default=_digest, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(written).digest()


def _digest(value: object) -> str:
    """What stands for the content of a file in a key."""
    if not isinstance(value, bytes):
        raise TypeError(f"a request does not hold a {type(value).__name__}")
    return hashlib.sha256(value).hexdigest()


def _events(exchange: Exchange, known: CachedAnswer) -> Sequence[Event]:
    answer = deepcopy(known.answer)
    if "id" in answer:  # transcripts, pictures and vectors have none
        answer["id"] = exchange.id
    if exchange.streamed:
        return exchange.dialect.unfold(answer, exchange.request)
    return [Event(answer, whole=True)]


async def _again(events: Sequence[Event]) -> Events:
    for event in events:
        yield event
