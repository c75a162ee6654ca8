"""The model's side of the bench: a server that answers at once, with bytes made beforehand.

`python -m bench.upstream PORT`. It listens on loopback only. Besides the chat endpoint it
takes `POST /shape` with `{"events": n, "pace": seconds}`, which sets how streams go, and
`POST /report`, which says what was asked since the last report:
`{"requests": n, "in_clear": n}`, the latter being prompts that showed the e-mail address.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from typing import cast

import httptools
import uvloop

from bench import workload

_EMAIL = workload.EMAIL.encode()
_SSE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def _whole(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


@dataclass
class Desk:
    """What all connections share: the answers, and the count of what was asked."""

    answer: bytes = field(default_factory=lambda: _whole(workload.answer()))
    stream: workload.Stream = field(default_factory=lambda: workload.Stream(20))
    pace: float = 0.01
    """Seconds between two events of a stream."""
    requests: int = 0
    in_clear: int = 0

    def shape(self, wish: dict[str, float]) -> None:
        self.stream = workload.Stream(int(wish["events"]))
        self.pace = wish["pace"]

    def report(self) -> dict[str, int]:
        counts = {"requests": self.requests, "in_clear": self.in_clear}
        self.requests = self.in_clear = 0
        return counts


class Connection(asyncio.Protocol):
    """One caller, keep-alive, one request at a time."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    # What httptools calls
    def on_message_begin(self) -> None:
        self._url = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._url.endswith(b"/chat/completions"):
            self._complete()
        elif self._url == b"/shape":
            self._desk.shape(json.loads(self._body))
            self._transport.write(_whole(b"{}"))
        elif self._url == b"/report":
            self._transport.write(_whole(json.dumps(self._desk.report()).encode()))
        else:
            self._transport.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")

    def _complete(self) -> None:
        desk = self._desk
        desk.requests += 1
        desk.in_clear += _EMAIL in self._body
        if b'"stream":' in self._body and json.loads(self._body).get("stream"):
            usage = b"include_usage" in self._body
            self._transport.write(_SSE)
            self._say(0, asyncio.get_running_loop().time(), desk.stream, desk.pace, usage)
        else:
            self._transport.write(desk.answer)

    def _say(
        self, index: int, begun: float, stream: workload.Stream, pace: float, usage: bool
    ) -> None:
        if self._transport.is_closing():
            return
        event = stream.event(index, time.monotonic_ns(), usage=usage)
        chunk = b"%x\r\n%b\r\n" % (len(event), event)
        if index == len(stream) - 1:
            self._transport.write(chunk + b"0\r\n\r\n")
            return
        self._transport.write(chunk)
        # Due times count from the beginning, so lateness does not add up.
        asyncio.get_running_loop().call_at(
            begun + (index + 1) * pace, self._say, index + 1, begun, stream, pace, usage
        )


async def serve(port: int) -> None:
    """Answer on `port` until the process is ended."""
    desk = Desk()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(desk), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
