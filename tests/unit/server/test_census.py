"""Law 11: what stands between a route and a model is declared, or the route is not served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar, WebSocket, asgi, get, websocket
from litestar.types import Receive, Scope, Send

from gateway.adapters.store.migrate import migrate
from gateway.server.census import Posture, UndeclaredRoute, census
from gateway.settings import Settings
from gateway.wiring import DIALECTS, build


@get("/a")
async def silent() -> None: ...


@get("/a", opt={"posture": "control"})
async def in_a_word_of_its_own() -> None: ...


@asgi("/a", opt={"posture": Posture.GOVERNED}, copy_scope=False)
async def governed_by_nothing(scope: Scope, receive: Receive, send: Send) -> None: ...


@websocket("/a", opt={"posture": Posture.CONTROL})
async def talk(socket: WebSocket[Any, Any, Any]) -> None: ...


@pytest.mark.parametrize(
    "handler",
    [silent, in_a_word_of_its_own, governed_by_nothing, talk],
    ids=["silent", "in a word of its own", "governed by nothing", "a web socket"],
)
def test_a_route_that_nobody_thought_about_is_found(handler: Any) -> None:
    with pytest.raises(UndeclaredRoute, match="/a"):
        census(Litestar([handler], openapi_config=None))


def test_law_11_every_route_of_the_real_gateway_is_declared(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    migrate(settings.database_url)
    routes = census(build(settings).app)
    governed = {route.path for route in routes if route.posture is Posture.GOVERNED}
    assert set(DIALECTS) <= governed
    assert all(path.startswith("/v1/") for path in governed)
    assert all(route.dialect is not None for route in routes if route.path in governed)
    assert {route.path for route in routes if route.posture is Posture.HEALTH} == {
        "/livez", "/readyz",
    }  # fmt: skip
