"""C14, C15: a refusal has the shape that the path's callers read, whatever refused it."""

from __future__ import annotations

import pytest

from gateway.core.errors import Code, Denied, GatewayError
from gateway.server.shapes import PROBLEM, Shapes
from tests.exchanges import CHAT
from tests.unit.server.test_app import KEY, OTHER, House

SHAPES = Shapes({"/v1/chat/completions": CHAT, "/v1/messages": OTHER})
NO = Denied(Code.UNKNOWN_URL, "no")


@pytest.mark.parametrize("code", Code)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/nowhere", "/v1/messagesx", "/"])
def test_c14_openais_shape_is_the_usual_one(path: str, code: Code) -> None:
    media, body = SHAPES.error(path, {}, GatewayError(code, "words"), "req_1")
    assert media == "application/json"
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["code"] == code
    assert type(body["error"]["code"]) is str


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/batches", "/v1/messages/x/y"])
def test_c15_below_messages_it_is_anthropics(path: str) -> None:
    _, body = SHAPES.error(path, {}, NO, "req_1")
    assert (body["type"], body["request_id"]) == ("error", "req_1")
    assert set(body["error"]) == {"type", "message"}


@pytest.mark.parametrize(
    ("path", "headers", "anthropic"),
    [
        ("/v1/models", {"anthropic-version": "2023-06-01"}, True),
        ("/v1/models/m", {"anthropic-version": "2023-06-01"}, True),
        ("/v1/models", {}, False),
        ("/v1/files", {"anthropic-version": "2023-06-01"}, False),
    ],
)
def test_c12_of_models_it_is_the_callers_vendors(
    path: str, headers: dict[str, str], anthropic: bool
) -> None:
    _, body = SHAPES.error(path, headers, NO, "req_1")
    assert (body.get("type") == "error") is anthropic


@pytest.mark.parametrize("code", Code)
def test_of_the_control_plane_it_is_problem_details(code: Code) -> None:
    media, body = SHAPES.error("/api/v1/x", {}, GatewayError(code, "words"), "req_1")
    assert media == PROBLEM
    assert body["title"]
    assert isinstance(body.pop("title"), str)
    assert 400 <= body.pop("status") < 600
    assert body == {
        "type": "about:blank", "detail": "words", "instance": "/api/v1/x", "code": str(code),
        "request_id": "req_1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/messages", 405), ("POST", "/v1/messages/batches", 404),
     ("POST", "/messages/batches", 404)],
)  # fmt: skip
async def test_c15_what_is_no_route_is_refused_in_the_shape(
    method: str, path: str, status: int
) -> None:
    wire = await House().ask(method, path, headers=KEY)
    assert (wire.status, wire.json["type"]) == (status, "error")
    assert wire.json["request_id"] == wire.headers["request-id"]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [({"content-encoding": "gzip"}, 415, "unsupported_media_type"),
     ({"content-type": "text/plain"}, 415, "unsupported_media_type"),
     ({}, 413, "request_too_large")],
)  # fmt: skip
async def test_c14_a_body_that_is_not_read_is_refused_in_the_shape(
    headers: dict[str, str], status: int, code: str
) -> None:
    wire = await House().ask("POST", "/v1/chat/completions", headers=headers, body=b"x" * 2_000)
    assert (wire.status, wire.json["error"]["code"]) == (status, code)
    wire = await House().ask("POST", "/v1/messages", headers=headers, body=b"x" * 2_000)
    assert (wire.status, wire.json["type"]) == (status, "error")
    assert wire.json["request_id"] == wire.headers["request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/api/v1/nowhere", 404), ("POST", "/api/v1/coverage", 405),
     ("GET", "/api/v1/coverage", 401)],
)  # fmt: skip
async def test_the_control_plane_refuses_with_problem_details(
    method: str, path: str, status: int
) -> None:
    wire = await House().ask(method, path)
    assert (wire.status, wire.json["status"]) == (status, status)
    assert wire.headers["content-type"] == PROBLEM
