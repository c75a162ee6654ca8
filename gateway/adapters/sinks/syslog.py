"""Records as syslog messages over TLS.

Sources: RFC 5424 (the message), RFC 5425 (TLS, octet counting). Syslog has no receipt: so each
delivery has a connection of its own, which is ended in order, and counts as arrived when the
server has ended it too. The server's certificate is checked, always.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import UTC, datetime

from gateway.core.exports import Delivery, SinkError

_NOTICE = 5
_APP = "govgate"
_BOM = b"\xef\xbb\xbf"


def context_of(ca: str | None, certificate: str | None) -> ssl.SSLContext:
    """TLS that checks the server. Raises `OSError` (which `ssl.SSLError` is)."""
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context


class SyslogSink:
    """Implements `Sink`. `facility` is RFC 5424's number, `timeout` seconds for each step."""

    def __init__(
        self, host: str, port: int, context: ssl.SSLContext, facility: int, timeout: float
    ) -> None:
        self._place = host, port
        self._context = context
        self._priority = facility * 8 + _NOTICE
        self._timeout = timeout
        self._hostname = socket.gethostname().encode("ascii", "replace").decode() or "-"

    async def send(self, delivery: Delivery) -> None:
        await asyncio.to_thread(self._deliver, delivery)

    async def stop(self) -> None:
        """Nothing is kept open."""

    def _deliver(self, delivery: Delivery) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        framed = b"".join(_framed(self._message(line, now)) for line in delivery.lines)
        with (
            socket.create_connection(self._place, self._timeout) as plain,
            self._context.wrap_socket(plain, server_hostname=self._place[0]) as tls,
        ):
            tls.sendall(framed)
            _end(tls)

    def _message(self, line: bytes, now: str) -> bytes:
        """An RFC 5424 message: header, no structured data, UTF-8 text."""
        head = f"<{self._priority}>1 {now} {self._hostname[:255]} {_APP} - record - "
        return head.encode() + _BOM + line


def _framed(message: bytes) -> bytes:
    return str(len(message)).encode() + b" " + message


def _end(tls: ssl.SSLSocket) -> None:
    """Say that this is all, and wait until the server has read it and says so too.

    A server that only closes its end has read all as well, or there would be a reset.
    """
    try:
        plain = tls.unwrap()
        plain.shutdown(socket.SHUT_WR)
        while plain.recv(4_096):
            pass
    except ssl.SSLEOFError:
        return
    except ssl.SSLError as error:
        raise SinkError(f"the connection did not end in order: {error.reason}") from error
