"""Syslog over TLS, to a real server: framed, verified, and nothing taken for sent that is not."""

from __future__ import annotations

import re
import socket
import ssl
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.adapters.sinks.syslog import SyslogSink, context_of
from gateway.core.exports import Delivery, SinkError
from tests.unit.adapters.sinks.certificates import server_context

MESSAGE = re.compile(
    rb"<109>1 \d{4}-\d\d-\d\dT[\d:.]+\+00:00 \S+ govgate - record - \xef\xbb\xbf(.*)", re.S
)


class Server:
    """A syslog server. `rude` hangs up with a reset when it has read the first bytes."""

    def __init__(self, folder: Path) -> None:
        self.context, self.ca = server_context(folder)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.pool = ThreadPoolExecutor(1)
        self.rude = False

    def sink(self, ca: Path | None = None) -> SyslogSink:
        context = context_of(None if ca is None else str(ca), None)
        return SyslogSink("127.0.0.1", self.port, context, 13, 10)

    def read(self) -> bytes:
        """All of one connection."""
        plain, _ = self.socket.accept()
        try:
            with self.context.wrap_socket(plain, server_side=True) as tls:
                if self.rude:
                    tls.recv(1)
                    linger = struct.pack("ii", 1, 0)
                    tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    return b""
                pieces = list(iter(lambda: tls.recv(65_536), b""))
                tls.unwrap().close()
                return b"".join(pieces)
        except OSError:
            return b""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.socket.close()
    made.pool.shutdown()


def messages(stream: bytes) -> list[bytes]:
    """The messages of RFC 5425 frames."""
    found = []
    while stream:
        length, _, stream = stream.partition(b" ")
        found.append(stream[: int(length)])
        stream = stream[int(length) :]
    return found


async def test_messages_are_framed_and_whole(server: Server) -> None:
    lines = [b"CEF:0|one", "zwei ü".encode(), b"x" * 200_000]
    reading = server.pool.submit(server.read)
    await server.sink(server.ca).send(Delivery(0, 3, lines))
    found = [MESSAGE.fullmatch(message) for message in messages(reading.result())]
    assert [one and one[1] for one in found] == lines


async def test_a_certificate_that_nobody_vouches_for_is_refused(server: Server) -> None:
    reading = server.pool.submit(server.read)
    with pytest.raises(ssl.SSLCertVerificationError):
        await server.sink().send(Delivery(0, 1, [b"secret"]))
    assert reading.result() == b""


async def test_a_server_that_hangs_up_has_not_got_it(server: Server) -> None:
    server.rude = True
    reading = server.pool.submit(server.read)
    with pytest.raises((OSError, SinkError)):
        await server.sink(server.ca).send(Delivery(0, 1, [b"x" * 4_000_000]))
    assert reading.result() == b""


async def test_a_server_that_is_not_there_is_an_error(server: Server) -> None:
    server.socket.close()
    with pytest.raises(OSError, match="refused"):
        await server.sink(server.ca).send(Delivery(0, 1, [b"a"]))


def test_checks_cannot_be_switched_off() -> None:
    context = context_of(None, None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    with pytest.raises(OSError, match="No such file"):
        context_of("/nonexistent/ca.pem", None)
