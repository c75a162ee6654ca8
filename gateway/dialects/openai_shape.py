"""What OpenAI's endpoints share on the wire: error objects and server-sent events."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.core.answer import Event
from gateway.core.errors import Code, GatewayError, UpstreamError

_TYPES = {
    Code.INSUFFICIENT_QUOTA: "insufficient_quota",
    Code.RATE_LIMIT_EXCEEDED: "rate_limit_error",
    Code.INSUFFICIENT_SCOPE: "permission_error",
    Code.MODEL_NOT_ALLOWED: "permission_error",
    Code.IDENTITY_UNAVAILABLE: "server_error",
    Code.POLICY_UNAVAILABLE: "server_error",
    Code.POLICY_ERROR: "server_error",
    Code.REVIEWS_UNAVAILABLE: "server_error",
    Code.AUDIT_UNAVAILABLE: "server_error",
    Code.AUDIT_STORAGE_FULL: "server_error",
    Code.INSPECTION_UNAVAILABLE: "server_error",
    Code.OVERLOADED: "server_error",
    Code.UPSTREAM_ERROR: "upstream_error",
    Code.UPSTREAM_TIMEOUT: "upstream_error",
    Code.UPSTREAM_UNAVAILABLE: "upstream_error",
    Code.INTERNAL_ERROR: "server_error",
}

_TOLD = ("message", "type", "param", "code")
"""What is passed on of a provider's error. Other members may hold what the model said."""

DONE = b"data: [DONE]\n\n"


def error_body(error: GatewayError, about: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's error object; `about` becomes its `governance` member unless it is empty.

    A provider's own error is passed on with these four members, and no other.
    """
    body: dict[str, Any] = {
        "message": error.message,
        "type": _TYPES.get(error.code, "invalid_request_error"),
        "param": error.param,
        "code": str(error.code),
    }
    if isinstance(error, UpstreamError) and error.body is not None:
        body |= {name: error.body[name] for name in _TOLD if name in error.body}
        code = body["code"]
        body["code"] = code if code is None or isinstance(code, str) else str(code)
    if about:
        body["governance"] = about
    return {"error": body}


def frame(event: Event) -> bytes:
    """One event as a server-sent event."""
    return b"data: %b\n\n" % event.encode()


def frame_error(body: dict[str, Any], *, finished: bool) -> bytes:
    """An error inside a stream; `finished` when the gateway itself ended the answer."""
    return b"data: %b\n\n" % orjson.dumps(body) + (DONE if finished else b"")
