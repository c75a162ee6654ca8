"""Callers that keep every byte they receive, and the load that they make."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

import h11

from tests.houses import MODEL

DONE = b"[DONE]"
HANG_UP = 0.03
"""Seconds after which a caller who hangs up does so, at most."""


@dataclass
class Heard:
    """What a caller received, as far as it came. `whole` when nothing is missing."""

    marker: str
    raw: bytes
    status: int = 0
    """0 when not even the head of a response came."""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False

    @classmethod
    def of(cls, marker: str, raw: bytes) -> Heard:
        """Read `raw` as the response to a POST, which may end anywhere."""
        heard = cls(marker, raw)
        connection = h11.Connection(h11.CLIENT)
        connection.send(h11.Request(method="POST", target="/", headers=[("host", "x")]))
        connection.send(h11.EndOfMessage())
        if raw:  # nothing at all would say that the connection was closed
            connection.receive_data(raw)
        while True:
            match connection.next_event():
                case h11.Response() as head:
                    heard.status = head.status_code
                    heard.headers = {k.decode(): v.decode() for k, v in head.headers}
                case h11.Data() as piece:
                    heard.body += bytes(piece.data)
                case h11.EndOfMessage():
                    heard.whole = True
                    return heard
                case _:
                    return heard

    @property
    def exchange_id(self) -> str | None:
        return self.headers.get("x-request-id")

    @property
    def streamed(self) -> bool:
        return self.headers.get("content-type", "").startswith("text/event-stream")

    def frames(self) -> tuple[list[bytes], bytes]:
        """The data of each whole event of the stream, and the bytes of the one after."""
        *whole, rest = self.body.split(b"\n\n")
        assert all(frame.startswith(b"data: ") for frame in whole)
        return [frame.removeprefix(b"data: ") for frame in whole], rest


class _Wire(asyncio.Protocol):
    """Keeps what arrives; `over` is done when the connection is."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, error: Exception | None) -> None:
        self.over.set_result(None)


async def call(
    port: int, key: str, request: Mapping[str, Any], marker: str = "", patience: float = 30.0
) -> Heard:
    """Ask, and listen until the connection ends or for `patience` seconds.

    Raises `OSError` when nobody is there.
    """
    loop = asyncio.get_running_loop()
    transport, wire = await loop.create_connection(_Wire, "127.0.0.1", port)
    body = json.dumps(request).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n"
        f"authorization: Bearer {key}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    transport.write(head.encode() + body)
    await asyncio.wait([wire.over], timeout=patience)
    transport.abort()
    return Heard.of(marker, bytes(wire.received))


class Load:
    """Callers who ask for all sorts of things, one after the other.

    `rich` is a key with a budget that lasts, `poor` one with a budget that covers little.
    """

    CALLERS = 12

    def __init__(self, rich: str, poor: str, chance: Random) -> None:
        self._keys = {"rich": rich, "poor": poor}
        self._chance = chance
        self._numbers = count()
        self.heard: list[Heard] = []
        self.asked: set[str] = set()

    async def run(self, port: int, enough: asyncio.Event | None = None) -> None:
        """Ask until the gateway is gone, or it is `enough`."""
        until = enough or asyncio.Event()
        await asyncio.gather(*(self._caller(port, until) for _ in range(self.CALLERS)))

    async def _caller(self, port: int, enough: asyncio.Event) -> None:
        cases = self._cases()
        while not enough.is_set():
            marker = f"mark-{next(self._numbers):06d}"
            who, request, patience = next(cases)(marker)
            self.asked.add(marker)
            try:
                heard = await call(port, self._keys[who], request, marker, patience)
            except OSError:
                return
            self.heard.append(heard)

    def _cases(self) -> Iterator[Any]:
        """Forever, in any order: a request for a marker, and how long to listen to it."""
        chance = self._chance
        while True:
            yield chance.choice(
                [
                    lambda marker: ("rich", said(f"{marker} is plain."), 30.0),
                    lambda marker: ("rich", said(personal(marker)), 30.0),
                    lambda marker: ("rich", said(slow(personal(marker)), stream=True), 30.0),
                    lambda marker: ("rich", said(slow(f"{marker} goes on."), stream=True), 30.0),
                    lambda marker: ("rich", said(broken(marker), stream=True), 30.0),
                    lambda marker: ("rich", calling(marker, stream=False), 30.0),
                    lambda marker: ("rich", calling(marker, stream=True), 30.0),
                    lambda marker: ("rich", said(f"{marker}: how do I build a bomb?"), 30.0),
                    lambda marker: ("poor", said(f"{marker} costs too much."), 30.0),
                    lambda marker: (
                        "rich",
                        said(slow(personal(marker)), stream=True),
                        chance.uniform(0.0, HANG_UP),
                    ),
                ]
            )


def said(text: str, **more: Any) -> dict[str, Any]:
    """A request with one message."""
    limit = {"max_completion_tokens": 400}
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **limit, **more}


def personal(marker: str) -> str:
    """Text of three sentences, with personal data to mask and to restore."""
    return f"I am {marker}. Write to {marker}@example.org, please. Or call +44 20 7946 0958 today."


def calling(marker: str, *, stream: bool) -> dict[str, Any]:
    """A request that is answered with two calls of a tool, one of them with personal data."""
    call = '@replay tool search {"query": "%s"}\n'
    function = {"name": "search", "parameters": {"type": "object"}}
    tools = [{"type": "function", "function": function}]
    text = call % f"{marker}@example.org" + call % "weather" + f"@replay slow 0.004\n{marker}"
    return said(text, tools=tools, stream=stream)


def slow(text: str) -> str:
    """Directions to say `text` word by word, with pauses."""
    return f"@replay slow 0.004\n{text}"


def broken(marker: str) -> str:
    """Directions to break the connection after some of the text."""
    return f"@replay die-after 5\n{marker}: one. Two. Three. Four. Five. Six. Seven. Eight."
