"""What OpenAI's endpoints share on the wire: error objects and server-sent events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.core.answer import Event
from gateway.core.errors import Code, GatewayError, Malformed, UpstreamError
from gateway.core.passages import Slot

_TYPES = {
    Code.INSUFFICIENT_QUOTA: "insufficient_quota",
    Code.RATE_LIMIT_EXCEEDED: "rate_limit_error",
    Code.INSUFFICIENT_SCOPE: "permission_error",
    Code.MODEL_NOT_ALLOWED: "permission_error",
    Code.STOPPED: "permission_error",
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
_MAYBE_NULL = ("param", "code")

_USERS = ("user", "safety_identifier")
"""Members that name whom a request is for; the second takes the place of the first."""

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
        body |= _theirs(error.body)
    if about:
        body["governance"] = about
    return {"error": body}


def _theirs(said: Mapping[str, Any]) -> dict[str, Any]:
    """What a provider's error says, each member as clients read it: a word, or null where the
    API lets it be."""
    told = {name: said[name] for name in _TOLD if name in said}
    return {
        name: value if value is None else str(value)
        for name, value in told.items()
        if value is not None or name in _MAYBE_NULL
    }


def users(request: dict[str, Any]) -> list[Slot]:
    """Where a request names whom it is for. Raises `Malformed` for what is no text.

    At every endpoint: a provider may read them where the API reference does not list them.
    """
    return [user(request, name, name) for name in _USERS if request.get(name) is not None]


def user(holder: dict[str, Any], name: str, param: str) -> Slot:
    """The slot of a member that names a user. Raises `Malformed` unless it is a string."""
    if not isinstance(holder[name], str):
        raise Malformed(f"'{param}' must be a string.", param=param)
    return Slot(holder, name, f"/{param.replace('.', '/')}", "user")


def frame(event: Event) -> bytes:
    """One event as a server-sent event."""
    return b"data: %b\n\n" % event.encode()


def frame_error(body: dict[str, Any], *, finished: bool) -> bytes:
    """An error inside a stream; `finished` when the gateway itself ended the answer."""
    return b"data: %b\n\n" % orjson.dumps(body) + (DONE if finished else b"")
