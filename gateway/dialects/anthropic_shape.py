"""What Anthropic's endpoints share on the wire: error objects and named server-sent events.

Source: Anthropic's API reference, "Errors" and "Streaming Messages".
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.core.answer import Event
from gateway.core.errors import Code, GatewayError, UpstreamError

_TYPES = {
    Code.INVALID_API_KEY: "authentication_error",
    Code.INSUFFICIENT_SCOPE: "permission_error",
    Code.MODEL_NOT_ALLOWED: "permission_error",
    Code.STOPPED: "permission_error",
    Code.RATE_LIMIT_EXCEEDED: "rate_limit_error",
    Code.INSUFFICIENT_QUOTA: "billing_error",
    Code.MODEL_NOT_FOUND: "not_found_error",
    Code.UNKNOWN_URL: "not_found_error",
    Code.REQUEST_TOO_LARGE: "request_too_large",
    Code.IDEMPOTENCY_KEY_IN_USE: "conflict_error",
    Code.IDENTITY_UNAVAILABLE: "api_error",
    Code.POLICY_UNAVAILABLE: "api_error",
    Code.POLICY_ERROR: "api_error",
    Code.REVIEWS_UNAVAILABLE: "api_error",
    Code.AUDIT_UNAVAILABLE: "api_error",
    Code.AUDIT_STORAGE_FULL: "api_error",
    Code.INSPECTION_UNAVAILABLE: "api_error",
    Code.OVERLOADED: "overloaded_error",
    Code.UPSTREAM_ERROR: "api_error",
    Code.UPSTREAM_TIMEOUT: "timeout_error",
    Code.UPSTREAM_UNAVAILABLE: "api_error",
    Code.INTERNAL_ERROR: "api_error",
}

_STATUS_TYPES = {
    400: "invalid_request_error",
    402: "billing_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""What a provider's status means, where its error names no type of this API."""

_TOLD = ("type", "message", "code", "param")
"""What is passed on of a provider's error. Other members may hold what the model said."""

_KNOWN_TYPES = frozenset({*_TYPES.values(), *_STATUS_TYPES.values()})


def error_body(error: GatewayError, about: dict[str, Any]) -> dict[str, Any]:
    """Anthropic's error object; `about` becomes its `governance` member unless it is empty.

    `code` and `param` are ours: the types say less. A provider's own error is passed on with
    these four members, and no other. `request_id` is the exchange's id, where `about` names it.
    """
    said: dict[str, Any] = {
        "type": _TYPES.get(error.code, "invalid_request_error"),
        "message": error.message,
        "code": str(error.code),
    }
    if error.param is not None:
        said["param"] = error.param
    if isinstance(error, UpstreamError):
        said |= _theirs(error, said["type"])
    if about:
        said["governance"] = about
    body: dict[str, Any] = {"type": "error", "error": said}
    if "exchange_id" in about:
        body["request_id"] = about["exchange_id"]
    return body


def _theirs(error: UpstreamError, otherwise: str) -> dict[str, Any]:
    """The members of a provider's own error, its type in the words of this API."""
    body = error.body or {}
    theirs = {name: str(body[name]) for name in _TOLD if body.get(name) is not None}
    if theirs.get("type") not in _KNOWN_TYPES:
        theirs["type"] = _STATUS_TYPES.get(error.status or 0, otherwise)
    return theirs


def frame(event: Event) -> bytes:
    """One event as a server-sent event, named by its type."""
    return b"event: %b\ndata: %b\n\n" % (event.data["type"].encode(), event.encode())


def frame_error(body: dict[str, Any]) -> bytes:
    """An error inside a stream, which it ends."""
    return b"event: error\ndata: %b\n\n" % orjson.dumps(body)
