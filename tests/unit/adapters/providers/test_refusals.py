from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import orjson
import pytest

from gateway.adapters.providers.refusals import error_object, refused, retry_after, unreachable
from gateway.core.errors import Code


@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        (httpx.ConnectError, Code.UPSTREAM_UNAVAILABLE, True),
        (httpx.ProxyError, Code.UPSTREAM_UNAVAILABLE, True),
        (httpx.ConnectTimeout, Code.UPSTREAM_TIMEOUT, True),
        (httpx.PoolTimeout, Code.UPSTREAM_TIMEOUT, True),
        (httpx.ReadTimeout, Code.UPSTREAM_TIMEOUT, False),
        (httpx.ReadError, Code.UPSTREAM_ERROR, False),
        (httpx.WriteError, Code.UPSTREAM_ERROR, False),
        (httpx.RemoteProtocolError, Code.UPSTREAM_ERROR, False),
        (httpx.UnsupportedProtocol, Code.UPSTREAM_UNAVAILABLE, False),
    ],
)
def test_only_what_was_not_sent_may_be_tried_again(
    fault: type[httpx.TransportError], code: Code, retryable: bool
) -> None:
    error = unreachable("up", fault("to 10.0.0.7:443"))
    assert (error.code, error.retryable, error.status) == (code, retryable, None)
    assert "10.0.0.7" not in error.message


@pytest.mark.parametrize(
    "status", [400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504, 529]
)
def test_only_a_call_turned_away_may_be_tried_again(status: int) -> None:
    error = refused("up", status, {}, b"")
    assert (error.code, error.status) == (Code.UPSTREAM_ERROR, status)
    assert error.retryable == (status in (429, 503, 529))


ERROR = {"message": "m", "type": "t", "param": None, "code": "c"}
MORE = {"failed_generation": "said", "metadata": {"raw": "said"}, "more": 1}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": ERROR | MORE}, ERROR),
        ([{"error": ERROR | MORE}], ERROR),
        (ERROR | MORE, ERROR),
        ({"error": {"message": "m", "code": {"said": 1}, "type": ["said"], "param": {}}},
         {"message": "m"}),
        ({"error": {"message": "m", "status": "S", "details": [{}]}},
         {"message": "m", "status": "S", "details": [{}]}),
        ({"error": "m"}, {"message": "m"}),
        ({"object": "error", "message": "m", "code": 7}, {"message": "m", "code": 7}),
        ({"error": {"type": "no message"}}, None),
        ({"error": {"message": None}}, None),
        ({"detail": "m"}, None),
        ([], None),
        ("m", None),
    ],
)  # fmt: skip
def test_nothing_but_words_that_are_known_is_kept_of_an_error(body: object, said: object) -> None:
    assert error_object(orjson.dumps(body)) == said


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b'{"error":'])
def test_what_is_no_json_has_no_error_object(body: bytes) -> None:
    assert error_object(body) is None


def test_words_about_our_own_key_are_not_passed_on() -> None:
    said = orjson.dumps({"error": {"message": "Incorrect API key provided: sk-...abcd"}})
    error = refused("up", 401, {}, said)
    assert error.body is None
    assert "abcd" not in error.message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 -0000"}, 0.0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_a_date_to_come() -> None:
    when = datetime.now(UTC) + timedelta(hours=1)
    seconds = retry_after({"retry-after": format_datetime(when, usegmt=True)})
    assert seconds is not None
    assert 3000 < seconds <= 3600
