"""An upstream that gives one answer, for tests of providers that translate.

What the fixtures say was written from the public API references; none of it ran live.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import pytest

from gateway.core.answer import Event
from gateway.core.errors import Malformed, UpstreamError
from gateway.core.exchange import Call, Exchange
from gateway.core.money import Usage
from gateway.core.ports import Model, Provider
from gateway.dialects.chat import Chat


@dataclass
class Scripted(httpx.AsyncBaseTransport):
    """A transport that answers with `pieces`, keeps the requests and counts hang-ups."""

    pieces: list[bytes] = field(default_factory=list)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)
    closed: int = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        headers = {"content-type": "application/json", **self.headers}
        return httpx.Response(self.status, headers=headers, stream=_Stream(self))

    async def asked(self) -> Any:
        """The body of the only request."""
        (request,) = self.requests
        return orjson.loads(await request.aread())


class _Stream(httpx.AsyncByteStream):
    def __init__(self, upstream: Scripted) -> None:
        self._upstream = upstream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._upstream.pieces:
            yield piece

    async def aclose(self) -> None:
        self._upstream.closed += 1


def exchange_in(dialect: Any = None) -> Exchange:
    async def read() -> bytes:
        raise AssertionError("a provider is handed the body")

    call = Call(credential="gg_secret", forwarded={"openai-beta": "x"})
    return Exchange(dialect or Chat(), read, call)


async def answers(
    make: Callable[[httpx.AsyncBaseTransport], Provider],
    up: Scripted,
    body: Mapping[str, Any],
    *,
    model: str = "theirs",
    dialect: Any = None,
) -> tuple[list[Event], Exchange]:
    """What the provider makes of the upstream's answer, and the exchange."""
    async with exchange_in(dialect) as exchange:
        target = Model(id="ours", upstream="up", upstream_model=model)
        events = await make(up).send(exchange, target, body)
        return [event async for event in events], exchange


async def fails(
    make: Callable[[httpx.AsyncBaseTransport], Provider],
    up: Scripted,
    body: Mapping[str, Any],
    **more: Any,
) -> UpstreamError:
    """The error that the provider raises, once it has hung up."""
    with pytest.raises(UpstreamError) as caught:
        await answers(make, up, body, **more)
    assert up.closed == len(up.requests) == 1
    return caught.value


async def refuses(
    make: Callable[[httpx.AsyncBaseTransport], Provider], body: Mapping[str, Any], **more: Any
) -> str | None:
    """The field that the provider cannot carry. Nothing was sent, and nothing is paid for."""
    up = Scripted()
    target = Model(id="ours", upstream="up", upstream_model=more.pop("model", "theirs"))
    async with exchange_in(**more) as exchange:
        with pytest.raises(Malformed) as caught:
            await make(up).send(exchange, target, body)
        assert exchange.usage == Usage(0, 0, exact=True)
    assert not up.requests
    return caught.value.param


def said(events: list[Event], name: str = "content", choice: int = 0) -> str:
    """The text that the chunks say on one lane."""
    return "".join(
        piece["delta"].get(name) or ""
        for event in events
        for piece in event.data["choices"]
        if piece["index"] == choice
    )
