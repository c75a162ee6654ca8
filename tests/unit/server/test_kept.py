"""Files over HTTP: how an upload is read, how large it may be, and what a page holds."""

from __future__ import annotations

import tempfile
from typing import Any, NoReturn

import pytest

from gateway.adapters.catalogue import StaticCatalogue
from gateway.core.exchange import Call
from gateway.core.kept import Came
from gateway.core.principal import Principal
from gateway.governance.batches import Batches
from gateway.governance.files import Files
from gateway.governance.responses import Responses
from gateway.server.app import build_app
from gateway.server.callers import Callers
from gateway.server.census import POSTURE, Posture
from gateway.server.data_plane import DataPlane
from gateway.server.kept import kept_routes
from gateway.server.models import Models
from tests.exchanges import answering, whole
from tests.fakes.keys import FakeKeys
from tests.fakes.shelf import FakeShelf
from tests.unit.server.wire import Wire

WHO = Principal("acme", "t", "a", "k1")
KEY = {"authorization": "Bearer k"}
MOST = 3 << 20


class House:
    """The endpoints of what is kept, over a shelf in memory."""

    def __init__(self) -> None:
        shelf = FakeShelf()
        self.responses = Responses(shelf)
        self.files = Files(shelf, MOST)
        callers = Callers(FakeKeys({"k": WHO}))
        self.app = build_app(
            data_plane=DataPlane(answering([whole("x")]), body_limit=1_000),
            dialects={},
            models=Models(callers, StaticCatalogue([], [], lambda model: None)),
            callers=callers,
            kept=kept_routes(
                callers.principal,
                self.files,
                Batches(shelf, []),
                self.responses,
                {POSTURE: Posture.CONTROL},
            ),
            probes={},
        )

    async def ask(self, method: str, path: str, query: str = "", **more: Any) -> Wire:
        headers = KEY | more.pop("headers", {})
        wire = Wire(method=method, path=path, headers=headers, **more)
        wire.scope["query_string"] = query.encode()
        await self.app(wire.scope, wire.receive, wire.send)
        return wire

    async def upload(self, content: bytes, head: str = 'name="file"; filename="in.jsonl"') -> Wire:
        body = (
            b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            b"--b\r\nContent-Disposition: form-data; %b\r\n"
            b"Content-Type: application/octet-stream\r\n\r\n%b\r\n--b--\r\n"
        ) % (head.encode(), content)
        kind = {"content-type": "multipart/form-data; boundary=b"}
        return await self.ask("POST", "/v1/files", headers=kind, body=body)


async def test_no_upload_lies_on_a_disk_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*args: object, **options: object) -> NoReturn:
        raise AssertionError("a temporary file")

    for name in ("TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile"):
        monkeypatch.setattr(tempfile, name, none)
    house, content = House(), b"secret\r\n" * (2 << 17)
    told = await house.upload(content)
    assert (told.status, told.json["filename"], told.json["bytes"]) == (200, "in.jsonl", 2 << 20)
    assert await house.files.content(WHO, told.json["id"]) == content
    read = await house.ask("GET", f"/v1/files/{told.json['id']}/content")
    assert read.body == content


@pytest.mark.parametrize("size", [MOST + 1, MOST + (1 << 20)], ids=["the file", "the body"])
async def test_an_upload_that_is_too_large_is_called_so(size: int) -> None:
    told = await House().upload(b"x" * size)
    assert (told.status, told.json["error"]["code"]) == (413, "request_too_large")


async def test_the_limit_of_the_body_is_called_by_its_setting() -> None:
    told = await House().upload(b"x" * (MOST + (1 << 20)))
    assert "GOVGATE_FILES__MOST_BYTES" in told.json["error"]["message"]
    batch = await House().ask("POST", "/v1/batches", body=b" " * (11 << 20))
    assert (batch.status, batch.json["error"]["code"]) == (413, "request_too_large")
    assert "GOVGATE_SERVER__BODY_LIMIT" in batch.json["error"]["message"]


async def test_what_is_no_upload_is_refused() -> None:
    house = House()
    for told in (
        await house.upload(b"x", 'name="other"; filename="in.jsonl"'),
        await house.ask("POST", "/v1/files", body=b"{}"),
        await house.ask("POST", "/v1/files", headers={"content-type": "multipart/form-data"}),
    ):
        assert (told.status, told.json["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "limit", ["0", "101", "-1", "x", "", "²", "1000000000", "0" * 9 + "5", "1" * 5_000]
)
async def test_a_page_has_a_limit(limit: str) -> None:
    told = await House().ask("GET", "/v1/files", f"limit={limit}")
    assert (told.status, told.json["error"]["param"]) == (400, "limit")


@pytest.mark.parametrize("limit", ["1", "20", "100"])
async def test_a_page_may_be_as_long_as_a_hundred(limit: str) -> None:
    house = House()
    for _ in range(2):
        await house.upload(b"x")
    told = await house.ask("GET", "/v1/files", f"limit={limit}")
    assert (len(told.json["data"]), told.json["has_more"]) == (
        (1, True) if limit == "1" else (2, False)
    )


async def test_a_response_that_is_read_tells_of_its_exchange() -> None:
    house = House()
    told = {"id": "resp_1", "status": "completed", "output": []}
    await house.responses.keep(WHO, {"input": "Hi"}, told, Came("exc_1"))
    read = await house.ask("GET", "/v1/responses/resp_1")
    assert (read.status, read.json) == (200, told)
    assert read.headers["x-govgate-exchange"] == "exc_1"
    assert read.headers["x-request-id"].startswith("req_")


async def test_a_response_that_was_not_run_yet_has_no_exchange() -> None:
    house = House()
    queued = await house.responses.begin(WHO, {"model": "m", "background": True}, Call())
    read = await house.ask("GET", f"/v1/responses/{queued['id']}")
    assert read.json["status"] == "queued"
    assert "x-govgate-exchange" not in read.headers


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/v1/files", "GET, OPTIONS, POST"),
        ("/v1/files/file-1", "DELETE, GET, OPTIONS"),
        ("/v1/batches/batch_1/cancel", "OPTIONS, POST"),
        ("/v1/models", "GET, OPTIONS"),
    ],
)
async def test_options_tell_every_method_of_a_path(path: str, allow: str) -> None:
    told = await House().ask("OPTIONS", path)
    assert (told.status, told.headers["allow"], told.body) == (204, allow, b"")
    assert told.headers["x-request-id"] == told.headers["request-id"]
    assert told.headers["x-request-id"].startswith("req_")
