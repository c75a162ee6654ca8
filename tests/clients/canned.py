"""A provider that answers exactly the bytes it was given, and keeps what it was asked."""

from __future__ import annotations

import json
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Canned:
    """The answer to every call, and the calls. `start` it before use."""

    body: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    """Paths of what was to be deleted, which it does."""
    port: int = 0
    _server: ThreadingHTTPServer | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def answers(self, body: bytes, *, stream: bool = False, status: int = 200, **headers: str
                ) -> None:  # fmt: skip
        """Answer with `body` from now on, and forget what was asked."""
        kind = "text/event-stream" if stream else "application/json"
        self.body, self.status = body, status
        self.headers = {"content-type": kind, **headers}
        self.asked.clear()

    def start(self, secured_by: ssl.SSLContext | None = None) -> None:
        """Serve; behind TLS where it is `secured_by` something."""
        canned = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                read = self.rfile.read(int(self.headers["content-length"]))
                form = "multipart/" in self.headers["content-type"]
                said = read if form else json.loads(read)
                canned.asked.append({"headers": dict(self.headers), "body": said})
                self.send_response(canned.status)
                told = {**canned.headers, "content-length": str(len(canned.body))}
                for name, value in told.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(canned.body)

            def do_DELETE(self) -> None:
                canned.deleted.append(self.path)
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        if secured_by is not None:
            self._server.socket = secured_by.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
