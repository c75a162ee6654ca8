"""Google's Gemini API: the call out, and the answer in, for chat and embeddings.

Source: Google's Gemini API reference ("generateContent", "streamGenerateContent",
"batchEmbedContents", "Errors"), API version v1beta. What a chat request becomes stands in
`gemini_chat.py`, what an answer becomes in `gemini_answer.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import httpx
import orjson
from pydantic import SecretStr

from gateway.adapters.providers import carrying
from gateway.adapters.providers.answers import Answers
from gateway.adapters.providers.before_sending import before_sending
from gateway.adapters.providers.calls import Calls, checked_base, fixed_headers
from gateway.adapters.providers.chunks import OUT_OF_SHAPE, Chunks, counts_asked
from gateway.adapters.providers.gemini_answer import GeminiAnswer
from gateway.adapters.providers.gemini_chat import generate_request
from gateway.adapters.providers.gemini_embed import embed_answer, embed_request
from gateway.adapters.providers.translation import Translation, told
from gateway.core.answer import Event, Events
from gateway.core.errors import Code, UpstreamError
from gateway.core.exchange import Exchange
from gateway.core.ports import Model

_KINDS = ("models", "tunedModels")
_DELAY = re.compile(r"(\d{1,6}(?:\.\d{1,9})?)s")


class GeminiProvider:
    """A provider that speaks Gemini's own API.

    `base_url` ends in the version, such as `https://generativelanguage.googleapis.com/v1beta`.
    It is the operator's word and is believed. The key goes into a header, never into the URL.
    `headers` are sent with every request.
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
        self.name = name
        self._base = checked_base(base_url)
        self._calls = Calls(name, transport, max_bytes=max_bytes, max_event=max_event)
        self._answers = Answers(self._calls)
        self._headers = fixed_headers(headers or {})
        if api_key is not None:
            self._headers["x-goog-api-key"] = api_key.get_secret_value()

    async def send(self, exchange: Exchange, model: Model, body: Mapping[str, Any]) -> Events:
        """Send `body`, translated; return once the first event is here.

        Raises `Malformed` for a member that cannot be translated, and `UpstreamError`, which
        is `retryable` as `refusals` says.
        """
        with before_sending(exchange):
            url, translation = self._translation(exchange, model.upstream_model, body)
            content = orjson.dumps(translation.request())
        streamed = body.get("stream") is True
        headers = httpx.Headers(
            {
                "content-type": "application/json",
                "accept": "text/event-stream" if streamed else "application/json",
                **self._headers,
            }
        )
        with told(translation):
            response = await self._calls.post(exchange, url, headers, content)
        return await self._answers.read(exchange.dialect, body, response, translation)

    def _translation(
        self, exchange: Exchange, model: str, body: Mapping[str, Any]
    ) -> tuple[httpx.URL, Translation]:
        """Where to send what `body` becomes. "x" and "models/x" both name the model x."""
        kind, slash, name = model.partition("/")
        if not slash or kind not in _KINDS:
            kind, name = "models", model
        url = f"{self._base}/{kind}/{carrying.segment(name)}"
        match exchange.dialect.action:
            case "chat.completions.create":
                method = ":generateContent"
                if body.get("stream") is True:
                    method = ":streamGenerateContent?alt=sse"
                return httpx.URL(url + method), ChatToGemini(exchange, model, body)
            case "embeddings.create":
                embeddings = EmbeddingsToGemini(f"{kind}/{name}", body)
                return httpx.URL(f"{url}:batchEmbedContents"), embeddings
            case action:
                raise UpstreamError(Code.UNKNOWN_URL, f"The provider {self.name} has no {action}.")


class ChatToGemini:
    """Implements `Translation` for a chat caller."""

    def __init__(self, exchange: Exchange, model: str, body: Mapping[str, Any]) -> None:
        self._model = model
        self._body = body
        self._fold = exchange.dialect.fold
        self._answer = GeminiAnswer(Chunks(exchange, model), body.get("n") or 1)

    def request(self) -> dict[str, Any]:
        return generate_request(self._body, self._model)

    def whole(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        return self._fold([Event(chunk) for chunk in [*self.events(answer), *self._answer.end()]])

    def events(self, event: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        return self._answer.read(event)

    def end(self) -> Iterable[dict[str, Any]]:
        used = self._answer.end()
        return used if counts_asked(self._body) else ()

    def error(self, error: UpstreamError) -> None:
        in_openais_words(error)


class EmbeddingsToGemini:
    """Implements `Translation` for a caller of embeddings; `model` is a resource name."""

    def __init__(self, model: str, body: Mapping[str, Any]) -> None:
        self._model = model
        self._body = body

    def request(self) -> dict[str, Any]:
        return embed_request(self._body, self._model)

    def whole(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        return embed_answer(answer, self._body, self._model.partition("/")[2])

    def events(self, event: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        raise ValueError(OUT_OF_SHAPE)

    def end(self) -> Iterable[dict[str, Any]]:
        raise ValueError(OUT_OF_SHAPE)

    def error(self, error: UpstreamError) -> None:
        in_openais_words(error)


def in_openais_words(error: UpstreamError) -> None:
    """Read what Google's error object says: its status word becomes the `code`.

    A key that is not good is told with a 400 whose words are about the gateway. How long to
    wait stands among the details, not in a header.
    """
    if error.body is None:
        return
    details = _details(error.body)
    if any(detail.get("reason") == "API_KEY_INVALID" for detail in details):
        error.status, error.body = 401, None
        return
    for detail in details:
        delay = _DELAY.fullmatch(str(detail.get("retryDelay")))
        if error.retry_after is None and delay is not None:
            error.retry_after = float(delay[1])
    rest = {name: value for name, value in error.body.items() if name != "status"}
    error.body = {**rest, "code": error.body.get("status") or rest.get("code")}


def _details(error: Mapping[str, Any]) -> list[dict[str, Any]]:
    details = error.get("details")
    listed = details if isinstance(details, list) else []
    return [detail for detail in listed if isinstance(detail, dict)]
