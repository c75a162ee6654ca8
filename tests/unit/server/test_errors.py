"""What each code means over HTTP, and what a client is told to do about it."""

from __future__ import annotations

import pytest

from gateway.core.errors import Code, Denied, Filtered, GatewayError, Unavailable, UpstreamError
from gateway.server.errors import INTERNAL, STATUS, about, headers_of, status_of
from tests.exchanges import allowing, chat_request, decided, exchange_of

CLIENTS_REPEAT = {408, 409, 429, 500, 502, 503, 504}
"""What the official SDKs repeat by themselves, unless `x-should-retry` says no."""


@pytest.mark.parametrize("code", Code)
def test_every_code_has_a_status(code: Code) -> None:
    status = status_of(GatewayError(code, "x"))
    assert status == STATUS[code]
    assert 400 <= status < 600
    told = headers_of(GatewayError(code, "x")).get("x-should-retry")
    repeated = status in (408, 409) and told != "false"  # which clients repeat
    assert repeated is (code is Code.IDEMPOTENCY_KEY_IN_USE)


POLICY = (
    Code.CONTENT_FILTER,
    Code.MODEL_NOT_ALLOWED,
    Code.INSUFFICIENT_SCOPE,
    Code.INVALID_REQUEST,
)


@pytest.mark.parametrize("code", POLICY)
def test_what_a_rule_refuses_is_not_repeated(code: Code) -> None:
    assert status_of(Denied(code, "x")) not in CLIENTS_REPEAT
    assert headers_of(Denied(code, "x")) == {}


@pytest.mark.parametrize(
    "code",
    [Code.INSUFFICIENT_QUOTA, Code.POLICY_ERROR, Code.REVIEWS_UNAVAILABLE, Code.INTERNAL_ERROR],
)
def test_where_a_repeat_changes_nothing_clients_are_told(code: Code) -> None:
    assert status_of(GatewayError(code, "x")) in CLIENTS_REPEAT
    assert headers_of(GatewayError(code, "x")) == {"x-should-retry": "false"}


@pytest.mark.parametrize(
    "code",
    [Code.POLICY_UNAVAILABLE, Code.AUDIT_UNAVAILABLE, Code.AUDIT_STORAGE_FULL,
     Code.INSPECTION_UNAVAILABLE, Code.OVERLOADED, Code.IDENTITY_UNAVAILABLE],
)  # fmt: skip
def test_a_part_that_is_gone_may_be_back_soon(code: Code) -> None:
    assert headers_of(Unavailable(code, "x")) == {"retry-after": "1"}


@pytest.mark.parametrize(
    ("seconds", "header", "exactly"),
    [(0.0, "1", "1"), (0.2, "1", "200"), (1.0, "1", "1000"), (29.0105, "30", "29011")],
)
def test_c18_a_wait_is_told_never_too_short(seconds: float, header: str, exactly: str) -> None:
    error = Denied(Code.RATE_LIMIT_EXCEEDED, "x", retry_after=seconds)
    assert status_of(error) == 429
    assert headers_of(error) == {"retry-after": header, "retry-after-ms": exactly}


def test_a_wrong_method_names_the_right_one() -> None:
    assert headers_of(Denied(Code.METHOD_NOT_ALLOWED, "x")) == {"allow": "POST"}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [(400, 400), (404, 404), (413, 413), (415, 415), (422, 422), (429, 429), (500, 500),
     (502, 502), (503, 503), (504, 504), (401, 502), (403, 502), (402, 502), (418, 502),
     (301, 502), (200, 502), (None, 502)],
)  # fmt: skip
def test_a_providers_status_is_passed_on_unless_it_speaks_of_us(
    theirs: int | None, ours: int
) -> None:
    """401 and 403 are about the gateway's own key; a caller would take them for its own."""
    assert status_of(UpstreamError(Code.UPSTREAM_ERROR, "x", status=theirs)) == ours


def test_a_provider_that_was_too_slow_is_a_timeout() -> None:
    assert status_of(UpstreamError(Code.UPSTREAM_TIMEOUT, "x")) == 504


def test_a_providers_wait_is_passed_on() -> None:
    error = UpstreamError(Code.UPSTREAM_ERROR, "x", status=429, retry_after=7)
    assert headers_of(error) == {"retry-after": "7", "retry-after-ms": "7000"}


def test_our_own_faults_say_nothing_of_their_cause() -> None:
    assert INTERNAL.code is Code.INTERNAL_ERROR
    assert status_of(INTERNAL) == 500


class TestGovernance:
    def test_a_refusal_says_what_to_quote(self) -> None:
        exchange = decided(chat_request(), allowing(effect="deny"))
        assert about(exchange, Denied(Code.CONTENT_FILTER, "x", rules=["a", "b"])) == {
            "decision_id": "dec_1",
            "exchange_id": exchange.id,
            "action": "deny",
            "rules": ["a", "b"],
            "stage": "request",
        }

    def test_an_answer_that_was_stopped_was_filtered(self) -> None:
        exchange = decided(chat_request())
        exchange.heard.append(b"{}")
        told = about(exchange, Filtered(Code.CONTENT_FILTER, "x"))
        assert (told["action"], told["stage"]) == ("filter", "answer")

    def test_nothing_where_no_decision_led_to_it(self) -> None:
        error = Denied(Code.INVALID_API_KEY, "x")
        assert about(exchange_of(chat_request()), error) == {}
        assert about(decided(chat_request()), UpstreamError(Code.UPSTREAM_ERROR, "x")) == {}
