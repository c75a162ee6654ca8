"""Files, batches and stored responses over HTTP. They call no model: workers do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from litestar import Response, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from gateway.core.errors import Malformed
from gateway.core.principal import Principal
from gateway.dialects import multipart
from gateway.governance.batches import Batches
from gateway.governance.files import Files
from gateway.governance.responses import Responses
from gateway.server.listing import Asked, Told, answer, listed, page, page_of, request_ids, wish_of

Who: TypeAlias = Callable[[Mapping[str, str], str], Awaitable[Principal]]
"""Whose a request with these headers is, if they may do this action. Raises `Denied`."""

_FORM = 64 * 1024
"""Bytes that a form takes besides its file."""


def kept_routes(
    who: Who,
    files: Files,
    batches: Batches,
    responses: Responses,
    opt: Mapping[str, Any],
    *,
    body_limit: int = 10 << 20,
) -> Sequence[HTTPRouteHandler]:
    """The handlers, each with the route options `opt`; `body_limit` is for what is no upload."""
    return [
        *_file_routes(who, files, dict(opt)),
        *_batch_routes(who, batches, dict(opt), body_limit),
        *_response_routes(who, responses, dict(opt)),
    ]


def _file_routes(who: Who, files: Files, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    @post("/v1/files", opt=opt, request_max_body_size=files.most_bytes + _FORM)
    async def upload(request: Asked) -> Told:
        """Keep a file that a batch is to read."""
        principal = await who(request.headers, "files.create")
        # Read here, in memory: a framework's form would roll it to a disk, in clear.
        form = multipart.parse(await request.body(), request.headers.get("content-type", ""))
        file = form.get("file")
        if not isinstance(file, multipart.Upload):
            raise Malformed("'file' must be a file of a multipart form.", param="file")
        name, purpose = file.filename or "", form.get("purpose")
        return answer(await files.upload(principal, name, purpose, file.content))

    @get("/v1/files", opt=opt)
    async def list_files(request: Asked) -> Told:
        """The app's files."""
        principal = await who(request.headers, "files.list")
        after, limit = page(request)
        purpose = request.query_params.get("purpose")
        return listed(await files.listed(principal, after, limit + 1, purpose), limit)

    @get("/v1/files/{id:str}", opt=opt)
    async def one_file(request: Asked, id: FromPath[str]) -> Told:
        """What is known of a file."""
        return answer(await files.get(await who(request.headers, "files.retrieve"), id))

    @delete("/v1/files/{id:str}", opt=opt, status_code=200)
    async def delete_file(request: Asked, id: FromPath[str]) -> Told:
        """Destroy a file."""
        return answer(await files.delete(await who(request.headers, "files.delete"), id))

    @get("/v1/files/{id:str}/content", opt=opt)
    async def file_content(request: Asked, id: FromPath[str]) -> Response[bytes]:
        """What stands in a file."""
        content = await files.content(await who(request.headers, "files.content"), id)
        return Response(content, media_type="application/octet-stream", headers=request_ids())

    return [upload, list_files, one_file, delete_file, file_content]


def _batch_routes(
    who: Who, batches: Batches, opt: dict[str, Any], body_limit: int
) -> Sequence[HTTPRouteHandler]:
    @post("/v1/batches", opt=opt, request_max_body_size=body_limit)
    async def create_batch(request: Asked) -> Told:
        """Have every request of a file run."""
        principal = await who(request.headers, "batches.create")
        return answer(await batches.create(principal, await wish_of(request)))

    @get("/v1/batches", opt=opt)
    async def list_batches(request: Asked) -> Told:
        """The app's batches."""
        principal = await who(request.headers, "batches.list")
        after, limit = page(request)
        return listed(await batches.listed(principal, after, limit + 1), limit)

    @get("/v1/batches/{id:str}", opt=opt)
    async def one_batch(request: Asked, id: FromPath[str]) -> Told:
        """A batch as it stands."""
        return answer(await batches.get(await who(request.headers, "batches.retrieve"), id))

    @post("/v1/batches/{id:str}/cancel", opt=opt)
    async def cancel_batch(request: Asked, id: FromPath[str]) -> Told:
        """Begin no more of a batch's requests."""
        return answer(await batches.cancel(await who(request.headers, "batches.cancel"), id))

    return [create_batch, list_batches, one_batch, cancel_batch]


def _response_routes(
    who: Who, responses: Responses, opt: dict[str, Any]
) -> Sequence[HTTPRouteHandler]:
    @get("/v1/responses/{id:str}", opt=opt)
    async def one_response(request: Asked, id: FromPath[str]) -> Told:
        """A response that was stored, or runs in the background."""
        if request.query_params.get("stream") == "true":
            raise Malformed("A stored response cannot be streamed.", param="stream")
        principal = await who(request.headers, "responses.retrieve")
        told, exchange_id = await responses.get(principal, id)
        return answer(told, {"x-govgate-exchange": exchange_id} if exchange_id else {})

    @delete("/v1/responses/{id:str}", opt=opt, status_code=200)
    async def delete_response(request: Asked, id: FromPath[str]) -> Told:
        """Destroy what is kept of a response."""
        return answer(await responses.delete(await who(request.headers, "responses.delete"), id))

    @post("/v1/responses/{id:str}/cancel", opt=opt)
    async def cancel_response(request: Asked, id: FromPath[str]) -> Told:
        """End a response that runs in the background."""
        return answer(await responses.cancel(await who(request.headers, "responses.cancel"), id))

    @get("/v1/responses/{id:str}/input_items", opt=opt)
    async def input_items(request: Asked, id: FromPath[str]) -> Told:
        """What was asked, as items, the newest first unless `order=asc`."""
        principal = await who(request.headers, "responses.input_items")
        return page_of(await responses.input_items(principal, id), request)

    return [one_response, delete_response, cancel_response, input_items]
