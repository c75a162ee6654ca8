"""Amazon Bedrock: Converse and ConverseStream, for callers of chat completions.

Source: the Amazon Bedrock API reference, "Converse", "ConverseStream" and "Common errors". What
a chat request becomes stands in `bedrock_chat.py`, what an answer becomes in
`bedrock_answer.py`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
from pydantic import SecretStr

from gateway.adapters.providers import carrying
from gateway.adapters.providers.bedrock_answer import ConverseAnswer
from gateway.adapters.providers.bedrock_chat import converse_request
from gateway.adapters.providers.before_sending import before_sending
from gateway.adapters.providers.begun import begun
from gateway.adapters.providers.calls import Calls, checked_base, fixed_headers, given
from gateway.adapters.providers.chunks import Chunks, counts_asked
from gateway.adapters.providers.eventstream import Decoder, Message
from gateway.adapters.providers.refusals import TURNED_AWAY
from gateway.adapters.providers.sigv4 import Signer
from gateway.core.answer import Event, Events
from gateway.core.errors import Code, UpstreamError
from gateway.core.exchange import Exchange
from gateway.core.ports import Model

_REGION = re.compile(r"[a-z0-9-]{1,32}")
_STREAM = "application/vnd.amazon.eventstream"
_STATUS = {
    "internalServerException": 500,
    "modelStreamErrorException": 500,
    "modelTimeoutException": 408,
    "serviceUnavailableException": 503,
    "throttlingException": 429,
    "validationException": 400,
}
"""The HTTP status of each exception that a stream may hold; of others it is 500."""


class BedrockProvider:
    """Amazon Bedrock in one region, asked with an access key.

    `endpoint` is the URL of another one than the region's own, such as one in a VPC. It is
    the operator's word and is believed.
    """

    def __init__(
        self,
        name: str,
        region: str,
        access_key: SecretStr,
        secret_key: SecretStr,
        session_token: SecretStr | None,
        transport: httpx.AsyncBaseTransport,
        *,
        endpoint: str | None = None,
        max_bytes: int = 64 << 20,
        max_event: int = 16 << 20,
    ) -> None:
        """Raises `ValueError` for an endpoint that is not plain http or https, or no region."""
        if not region or not _REGION.fullmatch(region):
            raise ValueError(f"not a region of AWS: {region!r}")
        self.name = name
        self._base = checked_base(endpoint or f"https://bedrock-runtime.{region}.amazonaws.com")
        self._calls = Calls(name, transport, max_bytes=max_bytes)
        self._max_event = max_event
        self._signer = Signer(access_key, secret_key, session_token, region, "bedrock")

    async def send(self, exchange: Exchange, model: Model, body: Mapping[str, Any]) -> Events:
        """Send `body`, translated; return once the first event is here.

        Raises `Malformed` for a member that cannot be translated, and `UpstreamError`, which
        is `retryable` as `refusals` says.
        """
        streamed = body.get("stream") is True
        with before_sending(exchange):
            if exchange.dialect.action != "chat.completions.create":
                what = f"The provider {self.name} has no {exchange.dialect.action}."
                raise UpstreamError(Code.UNKNOWN_URL, what)
            content = orjson.dumps(converse_request(body))
            method = "converse-stream" if streamed else "converse"
            named = carrying.segment(model.upstream_model)
            url = httpx.URL(f"{self._base}/model/{named}/{method}")
        try:
            response = await self._calls.post(exchange, url, self._headers(url, content), content)
        except UpstreamError as error:
            _in_our_words(error)
            raise
        answer = ConverseAnswer(Chunks(exchange, model.upstream_model))
        try:
            if streamed:
                events = self._events(response, answer, counts_asked(body))
                return await begun(self.name, events)
            data = self._calls.parsed(await self._calls.read(response))
            chunks = self._said(answer.whole, data)
            folded = exchange.dialect.fold([Event(chunk) for chunk in chunks])
            return given(Event(folded, whole=True))
        except UpstreamError:
            await response.aclose()
            raise

    def _headers(self, url: httpx.URL, content: bytes) -> httpx.Headers:
        """The headers of a request, signed as of now."""
        kind = {"content-type": "application/json"}
        signed = self._signer.signed("POST", url, kind, content, datetime.now(UTC))
        accept = _STREAM if url.path.endswith("-stream") else "application/json"
        return httpx.Headers({"accept": accept, **fixed_headers({}), **signed})

    async def _events(
        self, response: httpx.Response, answer: ConverseAnswer, counted: bool
    ) -> AsyncIterator[Event]:
        """The chunks of a stream, which ends with its body once the answer has ended."""
        heard = False
        async for message in self._messages(response):
            match message.headers.get(":message-type"):
                case "event":
                    kind = message.headers.get(":event-type", "")
                    data = self._calls.parsed(message.payload)
                    for chunk in self._said(answer.event, kind, data):
                        yield Event(chunk)
                case _:
                    raise self._failure(message, turned_away=not heard)
            heard = True
        for chunk in self._said(answer.end):
            if counted:
                yield Event(chunk)

    async def _messages(self, response: httpx.Response) -> AsyncIterator[Message]:
        """The messages of the body. Raises `UpstreamError` for one that is torn or damaged."""
        decoder = Decoder(self._max_event)
        async for piece in self._calls.pieces(response):
            for message in self._decoded(decoder, piece):
                yield message
        try:
            decoder.finish()
        except ValueError as error:
            raise self._calls.wrong(f"sent {error}") from error

    def _decoded(self, decoder: Decoder, piece: bytes) -> list[Message]:
        try:
            return decoder.feed(piece)
        except ValueError as error:
            raise self._calls.wrong(f"sent {error}") from error

    def _said(self, say: Callable[..., list[dict[str, Any]]], *args: Any) -> list[dict[str, Any]]:
        try:
            return say(*args)
        except ValueError as error:
            raise self._calls.wrong(str(error)) from error

    def _failure(self, message: Message, *, turned_away: bool) -> UpstreamError:
        """The error that a message of a stream reports instead of an event.

        It may be tried again only where it is the first: then nothing was produced.
        """
        kind = message.headers.get(":exception-type") or message.headers.get(":error-code", "")
        status = _STATUS.get(kind[:1].lower() + kind[1:], 500)
        said = message.headers.get(":error-message")
        if message.payload:
            said = self._calls.parsed(message.payload).get("message", said)
        return UpstreamError(
            Code.UPSTREAM_ERROR,
            f"The provider {self.name} reported an error.",
            status=status,
            body={"message": said, "code": kind} if isinstance(said, str) else None,
            retryable=turned_away and status in TURNED_AWAY,
        )


def _in_our_words(error: UpstreamError) -> None:
    """Read what a status of Bedrock's means.

    A 403 speaks of the gateway's own identity, and may quote what was signed. A 424 says that
    the model failed after it was asked, so it is told as a 500: it may have been billed.
    """
    if error.status == 403:
        error.body = None
    if error.status == 424:
        error.status = 500
