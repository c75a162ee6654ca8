"""Policy servers that answer whatever a test says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from gateway.adapters.opa import Breaker, OpaServer, OpaServerPolicy
from tests.fakes.policy import ALLOW

REVISION = "sha256:expected"
GOOD = {"result": {"revision": REVISION, "decision": ALLOW}}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(
    handler: Handler, seconds: float = 30, breaker: Breaker | None = None
) -> AsyncIterator[OpaServerPolicy]:
    """A policy whose server is `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    server = OpaServer(f"http://127.0.0.1:{port}/", timeout=seconds, breaker=breaker)
    try:
        yield OpaServerPolicy(server, REVISION)
    finally:
        await server.stop()
        await runner.cleanup()


def answering(
    body: bytes | str | dict[str, Any], status: int = 200, kind: str = "application/json"
) -> Handler:
    text = json.dumps(body) if isinstance(body, dict) else body

    async def handler(request: web.Request) -> web.Response:
        raw = text.encode() if isinstance(text, str) else text
        return web.Response(body=raw, status=status, content_type=kind)

    return handler
