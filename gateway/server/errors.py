"""What each code means over HTTP."""

from __future__ import annotations

import math
from typing import Any

from gateway.core.errors import Code, Filtered, GatewayError, UpstreamError
from gateway.core.exchange import Exchange

STATUS: dict[Code, int] = {
    Code.INVALID_API_KEY: 401,
    Code.INSUFFICIENT_SCOPE: 403,
    Code.INSUFFICIENT_ROLE: 403,
    Code.IDENTITY_UNAVAILABLE: 503,
    Code.IDEMPOTENCY_KEY_IN_USE: 409,
    Code.IDEMPOTENCY_KEY_REUSED: 400,
    Code.RATE_LIMIT_EXCEEDED: 429,
    Code.INSUFFICIENT_QUOTA: 429,
    Code.MODEL_NOT_ALLOWED: 403,
    Code.MODEL_NOT_FOUND: 404,
    Code.MODEL_NOT_PRICED: 400,
    Code.CONTENT_FILTER: 400,
    Code.STOPPED: 403,
    Code.INVALID_JSON: 400,
    Code.INVALID_REQUEST: 400,
    Code.REQUEST_TOO_LARGE: 413,
    Code.UNSUPPORTED_MEDIA_TYPE: 415,
    Code.UNKNOWN_URL: 404,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.CONFLICT: 409,
    Code.OWNED_ELSEWHERE: 409,
    Code.STEP_REFUSED: 409,
    Code.PRECONDITION_FAILED: 412,
    Code.PRECONDITION_REQUIRED: 428,
    Code.UNUSABLE_PACK: 422,
    Code.POLICY_UNAVAILABLE: 503,
    Code.POLICY_ERROR: 503,
    Code.REVIEWS_UNAVAILABLE: 503,
    Code.AUDIT_UNAVAILABLE: 503,
    Code.AUDIT_STORAGE_FULL: 503,
    Code.INSPECTION_UNAVAILABLE: 503,
    Code.OVERLOADED: 503,
    Code.UPSTREAM_ERROR: 502,
    Code.UPSTREAM_TIMEOUT: 504,
    Code.UPSTREAM_UNAVAILABLE: 502,
    Code.INTERNAL_ERROR: 500,
}

_NEVER_RETRY = frozenset(
    {
        Code.INSUFFICIENT_QUOTA,
        Code.STOPPED,
        Code.CONFLICT,
        Code.OWNED_ELSEWHERE,
        Code.STEP_REFUSED,
        Code.POLICY_ERROR,
        Code.REVIEWS_UNAVAILABLE,
        Code.INTERNAL_ERROR,
    }
)
"""Repeating these changes nothing, though clients would repeat their status."""

_PASSED_ON = frozenset({400, 404, 408, 409, 413, 415, 422, 429, 500, 502, 503, 504, 529})
"""Statuses of a provider that mean the same to our caller; 401 and 403 speak of our own key."""

INTERNAL = GatewayError(Code.INTERNAL_ERROR, "The gateway failed to handle this request.")


def status_of(error: GatewayError) -> int:
    """The HTTP status to answer with."""
    if isinstance(error, UpstreamError) and error.status in _PASSED_ON:
        return error.status
    return STATUS[error.code]


def headers_of(error: GatewayError) -> dict[str, str]:
    """The headers that tell a client whether, and when, to try again."""
    headers: dict[str, str] = {}
    if error.code is Code.METHOD_NOT_ALLOWED:
        headers["allow"] = "POST"  # a governed endpoint; the router knows of others
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
        headers["retry-after-ms"] = str(max(1, math.ceil(error.retry_after * 1_000)))
    elif STATUS[error.code] == 503 and error.code not in _NEVER_RETRY:
        headers["retry-after"] = "1"
    if error.code in _NEVER_RETRY:
        headers["x-should-retry"] = "false"
    return headers


def with_request_id(body: dict[str, Any], request_id: str) -> dict[str, Any]:
    """`body`, which in Anthropic's shape (`"type": "error"`) also holds the id of the request."""
    if body.get("type") == "error":
        body.setdefault("request_id", request_id)
    return body


def about(exchange: Exchange, error: GatewayError) -> dict[str, Any]:
    """The `governance` member of an error: what to quote to a compliance officer.

    Empty for errors that no decision led to. `action` is the decision's effect, or `filter`
    where the request was allowed and its answer was not.
    """
    if not exchange.knows("decision") or isinstance(error, UpstreamError):
        return {}
    return {
        "decision_id": exchange.decision.id,
        "exchange_id": exchange.id,
        "action": "filter" if isinstance(error, Filtered) else str(exchange.decision.effect),
        "rules": list(error.rules),
        "stage": "answer" if exchange.heard else "request",
    }
