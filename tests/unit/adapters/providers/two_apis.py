"""An upstream that speaks chat or Messages as a test has it, and callers of either API.

What it says was written after the public API references; none of it was recorded live.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import orjson
from pydantic import SecretStr

from gateway.adapters.providers.anthropic import AnthropicProvider
from gateway.adapters.providers.openai import OpenAIProvider
from gateway.core.answer import Events
from gateway.core.dialect import Dialect
from gateway.core.exchange import Call, Exchange
from gateway.core.ports import Model
from gateway.dialects.chat import Chat
from gateway.dialects.messages import Messages

CHAT = Chat()
MESSAGES = Messages()
CLAUDE = Model(id="ours", upstream="up", upstream_model="claude")
GPT = Model(id="ours", upstream="up", upstream_model="gpt")
JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream; charset=utf-8"}


class Upstream:
    """A transport that gives one answer in `pieces`; keeps requests, counts hang-ups."""

    def __init__(
        self, *pieces: bytes, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self.requests: list[httpx.Request] = []
        self.closed = 0
        self.pieces = pieces
        self._status = status
        self._headers = headers or JSON

    def transport(self) -> httpx.MockTransport:
        async def handle(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return httpx.Response(self._status, headers=self._headers, stream=_Body(self))

        return httpx.MockTransport(handle)

    def anthropic(self) -> AnthropicProvider:
        return AnthropicProvider("up", None, SecretStr("sk-1"), self.transport())

    def openai(self) -> OpenAIProvider:
        return OpenAIProvider("up", "https://up.example/v1", SecretStr("sk-1"), self.transport())

    def sent(self) -> dict[str, Any]:
        """The body of the one request."""
        (request,) = self.requests
        body: dict[str, Any] = orjson.loads(request.content)
        return body


class _Body(httpx.AsyncByteStream):
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._upstream.pieces:
            yield piece

    async def aclose(self) -> None:
        self._upstream.closed += 1


def exchange(dialect: Dialect, **forwarded: str) -> Exchange:
    """An exchange of a caller who sent these headers of the API along."""

    async def read() -> bytes:
        raise AssertionError("a provider is handed the body")

    headers = {name.replace("_", "-"): value for name, value in forwarded.items()}
    return Exchange(dialect, read, Call(credential="gg_secret", forwarded=headers))


def sse(*events: Mapping[str, Any]) -> bytes:
    """Events as Messages streams them."""
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))
        for event in events
    )


def chunks(*events: Mapping[str, Any]) -> bytes:
    """Events as chat completions stream them, to the end."""
    said = b"".join(b"data: %b\n\n" % orjson.dumps(event) for event in events)
    return said + b"data: [DONE]\n\n"


async def said(events: Events) -> list[dict[str, Any]]:
    """The data of every event."""
    return [event.data async for event in events]
