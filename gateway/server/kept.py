"""Files, batches and stored responses over HTTP. They call no model: workers do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from litestar import Request, Response, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from gateway.core.errors import Malformed
from gateway.core.ids import new_id
from gateway.core.json_body import parse
from gateway.core.principal import Principal
from gateway.dialects import multipart
from gateway.governance.batches import Batches
from gateway.governance.files import Files
from gateway.governance.responses import Responses

Who: TypeAlias = Callable[[Mapping[str, str], str], Awaitable[Principal]]
"""Whose a request with these headers is, if they may do this action. Raises `Denied`."""
_Asked: TypeAlias = Request[Any, Any, Any]
_Told: TypeAlias = Response[dict[str, Any]]

_PAGE = 20
_MOST = 100
_FORM = 64 * 1024
"""Bytes that a form takes besides its file."""


def kept_routes(
    who: Who, files: Files, batches: Batches, responses: Responses, opt: Mapping[str, Any]
) -> Sequence[HTTPRouteHandler]:
    """The handlers, each with the route options `opt`."""
    return [
        *_file_routes(who, files, dict(opt)),
        *_batch_routes(who, batches, dict(opt)),
        *_response_routes(who, responses, dict(opt)),
    ]


def _file_routes(who: Who, files: Files, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    @post("/v1/files", opt=opt, request_max_body_size=files.most_bytes + _FORM)
    async def upload(request: _Asked) -> _Told:
        """Keep a file that a batch is to read."""
        principal = await who(request.headers, "files.create")
        # Read here, in memory: a framework's form would roll it to a disk, in clear.
        form = multipart.parse(await request.body(), request.headers.get("content-type", ""))
        file = form.get("file")
        if not isinstance(file, multipart.Upload):
            raise Malformed("'file' must be a file of a multipart form.", param="file")
        name, purpose = file.filename or "", form.get("purpose")
        return _answer(await files.upload(principal, name, purpose, file.content))

    @get("/v1/files", opt=opt)
    async def list_files(request: _Asked) -> _Told:
        """The app's files."""
        principal = await who(request.headers, "files.list")
        after, limit = _page(request)
        purpose = request.query_params.get("purpose")
        return _listed(await files.listed(principal, after, limit + 1, purpose), limit)

    @get("/v1/files/{id:str}", opt=opt)
    async def one_file(request: _Asked, id: FromPath[str]) -> _Told:
        """What is known of a file."""
        return _answer(await files.get(await who(request.headers, "files.retrieve"), id))

    @delete("/v1/files/{id:str}", opt=opt, status_code=200)
    async def delete_file(request: _Asked, id: FromPath[str]) -> _Told:
        """Destroy a file."""
        return _answer(await files.delete(await who(request.headers, "files.delete"), id))

    @get("/v1/files/{id:str}/content", opt=opt)
    async def file_content(request: _Asked, id: FromPath[str]) -> Response[bytes]:
        """What stands in a file."""
        content = await files.content(await who(request.headers, "files.content"), id)
        return Response(content, media_type="application/octet-stream", headers=_ids())

    return [upload, list_files, one_file, delete_file, file_content]


def _batch_routes(who: Who, batches: Batches, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    @post("/v1/batches", opt=opt)
    async def create_batch(request: _Asked) -> _Told:
        """Have every request of a file run."""
        principal = await who(request.headers, "batches.create")
        wish = parse(await request.body())
        if not isinstance(wish, dict):
            raise Malformed("The body must be a JSON object.")
        return _answer(await batches.create(principal, wish))

    @get("/v1/batches", opt=opt)
    async def list_batches(request: _Asked) -> _Told:
        """The app's batches."""
        principal = await who(request.headers, "batches.list")
        after, limit = _page(request)
        return _listed(await batches.listed(principal, after, limit + 1), limit)

    @get("/v1/batches/{id:str}", opt=opt)
    async def one_batch(request: _Asked, id: FromPath[str]) -> _Told:
        """A batch as it stands."""
        return _answer(await batches.get(await who(request.headers, "batches.retrieve"), id))

    @post("/v1/batches/{id:str}/cancel", opt=opt)
    async def cancel_batch(request: _Asked, id: FromPath[str]) -> _Told:
        """Begin no more of a batch's requests."""
        return _answer(await batches.cancel(await who(request.headers, "batches.cancel"), id))

    return [create_batch, list_batches, one_batch, cancel_batch]


def _response_routes(
    who: Who, responses: Responses, opt: dict[str, Any]
) -> Sequence[HTTPRouteHandler]:
    @get("/v1/responses/{id:str}", opt=opt)
    async def one_response(request: _Asked, id: FromPath[str]) -> _Told:
        """A response that was stored, or runs in the background."""
        if request.query_params.get("stream") == "true":
            raise Malformed("A stored response cannot be streamed.", param="stream")
        return _answer(await responses.get(await who(request.headers, "responses.retrieve"), id))

    @delete("/v1/responses/{id:str}", opt=opt, status_code=200)
    async def delete_response(request: _Asked, id: FromPath[str]) -> _Told:
        """Destroy what is kept of a response."""
        return _answer(await responses.delete(await who(request.headers, "responses.delete"), id))

    @post("/v1/responses/{id:str}/cancel", opt=opt)
    async def cancel_response(request: _Asked, id: FromPath[str]) -> _Told:
        """End a response that runs in the background."""
        return _answer(await responses.cancel(await who(request.headers, "responses.cancel"), id))

    @get("/v1/responses/{id:str}/input_items", opt=opt)
    async def input_items(request: _Asked, id: FromPath[str]) -> _Told:
        """What was asked, as items, the newest first unless `order=asc`."""
        principal = await who(request.headers, "responses.input_items")
        items = await responses.input_items(principal, id)
        if request.query_params.get("order") != "asc":
            items.reverse()
        after, limit = _page(request)
        ids = [item["id"] for item in items]
        begin = ids.index(after) + 1 if after in ids else 0
        return _listed(items[begin : begin + limit + 1], limit)

    return [one_response, delete_response, cancel_response, input_items]


def _page(request: _Asked) -> tuple[str | None, int]:
    """The id after which a page begins, and how many it holds. Raises `Malformed`."""
    asked = request.query_params.get("limit", str(_PAGE))
    number = asked.isascii() and asked.isdigit() and len(asked) <= 3
    if not number or not 1 <= int(asked) <= _MOST:
        raise Malformed(f"'limit' must be between 1 and {_MOST}.", param="limit")
    return request.query_params.get("after"), int(asked)


def _listed(found: Sequence[dict[str, Any]], limit: int) -> _Told:
    """A page of at most `limit`; one more in `found` says that there are more."""
    shown = found[:limit]
    ids = [each["id"] for each in shown]
    page = {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None}
    more = {"has_more": len(found) > limit}
    return _answer({"object": "list", "data": list(shown), **page, **more})


def _answer(body: dict[str, Any]) -> _Told:
    return Response(body, status_code=200, headers=_ids())


def _ids() -> dict[str, str]:
    id = new_id("req")
    return {"x-request-id": id, "request-id": id}
