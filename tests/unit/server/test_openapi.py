"""The description of the control plane: valid OpenAPI, of every route, and true."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema_rs import Draft202012Validator
from litestar import Litestar, get
from litestar.params import FromPath
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.adapters.store.keys import NewKey
from gateway.adapters.store.migrate import migrate
from gateway.core.audit import DIMENSIONS, Filters
from gateway.core.roles import Role
from gateway.server.census import Posture, census
from gateway.server.described import SAYS, Says
from gateway.server.openapi import PATH, document, filters_query, operations
from gateway.settings import Settings
from gateway.wiring import Gateway, build
from tests.exchanges import chat_request
from tests.unit.server.wire import Wire


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Gateway]:
    settings = Settings(data_dir=folder)
    migrate(settings.database_url)
    gateway = build(settings)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    """A gateway that does not run: its routes are all there."""
    settings = Settings(data_dir=tmp_path)
    migrate(settings.database_url)
    return build(settings)


async def asked(gateway: Gateway, method: str, path: str, key: str, **more: Any) -> Wire:
    headers = {"authorization": f"Bearer {key}", **more.get("headers", {})}
    path, _, query = path.partition("?")
    wire = Wire(method=method, path=path, headers=headers, body=more.get("body", b""))
    wire.scope["query_string"] = query.encode()

    async def send(message: Any) -> None:
        await wire.send(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            wire.gone.set()  # as a server says it, once it has all

    await gateway.app(wire.scope, wire.receive, send)
    return wire


def test_it_is_valid_openapi(gateway: Gateway) -> None:
    OpenAPIV31SpecValidator(document(gateway.app)).validate()


def test_every_route_is_in_it(gateway: Gateway) -> None:
    described = document(gateway.app)["paths"]
    routes = [route for route in census(gateway.app) if route.path.startswith("/api/v1/")]
    assert len(routes) > 15
    assert {route.posture for route in routes} == {Posture.CONTROL}
    for route in routes:
        path = "/".join(
            f"{{{part[1:].partition(':')[0]}}}" if part.startswith("{") else part
            for part in route.path.split("/")
        )
        for method in route.methods:
            about = described[path][method.lower()]
            assert about["summary"], path
            places = [each["name"] for each in about.get("parameters", ()) if each["in"] == "path"]
            assert [f"{{{name}}}" for name in places] == [p for p in path.split("/") if "{" in p]
            assert {"401", "403", "default"} <= about["responses"].keys()
            assert [status for status in about["responses"] if status.startswith("2")]
    assert sum(len(methods) for methods in described.values()) == sum(
        len(route.methods) for route in routes
    )


def test_what_is_told_of_a_query_is_what_is_read() -> None:
    query = filters_query(Filters, DIMENSIONS)
    plain = {name for name in query if not name.startswith("exclude.")}
    assert plain == set(Filters.__struct_fields__) - {"exclude"}
    assert {f"exclude.{name}" for name in DIMENSIONS} == query.keys() - plain
    assert query["team"].schema["type"] == "array"


def test_a_route_that_says_nothing_is_there_all_the_same() -> None:
    @get("/api/v1/silent/{id:str}")
    async def silent(id: FromPath[str]) -> str:
        """Nothing is said of it."""
        return id

    @get("/v1/elsewhere")
    async def elsewhere() -> str:
        return ""

    paths = document(Litestar([silent, elsewhere], openapi_config=None))["paths"]
    assert paths.keys() == {"/api/v1/silent/{id}"}
    about = paths["/api/v1/silent/{id}"]["get"]
    assert about["summary"] == "Nothing is said of it."
    assert about["responses"]["200"] == {"description": "What is asked for."}


class Described:
    """Holds answers against what is documented of them."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.told = told
        self.seen: set[tuple[str, str]] = set()

    def check(self, method: str, path: str, wire: Wire, status: int = 200) -> None:
        responses = self.told["paths"][path][method.lower()]["responses"]
        assert wire.status == status, (path, wire.body)
        said = responses.get(str(status), responses["default"])
        if "$ref" in said:
            said = self.told["components"]["responses"]["Problem"]
        media = wire.headers["content-type"].partition(";")[0]
        schema = said["content"][media].get("schema")
        if schema is not None and media.endswith("json") and "ndjson" not in media:
            whole = {**schema, "components": self.told["components"]}
            Draft202012Validator(whole, validate_formats=True).validate(wire.json)
        if status == 200:
            self.seen.add((method, path))


