"""What Anthropic's endpoints share on the wire: named events, and errors in its own shape."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.core.answer import Event
from gateway.core.errors import Code, Denied, Filtered, UpstreamError
from gateway.dialects.messages import Messages
from tests.unit.dialects.test_messages_answer import message

MESSAGES = Messages()


def test_events_are_framed_by_name() -> None:
    raw = b'{"type": "ping" }'
    assert (
        MESSAGES.frame(Event({"type": "ping"}, raw=raw)) == b"event: ping\ndata: " + raw + b"\n\n"
    )
    assert MESSAGES.end() == b""


ABOUT = {"decision_id": "dec_1", "exchange_id": "exc_1"}


def test_errors_have_anthropics_shape() -> None:
    error = Denied(Code.CONTENT_FILTER, "no", param="messages")
    body = MESSAGES.error(error, ABOUT)
    assert body == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "no",
            "code": "content_filter",
            "param": "messages",
            "governance": ABOUT,
        },
        "request_id": "exc_1",
    }
    kind, _, said = MESSAGES.frame_error(body, finished=True).partition(b"\n")
    assert kind == b"event: error"
    assert orjson.loads(said.removeprefix(b"data: ")) == body
    assert MESSAGES.broken(body)
    assert not MESSAGES.broken(message())


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (Code.INVALID_API_KEY, "authentication_error"),
        (Code.INSUFFICIENT_SCOPE, "permission_error"),
        (Code.MODEL_NOT_ALLOWED, "permission_error"),
        (Code.MODEL_NOT_FOUND, "not_found_error"),
        (Code.REQUEST_TOO_LARGE, "request_too_large"),
        (Code.RATE_LIMIT_EXCEEDED, "rate_limit_error"),
        (Code.INSUFFICIENT_QUOTA, "billing_error"),
        (Code.INVALID_REQUEST, "invalid_request_error"),
        (Code.OVERLOADED, "overloaded_error"),
        (Code.POLICY_UNAVAILABLE, "api_error"),
        (Code.UPSTREAM_TIMEOUT, "timeout_error"),
        (Code.INTERNAL_ERROR, "api_error"),
    ],
)
def test_codes_have_anthropics_types(code: Code, kind: str) -> None:
    body = MESSAGES.error(Filtered(code, "no"), {})
    assert body == {"type": "error", "error": {"type": kind, "message": "no", "code": str(code)}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"type": "invalid_request_error", "message": "y"}, "invalid_request_error"),
        (None, {"type": "overloaded_error", "message": "y"}, "overloaded_error"),
        (429, {"type": "tokens", "message": "y", "param": None}, "rate_limit_error"),
        (529, {"message": "y"}, "overloaded_error"),
        (500, {"type": ["odd"], "message": "y"}, "api_error"),
        (None, {"message": "y"}, "api_error"),
        (400, {"message": "y", "failed_generation": "said", "details": ["said"]},
         "invalid_request_error"),
    ],
)  # fmt: skip
def test_the_words_of_a_providers_own_error_are_passed_on(
    status: Any, body: Any, kind: str
) -> None:
    theirs = UpstreamError(Code.UPSTREAM_ERROR, "x", status=status, body=body)
    told = MESSAGES.error(theirs, {})["error"]
    assert told == {"type": kind, "message": "y", "code": "upstream_error"}
