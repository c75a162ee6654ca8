"""Anthropic's API: callers of Messages as they are, callers of chat completions translated.

Source: Anthropic's API reference ("Create a Message", "Count tokens in a Message", "Streaming
messages", "Errors", "Versions").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import SecretStr

from gateway.adapters.providers.answers import Answers
from gateway.adapters.providers.before_sending import before_sending
from gateway.adapters.providers.calls import Calls, checked_base, fixed_headers
from gateway.adapters.providers.translation import Translation, asked, told
from gateway.adapters.providers.translation.chat_to_messages import ChatToMessages
from gateway.core.answer import Events
from gateway.core.errors import Code, UpstreamError
from gateway.core.exchange import Exchange
from gateway.core.ports import Model

BASE_URL = "https://api.anthropic.com"
VERSION = "2023-06-01"
"""Of the API; a caller of Messages may name another."""

CHAT = "chat.completions.create"
MESSAGES = "messages.create"
PATHS = {MESSAGES: "/v1/messages", "messages.count_tokens": "/v1/messages/count_tokens"}
"""Where each action goes, below the base URL. Any other but chat's is refused."""


class AnthropicProvider:
    """A provider that speaks Anthropic's wire format.

    `base_url` ends before `/v1`. It is the operator's word and is believed. `headers` are sent
    with every request.
    """

    def __init__(
        self,
        name: str,
        base_url: str | None,
        api_key: SecretStr | None,
        transport: httpx.AsyncBaseTransport,
        *,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = 64 << 20,
        max_event: int = 16 << 20,
    ) -> None:
        """Raises `ValueError` for a base URL that is not plain http or https."""
        base = checked_base(base_url or BASE_URL)
        self.name = name
        self._calls = Calls(name, transport, max_bytes=max_bytes, max_event=max_event)
        self._answers = Answers(self._calls, finals=("message_stop",))
        self._urls = {action: httpx.URL(base + path) for action, path in PATHS.items()}
        self._headers = fixed_headers(headers or {})
        if api_key is not None:
            self._headers["x-api-key"] = api_key.get_secret_value()

    async def send(self, exchange: Exchange, model: Model, body: Mapping[str, Any]) -> Events:
        """Send `body` under the model's upstream name; return once the first event is here.

        Raises `Malformed` for a member that cannot be translated, and `UpstreamError`, which
        is `retryable` as `refusals` says.
        """
        action = exchange.dialect.action
        if action == CHAT:
            created = int(exchange.started.timestamp())
            translation = ChatToMessages(body, model, created)
            content = "application/json", asked(exchange, translation)
            return await self._send(exchange, body, MESSAGES, content, translation)
        with before_sending(exchange):
            if action not in self._urls:
                raise UpstreamError(Code.UNKNOWN_URL, f"The provider {self.name} has no {action}.")
        content = exchange.dialect.encode({**body, "model": model.upstream_model})
        return await self._send(exchange, body, action, content, None)

    async def _send(
        self,
        exchange: Exchange,
        body: Mapping[str, Any],
        action: str,
        content: tuple[str, bytes],
        translation: Translation | None,
    ) -> Events:
        streamed = exchange.dialect.streams(dict(body))
        headers = httpx.Headers(
            {
                "content-type": content[0],
                "accept": "text/event-stream" if streamed else "application/json",
                "anthropic-version": VERSION,
                **(exchange.call.forwarded if translation is None else {}),
                **self._headers,
            }
        )
        with told(translation):
            response = await self._calls.post(exchange, self._urls[action], headers, content[1])
        return await self._answers.read(exchange.dialect, body, response, translation)
