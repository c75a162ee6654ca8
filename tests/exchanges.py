"""Exchanges for tests: requests, answers in pieces, and the fakes that carry them."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import orjson

from gateway.core.answer import Event, Events
from gateway.core.exchange import Call, Exchange
from gateway.core.policy import Decision, Verdict
from gateway.core.ports import Model
from gateway.core.principal import Principal
from gateway.dialects.chat import Chat

CHAT = Chat()
SOMEBODY = Principal("acme", "support", "shop-bot", "k1")
MODEL = Model("m", "fake", "m")


def chat_request(*texts: str, **more: Any) -> dict[str, Any]:
    """A chat request with one user message for each text."""
    messages = [{"role": "user", "content": text} for text in texts or ("hello",)]
    return {"model": "m", "messages": messages, **more}


def exchange_of(request: Mapping[str, Any], credential: str | None = "key") -> Exchange:
    """An exchange that has only just come in."""
    body = orjson.dumps(request)

    async def read() -> bytes:
        return body

    return Exchange(CHAT, read, Call(credential))


def allowing(*obligations: tuple[str, Mapping[str, Any]], effect: str = "allow") -> Verdict:
    """A verdict with these obligations."""
    return Verdict.parse(
        {
            "effect": effect,
            "reasons": [],
            "obligations": [
                {"id": id, "params": dict(params), "rule": "test"} for id, params in obligations
            ],
            "observed": [],
            "overridden": [],
        }
    )


def decided(request: Mapping[str, Any], verdict: Verdict | None = None) -> Exchange:
    """An exchange as it is when the policy has allowed it."""
    exchange = exchange_of(request)
    exchange.received = orjson.dumps(request)
    exchange.request = copy.deepcopy(dict(request))
    exchange.slots = CHAT.slots(exchange.request)
    exchange.principal = SOMEBODY
    exchange.model = MODEL
    exchange.decision = Decision("dec_1", "sha256:1", verdict or allowing())
    return exchange


def chunk(index: int, delta: Mapping[str, Any], end: str | None = None, **more: Any) -> Event:
    """One `chat.completion.chunk`."""
    choice = {"index": index, "delta": dict(delta), "finish_reason": end}
    data = {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
    return Event({**data, **more})


def whole(text: str | None, **message: Any) -> Event:
    """A `chat.completion` of one choice."""
    said = {"role": "assistant", "content": text, **message}
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    return Event({"id": "c", "object": "chat.completion", "choices": [choice]}, whole=True)


def spoken(texts: Sequence[str], field: str = "content", index: int = 0) -> list[Event]:
    """A streamed answer that says `texts` on one lane."""
    events = [chunk(index, {"role": "assistant", "content": ""})]
    events += [chunk(index, {field: text}) for text in texts]
    return [*events, chunk(index, {}, "stop")]


def called(texts: Sequence[str], index: int = 0) -> list[Event]:
    """A streamed tool call whose arguments arrive as `texts`."""
    function = {"name": "send", "arguments": ""}
    first = {"index": 0, "id": "t1", "type": "function", "function": function}
    events = [chunk(index, {"role": "assistant", "content": None, "tool_calls": [first]})]
    for text in texts:
        events.append(chunk(index, {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}))
    return [*events, chunk(index, {}, "tool_calls")]


def answering(events: Sequence[Event]) -> Callable[[Exchange], Awaitable[Events]]:
    """An upstream that answers with copies of `events`."""

    async def upstream(exchange: Exchange) -> Events:
        async def said() -> Events:
            for event in copy.deepcopy(list(events)):
                yield event

        return said()

    return upstream


def pieces(text: str, cuts: Sequence[int]) -> list[str]:
    """`text` cut at `cuts`, which may be any numbers."""
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in pairwise(edges)] or [""]


async def heard(events: Events) -> list[Event]:
    return [event async for event in events]
