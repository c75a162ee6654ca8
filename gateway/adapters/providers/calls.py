"""A call to a provider over HTTP: sent, refused, read in pieces, whatever its API is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

import httpx
import orjson

from gateway.adapters.providers.refusals import refused, unreachable
from gateway.core.answer import Event, Events
from gateway.core.errors import Code, UpstreamError
from gateway.core.exchange import Exchange
from gateway.core.sse import Decoder, Message

_LIMIT_HEADERS = frozenset(
    form.format(bound=bound, of=of)
    for form, kinds in (
        ("x-ratelimit-{bound}-{of}", ("requests", "tokens")),
        (
            "anthropic-ratelimit-{of}-{bound}",
            ("requests", "tokens", "input-tokens", "output-tokens"),
        ),
    )
    for of in kinds
    for bound in ("limit", "remaining", "reset")
)
"""What OpenAI and Anthropic say of their rate limits. No other header of a limit is passed on."""

PATIENCE = 10.0
"""Seconds that a provider has to destroy what it stored."""

_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "apim-request-id", "x-amzn-requestid")


class Calls:
    """The way to one provider.

    Nothing of a caller's headers is ever sent but what the provider's own code hands over. An
    answer of more than `max_bytes`, or an event of more than `max_event`, is an error.

    Answers are asked for uncompressed (`accept-encoding: identity`), and one that comes
    compressed all the same is refused. Answers are small and streams gain nothing, so there
    is no decompression bomb to guard against and no CPU to spend.
    """

    def __init__(
        self,
        name: str,
        transport: httpx.AsyncBaseTransport,
        *,
        max_bytes: int = 64 << 20,
        max_event: int = 1 << 20,
    ) -> None:
        self.name = name
        self._transport = transport
        self._max_bytes = max_bytes
        self._max_event = max_event

    async def post(
        self, exchange: Exchange, url: httpx.URL, headers: httpx.Headers, body: bytes
    ) -> httpx.Response:
        """The response, its body unread, when its status is 200; closed with the exchange.

        Raises `UpstreamError`; it is `retryable` as `refusals` says.
        """
        request = httpx.Request("POST", url, headers=headers, stream=httpx.ByteStream(body))
        try:
            response = await self._transport.handle_async_request(request)
        except httpx.TransportError as fault:
            raise unreachable(self.name, fault) from fault
        exchange.defer(response.aclose)
        _note(exchange, response)
        try:
            await self._check(response)
        except UpstreamError:
            await response.aclose()
            raise
        return response

    async def delete(self, url: httpx.URL, headers: httpx.Headers) -> None:
        """Have something destroyed. What is not there is destroyed already.

        Raises `UpstreamError`, also when there is no answer in `PATIENCE` seconds.
        """
        request = httpx.Request("DELETE", url, headers=headers)
        try:
            async with asyncio.timeout(PATIENCE):
                response = await self._transport.handle_async_request(request)
        except httpx.TransportError as fault:
            raise unreachable(self.name, fault) from fault
        except TimeoutError as fault:
            raise unreachable(self.name, httpx.ReadTimeout("no answer")) from fault
        await response.aclose()
        if response.status_code not in (200, 204, 404):
            raise refused(self.name, response.status_code, response.headers, b"")

    async def _check(self, response: httpx.Response) -> None:
        if response.status_code >= 400:
            said = b""  # where the words break off, the status still stands
            with suppress(UpstreamError):
                said = await self.read(response, 1 << 20)
            raise refused(self.name, response.status_code, response.headers, said)
        if response.status_code != 200:
            raise self.wrong(f"answered with HTTP status {response.status_code}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise self.wrong("compressed its answer, though asked not to")

    async def pieces(
        self, response: httpx.Response, limit: int | None = None
    ) -> AsyncIterator[bytes]:
        """The body as it arrives, `limit` bytes at most."""
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise TypeError("the transport does not stream asynchronously")
        size, limit = 0, limit or self._max_bytes
        try:
            async for piece in response.stream:
                size += len(piece)
                if size > limit:
                    raise self.wrong(f"sent more than {limit} bytes")
                yield piece
        except httpx.TransportError as fault:
            raise unreachable(self.name, fault) from fault

    async def read(self, response: httpx.Response, limit: int | None = None) -> bytes:
        """The whole body."""
        return b"".join([piece async for piece in self.pieces(response, limit)])

    async def messages(self, response: httpx.Response, *, last: bytes) -> AsyncIterator[Message]:
        """The server-sent events of the body.

        Where one's data is `last`, such as `[DONE]`, it is the last, and the connection is
        given a moment to come to its end; where `last` is empty, no message is. A message that
        was torn off is given too, with the type `torn`.
        """
        decoder = Decoder(self._max_event)
        pieces = self.pieces(response)
        async for piece in pieces:
            for message in self._decoded(decoder, piece):
                yield message
                if last and message.data == last:
                    await drained(pieces)
                    return
        try:
            torn = decoder.finish()
        except ValueError as error:
            raise self.wrong(f"sent {error}") from error
        if torn is not None:
            whole = last and torn.data == last
            yield torn if whole else Message("torn", torn.data)

    def _decoded(self, decoder: Decoder, piece: bytes) -> list[Message]:
        try:
            return decoder.feed(piece)
        except ValueError as error:
            raise self.wrong(f"sent {error}") from error

    def parsed(self, raw: bytes) -> dict[str, Any]:
        """The JSON object that `raw` is. Raises `UpstreamError`."""
        try:
            data = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise self.wrong("sent an answer that is not JSON") from error
        if not isinstance(data, dict):
            raise self.wrong("sent an answer that is not in shape")
        return data

    def wrong(self, what: str) -> UpstreamError:
        """The error that says what the provider did, such as "sent no JSON"."""
        return UpstreamError(Code.UPSTREAM_ERROR, f"The provider {self.name} {what}.")

    def broke_off(self) -> UpstreamError:
        """The error for a stream that ended before its answer did."""
        return self.wrong("ended its answer before it was complete")


def checked_base(base_url: str) -> str:
    """`base_url` without a slash at its end. Raises `ValueError` unless plain http or https."""
    url = httpx.URL(base_url)
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"a base URL is http or https with a host: {url.scheme!r}")
    if url.userinfo or url.query or url.fragment:
        raise ValueError("a base URL has no credentials, query or fragment")
    return base_url.rstrip("/")


def fixed_headers(more: Mapping[str, str]) -> dict[str, str]:
    """The headers of every request, besides its content type and what it accepts."""
    return {"accept-encoding": "identity", "user-agent": "govgate", **more}


async def given(*events: Event) -> Events:
    """An answer that is here already."""
    for event in events:
        yield event


def _note(exchange: Exchange, response: httpx.Response) -> None:
    """Tell the provider's id of the request, and its rate limits apart from ours, which have the
    names that clients know. One pass: a look into httpx's headers costs as much."""
    named: dict[str, str] = {}
    for name, value in response.headers.multi_items():
        if name in _LIMIT_HEADERS and _plain(value):
            exchange.headers[f"x-govgate-upstream-{name.removeprefix('x-')}"] = value
        elif name in _REQUEST_ID_HEADERS and _plain(value):
            named.setdefault(name, value)
    if named:
        first = min(named, key=_REQUEST_ID_HEADERS.index)
        exchange.headers["x-govgate-upstream-request-id"] = named[first]


def _plain(value: str) -> bool:
    """Whether a header may be told to the caller as it is."""
    return 0 < len(value) <= 200 and value.isascii() and value.isprintable() and " " not in value


async def drained(pieces: AsyncIterator[object]) -> None:
    """Give the end of the body a moment to arrive, so that the connection can serve again."""
    with suppress(TimeoutError, UpstreamError):
        async with asyncio.timeout(0.05):
            async for _ in pieces:
                pass