async def test_what_is_answered_is_what_is_documented(tmp_path: Path) -> None:
    """Every documented answer, of a real call; and a refusal of each kind."""
    async with served(tmp_path) as gateway:
        roles = (Role.INVESTIGATOR, Role.AUDITOR)
        key, who = await gateway.keys.create(NewKey(team="t", app="a", org="default", roles=roles))
        bare, _ = await gateway.keys.create(NewKey(team="t", app="b", org="default"))
        body = orjson.dumps(chat_request("hello") | {"model": "replay-small"})
        session = {"x-govgate-session-id": "s1"}
        told = await asked(gateway, "POST", "/v1/chat/completions", key, body=body, headers=session)
        assert told.status == 200, told.body
        id = told.headers["x-request-id"]
    async with served(tmp_path) as gateway:  # what was done is in the log and in the index
        described = Described((await asked(gateway, "GET", PATH, bare)).json)
        e, q = "/api/v1/exchanges", "/api/v1/queries"
        calls: list[tuple[str, str, str, dict[str, Any]]] = [
            ("GET", PATH, PATH, {}),
            ("GET", "/api/v1/coverage", "/api/v1/coverage", {}),
            ("GET", e, f"{e}?team=t&exclude.app=b&limit=5&open=false", {}),
            ("GET", f"{e}/facets", f"{e}/facets?since=2020-01-01T00:00:00Z", {}),
            ("GET", f"{e}/{{id}}", f"{e}/{id}", {}),
            ("GET", f"{e}/{{id}}/explain", f"{e}/{id}/explain", {}),
            ("GET", f"{e}/{{id}}/content", f"{e}/{id}/content?part=request_received",
             {"headers": {"x-govgate-reason": "a test"}}),
            ("GET", "/api/v1/sessions/{id}", "/api/v1/sessions/s1", {}),
            ("GET", "/api/v1/find/{id}", f"/api/v1/find/{id}", {}),
            ("PUT", f"{q}/{{name}}", f"{q}/mine", {"body": b'{"team": ["t"]}'}),
            ("GET", q, q, {}),
            ("DELETE", f"{q}/{{name}}", f"{q}/mine", {}),
            ("GET", "/api/v1/log", "/api/v1/log", {}),
            ("GET", "/api/v1/log/checkpoint", "/api/v1/log/checkpoint", {}),
            ("GET", "/api/v1/log/proof/{id}", f"/api/v1/log/proof/{id}", {}),
            ("GET", "/api/v1/log/consistency", "/api/v1/log/consistency?old=1&new=2", {}),
            ("GET", "/api/v1/log/tile/{place}", "/api/v1/log/tile/0/000.p/1", {}),
            ("GET", "/api/v1/sinks", "/api/v1/sinks", {}),
            ("GET", "/api/v1/export", "/api/v1/export?format=csv&limit=2", {}),
        ]  # fmt: skip
        for method, path, real, more in calls:
            described.check(method, path, await asked(gateway, method, real, key, **more))
        documented = {
            (method.upper(), path)
            for path, method, handler in operations(gateway.app)
            if isinstance(handler.opt.get(SAYS), Says)
            and not path.startswith("/api/v1/policies/")  # of the tests of policies over HTTP
        }
        assert described.seen == documented
        for real, whose, status in (
            (e, "gg_nobody", 401), (e, bare, 403), (f"{e}?team=", key, 400),
            (f"{e}/exc_none", key, 404),
        ):  # fmt: skip
            path = f"{e}/{{id}}" if status == 404 else e
            described.check("GET", path, await asked(gateway, "GET", real, whose), status)
        assert who.org == "default"


async def test_any_key_may_read_it_and_nobody_else(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        narrow, _ = await gateway.keys.create(
            NewKey(team="t", app="a", org="default", scopes=("chat.*",))
        )
        assert (await asked(gateway, "GET", PATH, narrow)).status == 200
        assert (await asked(gateway, "GET", PATH, "gg_nobody")).status == 401
