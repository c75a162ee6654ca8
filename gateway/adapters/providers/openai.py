"""Any provider that speaks OpenAI's API: the call out, and the answer in, event by event.

Source: OpenAI's API reference ("Chat", "Completions", "Responses", "Embeddings", "Streaming",
"Errors").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from gateway.adapters.providers.answers import Answers
from gateway.adapters.providers.before_sending import before_sending
from gateway.adapters.providers.calls import Calls, checked_base, fixed_headers
from gateway.adapters.providers.translation import Translation, asked, told
from gateway.adapters.providers.translation.messages_to_chat import MessagesToChat
from gateway.core.answer import Events
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

CHAT = "chat.completions.create"
MESSAGES = "messages.create"
RESPONSES = "responses.create"
DONE = b"[DONE]"


class OpenAIProvider:
    """A provider that speaks OpenAI's wire format; callers of Messages get it translated.

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
        max_event: int = 16 << 20,
    ) -> None:
        """Raises `ValueError` for a base URL that is not plain http or https."""
        base = checked_base(base_url)
        self.name = name
        self._calls = Calls(name, transport, max_bytes=max_bytes, max_event=max_event)
        self._answers = Answers(self._calls, last=DONE)
        self._urls = {action: httpx.URL(base + path) for action, path in PATHS.items()}
        self._headers = fixed_headers(headers or {})
        if api_key is not None:
            self._headers["authorization"] = f"Bearer {api_key.get_secret_value()}"

    async def send(self, exchange: Exchange, model: Model, body: Mapping[str, Any]) -> Events:
        """Send `body` under the model's upstream name; return once the first event is here.

        Raises `Malformed` for a member that cannot be translated, and `UpstreamError`, which
        is `retryable` as `refusals` says.
        """
        dialect = exchange.dialect
        translation = self._translation(exchange, model, body)
        with before_sending(exchange):
            url = self._url(dialect.action if translation is None else CHAT, model)
            if url is None:
                raise UpstreamError(
                    Code.UNKNOWN_URL, f"The provider {self.name} has no {dialect.action}."
                )
        if translation is None:
            kind, content = dialect.encode({**body, "model": model.upstream_model})
            forwarded = exchange.call.forwarded
        else:
            kind, content, forwarded = "application/json", asked(exchange, translation), {}
        streamed = dialect.streams(dict(body))
        headers = httpx.Headers(
            {
                "content-type": kind,
                "accept": "text/event-stream" if streamed else "application/json",
                **forwarded,
                **self._headers,
            }
        )
        with told(translation):
            response = await self._calls.post(exchange, url, headers, content)
        return await self._answers.read(dialect, body, response, translation)

    async def forget(self, response_id: str) -> None:
        """Have the provider destroy its copy of a response. Raises `UpstreamError`."""
        headers = httpx.Headers({"accept": "application/json", **self._headers})
        url = httpx.URL(f"{self._responses()}/{quote(response_id, safe='')}")
        await self._calls.delete(url, headers)

    def _responses(self) -> httpx.URL:
        """Where responses are stored."""
        return self._urls[RESPONSES]

    def _url(self, action: str, model: Model) -> httpx.URL | None:
        """Where `action` goes; None where the provider does not have it."""
        return self._urls.get(action)

    def _translation(
        self, exchange: Exchange, model: Model, body: Mapping[str, Any]
    ) -> Translation | None:
        """How a caller of another API is served, where that is not by its own."""
        if exchange.dialect.action == MESSAGES:
            return MessagesToChat(body, model)
        return None
