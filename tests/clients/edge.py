"""Stands before a gateway and counts what reaches it: every HTTP request, whoever sends it."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

import httptools


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request, as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class _Heard:
    """Reads the requests of one connection, for `HttpRequestParser`."""

    def __init__(self, attempts: list[Attempt]) -> None:
        self._attempts = attempts
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

    def on_body(self, piece: bytes) -> None:
        self._body += piece

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        attempt = Attempt(method, self._path.decode(), self._headers, bytes(self._body))
        self._attempts.append(attempt)


class Edge:
    """Passes bytes on, both ways and untouched; a side that hangs up hangs up on the other."""

    def __init__(self, port: int) -> None:
        self.attempts: list[Attempt] = []
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
            asyncio.ensure_future(_pass_on(gateway, to_caller)),
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
    source: asyncio.StreamReader, to: asyncio.StreamWriter, heard: _Heard | None = None
) -> None:
    try:
        while piece := await source.read(1 << 16):
            if heard is not None:
                heard.feed(piece)
            to.write(piece)
            await to.drain()
    except ConnectionError:
        return  # one of them is gone
