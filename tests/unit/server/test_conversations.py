"""Conversations over HTTP: what is asked and told, in pages, for who has a key."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.adapters.catalogue import StaticCatalogue
from gateway.core.principal import Principal
from gateway.governance.conversations import Conversations
from gateway.server.app import build_app
from gateway.server.callers import Callers
from gateway.server.census import POSTURE, Posture
from gateway.server.conversations import PATH, conversation_routes
from gateway.server.data_plane import DataPlane
from gateway.server.models import Models
from tests.exchanges import answering, whole
from tests.fakes.keys import FakeKeys
from tests.fakes.shelf import FakeShelf
from tests.unit.server.wire import Wire

KEY = {"authorization": "Bearer k"}


class House:
    """The endpoints of conversations, over a shelf in memory."""

    def __init__(self) -> None:
        callers = Callers(FakeKeys({"k": Principal("acme", "t", "a", "k1")}))
        kept = Conversations(FakeShelf(), lambda items: None, 100_000)
        opt = {POSTURE: Posture.CONTROL}
        self.app = build_app(
            data_plane=DataPlane(answering([whole("x")]), body_limit=1_000),
            dialects={},
            models=Models(callers, StaticCatalogue([], [], lambda model: None)),
            callers=callers,
            kept=conversation_routes(callers.principal, kept, opt, 10_000),
            probes={},
        )

    async def ask(
        self, method: str, path: str = "", body: Any = None, query: str = "", **headers: str
    ) -> Wire:
        sent = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        wire = Wire(method=method, path=PATH + path, headers=headers or KEY, body=sent)
        wire.scope["query_string"] = query.encode()
        await self.app(wire.scope, wire.receive, wire.send)
        return wire


@pytest.mark.parametrize("body", [None, {}, {"items": None, "metadata": None}])
async def test_one_is_begun_with_nothing(body: Any) -> None:
    house = House()
    told = await house.ask("POST", body=body)
    assert (told.status, told.json["metadata"]) == (200, {})
    read = await house.ask("GET", f"/{told.json['id']}")
    assert read.json == told.json
    assert read.headers["x-request-id"].startswith("req_")


async def test_items_come_in_pages_the_newest_first() -> None:
    house = House()
    items = [{"role": "user", "content": str(n), "id": f"msg_{n}"} for n in range(3)]
    begun = await house.ask("POST", body={"items": items})
    where = f"/{begun.json['id']}/items"
    first = (await house.ask("GET", where, query="limit=2")).json
    assert [item["id"] for item in first["data"]] == ["msg_2", "msg_1"]
    assert (first["first_id"], first["last_id"], first["has_more"]) == ("msg_2", "msg_1", True)
    rest = (await house.ask("GET", where, query="limit=2&after=msg_1")).json
    assert [item["id"] for item in rest["data"]] == ["msg_0"]
    assert not rest["has_more"]
    oldest = (await house.ask("GET", where, query="order=asc&limit=1")).json
    assert oldest["data"][0]["content"] == [{"type": "input_text", "text": "0"}]
    assert (await house.ask("GET", where, query="limit=0")).status == 400


async def test_a_page_of_nothing_has_ends_that_are_strings() -> None:
    house = House()
    begun = await house.ask("POST")
    page = (await house.ask("GET", f"/{begun.json['id']}/items")).json
    assert page == {
        "object": "list", "data": [], "first_id": "", "last_id": "", "has_more": False,
    }  # fmt: skip


async def test_items_are_added_read_and_taken_out() -> None:
    house = House()
    id = (await house.ask("POST")).json["id"]
    added = (await house.ask("POST", f"/{id}/items", {"items": [{"role": "user"}]})).json
    [item] = added["data"]
    assert (await house.ask("GET", f"/{id}/items/{item['id']}")).json == item
    assert (await house.ask("DELETE", f"/{id}/items/{item['id']}")).json["id"] == id
    assert (await house.ask("GET", f"/{id}/items/{item['id']}")).status == 404
    changed = await house.ask("POST", f"/{id}", {"metadata": {"a": "b"}})
    assert changed.json["metadata"] == {"a": "b"}
    assert (await house.ask("DELETE", f"/{id}")).json["deleted"]
    assert (await house.ask("GET", f"/{id}")).status == 404


@pytest.mark.parametrize("body", [b"[]", b"x", b'{"items": 7}', b'{"metadata": []}'])
async def test_what_is_no_wish_is_refused(body: bytes) -> None:
    assert (await House().ask("POST", body=body)).status == 400


async def test_a_body_that_is_too_large_names_the_setting() -> None:
    house = House()
    for path in ("", "/conv_1", "/conv_1/items"):
        told = await house.ask("POST", path, b" " * 10_001)
        assert (told.status, told.json["error"]["code"]) == (413, "request_too_large")
        assert "GOVGATE_SERVER__BODY_LIMIT" in told.json["error"]["message"]


async def test_nobody_reads_one_without_a_key() -> None:
    told = await House().ask("GET", "/conv_1", authorization="Bearer other")
    assert told.status == 401
