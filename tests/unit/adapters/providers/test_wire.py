"""The transport over real sockets: what it sends, what it waits for, how it fails."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.adapters.providers.ssrf import guarded
from gateway.adapters.providers.wire import AiohttpTransport, Timeouts

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@asynccontextmanager
async def listening(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on a free port that leaves everything to `handler`."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    yield server.sockets[0].getsockname()[1]
    server.close()


@asynccontextmanager
async def client(*args: Timeouts, **options: object) -> AsyncIterator[AiohttpTransport]:
    transport = AiohttpTransport(*args, **options)  # type: ignore[arg-type]
    yield transport
    await transport.aclose()


def post(port: int, scheme: str = "http", path: str = "/", **headers: str) -> httpx.Request:
    return httpx.Request(
        "POST", f"{scheme}://127.0.0.1:{port}{path}", headers=headers, content=b"{}"
    )


async def head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def saying(answer: bytes) -> Handler:
    """A handler that gives `answer` to one request and closes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        await reader.readexactly(2)
        writer.write(answer)
        await writer.drain()

    return handle


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_what_goes_out_is_what_was_asked_for_and_no_more() -> None:
    seen: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await head(reader))
        seen.append(await reader.readexactly(2))
        writer.write(OK)

    async with listening(handle) as port, client() as transport:
        response = await transport.handle_async_request(
            post(port, path="/a%2Fb%3Ac?d=%20e", accept="x/y")
        )
        assert (response.status_code, await response.aread()) == (200, b"ok")
    first, *headers = seen[0].decode().strip().lower().split("\r\n")
    assert first == "post /a%2fb%3ac?d=%20e http/1.1"
    assert sorted(headers) == ["accept: x/y", "content-length: 2", f"host: 127.0.0.1:{port}"]
    assert seen[1] == b"{}"


async def test_it_serves_an_httpx_client() -> None:
    async with (
        listening(saying(OK)) as port,
        client() as transport,
        httpx.AsyncClient(transport=transport) as http,
    ):
        assert (await http.post(f"http://127.0.0.1:{port}/", content=b"{}")).text == "ok"


async def test_connections_are_kept_and_cookies_are_not() -> None:
    heads: list[bytes] = []
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            heads.append(await head(reader))
            await reader.readexactly(2)
            writer.write(OK.replace(b"\r\n\r\n", b"\r\nset-cookie: a=b\r\n\r\n"))

    async with listening(handle) as port, client() as transport:
        for _ in range(3):
            response = await transport.handle_async_request(post(port))
            await response.aread()
    assert connections == 1
    assert len(heads) == 3
    assert not any(b"cookie" in sent.lower() for sent in heads)


async def test_a_redirect_is_not_followed() -> None:
    answer = b"HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    async with listening(saying(answer)) as port, client() as transport:
        response = await transport.handle_async_request(post(port))
        assert response.status_code == 307


async def test_the_body_arrives_as_it_is_sent_and_undecoded() -> None:
    go_on = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        writer.write(b"1\r\na\r\n")
        await go_on.wait()
        writer.write(b"1\r\nb\r\n0\r\n\r\n")

    async with listening(handle) as port, client() as transport:
        response = await transport.handle_async_request(post(port))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        pieces = aiter(response.stream)
        assert await anext(pieces) == b"a"
        go_on.set()
        assert await anext(pieces) == b"b"


async def test_closing_an_unfinished_response_hangs_up() -> None:
    hung_up = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        await reader.readexactly(2)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nbegun")
        assert await reader.read() == b""
        hung_up.set()

    async with listening(handle) as port, client() as transport:
        response = await transport.handle_async_request(post(port))
        await response.aclose()
        await asyncio.wait_for(hung_up.wait(), 10)


async def test_cancelling_before_the_answer_hangs_up() -> None:
    asked, hung_up = asyncio.Event(), asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        asked.set()
        await reader.read()
        hung_up.set()

    async with listening(handle) as port, client() as transport:
        call = asyncio.create_task(transport.handle_async_request(post(port)))
        await asked.wait()
        call.cancel()
        await asyncio.wait_for(hung_up.wait(), 10)


async def test_a_refused_connection() -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        async with client() as transport:
            with pytest.raises(httpx.ConnectError):
                await transport.handle_async_request(post(taken.getsockname()[1]))


async def test_a_name_that_does_not_resolve() -> None:
    async with client() as transport:
        with pytest.raises(httpx.ConnectError):
            await transport.handle_async_request(httpx.Request("POST", "http://no.such.invalid/"))


