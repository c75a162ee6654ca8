"""Any provider that speaks OpenAI's API: the call out, and the answer in, event by event.

Source: OpenAI's API reference ("Chat", "Completions", "Responses", "Embeddings", "Streaming",
"Errors").
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
from pydantic import SecretStr

from gateway.adapters.providers.begun import begun
from gateway.adapters.providers.calls import Calls, checked_base, fixed_headers, given
from gateway.adapters.providers.refusals import broke
from gateway.core.answer import Event, Events
from gateway.core.dialect import Dialect
from gateway.core.errors import Code, UpstreamError
from gateway.core.exchange import Exchange
from gateway.core.ports import Model

PATHS = {
    "chat.completions.create": "/chat/completions",
    "completions.create": "/completions",
    "responses.create": "/responses",
    "embeddings.create": "/embeddings",
    "moderations.create": "/moderations",
    "images.generate": "/images/generations",
    "images.edit": "/images/edits",
    "audio.transcriptions.create": "/audio/transcriptions",
    "audio.translations.create": "/audio/translations",
    "audio.speech.create": "/audio/speech",
}
"""Where each action goes, below the base URL. An action that is not here is refused."""

_DONE = b"[DONE]"


class OpenAIProvider:
    """A provider that speaks OpenAI's wire format.

    `base_url` ends before the action's path, such as `https://api.openai.com/v1`. It is the
    operator's word and is believed: a loopback or private address is allowed, since models
    often run there. Whoever lets anybody else choose it must vet it first. `headers` are sent
    with every request.
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
        base = checked_base(base_url)
        self.name = name
        self._calls = Calls(name, transport, max_bytes=max_bytes, max_event=max_event)
        self._urls = {action: httpx.URL(base + path) for action, path in PATHS.items()}
        self._headers = fixed_headers(headers or {})
        if api_key is not None:
            self._headers["authorization"] = f"Bearer {api_key.get_secret_value()}"

    async def send(self, exchange: Exchange, model: Model, body: Mapping[str, Any]) -> Events:
        """Send `body` under the model's upstream name; return once the first event is here.

        Raises `UpstreamError`; it is `retryable` as `refusals` says.
        """
        dialect = exchange.dialect
        if dialect.action not in self._urls:
            raise UpstreamError(
                Code.UNKNOWN_URL, f"The provider {self.name} has no {dialect.action}."
            )
        kind, content = dialect.encode({**body, "model": model.upstream_model})
        streamed = body.get("stream") is True
        headers = httpx.Headers(
            {
                "content-type": kind,
                "accept": "text/event-stream" if streamed else "application/json",
                **exchange.call.forwarded,
                **self._headers,
            }
        )
        response = await self._calls.post(exchange, self._urls[dialect.action], headers, content)
        try:
            return await self._answer(dialect, body, response, streamed)
        except UpstreamError:
            await response.aclose()
            raise

    async def _answer(
        self, dialect: Dialect, body: Mapping[str, Any], response: httpx.Response, streamed: bool
    ) -> Events:
        """The answer in the form that was asked for, whichever form it comes in."""
        kind = response.headers.get("content-type", "")
        if "event-stream" in kind or (streamed and "json" not in kind):
            events = self._events(dialect, body, response)
            if streamed:
                return await begun(self.name, events)
            heard = [event async for event in await begun(self.name, events)]
            return given(Event(dialect.fold(heard), whole=True))
        raw = await self._calls.read(response)
        if kind and "json" not in kind and dialect.takes_media(body, kind):
            text = raw.decode(errors="replace") if kind.startswith("text/") else ""
            return given(Event({"text": text}, whole=True, raw=raw, media=kind))
        data = self._parsed(dialect, raw)
        if streamed:
            return given(*dialect.unfold(data, dict(body)))
        return given(Event(data, whole=True, raw=raw))

    async def _events(
        self, dialect: Dialect, body: Mapping[str, Any], response: httpx.Response
    ) -> AsyncIterator[Event]:
        """The events of a stream. It ends at `[DONE]`; or, where there is none, at a clean end
        of the body once the dialect finds it complete."""
        ended: set[int] = set()
        complete = False
        async for message in self._calls.messages(response, last=_DONE):
            if message.data == _DONE:
                return
            if message.event == "torn":
                raise self._calls.broke_off()
            # JSON that came in several data lines would not fit into one: encode it anew.
            raw = None if b"\n" in message.data else message.data
            event = Event(self._parsed(dialect, message.data, message.event), raw=raw)
            ended.update(dialect.ended(event))
            complete = dialect.complete(body, ended, event)
            yield event
        if not complete:
            raise self._calls.broke_off()

    def _parsed(self, dialect: Dialect, raw: bytes, event: str = "message") -> dict[str, Any]:
        """The JSON object that `raw` is. Raises `UpstreamError` for an error in its place."""
        data = self._calls.parsed(raw)
        if event == "error" or dialect.broken(data):
            raise broke(self.name, data)
        if not dialect.well_formed(data):
            raise self._calls.wrong("sent an answer that is not in shape")
        return data
