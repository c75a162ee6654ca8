"""What a provider's no means: the error it becomes, and whether to try again.

A call may be tried again only when it certainly produced nothing, since a provider bills what
it produced, delivered or not. That is so when no connection came about, and for the statuses
by which a provider turns a call away at its door: 429, 503 and 529 (Anthropic's "overloaded").
It is not so for 500, 502 and 504, nor for a silence after the request went out: the model may
have worked, and only its answer was lost. The caller's own client repeats those, as a call with
a hold of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any

import httpx
import orjson

from gateway.core.errors import Code, UpstreamError

TURNED_AWAY = frozenset({429, 503, 529})
"""Statuses that say that the model was not asked."""

_WORDS = ("message", "type", "param", "code")
_GOOGLES = ("status", "details")

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def unreachable(name: str, fault: httpx.TransportError) -> UpstreamError:
    """The error for a call that the network failed, before the answer or inside it."""
    retryable = isinstance(fault, _NOT_SENT)
    if isinstance(fault, httpx.TimeoutException):
        code, message = Code.UPSTREAM_TIMEOUT, f"The provider {name} did not answer in time."
    elif retryable or isinstance(fault, httpx.UnsupportedProtocol):
        code, message = Code.UPSTREAM_UNAVAILABLE, f"The provider {name} cannot be reached."
    else:
        code, message = Code.UPSTREAM_ERROR, f"The connection to the provider {name} broke."
    return UpstreamError(code, message, retryable=retryable)


def refused(name: str, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """The error for an answer of HTTP `status`, 400 or more, with `body`.

    A 401 speaks of the gateway's own key, at times with a part of it, so its words stay here.
    """
    said = None if status == 401 else error_object(body)
    return UpstreamError(
        Code.UPSTREAM_ERROR,
        f"The provider {name} refused the call with HTTP status {status}.",
        status=status,
        body=said,
        retry_after=retry_after(headers),
        retryable=status in TURNED_AWAY,
    )


def broke(name: str, answer: dict[str, Any]) -> UpstreamError:
    """The error for an answer that holds an error object where it should go on."""
    return UpstreamError(
        Code.UPSTREAM_ERROR,
        f"The provider {name} reported an error.",
        body=error_object(orjson.dumps(answer)),
    )


def error_object(body: bytes) -> dict[str, Any] | None:
    """OpenAI's error object (`message`, `type`, `param`, `code`) in `body`, if there is one.

    Also read: a list around it (Gemini), a bare string (Ollama), no `error` around it (vLLM).
    Google's `status` and `details` are kept for its own reading. Anything else is left out: it
    may hold what the model said (Groq's `failed_generation`, OpenRouter's `metadata`).
    """
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    match said:
        case {"error": {"message": str()} as error} | [{"error": {"message": str()} as error}]:
            return _known(error)
        case {"error": str() as message}:
            return {"message": message}
        case {"message": str()}:
            return _known(said)
        case _:
            return None


def _known(error: Mapping[str, Any]) -> dict[str, Any]:
    """The members of an error object that are known; a word or a number where one should be."""
    words = [name for name in _WORDS if isinstance(error.get(name), str | int | None)]
    return {name: error[name] for name in (*words, *_GOOGLES) if name in error}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that `retry-after-ms` or `retry-after` (RFC 9110, 10.2.3) asks to wait."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if isfinite(seconds):
            return max(seconds, 0.0)
    try:
        when = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max((when - datetime.now(UTC)).total_seconds(), 0.0)
