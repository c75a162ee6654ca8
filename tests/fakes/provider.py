"""A provider in memory that says what it is told to, and an upstream over real HTTP."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import uvicorn

from gateway.core.answer import Event, Events
from gateway.core.errors import Code, UpstreamError
from gateway.core.exchange import Exchange
from gateway.core.ports import Model


@dataclass(frozen=True, slots=True)
class Breaks:
    """An answer that begins with `text` and then breaks with `error`."""

    text: str
    error: UpstreamError


Told = str | dict[str, Any] | list[dict[str, Any]] | Breaks | UpstreamError
"""What to answer: a text; a whole answer; the chunks of one; a break; an error at once."""


@dataclass(slots=True)
class Sent:
    """A call as the fake received it: its body is a copy, as bytes on a wire would be."""

    model: Model
    body: dict[str, Any]


@dataclass(slots=True)
class FakeProvider:
    """Implements `Provider` for chat completions. Answers in turn; the last one is repeated.

    `sent` is what was asked, in order; `hung_up` counts the exchanges that let go, be it at
    the end of the answer or before.
    """

    answers: list[Told] = field(default_factory=lambda: ["Hello there, you."])
    sent: list[Sent] = field(default_factory=list)
    hung_up: int = 0

    @classmethod
    def saying(cls, *answers: Told) -> FakeProvider:
        return cls(list(answers))

    async def send(self, exchange: Exchange, model: Model, body: Mapping[str, Any]) -> Events:
        if exchange.dialect.action != "chat.completions.create":
            raise UpstreamError(Code.UNKNOWN_URL, f"The fake has no {exchange.dialect.action}.")
        request = orjson.loads(orjson.dumps({**body, "model": model.upstream_model}))
        self.sent.append(Sent(model, request))
        told = self.answers[min(len(self.sent), len(self.answers)) - 1]
        if isinstance(told, UpstreamError):
            raise told
        exchange.defer(self._hang_up)
        exchange.headers["x-govgate-upstream-request-id"] = f"req_fake_{len(self.sent)}"
        if isinstance(told, Breaks) and not request.get("stream"):
            raise told.error
        return _events(told, request)

    async def _hang_up(self) -> None:
        self.hung_up += 1


async def _events(
    told: str | dict[str, Any] | list[dict[str, Any]] | Breaks, request: dict[str, Any]
) -> AsyncIterator[Event]:
    text = told.text if isinstance(told, Breaks) else told
    match text:
        case str() if request.get("stream"):
            for chunk in said_in_chunks(text, request, ending=not isinstance(told, Breaks)):
                yield Event(chunk)
        case str():
            yield Event(said(text, request), whole=True)
        case dict():
            yield Event(text, whole=True)
        case list():
            for chunk in text:
                yield Event(chunk)
    if isinstance(told, Breaks):
        raise told.error


def said(text: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """A `chat.completion` that says `text`; a token is a word."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return _head("chat.completion", request) | {"choices": [choice], "usage": _usage(text)}


def said_in_chunks(
    text: str, request: Mapping[str, Any], *, ending: bool = True
) -> Iterator[dict[str, Any]]:
    """The chunks of a stream that says `text`, a word at a time."""
    head = _head("chat.completion.chunk", request)
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in text.replace(" ", " \0").split("\0")]
    for delta in deltas:
        yield head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    if ending:
        yield head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        if (request.get("stream_options") or {}).get("include_usage"):
            yield head | {"choices": [], "usage": _usage(text)}


def _head(kind: str, request: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": "chatcmpl-fake", "object": kind, "created": 0, "model": request["model"]}


def _usage(text: str) -> dict[str, int]:
    words = len(text.split())
    return {"prompt_tokens": 1, "completion_tokens": words, "total_tokens": words + 1}


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve the ASGI `app` over real sockets, in a thread of its own; yields its base URL."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the server did not start")
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join()
        listener.close()
