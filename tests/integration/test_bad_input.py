"""Whatever comes in: a clear error in OpenAI's shape, never a 500, nothing dispatched."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import pytest

from tests.houses import House

GOOD = {"model": "replay-small", "messages": [{"role": "user", "content": "hello"}]}
JSON = {"content-type": "application/json"}


def body(**more: Any) -> bytes:
    return json.dumps({**GOOD, **more}).encode()


def said(content: Any) -> bytes:
    return body(messages=[{"role": "user", "content": content}])


CASES: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "truncated": (body()[:-4], JSON, 400, "invalid_json"),
    "empty": (b"", JSON, 400, "invalid_json"),
    "not UTF-8": (b'{"model": "\xff"}', JSON, 400, "invalid_json"),
    "an array": (b"[]", JSON, 400, "invalid_request"),
    "null": (b"null", JSON, 400, "invalid_request"),
    "NUL": (b'{"model": "a\\u0000b"}', JSON, 400, "invalid_json"),
    "lone surrogate": (b'{"model": "\\ud83d"}', JSON, 400, "invalid_json"),
    "doubled name": (body()[:-1] + b', "model": "other"}', JSON, 400, "invalid_json"),
    "depth 10,000": (b"[" * 10_000 + b"]" * 10_000, JSON, 400, "invalid_json"),
    "depth 10,000, inside": (
        body()[:-1] + b', "x": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001,
        JSON, 400, "invalid_json",
    ),
    "10 MB": (said("x" * (10 << 20)), JSON, 413, "request_too_large"),
    "a 2 MB string": (said("x " * (1 << 20)), JSON, 413, "request_too_large"),
    "no model": (b'{"messages": []}', JSON, 400, "invalid_request"),
    "no messages": (b'{"model": "m"}', JSON, 400, "invalid_request"),
    "messages of text": (body(messages="hi"), JSON, 400, "invalid_request"),
    "content a number": (said(5), JSON, 400, "invalid_request"),
    "n zero": (body(n=0), JSON, 400, "invalid_request"),
    "stream a string": (body(stream="yes"), JSON, 400, "invalid_request"),
    "max_tokens a string": (body(max_tokens="9"), JSON, 400, "invalid_request"),
    "unknown model": (body(model="\N{SNOWMAN}" * 200), JSON, 404, "model_not_found"),
    "a long model name": (body(model="x" * 300), JSON, 400, "invalid_request"),
    "form": (b"a=b", {"content-type": "application/x-www-form-urlencoded"}, 415,
             "unsupported_media_type"),
    "no content type": (body(), {"content-type": ""}, 415, "unsupported_media_type"),
    "gzip": (gzip.compress(body()), JSON | {"content-encoding": "gzip"}, 415,
             "unsupported_media_type"),
    "br": (b"\x0b", JSON | {"content-encoding": "br"}, 415, "unsupported_media_type"),
}  # fmt: skip


def check_shape(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    error: dict[str, Any] = answer.json()["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["type"]
    assert "param" in error
    return error


@pytest.mark.parametrize("case", CASES)
def test_malformed_bodies(case: str, plain_house: House) -> None:
    content, headers, status, code = CASES[case]
    url = f"{plain_house.base_url}/chat/completions"
    auth = {"authorization": f"Bearer {plain_house.key()}"}
    answer = httpx.post(url, content=content, headers=auth | headers)
    check_shape(answer, status, code)
    # The gateway still serves, on a connection of its own.
    assert httpx.post(url, json=GOOD, headers=auth).status_code == 200


def test_bodies_in_chunks_are_capped_too(plain_house: House) -> None:
    def pieces() -> Any:
        for _ in range(11):
            yield b"x" * (1 << 20)

    headers = JSON | {"authorization": f"Bearer {plain_house.key()}"}
    url = f"{plain_house.base_url}/chat/completions"
    check_shape(httpx.post(url, content=pieces(), headers=headers), 413, "request_too_large")


@pytest.mark.parametrize(
    "credential",
    [None, "Bearer", "Basic eDp5", "Bearer sk-123", "Bearer gg_dev_aaaaaaaa_x_y",
     "Bearer " + "x" * 5_000],
)  # fmt: skip
def test_bad_credentials(credential: str | None, plain_house: House) -> None:
    headers = {} if credential is None else {"authorization": credential}
    url = f"{plain_house.base_url}/chat/completions"
    one = check_shape(httpx.post(url, json=GOOD, headers=headers), 401, "invalid_api_key")
    two = check_shape(httpx.post(url, json=GOOD), 401, "invalid_api_key")
    assert one == two, "one wording for every way a key can be wrong"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/v1/chat/completions", 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("POST", "/v1/realtime", 404, "unknown_url"),
        ("POST", "/v1/fine_tuning/jobs", 404, "unknown_url"),
        ("GET", "/v1", 404, "unknown_url"),
        ("GET", "/nothing", 404, "unknown_url"),
        ("POST", "/livez", 405, "method_not_allowed"),
        ("GET", "/v1/models/none-such", 404, "model_not_found"),
    ],
)
def test_routes_that_are_not(
    method: str, path: str, status: int, code: str, plain_house: House
) -> None:
    root = plain_house.base_url.removesuffix("/v1")
    headers = {"authorization": f"Bearer {plain_house.key()}"}
    check_shape(httpx.request(method, root + path, headers=headers), status, code)


def test_nothing_malformed_was_dispatched(house: House) -> None:
    """The provider sees a good request and none of the bad ones."""
    assert house.upstream is not None
    house.upstream.forget()
    url = f"{house.base_url}/chat/completions"
    auth = {"authorization": f"Bearer {house.key()}"}
    for content, headers, _status, _code in CASES.values():
        httpx.post(url, content=content.replace(b"replay-small", b"gpt-x"), headers=auth | headers)
    assert house.upstream.log()["requests"] == []
    good, headers = said("hello").replace(b"replay-small", b"gpt-x"), JSON
    assert httpx.post(url, content=good, headers=auth | headers).status_code == 200
    assert len(house.upstream.log()["requests"]) == 1
