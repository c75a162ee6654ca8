"""Finding records over HTTP: what may stand in a query, and what is answered to nonsense."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.adapters.catalogue import StaticCatalogue
from gateway.core.audit import Filters
from gateway.core.errors import Malformed
from gateway.core.principal import Principal
from gateway.core.roles import Role
from gateway.governance.audits import Audits
from gateway.server.app import build_app
from gateway.server.audit import audit_routes, filters_of
from gateway.server.callers import Callers
from gateway.server.census import POSTURE, Posture, census
from gateway.server.data_plane import DataPlane
from gateway.server.models import Models
from tests.exchanges import answering, whole
from tests.fakes.journal import FakeJournal
from tests.fakes.keys import FakeKeys
from tests.unit.governance.test_audits import FakeStore
from tests.unit.server.wire import Wire

KEYS = {
    "all": Principal("acme", "red", "a", "k1", roles=(Role.INVESTIGATOR,)),
    "none": Principal("acme", "red", "a", "k2"),
    "narrow": Principal("acme", "red", "a", "k3", scopes=("chat.*",), roles=(Role.AUDITOR,)),
}


class House:
    """The endpoints, over a record in memory."""

    def __init__(self) -> None:
        callers, journal = Callers(FakeKeys(KEYS)), FakeJournal()
        self.store = FakeStore(journal)
        audits = Audits(self.store, self.store, journal, lambda text: ())
        self.app = build_app(
            data_plane=DataPlane(answering([whole("x")]), body_limit=1_000),
            dialects={},
            models=Models(callers, StaticCatalogue([], [], lambda model: None)),
            callers=callers,
            kept=audit_routes(callers.principal, audits, {POSTURE: Posture.CONTROL}),
            probes={},
        )

    async def ask(
        self, path: str, key: str = "all", method: str = "GET", body: bytes = b"", **more: str
    ) -> Wire:
        headers = {"authorization": f"Bearer {key}", **more}
        path, _, query = path.partition("?")
        wire = Wire(method=method, path=path, headers=headers, body=body)
        wire.scope["query_string"] = query.encode()
        await self.app(wire.scope, wire.receive, wire.send)
        return wire


async def test_every_route_is_of_the_control_plane() -> None:
    routes = [route for route in census(House().app) if route.path.startswith("/api/v1/")]
    assert {route.posture for route in routes} == {Posture.CONTROL}
    assert len(routes) == 12


async def test_a_query_becomes_filters() -> None:
    house = House()
    told = await house.ask(
        "/api/v1/exchanges?app=a&app=b&exclude.model=m&since=2026-11-22T10:00:00Z&cost_from=5"
        "&hidden=true&open=false&text=%22two+words%22&limit=7&after=x"
    )
    assert told.status == 200
    assert told.headers["cache-control"] == "no-store"
    [(_, filters, after, limit)] = house.store.asked
    assert (after, limit) == ("x", 7)
    assert filters == Filters(
        app=("a", "b"), exclude={"model": ("m",)}, since=datetime(2026, 11, 22, 10, tzinfo=UTC),
        cost_from=5, hidden=True, open=False, text='"two words"',
    )  # fmt: skip


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=501", "limit=x", "limit=%C2%B2", "limit=1000000000", "limit=",
        "after=nowhere",
        "since=yesterday", "since=2026-11-22T10:00:00", "app=", "what=1", "exclude.what=1",
        "exclude.=1", "open=maybe", "hidden=2", "cost_from=-1", "cost_from=1.5", "text=a&text=b",
        "app=%00", "exclude=app", "revision=" + "x" * 300, *["user=%00"],
    ],
)  # fmt: skip
async def test_nonsense_is_a_400(query: str) -> None:
    told = await House().ask(f"/api/v1/exchanges?{query}")
    assert (told.status, told.json["code"]) == (400, "invalid_request"), told.body
    assert told.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"what": 1}', b'{"app": "a"}', b'{"open": "true"}']
)
async def test_a_query_to_keep_must_be_filters(body: bytes) -> None:
    told = await House().ask("/api/v1/queries/q", method="PUT", body=body)
    assert told.status == 400


async def test_who_asks_must_have_the_role_and_the_scope() -> None:
    for key, code in (("none", "insufficient_role"), ("narrow", "insufficient_scope")):
        told = await House().ask("/api/v1/exchanges", key)
        assert (told.status, told.json["code"]) == (403, code)
    told = await House().ask("/api/v1/exchanges", "unknown")
    assert (told.status, told.json["code"]) == (401, "invalid_api_key")


async def test_content_needs_a_reason() -> None:
    house = House()
    path = "/api/v1/exchanges/exc_1/content"
    assert (await house.ask(path)).status == 400
    assert (await house.ask(path, **{"x-govgate-reason": "%20"})).status == 400
    reason = {"x-govgate-reason": "%C3%A9tude%20case"}
    assert (await house.ask(f"{path}?app=a", **reason)).status == 400
    told = await house.ask(f"{path}?part=request_received&part=request_sent", **reason)
    assert [piece["part"] for piece in told.json["parts"]] == ["request_received", "request_sent"]
    [note] = house.store.journal.written
    assert note.entry.parts == {"reason": "étude case".encode()}


async def test_queries_are_kept_and_forgotten() -> None:
    house = House()
    kept = await house.ask("/api/v1/queries/q", method="PUT", body=b'{"app": ["a"]}')
    assert (kept.status, kept.json["filters"]) == (200, {"app": ["a"]})
    gone = await house.ask("/api/v1/queries/mine", method="DELETE")
    assert gone.json == {"name": "mine", "deleted": True}
    assert (await house.ask("/api/v1/queries")).json == {"queries": []}


@pytest.mark.parametrize("told", [{"app": ["a"] * 51}, {"session": [""]}, {"after": ["x"]}])
def test_filters_that_cannot_be(told: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        filters_of(told)
