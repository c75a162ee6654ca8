"""A policy server that answers whatever a test says, and servers that do worse."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def answering(port: int, answer: Answer) -> Iterator[None]:
    """A server on `port` of the loopback interface that answers every POST with `answer`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a caller that gave up is what the tests are about

    server = Server(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def says(body: bytes, status: int = 200, kind: str = "application/json") -> Answer:
    """An answer with `body`, after which the connection is closed."""

    def answer(caller: BaseHTTPRequestHandler) -> None:
        caller.send_response(status)
        caller.send_header("content-type", kind)
        caller.send_header("content-length", str(len(body)))
        caller.send_header("connection", "close")
        caller.end_headers()
        caller.wfile.write(body)

    return answer


def dripping(body: bytes, pause: float) -> Answer:
    """An answer whose bytes come one by one, `pause` seconds apart."""

    def answer(caller: BaseHTTPRequestHandler) -> None:
        caller.send_response(200)
        caller.send_header("content-type", "application/json")
        caller.send_header("content-length", str(len(body)))
        caller.end_headers()
        for byte in body:
            caller.wfile.write(bytes([byte]))
            caller.wfile.flush()
            time.sleep(pause)

    return answer


def silent(seconds: float) -> Answer:
    """No answer at all for so long; then the end of the connection."""

    def answer(caller: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        caller.close_connection = True

    return answer


def breaking(caller: BaseHTTPRequestHandler) -> None:
    """The head of an answer and half a body, then the end of the connection."""
    caller.send_response(200)
    caller.send_header("content-type", "application/json")
    caller.send_header("content-length", "500")
    caller.end_headers()
    caller.wfile.write(b'{"result": {"revision"')
    caller.close_connection = True
