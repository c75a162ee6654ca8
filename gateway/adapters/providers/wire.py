"""httpx's API over aiohttp's connections.

httpx's own transport walks its whole pool at every request: about 1 ms of CPU with one idle
connection and 10 ms with a hundred. aiohttp does the same work in about 0.1 ms. Everything
above this file knows httpx alone.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from math import inf
from typing import TypeAlias
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from aiohttp.http import HttpProcessingError
from yarl import URL

OpenSocket: TypeAlias = Callable[[aiohttp.AddrInfoType], socket.socket]
_FAULTS = (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait, in seconds, before an answer is given up."""

    connect: float = 5.0
    """For a connection: a place in the pool, DNS, TCP and TLS."""
    first_byte: float = 300.0
    """For the response headers, from the start, connecting included."""
    idle: float = 60.0
    """Between two pieces of the body."""
    total: float = 590.0
    """For all of it. Below the 600 s after which OpenAI's clients give up."""


class AiohttpTransport(httpx.AsyncBaseTransport):
    """An httpx transport: no redirects, no cookies, no environment unless asked for.

    TCP_NODELAY is set (aiohttp does). Bodies arrive as they were sent: decoding a
    `content-encoding` is left to the reader. TLS is checked against the system's authorities,
    or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name. `trust_env` honours `HTTP_PROXY`,
    `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, and never reads a netrc. The time limits are its
    own; those of an `httpx.Timeout` are not looked at. `connections` bounds the pool, and
    `keepalive` is how many seconds an idle connection is kept. `open_socket` opens the socket of
    each connection, its address known; an `OSError` of its is a connection that did not come
    about: see `ssrf`. `open_to_proxy` does so instead for a request that goes through a proxy,
    where it is the proxy's address that is connected to; such a request has a pool of its own.
    """

    def __init__(
        self,
        timeouts: Timeouts | None = None,
        *,
        connections: int = 1000,
        keepalive: float = 15.0,
        trust_env: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        open_socket: OpenSocket | None = None,
        open_to_proxy: OpenSocket | None = None,
    ) -> None:
        self._timeouts = timeouts or Timeouts()
        self._connections = connections
        self._keepalive = keepalive
        self._trust_env = trust_env
        self._ssl = ssl_context or ssl.create_default_context()
        self._open_socket = open_socket
        self._open_to_proxy = open_to_proxy
        self._direct: aiohttp.ClientSession | None = None
        self._proxied: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request`; return once the response headers are here.

        Raises httpx's errors. `ConnectError`, `ConnectTimeout` and `ProxyError` mean that the
        request was not sent. Cancelling it, or `aclose` of an unfinished response, hangs up.
        """
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in request.headers.raw
            if name.lower() not in (b"content-length", b"transfer-encoding")
        ]
        url = URL(str(request.url), encoded=True)  # as it was signed, byte for byte
        body = await request.aread()
        proxy = self._proxy(request.url) if self._trust_env else None
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(min(self._timeouts.first_byte, self._timeouts.total)):
                response = await self._session(proxy).request(
                    request.method,
                    url,
                    headers=headers,
                    data=body or None,
                    allow_redirects=False,
                    proxy=proxy,
                )
        except _FAULTS as fault:
            raise _in_httpx(fault) from fault
        deadline = started + self._timeouts.total
        stream = _Body(response, self._timeouts.idle, deadline)
        return httpx.Response(response.status, headers=response.raw_headers, stream=stream)

    async def aclose(self) -> None:
        """Close every connection."""
        for session in (self._direct, self._proxied):
            if session is not None:
                await session.close()

    def _session(self, proxy: str | None) -> aiohttp.ClientSession:
        """The session, opened at the first request: it belongs to the loop that runs then."""
        if proxy is not None:
            if self._proxied is None:
                self._proxied = self._open(self._open_to_proxy)
            return self._proxied
        if self._direct is None:
            self._direct = self._open(self._open_socket)
        return self._direct

    def _open(self, open_socket: OpenSocket | None) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connections,
                keepalive_timeout=self._keepalive,
                ssl=self._ssl,
                socket_factory=open_socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=self._timeouts.connect),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            auto_decompress=False,
            trust_env=False,
        )

    @staticmethod
    def _proxy(url: httpx.URL) -> str | None:
        if proxy_bypass(url.host):
            return None
        proxies = getproxies()
        return proxies.get(url.scheme) or proxies.get("all")


class _Body(httpx.AsyncByteStream):
    """A response's body as it arrives. A closing before its end hangs up at once.

    One timer watches all of it, and is set again only when it rings: a timeout around each
    piece would cost more than the piece.
    """

    def __init__(self, response: aiohttp.ClientResponse, idle: float, deadline: float) -> None:
        self._response = response
        self._idle = idle
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._waiting_since = inf
        self._late = False
        self._timer: asyncio.TimerHandle | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read, now = self._response.content.readany, self._loop.time
        self._waiting_since = now()
        self._watch()
        try:
            while True:
                self._waiting_since = now()
                chunk = await read()
                self._waiting_since = inf  # what the reader takes is not the provider's time
                if not chunk:
                    return
                yield chunk
        except _FAULTS as fault:
            raise httpx.ReadTimeout("too late") if self._late else _in_httpx(fault) from fault
        finally:
            self._unwatch()

    async def aclose(self) -> None:
        self._unwatch()
        self._response.close()  # no more than a step of bookkeeping once the end was read

    def _watch(self) -> None:
        """Give up if the wait is over, else look again when it would be."""
        until = min(
            self._waiting_since + self._idle, self._deadline, self._loop.time() + self._idle
        )
        if until > self._loop.time():
            self._timer = self._loop.call_at(until, self._watch)
        else:
            self._late = True
            self._response.close()  # wakes the reader with an error

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _in_httpx(fault: Exception) -> httpx.TransportError:
    """The httpx error that says what aiohttp's `fault` says."""
    kind: type[httpx.TransportError]
    match fault:
        case aiohttp.ConnectionTimeoutError():
            kind = httpx.ConnectTimeout
        case TimeoutError():
            kind = httpx.ReadTimeout
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            kind = httpx.ProxyError
        case aiohttp.ClientConnectorError() | aiohttp.ServerFingerprintMismatch():
            kind = httpx.ConnectError
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            kind = httpx.UnsupportedProtocol
        case aiohttp.ClientOSError() | aiohttp.ClientConnectionResetError():
            kind = httpx.ReadError
        case aiohttp.ClientError() | HttpProcessingError():
            kind = httpx.RemoteProtocolError
        case _:
            kind = httpx.ReadError
    return kind(str(fault) or type(fault).__name__)
