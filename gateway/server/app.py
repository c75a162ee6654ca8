"""The web application: every route there is, with its posture."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Any, TypeAlias

from litestar import Litestar, MediaType, Request, Response, asgi, get
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from litestar.types import Receive, Scope, Send

from gateway.core.dialect import Dialect
from gateway.core.errors import Code, Denied, GatewayError
from gateway.core.ids import new_id
from gateway.dialects.openai_shape import error_body
from gateway.server.data_plane import DataPlane
from gateway.server.errors import INTERNAL, headers_of, status_of
from gateway.server.models import Models

log = logging.getLogger("govgate.server")

Probe: TypeAlias = Callable[[], Awaitable[None]]
"""Raises when the part it looks at is not ready."""


class Posture(StrEnum):
    """What stands between a route and a model."""

    GOVERNED = "governed"  # every request is an exchange, through all stages
    CONTROL = "control"  # needs a key or a role; calls no model
    HEALTH = "health"  # open; says nothing about anybody


def build_app(
    *,
    data_plane: DataPlane,
    dialects: Mapping[str, Dialect],
    models: Models,
    probes: Mapping[str, Probe],
    lifespan: Callable[[Litestar], AbstractAsyncContextManager[None]] | None = None,
) -> Litestar:
    """The application. `dialects` are the governed endpoints, by path."""

    def governed(path: str, dialect: Dialect) -> Any:
        @asgi(path, opt={"posture": Posture.GOVERNED}, copy_scope=False)
        async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == ScopeType.HTTP:  # a WebSocket left unanswered is refused with 403
                await data_plane(dialect, scope, receive, send)

        return endpoint

    @get("/v1/models", opt={"posture": Posture.CONTROL})
    async def list_models(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        """The models that the key may use."""
        return _answer(await models.listed(request.headers))

    @get("/v1/models/{model:path}", opt={"posture": Posture.CONTROL})
    async def one_model(
        request: Request[Any, Any, Any], model: FromPath[str]
    ) -> Response[dict[str, Any]]:
        """One model."""
        return _answer(await models.one(request.headers, model.lstrip("/")))

    @get("/livez", opt={"posture": Posture.HEALTH}, media_type=MediaType.TEXT, sync_to_thread=False)
    def livez() -> str:
        """The process answers."""
        return "ok\n"

    @get("/readyz", opt={"posture": Posture.HEALTH})
    async def readyz() -> Response[dict[str, str]]:
        """Every part that an exchange needs can be asked."""
        state = {name: await _state(probe) for name, probe in probes.items()}
        ready = all(word == "ok" for word in state.values())
        return Response(state, status_code=200 if ready else 503)

    return Litestar(
        [
            *(governed(path, dialect) for path, dialect in dialects.items()),
            list_models,
            one_model,
            livez,
            readyz,
        ],
        lifespan=[lifespan] if lifespan else [],
        openapi_config=None,
        exception_handlers={
            GatewayError: _said_no,
            HTTPException: _no_route,
            Exception: _broken,
        },
        logging_config=None,
    )


async def _state(probe: Probe) -> str:
    try:
        await probe()
    except Exception as error:  # noqa: BLE001 - whatever it is, the part is not ready
        return f"unavailable ({type(error).__name__})"
    return "ok"


def _no_route(request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    """What the router itself refuses, in OpenAI's shape."""
    if error.status_code == 405:
        words = f"{request.method} is not allowed here."
        return _refused(Denied(Code.METHOD_NOT_ALLOWED, words), error.headers)
    if error.status_code == 404:
        words = f"Unknown request URL: {request.method} {request.url.path}."
        return _refused(Denied(Code.UNKNOWN_URL, words))
    return _refused(Denied(Code.INVALID_REQUEST, "The request cannot be read."))


def _said_no(request: Request[Any, Any, Any], error: GatewayError) -> Response[dict[str, Any]]:
    return _refused(error)


def _broken(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    log.error("%s failed: %s", request.url.path, type(error).__name__)
    return _refused(INTERNAL)


def _refused(
    error: GatewayError, headers: Mapping[str, str] | None = None
) -> Response[dict[str, Any]]:
    told = {**headers_of(error), **(headers or {})}
    return _answer(error_body(error, {}), status_of(error), told)


def _answer(
    body: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response[dict[str, Any]]:
    request_id = new_id("req")
    told = {"x-request-id": request_id, "request-id": request_id, **(headers or {})}
    return Response(body, status_code=status, headers=told)
