"""The bundle over HTTP: for whom, and that headers pass both ways."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import pytest

from gateway.adapters.catalogue import StaticCatalogue
from gateway.core.policy_bundles import MEDIA_TYPE, BundleAnswer
from gateway.core.principal import Principal
from gateway.core.roles import Role
from gateway.server.app import build_app
from gateway.server.callers import Callers
from gateway.server.census import POSTURE, Posture
from gateway.server.data_plane import DataPlane
from gateway.server.models import Models
from gateway.server.policy_bundles import bundle_routes
from tests.exchanges import answering, whole
from tests.fakes.keys import FakeKeys
from tests.unit.server.wire import Wire

ENGINE = Principal("acme", "t", "a", "k1", roles=(Role.ENGINE,))
KEYS = {
    "engine": ENGINE,
    "admin": Principal("acme", "t", "a", "k2", roles=(Role.ADMIN,)),
    "app": Principal("acme", "t", "a", "k3"),
    "narrow": Principal("acme", "t", "a", "k4", scopes=("chat.*",), roles=(Role.ENGINE,)),
}
PATH = "/api/v1/bundles/govgate"


async def ask(
    key: str | None, path: str = PATH, **headers: str
) -> tuple[Wire, list[Mapping[str, str]]]:
    seen: list[Mapping[str, str]] = []

    async def fetch(given: Mapping[str, str]) -> BundleAnswer:
        seen.append(given)
        if "if-none-match" in given:
            return BundleAnswer(304, {"etag": '"1"'})
        return BundleAnswer(200, {"etag": '"1"', "content-type": MEDIA_TYPE}, b"\x1f\x8b")

    callers = Callers(FakeKeys(KEYS))
    app = build_app(
        data_plane=DataPlane(answering([whole("x")]), body_limit=1_000),
        dialects={},
        models=Models(callers, StaticCatalogue([], [], lambda model: None)),
        callers=callers,
        kept=bundle_routes(callers.principal, fetch, {POSTURE: Posture.CONTROL}),
        probes={},
    )
    bearer = {"authorization": f"Bearer {key}"} if key else {}
    told = {name.replace("_", "-"): text for name, text in headers.items()}
    wire = Wire(method="GET", path=path, headers=bearer | told)
    await app(wire.scope, wire.receive, wire.send)
    return wire, seen


async def test_an_engine_is_given_it() -> None:
    wire, seen = await ask("engine", Prefer="modes=snapshot;wait=5")
    assert (wire.status, wire.body) == (200, b"\x1f\x8b")
    assert wire.headers["content-type"] == MEDIA_TYPE
    assert wire.headers["etag"] == '"1"'
    assert seen[0]["prefer"] == "modes=snapshot;wait=5"


async def test_an_engine_that_has_it_is_told_so() -> None:
    wire, _ = await ask("engine", if_none_match='"1"')
    assert (wire.status, wire.body, wire.headers["etag"]) == (304, b"", '"1"')


@pytest.mark.parametrize(
    ("key", "path", "status", "code"),
    [
        (None, PATH, 401, "invalid_api_key"),
        ("unheard-of", PATH, 401, "invalid_api_key"),
        ("app", PATH, 403, "insufficient_role"),
        ("admin", PATH, 403, "insufficient_role"),
        ("narrow", PATH, 403, "insufficient_scope"),
        ("engine", "/api/v1/bundles/other", 404, "not_found"),
        ("app", "/api/v1/bundles/other", 403, "insufficient_role"),
    ],
)
async def test_nobody_else_is(key: str | None, path: str, status: int, code: str) -> None:
    wire, seen = await ask(key, path)
    assert wire.status == status
    assert orjson.loads(wire.body)["code"] == code
    assert seen == []
