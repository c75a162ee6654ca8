"""A server that says when and where it can be called."""

from __future__ import annotations

import socket
import sys

import uvicorn


class Telling(uvicorn.Server):
    """A server that says, on standard error, when and where it can be called."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            place = f"[{host}]" if ":" in host else host
            print(f"serving on http://{place}:{port}", file=sys.stderr, flush=True)
