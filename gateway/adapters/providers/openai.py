"""Any provider that speaks OpenAI's API: the call out, and the answer in, event by event.

Source: OpenAI's API reference ("Chat", "Completions", "Embeddings", "Streaming", "Errors").
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from typing import Any

import httpx
import orjson
from pydantic import SecretStr

from gateway.adapters.providers.begun import begun
from gateway.adapters.providers.refusals import broke, refused, unreachable
from gateway.core.answer import Event, Events
from gateway.core.errors import Code, UpstreamError
from gateway.core.exchange import Exchange
from gateway.core.ports import Model
from gateway.core.sse import Decoder, Message

PATHS = {
    "chat.completions.create": "/chat/completions",
    "completions.create": "/completions",
    "embeddings.create": "/embeddings",
}
"""Where each action goes, below the base URL. An action that is not here is refused."""

_DONE = b"[DONE]"
_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "apim-request-id")


class OpenAIProvider:
    """A provider that speaks OpenAI's wire format.

    `base_url` ends before the action's path, such as `https://api.openai.com/v1`. It is the
    operator's word and is believed: a loopback or private address is allowed, since models
    often run there. Whoever lets anybody else choose it must vet it first. `headers` are sent
    with every request; nothing of a caller's headers ever is. An answer of more than
    `max_bytes`, or an event of more than `max_event`, is an error.

    Answers are asked for uncompressed (`accept-encoding: identity`), and one that comes
    compressed all the same is refused. Answers are small and streams gain nothing, so there
    is no decompression bomb to guard against and no CPU to spend.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        api_key: SecretStr | None,
        transport: httpx.AsyncBaseTransport,
        *,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = 64 << 20,
        max_event: int = 1 << 20,
    ) -> None:
        """Raises `ValueError` for a base URL that is not plain http or https."""
        base = _checked(base_url)
        self.name = name
        self._transport = transport
        self._max_bytes = max_bytes
        self._max_event = max_event
        self._urls = {action: httpx.URL(base + path) for action, path in PATHS.items()}
        fixed = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            "user-agent": "govgate",
            **(headers or {}),
        }
        if api_key is not None:
            fixed["authorization"] = f"Bearer {api_key.get_secret_value()}"
        self._headers = {
            True: httpx.Headers({**fixed, "accept": "text/event-stream"}),
            False: httpx.Headers({**fixed, "accept": "application/json"}),
        }

    async def send(self, exchange: Exchange, model: Model, body: Mapping[str, Any]) -> Events:
        """Send `body` under the model's upstream name; return once the first event is here.

        Raises `UpstreamError`; it is `retryable` as `refusals` says.
        """
        action = exchange.dialect.action
        if action not in self._urls:
            raise UpstreamError(Code.UNKNOWN_URL, f"The provider {self.name} has no {action}.")
        streamed = body.get("stream") is True
        request = httpx.Request(
            "POST",
            self._urls[action],
            headers=self._headers[streamed],
            stream=httpx.ByteStream(orjson.dumps({**body, "model": model.upstream_model})),
        )
        try:
            response = await self._transport.handle_async_request(request)
        except httpx.TransportError as fault:
            raise unreachable(self.name, fault) from fault
        exchange.defer(response.aclose)
        _note_request_id(exchange, response)
        try:
            return await self._answer(exchange, body, response, streamed)
        except UpstreamError:
            await response.aclose()
            raise

    async def _answer(
        self, exchange: Exchange, body: Mapping[str, Any], response: httpx.Response, streamed: bool
    ) -> Events:
        """The answer in the form that was asked for, whichever form it comes in."""
        if response.status_code >= 400:
            said = b""  # where the words break off, the status still stands
            with suppress(UpstreamError):
                said = await self._read(response, 1 << 20)
            raise refused(self.name, response.status_code, response.headers, said)
        if response.status_code != 200:
            raise self._wrong(f"answered with HTTP status {response.status_code}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise self._wrong("compressed its answer, though asked not to")
        kind = response.headers.get("content-type", "")
        if "event-stream" in kind or (streamed and "json" not in kind):
            events = self._events(response, _count(body.get("n")))
            if streamed:
                return await begun(self.name, events)
            heard = [event async for event in await begun(self.name, events)]
            return _given(Event(exchange.dialect.fold(heard), whole=True))
        raw = await self._read(response, self._max_bytes)
        data = self._parsed(raw)
        if streamed:
            return _given(*exchange.dialect.unfold(data, dict(body)))
        return _given(Event(data, whole=True, raw=raw))

    async def _events(self, response: httpx.Response, choices: int) -> AsyncIterator[Event]:
        """The events of a stream. It ends at `[DONE]`; or, as some providers send none, at a
        clean end of the body after each of `choices` gave its finish reason."""
        decoder = Decoder(self._max_event)
        pieces = self._pieces(response, self._max_bytes)
        ended: set[int] = set()
        async for piece in pieces:
            for message in self._decoded(decoder, piece):
                if message.data == _DONE:
                    await _drained(pieces)
                    return
                # JSON that came in several data lines would not fit into one: encode it anew.
                raw = None if b"\n" in message.data else message.data
                event = Event(self._parsed(message.data, message.event), raw=raw)
                ended.update(_finished(event.data))
                yield event
        if (torn := self._torn(decoder)) is not None and torn.data == _DONE:
            return
        if torn is not None or not ended.issuperset(range(choices)):
            raise self._wrong("ended its answer before it was complete")

    def _decoded(self, decoder: Decoder, piece: bytes) -> list[Message]:
        try:
            return decoder.feed(piece)
        except ValueError as error:
            raise self._wrong(f"sent {error}") from error

    def _torn(self, decoder: Decoder) -> Message | None:
        try:
            return decoder.finish()
        except ValueError as error:
            raise self._wrong(f"sent {error}") from error

    def _parsed(self, raw: bytes, event: str = "message") -> dict[str, Any]:
        """The JSON object that `raw` is. Raises `UpstreamError` for an error in its place."""
        try:
            data = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise self._wrong("sent an answer that is not JSON") from error
        if not isinstance(data, dict) or not _in_shape(data.get("choices")):
            raise self._wrong("sent an answer that is not in shape")
        if event == "error" or data.get("error") is not None:
            raise broke(self.name, data)
        return data

    async def _pieces(self, response: httpx.Response, limit: int) -> AsyncIterator[bytes]:
        """The body as it arrives, `limit` bytes at most."""
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise TypeError("the transport does not stream asynchronously")
        size = 0
        try:
            async for piece in response.stream:
                size += len(piece)
                if size > limit:
                    raise self._wrong(f"sent more than {limit} bytes")
                yield piece
        except httpx.TransportError as fault:
            raise unreachable(self.name, fault) from fault

    async def _read(self, response: httpx.Response, limit: int) -> bytes:
        return b"".join([piece async for piece in self._pieces(response, limit)])

    def _wrong(self, what: str) -> UpstreamError:
        return UpstreamError(Code.UPSTREAM_ERROR, f"The provider {self.name} {what}.")


def _checked(base_url: str) -> str:
    """`base_url` without a slash at its end."""
    url = httpx.URL(base_url)
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"a base URL is http or https with a host: {url.scheme!r}")
    if url.userinfo or url.query or url.fragment:
        raise ValueError("a base URL has no credentials, query or fragment")
    return base_url.rstrip("/")


def _count(n: object) -> int:
    return n if isinstance(n, int) else 1


def _in_shape(choices: object) -> bool:
    """Whether `choices` are objects whose indices are numbers, or not there at all."""
    return choices is None or (
        isinstance(choices, list)
        and all(isinstance(choice, dict) for choice in choices)
        and all(isinstance(choice.get("index", 0), int) for choice in choices)
    )


def _finished(chunk: dict[str, Any]) -> Iterator[int]:
    """The choices that end with `chunk`."""
    for choice in chunk.get("choices") or ():
        if choice.get("finish_reason"):
            yield choice.get("index", 0)


def _note_request_id(exchange: Exchange, response: httpx.Response) -> None:
    for name in _REQUEST_ID_HEADERS:
        value = response.headers.get(name, "")
        if value and len(value) <= 200 and value.isascii() and value.isprintable():
            exchange.headers["x-govgate-upstream-request-id"] = value
            return


async def _given(*events: Event) -> Events:
    for event in events:
        yield event


async def _drained(pieces: AsyncIterator[bytes]) -> None:
    """Give the end of the body a moment to arrive, so that the connection can serve again."""
    with suppress(TimeoutError, UpstreamError):
        async with asyncio.timeout(0.05):
            async for _ in pieces:
                pass
