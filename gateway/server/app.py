"""The web application: every route there is, with its posture."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from litestar import Litestar, MediaType, Request, Response, asgi, get
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.routes import HTTPRoute
from litestar.types import Receive, Scope, Send

from gateway.core.dialect import Dialect
from gateway.core.errors import Code, Denied, GatewayError
from gateway.core.ids import new_id
from gateway.server.callers import Callers
from gateway.server.census import DIALECT, POSTURE, Posture, census
from gateway.server.cors import Cors
from gateway.server.coverage import ACTION, coverage
from gateway.server.coverage import SCHEMA as COVERAGE
from gateway.server.data_plane import DataPlane
from gateway.server.described import says
from gateway.server.edge import DEPLOYMENT, Edge
from gateway.server.errors import INTERNAL, headers_of, status_of
from gateway.server.models import Models
from gateway.server.openapi import PATH, document
from gateway.server.paths import Paths
from gateway.server.shapes import MODELS, Shapes

log = logging.getLogger("govgate.server")

Probe: TypeAlias = Callable[[], Awaitable[None]]
"""Raises when the part it looks at is not ready."""

_TOO_LARGE = {
    "/v1/files": "The upload is larger than GOVGATE_FILES__MOST_BYTES lets a file be.",
    "/v1/batches": "The body is larger than GOVGATE_SERVER__BODY_LIMIT lets it be.",
    "/v1/conversations": "The body is larger than GOVGATE_SERVER__BODY_LIMIT lets it be.",
}
"""What is said of a body that the router refused, by how its path begins."""

Told: TypeAlias = Callable[[], Mapping[str, Any]]
"""What a part says of itself: JSON."""

Asked: TypeAlias = Request[Any, Any, Any]
Lifespan: TypeAlias = Callable[[Litestar], AbstractAsyncContextManager[None]]


def build_app(
    *,
    data_plane: DataPlane,
    dialects: Mapping[str, Dialect],
    models: Models,
    callers: Callers,
    kept: Sequence[HTTPRouteHandler] = (),
    probes: Mapping[str, Probe],
    told: Mapping[str, Told] | None = None,
    duties: Sequence[str] = (),
    origins: Collection[str] = (),
    lifespan: Lifespan | None = None,
) -> Litestar:
    """The application.

    `dialects` are the governed endpoints, by path; `told` what parts say of themselves where
    it is asked whether the gateway is ready; `duties` what a policy may demand; `origins`
    those of pages that may call from a browser. Raises `UndeclaredRoute`, `ValueError`.
    """
    app = Litestar(
        [
            *(_governed(data_plane, path, dialect) for path, dialect in dialects.items()),
            *_models(models),
            *kept,
            *_health(probes, told or {}),
            _coverage(callers, duties),
            _openapi(callers),
        ],
        lifespan=[lifespan] if lifespan else [],
        openapi_config=None,
        before_request=_tell_methods,
        exception_handlers=_Refusals(Shapes(dialects)).handlers,
        logging_config=None,
    )
    routes = census(app)
    app.asgi_handler = Edge(app.asgi_handler, Paths(route.path for route in routes), Cors(origins))
    return app


def _governed(data_plane: DataPlane, path: str, dialect: Dialect) -> Any:
    @asgi(path, opt={POSTURE: Posture.GOVERNED, DIALECT: dialect}, copy_scope=False)
    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:  # a WebSocket left unanswered is refused with 403
            model = scope["state"].get(DEPLOYMENT)
            await data_plane(dialect, scope, receive, send, model)

    return endpoint


def _models(models: Models) -> list[Any]:
    @get(MODELS, opt={POSTURE: Posture.CONTROL})
    async def list_models(request: Asked) -> Response[Any]:
        """The models that the key may use."""
        return _answer(await models.listed(request.headers, request.query_params))

    @get(MODELS + "/{model:path}", opt={POSTURE: Posture.CONTROL})
    async def one_model(request: Asked, model: FromPath[str]) -> Response[Any]:
        """One model."""
        return _answer(await models.one(request.headers, model.lstrip("/")))

    return [list_models, one_model]


def _health(probes: Mapping[str, Probe], told: Mapping[str, Told]) -> list[Any]:
    @get("/livez", opt={POSTURE: Posture.HEALTH})
    async def livez() -> Response[Any]:
        """The process answers."""
        return _answer("ok\n", media=MediaType.TEXT)

    @get("/readyz", opt={POSTURE: Posture.HEALTH})
    async def readyz() -> Response[Any]:
        """Every part that an exchange needs can be asked."""
        state = {name: await _state(probe) for name, probe in probes.items()}
        ready = all(word == "ok" for word in state.values())
        said = {"told": {name: tell() for name, tell in told.items()}} if told else {}
        return _answer({**state, **said}, 200 if ready else 503)

    return [livez, readyz]


def _coverage(callers: Callers, duties: Sequence[str]) -> Any:
    @get("/api/v1/coverage", opt={POSTURE: Posture.CONTROL} | says(COVERAGE))
    async def covered(request: Asked) -> Response[Any]:
        """What is governed where."""
        await callers.principal(request.headers, ACTION)
        return _answer(coverage(census(request.app), duties))

    return covered


def _openapi(callers: Callers) -> Any:
    described: dict[str, Any] = {}

    @get(PATH, opt={POSTURE: Posture.CONTROL} | says({"type": "object"}))
    async def openapi(request: Asked) -> Response[Any]:
        """This description."""
        await callers.anybody(request.headers)
        if not described:
            described.update(document(request.app))
        return _answer(described)

    return openapi


def _tell_methods(request: Asked) -> Response[Any] | None:
    """Answer OPTIONS: what may be done here. The router's own knows one handler of a path."""
    if request.method != "OPTIONS":
        return None
    here = request.scope["path_template"]
    methods = {
        str(method)
        for route in request.app.routes
        if isinstance(route, HTTPRoute) and route.path_format == here
        for handler in route.route_handlers
        for method in handler.http_methods
    }
    return _answer(None, 204, {"allow": ", ".join(sorted(methods))}, media=MediaType.TEXT)


