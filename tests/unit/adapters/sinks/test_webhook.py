"""Webhooks, to a real receiver over TLS: signed, refused where they must be, never lost."""

from __future__ import annotations

import base64
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import create_default_context

import httpx
import pytest

from gateway.adapters.providers.ssrf import guarded
from gateway.adapters.providers.wire import AiohttpTransport
from gateway.adapters.sinks.webhook import WebhookSink
from gateway.core.exports import Delivery, SinkError
from tests.unit.adapters.sinks.certificates import server_context

KEY = bytes(range(32))


class Receiver(ThreadingHTTPServer):
    """Keeps what it takes; answers with the statuses that it was told, then 204."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        context, self.ca = server_context(folder)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.statuses: list[int] = []
        self.asked: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_address[1]}/hook"

    def sink(self, *, allow_private: bool = True) -> WebhookSink:
        transport = AiohttpTransport(
            ssl_context=create_default_context(cafile=str(self.ca)),
            open_socket=guarded(allow_private=allow_private),
        )
        client = httpx.AsyncClient(transport=transport)
        return WebhookSink("hook", self.url, KEY, client, lambda: 1_700_000_000.9)


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.append((dict(self.headers), body))
        status = self.server.statuses.pop(0) if self.server.statuses else 204
        self.send_response(status)
        self.send_header("location", "https://127.0.0.1:1/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


async def test_a_batch_is_signed_as_the_standard_says(receiver: Receiver) -> None:
    sink = receiver.sink()
    await sink.send(Delivery(3, 9, [b'{"leaf_index":5}', b'{"leaf_index":8}']))
    await sink.stop()
    ((headers, body),) = receiver.asked
    told = {name.lower(): value for name, value in headers.items()}
    assert json.loads(body) == {
        "type": "govgate.records", "from_leaf": 3, "to_leaf": 9,
        "records": [{"leaf_index": 5}, {"leaf_index": 8}],
    }  # fmt: skip
    assert told["webhook-timestamp"] == "1700000000"
    signed = f"{told['webhook-id']}.{told['webhook-timestamp']}.".encode() + body
    digest = hmac.new(KEY, signed, "sha256").digest()
    assert told["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


async def test_a_receiver_that_fails_half_the_time_gets_all_of_it(receiver: Receiver) -> None:
    receiver.statuses = [503, 200, 429, 204, 302, 201, 500]
    sink, failures = receiver.sink(), 0
    for place in range(6):
        delivery = Delivery(place, place + 1, [b"%d" % place])
        while True:
            try:
                await sink.send(delivery)
                break
            except SinkError:
                failures += 1
    await sink.stop()
    assert failures == 4
    ids = [headers["webhook-id"] for headers, _ in receiver.asked]
    assert len(ids) == 10
    assert len(set(ids)) == 6  # repeated under the same id
    assert list(dict.fromkeys(json.loads(body)["from_leaf"] for _, body in receiver.asked)) == [
        0, 1, 2, 3, 4, 5,
    ]  # fmt: skip


async def test_a_private_address_is_refused_unless_allowed(receiver: Receiver) -> None:
    sink = receiver.sink(allow_private=False)
    with pytest.raises(SinkError, match="cannot be reached"):
        await sink.send(Delivery(0, 1, [b"1"]))
    await sink.stop()
    assert receiver.asked == []
