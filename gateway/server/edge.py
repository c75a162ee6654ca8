"""What stands before the router: base URLs, HEAD, and calls from browsers."""

from __future__ import annotations

from collections.abc import Mapping

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from gateway.core.ids import new_id
from gateway.server.cors import Cors
from gateway.server.paths import Paths, deployed

DEPLOYMENT = "deployment"
"""Where in a request's state the model stands that its path names."""


class Edge:
    """An ASGI application around another. What needs none of it passes at no cost."""

    def __init__(self, app: ASGIApp, paths: Paths, cors: Cors) -> None:
        self._app = app
        self._paths = paths
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            path = self._found(scope)
            if self._cors.concerns(path):
                headers = _headers(scope)
                if self._is_preflight(scope, headers):
                    await self._allow(headers, send)
                    return
                send = self._with_origin(path, headers.get("origin", ""), send)
            if scope["method"] == "HEAD":
                scope = {**scope, "method": "GET"}  # the server's own still says HEAD
                send = _without_body(send)
        await self._app(scope, receive, send)

    def _found(self, scope: HTTPScope) -> str:
        """The path to route by, put in the scope; with the model where the path names one."""
        deployment = deployed(scope["path"])
        if deployment is None:
            scope["path"] = self._paths.canonical(scope["path"])
        else:
            scope["path"], scope["state"][DEPLOYMENT] = deployment
        return scope["path"]

    def _is_preflight(self, scope: HTTPScope, headers: Mapping[str, str]) -> bool:
        return (
            scope["method"] == "OPTIONS"
            and "access-control-request-method" in headers
            and self._cors.admits(scope["path"], headers.get("origin", ""))
        )

    async def _allow(self, headers: Mapping[str, str], send: Send) -> None:
        request_id = new_id("req")
        told = {
            "access-control-allow-origin": headers["origin"],
            "vary": "origin, access-control-request-headers",
            "x-request-id": request_id,
            "request-id": request_id,
            **self._cors.preflight(headers),
        }
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in told.items()]
        await send({"type": "http.response.start", "status": 204, "headers": pairs})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _with_origin(self, path: str, origin: str, send: Send) -> Send:
        """`send`, where the head of the answer says what a page of `origin` may read of it."""
        admitted = self._cors.admits(path, origin)

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], (b"vary", b"origin")]
                if admitted:
                    names = self._cors.exposed(name.decode().lower() for name, _ in headers)
                    headers += [
                        (b"access-control-allow-origin", origin.encode("latin-1")),
                        (b"access-control-expose-headers", names.encode()),
                    ]
                message["headers"] = headers
            await send(message)

        return told


def _headers(scope: HTTPScope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _without_body(send: Send) -> Send:
    """`send` for HEAD: a GET of which only the head is sent (RFC 9110 §9.3.2)."""

    async def head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message["body"] = b""
        await send(message)

    return head
