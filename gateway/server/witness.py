"""The web application of a witness: one thing to ask, and whether it lives."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.exceptions import HTTPException

log = logging.getLogger("govgate.witness")

MOST_BYTES = 64 * 1024
"""Bytes of a request. A longer one is refused with 413."""


class Answer(Protocol):
    """What is answered over HTTP."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> str: ...
    @property
    def media_type(self) -> str: ...


class Witness(Protocol):
    """What judges a request. It may block."""

    def add_checkpoint(self, request: bytes) -> Answer: ...


def witness_app(witness: Witness) -> Litestar:
    """The application: `POST /add-checkpoint` of c2sp.org/tlog-witness, and `GET /livez`."""

    @post("/add-checkpoint", status_code=200)
    async def add_checkpoint(request: Request[Any, Any, Any]) -> Response[str]:
        """Sign a checkpoint, or say why not."""
        body = await request.body()
        answer = await asyncio.to_thread(witness.add_checkpoint, body)
        told = {"content-type": answer.media_type}  # as `media_type` it would get a charset
        return Response(answer.body, status_code=answer.status, headers=told, media_type="text")

    @get("/livez")
    async def livez() -> Response[str]:
        """The process answers."""
        return Response("ok\n", media_type=MediaType.TEXT)

    return Litestar(
        [add_checkpoint, livez],
        openapi_config=None,
        request_max_body_size=MOST_BYTES,
        exception_handlers={HTTPException: _refused, Exception: _broken},
        logging_config=None,
    )


def _refused(request: Request[Any, Any, Any], error: HTTPException) -> Response[str]:
    """What the router itself refuses."""
    return Response(
        f"{error.detail}\n",
        status_code=error.status_code,
        headers=error.headers,
        media_type=MediaType.TEXT,
    )


def _broken(request: Request[Any, Any, Any], error: Exception) -> Response[str]:
    log.error("%s failed: %s: %s", request.scope["path"], type(error).__name__, error)
    words = "the witness cannot remember, so that it does not sign\n"
    return Response(words, status_code=500, media_type=MediaType.TEXT)
