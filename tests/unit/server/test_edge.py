"""What stands before the router, over the whole application."""

from __future__ import annotations

import orjson
import pytest

from tests.exchanges import chat_request
from tests.unit.server.test_app import KEY, House
from tests.unit.server.wire import Wire

APP = "https://app.example.org"
ASKS = {"origin": APP, "access-control-request-method": "POST"}


@pytest.mark.parametrize(
    "path",
    ["/v1/chat/completions", "/chat/completions", "/v1/v1/chat/completions",
     "/v1/chat/completions/", "/v1//chat/completions", "/openai/v1/chat/completions"],
)  # fmt: skip
async def test_c13_every_base_url_is_governed(path: str) -> None:
    house = House()
    wire = await house.ask("POST", path, body=orjson.dumps(chat_request()))
    assert (wire.status, house.governed) == (200, 1)


async def test_c33_a_deployment_is_the_model() -> None:
    house = House()
    wire = await house.ask(
        "POST",
        "/openai/deployments/gpt-4o/chat/completions",
        headers={"api-key": "k"},
        body=orjson.dumps(chat_request()),
    )
    assert (wire.status, house.governed) == (200, 1)
    assert house.exchange is not None
    assert (house.exchange.call.model, house.exchange.call.credential) == ("gpt-4o", "k")


@pytest.mark.parametrize("path", ["/openai/deployments/gpt-4o/messages", "/openai/deployments/a"])
async def test_c33_other_deployments_are_unknown(path: str) -> None:
    house = House()
    wire = await house.ask("POST", path)
    assert (wire.status, wire.json["error"]["code"], house.governed) == (404, "unknown_url", 0)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/livez", 200), ("/v1/models", 200), ("/v1/models/org/m-1", 200), ("/nowhere", 404),
     ("/v1/chat/completions", 405), ("/", 404)],
)  # fmt: skip
async def test_c13_head_is_a_get_without_its_body(path: str, status: int) -> None:
    got = await House().ask("GET", path, headers=KEY)
    head = await House().ask("HEAD", path, headers=KEY)
    assert (got.status, head.status, head.body) == (status, status, b"")
    assert head.headers["content-length"] == got.headers["content-length"] != "0"
    assert head.over


async def test_c13_the_server_still_knows_that_it_was_a_head() -> None:
    """uvicorn holds a GET to its content-length."""
    wire = await House().ask("HEAD", "/livez")
    assert wire.scope["method"] == "HEAD"


@pytest.mark.parametrize(
    ("path", "allow"), [("/v1/chat/completions", "POST"), ("/v1/models", "GET"), ("/livez", "GET")]
)
async def test_c13_options_are_answered(path: str, allow: str) -> None:
    wire = await House().ask("OPTIONS", path)
    assert (wire.status, wire.body) == (204, b"")
    assert allow in wire.headers["allow"]


async def test_c30_a_preflight_is_answered_for_a_governed_path() -> None:
    house = House()
    asks = {**ASKS, "access-control-request-headers": "authorization, x-stainless-lang"}
    wire = await house.ask("OPTIONS", "/v1/chat/completions", headers=asks)
    assert (wire.status, house.governed) == (204, 0)
    assert wire.headers["access-control-allow-origin"] == APP
    assert wire.headers["access-control-allow-headers"] == "authorization, x-stainless-lang"
    assert "origin" in wire.headers["vary"]
    assert wire.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_c30_a_strangers_preflight_allows_nothing(origin: str) -> None:
    wire = await House().ask("OPTIONS", "/v1/models", headers={**ASKS, "origin": origin})
    assert not [name for name in wire.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("stream", [False, True])
async def test_c30_an_answer_may_be_read_by_a_listed_page(stream: bool) -> None:
    body = orjson.dumps(chat_request(stream=stream))
    path = "/v1/chat/completions"
    wire = await House().ask("POST", path, headers={"origin": APP}, body=body)
    assert wire.headers["access-control-allow-origin"] == APP
    exposed = wire.headers["access-control-expose-headers"].split(", ")
    assert {"x-request-id", "request-id"} <= set(exposed)
    assert "content-type" not in exposed
    assert wire.headers["vary"] == "origin"
    other = await House().ask("POST", path, headers={"origin": "https://x.example"}, body=body)
    assert "access-control-allow-origin" not in other.headers
    assert other.headers["vary"] == "origin"


async def test_c30_a_refusal_may_be_read_too() -> None:
    wire = await House().ask("GET", "/v1/models", headers={"origin": APP})
    assert (wire.status, wire.headers["access-control-allow-origin"]) == (401, APP)
    wire = await House().ask("GET", "/nowhere", headers={"origin": APP})
    assert (wire.status, wire.headers["access-control-allow-origin"]) == (404, APP)


async def test_c30_the_control_plane_says_nothing_to_a_page() -> None:
    wire = await House().ask("OPTIONS", "/api/v1/coverage", headers=ASKS)
    assert not [name for name in wire.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/livez"), ("GET", "/readyz"), ("GET", "/v1/models"), ("GET", "/nowhere"),
     ("POST", "/v1/models"), ("POST", "/v1/chat/completions"), ("GET", "/api/v1/coverage"),
     ("OPTIONS", "/v1/chat/completions")],
)  # fmt: skip
async def test_c22_every_answer_has_a_request_id(method: str, path: str) -> None:
    wire: Wire = await House().ask(method, path)
    assert wire.headers["x-request-id"] == wire.headers["request-id"] != ""