async def _state(probe: Probe) -> str:
    try:
        await probe()
    except Exception as error:  # noqa: BLE001 - whatever it is, the part is not ready
        return f"unavailable ({type(error).__name__})"
    return "ok"


class _Refusals:
    """What is answered where there is no exchange to say no."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self.handlers: dict[int | type[Exception], Any] = {
            GatewayError: self._refused,
            HTTPException: self._no_route,
            Exception: self._broken,
        }

    def _refused(
        self, request: Asked, error: GatewayError, headers: Mapping[str, str] | None = None
    ) -> Response[Any]:
        request_id = new_id("req")
        path, told = request.scope["path"], {**headers_of(error), **(headers or {})}
        media, body = self._shapes.error(path, request.headers, error, request_id)
        return _answer(body, status_of(error), told, media=media, request_id=request_id)

    def _no_route(self, request: Asked, error: HTTPException) -> Response[Any]:
        """What the router itself refuses."""
        if error.status_code == 405:
            words = f"{request.method} is not allowed here."
            return self._refused(request, Denied(Code.METHOD_NOT_ALLOWED, words), error.headers)
        if error.status_code == 404:
            words = f"Unknown request URL: {request.method} {request.scope['path']}."
            return self._refused(request, Denied(Code.UNKNOWN_URL, words))
        if error.status_code == 413:
            path = request.scope["path"]
            here = (words for begins, words in _TOO_LARGE.items() if path.startswith(begins))
            words = next(here, "The body is too large.")
            return self._refused(request, Denied(Code.REQUEST_TOO_LARGE, words))
        return self._refused(request, Denied(Code.INVALID_REQUEST, "The request cannot be read."))

    def _broken(self, request: Asked, error: Exception) -> Response[Any]:
        log.error("%s failed: %s", request.scope["path"], type(error).__name__)
        return self._refused(request, INTERNAL)


def _answer(
    body: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    media: str = MediaType.JSON,
    request_id: str | None = None,
) -> Response[Any]:
    request_id = request_id or new_id("req")
    told = {"x-request-id": request_id, "request-id": request_id, **(headers or {})}
    return Response(body, status_code=status, headers=told, media_type=media)
