"""Every route there is: what stands before it, and how what is no route is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from litestar import Litestar

from gateway.adapters.catalogue import StaticCatalogue
from gateway.core.answer import Events
from gateway.core.errors import Code, GatewayError, Unavailable
from gateway.core.exchange import Exchange
from gateway.core.ports import Model
from gateway.core.principal import Principal
from gateway.dialects.chat import Chat
from gateway.server.app import build_app
from gateway.server.callers import Callers
from gateway.server.census import Posture, census
from gateway.server.data_plane import DataPlane
from gateway.server.models import Models
from tests.exchanges import CHAT, answering, chat_request, whole
from tests.fakes.keys import FakeKeys
from tests.unit.server.wire import Wire

KEY = {"authorization": "Bearer k"}


class Messages(Chat):
    """An endpoint whose errors have Anthropic's shape."""

    action = "messages.create"

    def error(self, error: GatewayError, about: dict[str, Any]) -> dict[str, Any]:
        said = {"type": "invalid_request_error", "message": error.message}
        return {"type": "error", "error": said}


OTHER = Messages()


class House:
    """The application over an answer that is always the same."""

    def __init__(self) -> None:
        self.keys = FakeKeys({"k": Principal("acme", "t", "a", "k1")})
        self.governed = 0
        self.exchange: Exchange | None = None
        self.up = False
        self.fault: Exception | None = None
        catalogue = StaticCatalogue([Model("org/m-1", "replay", "m")], [], lambda model: None)
        self.app = build_app(
            data_plane=DataPlane(self._pipeline, body_limit=1_000),
            dialects={"/v1/chat/completions": CHAT, "/v1/messages": OTHER},
            models=Models(Callers(self.keys), catalogue),
            callers=Callers(self.keys),
            probes={"database": self._probe},
            duties=["mask", "cap_tokens"],
            origins=["https://app.example.org"],
            lifespan=self._lifespan,
        )

    async def _pipeline(self, exchange: Exchange) -> Events:
        self.governed += 1
        self.exchange = exchange
        exchange.received = await exchange.read()
        exchange.request = orjson.loads(exchange.received)
        return await answering([whole("x")])(exchange)

    async def _probe(self) -> None:
        if self.fault is not None:
            raise self.fault

    @asynccontextmanager
    async def _lifespan(self, app: Litestar) -> AsyncIterator[None]:
        self.up = True
        yield
        self.up = False

    async def ask(self, method: str, path: str, **more: Any) -> Wire:
        wire = Wire(method=method, path=path, **more)
        await self.app(wire.scope, wire.receive, wire.send)
        return wire


def test_every_route_has_declared_what_stands_before_it() -> None:
    """Law 11: a route that nobody thought about fails the build."""
    postures = {route.path: route.posture for route in census(House().app)}
    assert postures == {
        "/api/v1/coverage": Posture.CONTROL,
        "/api/v1/openapi.json": Posture.CONTROL,
        "/livez": Posture.HEALTH,
        "/readyz": Posture.HEALTH,
        "/v1/chat/completions": Posture.GOVERNED,
        "/v1/messages": Posture.GOVERNED,
        "/v1/models": Posture.CONTROL,
        "/v1/models/{model:path}": Posture.CONTROL,
    }


async def test_a_governed_path_is_an_exchange() -> None:
    house = House()
    wire = await house.ask("POST", "/v1/chat/completions", body=orjson.dumps(chat_request()))
    assert (wire.status, house.governed) == (200, 1)
    assert wire.json["choices"][0]["message"]["content"] == "x"


async def test_a_web_socket_is_not_answered() -> None:
    house = House()
    wire = await house.ask("GET", "/v1/chat/completions", kind="websocket")
    assert house.governed == 0
    assert not any(message["type"] == "websocket.accept" for message in wire.out)


async def test_models_need_a_key() -> None:
    house = House()
    stranger = await house.ask("GET", "/v1/models")
    assert (stranger.status, stranger.json["error"]["code"]) == (401, "invalid_api_key")
    listed = await house.ask("GET", "/v1/models", headers=KEY)
    assert [model["id"] for model in listed.json["data"]] == ["org/m-1"]


async def test_a_models_name_may_hold_a_slash() -> None:
    wire = await House().ask("GET", "/v1/models/org/m-1", headers=KEY)
    assert (wire.status, wire.json["id"]) == (200, "org/m-1")


async def test_errors_of_ports_keep_their_shape() -> None:
    house = House()
    house.keys.failing = Unavailable(Code.AUDIT_UNAVAILABLE, "x")
    wire = await house.ask("GET", "/v1/models", headers=KEY)
    assert (wire.status, wire.json["error"]["code"]) == (503, "audit_unavailable")
    assert wire.headers["retry-after"] == "1"
    assert wire.headers["x-request-id"] == wire.headers["request-id"]


async def test_a_bug_is_told_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    house = House()
    house.keys.principals = None  # type: ignore[assignment]
    wire = await house.ask("GET", "/v1/models", headers=KEY)
    assert (wire.status, wire.json["error"]["code"]) == (500, "internal_error")
    assert "NoneType" not in wire.body.decode() + caplog.text
    assert "AttributeError" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v1/embeddings", 404, "unknown_url"),
        ("GET", "/", 404, "unknown_url"),
        ("POST", "/v1/chat/completions/x", 404, "unknown_url"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("DELETE", "/v1/models/m", 405, "method_not_allowed"),
        ("GET", "/schema", 404, "unknown_url"),
    ],
)
async def test_what_is_no_route_is_refused_in_openais_shape(
    method: str, path: str, status: int, code: str
) -> None:
    house = House()
    wire = await house.ask(method, path, headers=KEY)
    assert (wire.status, wire.json["error"]["code"], house.governed) == (status, code, 0)
    assert set(wire.json["error"]) == {"message", "type", "param", "code"}
    assert ("GET" in wire.headers.get("allow", "")) is (status == 405)


class TestHealth:
    async def test_the_process_answers(self) -> None:
        wire = await House().ask("GET", "/livez")
        assert (wire.status, wire.body) == (200, b"ok\n")

    async def test_it_is_ready_when_every_part_is(self) -> None:
        house = House()
        wire = await house.ask("GET", "/readyz")
        assert (wire.status, wire.json) == (200, {"database": "ok"})
        house.fault = RuntimeError("password=canary")
        wire = await house.ask("GET", "/readyz")
        assert (wire.status, wire.json) == (503, {"database": "unavailable (RuntimeError)"})
        assert (await house.ask("GET", "/livez")).status == 200


async def test_what_runs_is_started_and_stopped_with_the_application() -> None:
    house = House()
    async with house.app.lifespan():
        assert house.up
    assert not house.up