async def test_a_connection_that_is_not_had_in_time() -> None:
    limits = Timeouts(connect=0.05, first_byte=60)
    async with listening(silent) as port, client(limits, connections=1) as transport:
        first = asyncio.create_task(transport.handle_async_request(post(port)))
        await asyncio.sleep(0)
        with pytest.raises(httpx.ConnectTimeout):
            await transport.handle_async_request(post(port))
        first.cancel()


@pytest.mark.parametrize("limits", [Timeouts(first_byte=0.05), Timeouts(total=0.05)])
async def test_headers_that_do_not_come_in_time(limits: Timeouts) -> None:
    async with listening(silent) as port, client(limits) as transport:
        with pytest.raises(httpx.ReadTimeout):
            await transport.handle_async_request(post(port))


@pytest.mark.parametrize("limits", [Timeouts(idle=0.05), Timeouts(total=2.0)])
async def test_a_body_that_does_not_come_in_time(limits: Timeouts) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
        await reader.read()
        await reader.read()

    async with listening(handle) as port, client(limits) as transport:
        response = await transport.handle_async_request(post(port))
        with pytest.raises(httpx.ReadTimeout):
            await response.aread()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 2",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_http_response(answer: bytes) -> None:
    async with listening(saying(answer)) as port, client() as transport:
        with pytest.raises(httpx.RemoteProtocolError):
            await transport.handle_async_request(post(port))


@pytest.mark.parametrize(
    "body",
    [
        b"content-length: 9\r\n\r\nbegun",
        b"transfer-encoding: chunked\r\n\r\n5\r\nbegun\r\n",
        b"transfer-encoding: chunked\r\n\r\nnonsense\r\n",
    ],
)
async def test_a_body_that_breaks_off(body: bytes) -> None:
    async with listening(saying(b"HTTP/1.1 200 OK\r\n" + body)) as port, client() as transport:
        with pytest.raises(httpx.RemoteProtocolError):
            await (await transport.handle_async_request(post(port))).aread()


async def test_a_reset_connection() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.transport.abort()

    async with listening(handle) as port, client() as transport:
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await transport.handle_async_request(post(port))


@pytest.mark.parametrize(
    ("trusting", "no_proxy", "through"),
    [(True, "", True), (True, "127.0.0.1", False), (False, "", False)],
)
async def test_a_proxy_of_the_environment(
    trusting: bool, no_proxy: str, through: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(await head(reader))
        writer.write(OK)

    async with listening(proxy) as proxy_port, listening(saying(OK)) as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy_port}")
        monkeypatch.setenv("no_proxy", no_proxy)
        async with client(trust_env=trusting) as transport:
            response = await transport.handle_async_request(post(port))
            assert await response.aread() == b"ok"
    assert bool(lines) == through
    assert all(line.startswith(b"POST http://127.0.0.1") for line in lines)


async def test_only_what_goes_through_a_proxy_is_opened_as_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(OK)

    public, proxys = guarded(allow_private=False), guarded(allow_private=True)
    async with listening(proxy) as proxy_port, listening(saying(OK)) as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy_port}")
        options = {"trust_env": True, "open_socket": public, "open_to_proxy": proxys}
        async with client(**options) as transport:
            monkeypatch.setenv("no_proxy", "")
            response = await transport.handle_async_request(post(port))
            assert await response.aread() == b"ok"
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            with pytest.raises(httpx.ConnectError, match="private"):
                await transport.handle_async_request(post(port))
            monkeypatch.delenv("http_proxy")
            monkeypatch.setenv("no_proxy", "")
            with pytest.raises(httpx.ConnectError, match="private"):
                await transport.handle_async_request(post(port))


async def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "")
        async with client(trust_env=True) as transport:
            with pytest.raises(httpx.ProxyError):
                await transport.handle_async_request(post(1, "https"))


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate for 127.0.0.1, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "ca.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context


async def test_tls_is_checked_against_the_authorities_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, tls = certificate(tmp_path)
    async with listening(saying(OK), tls) as port:
        async with client() as transport:
            with pytest.raises(httpx.ConnectError, match="certificate"):
                await transport.handle_async_request(post(port, "https"))
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        async with client() as transport:
            response = await transport.handle_async_request(post(port, "https"))
            assert await response.aread() == b"ok"


async def test_other_schemes_are_refused() -> None:
    async with client() as transport:
        with pytest.raises(httpx.UnsupportedProtocol):
            await transport.handle_async_request(httpx.Request("POST", "ftp://127.0.0.1/"))
