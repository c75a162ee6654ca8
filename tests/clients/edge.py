"""Stands before a gateway, counts what reaches it, and holds what it answers against its shape.

Every HTTP request counts, whoever sends it, and every answer that comes to its end.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass

import httptools

from tests.shapes import Asked, OutOfShape, check_traffic


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request, as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytearray
    """As far as it is here: who is refused need not send all of it."""


class _Heard:
    """Reads the requests of one connection, for `HttpRequestParser`."""

    def __init__(self, attempts: list[Attempt]) -> None:
        self._attempts = attempts
        self.unanswered: deque[Attempt] = deque()
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def feed(self, sent: bytes) -> None:
        self._parser.feed_data(sent)

    def on_message_begin(self) -> None:
        self._path, self._headers, self._body = b"", {}, bytearray()

    def on_url(self, piece: bytes) -> None:
        self._path += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        method = self._parser.get_method().decode()
        attempt = Attempt(method, self._path.decode(), self._headers, self._body)
        self._attempts.append(attempt)
        self.unanswered.append(attempt)

    def on_body(self, piece: bytes) -> None:
        self._body += piece


class _Told:
    """Reads the answers of one connection, for `HttpResponseParser`; `faults` takes what is
    wrong with them."""

    def __init__(self, heard: _Heard, faults: list[str]) -> None:
        self._heard = heard
        self._faults = faults
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def feed(self, sent: bytes) -> None:
        self._parser.feed_data(sent)

    def on_message_begin(self) -> None:
        self._headers, self._body = {}, bytearray()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode("latin-1")

    def on_body(self, piece: bytes) -> None:
        self._body += piece

    def on_message_complete(self) -> None:
        attempt = self._heard.unanswered.popleft()
        asked = Asked(attempt.method, attempt.path, attempt.headers)
        try:
            check_traffic(asked, self._parser.get_status_code(), self._headers, bytes(self._body))
        except OutOfShape as fault:
            self._faults.append(f"{asked.method} {asked.path}: {fault}")


class Edge:
    """Passes bytes on, both ways and untouched; a side that hangs up hangs up on the other."""

    def __init__(self, port: int) -> None:
        self.attempts: list[Attempt] = []
        self.faults: list[str] = []
        """What was wrong with the shape of answers."""
        self.port = 0
        self._behind = port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        self._thread.start()
        opening = asyncio.start_server(self._join, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(opening, self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._open:
            writer.close()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    async def _join(self, caller: asyncio.StreamReader, to_caller: asyncio.StreamWriter) -> None:
        gateway, to_gateway = await asyncio.open_connection("127.0.0.1", self._behind)
        self._open |= {to_gateway, to_caller}
        heard = _Heard(self.attempts)
        ways = [
            asyncio.ensure_future(_pass_on(caller, to_gateway, heard)),
            asyncio.ensure_future(_pass_on(gateway, to_caller, _Told(heard, self.faults))),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            to_gateway.close()
            to_caller.close()
            self._open -= {to_gateway, to_caller}


async def _pass_on(
    source: asyncio.StreamReader, to: asyncio.StreamWriter, listener: _Heard | _Told
) -> None:
    try:
        while piece := await source.read(1 << 16):
            listener.feed(piece)
            to.write(piece)
            await to.drain()
    except ConnectionError:
        return  # one of them is gone
