"""Finding records over HTTP: lists, facets, any id, why, what was said, kept queries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import unquote

import msgspec
from litestar import MediaType, Request, Response, delete, get, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from gateway.core.audit import (
    DIMENSIONS,
    MOST_ROWS,
    Facets,
    Filters,
    Page,
    Session,
    StoredQuery,
)
from gateway.core.errors import Malformed
from gateway.core.ids import new_id
from gateway.core.json_body import parse
from gateway.core.principal import Principal
from gateway.governance.audits import Audits, Content, Timeline
from gateway.governance.explaining import Explanation
from gateway.server.described import TEXT, Param, says
from gateway.server.openapi import filters_query

Who: TypeAlias = Callable[[Mapping[str, str], str], Awaitable[Principal]]
"""Whose a request with these headers is, if they may do this action. Raises `Denied`."""
_Asked: TypeAlias = Request[Any, Any, Any]
_Told: TypeAlias = Response[bytes]

READ = "audit.read"
"""What a key's scopes must cover, besides the role that is needed."""
REASON = "x-govgate-reason"
_PAGE = 50
_EXCLUDE = "exclude."
_FILTERS = filters_query(Filters, DIMENSIONS)
_LIMIT = {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": _PAGE}
_PAGES = {
    "after": Param(TEXT, "Where the page begins: `next` of the page before."),
    "limit": Param(_LIMIT, ""),
}
_PART = Param({"type": "array", "items": TEXT}, "The names of the payloads; all when not given.")


class Found(msgspec.Struct, frozen=True):
    """The exchange that an id belongs to."""

    exchange_id: str


class Queries(msgspec.Struct, frozen=True):
    """The kept queries, by name."""

    queries: tuple[StoredQuery, ...]


class Forgotten(msgspec.Struct, frozen=True):
    """A query that is kept no more."""

    name: str
    deleted: bool


def audit_routes(who: Who, audits: Audits, opt: Mapping[str, Any]) -> Sequence[HTTPRouteHandler]:
    """The handlers, each with the route options `opt`."""
    return [*_lists(who, audits, dict(opt)), *_one(who, audits, dict(opt)),
            *_kept(who, audits, dict(opt))]  # fmt: skip


def _lists(who: Who, audits: Audits, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    @get("/api/v1/exchanges", opt=opt | says(Page, query={**_FILTERS, **_PAGES}))
    async def exchanges(request: _Asked) -> _Told:
        """The newest exchanges that match."""
        principal = await who(request.headers, READ)
        asked = _query(request)
        after, limit = asked.pop("after", [None])[-1], asked.pop("limit", [str(_PAGE)])[-1]
        return _answer(await audits.page(principal, filters_of(asked), after, _number(limit)))

    @get("/api/v1/exchanges/facets", opt=opt | says(Facets, query=_FILTERS))
    async def facets(request: _Asked) -> _Told:
        """What the newest matches are made of."""
        principal = await who(request.headers, READ)
        return _answer(await audits.facets(principal, filters_of(_query(request))))

    @get("/api/v1/sessions/{id:str}", opt=opt | says(Session))
    async def session(request: _Asked, id: FromPath[str]) -> _Told:
        """The exchanges of a session, the oldest first."""
        return _answer(await audits.session(await who(request.headers, READ), id))

    @get("/api/v1/find/{id:path}", opt=opt | says(Found))
    async def find(request: _Asked, id: FromPath[str]) -> _Told:
        """The exchange that any id belongs to."""
        principal = await who(request.headers, READ)
        return _answer(Found(await audits.find(principal, id.removeprefix("/"))))

    return [exchanges, facets, session, find]


def _one(who: Who, audits: Audits, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    @get("/api/v1/exchanges/{id:str}", opt=opt | says(Timeline))
    async def exchange(request: _Asked, id: FromPath[str]) -> _Told:
        """What happened in an exchange, without anything that was said."""
        return _answer(await audits.exchange(await who(request.headers, READ), id))

    @get("/api/v1/exchanges/{id:str}/explain", opt=opt | says(Explanation))
    async def explained(request: _Asked, id: FromPath[str]) -> _Told:
        """Why it was decided as it was."""
        return _answer(await audits.explain(await who(request.headers, READ), id))

    reason = Param(TEXT, "Why it is read; goes on record first.", required=True)
    told = says(Content, query={"part": _PART}, headers={REASON: reason})

    @get("/api/v1/exchanges/{id:str}/content", opt=opt | told)
    async def content(request: _Asked, id: FromPath[str]) -> _Told:
        """What was said, in clear. That it is read is on record first."""
        principal = await who(request.headers, READ)
        asked = _query(request)
        parts = asked.pop("part", [])
        if asked:
            raise Malformed(f"There is no {min(asked)!r} here.", param=min(asked))
        reason = unquote(request.headers.get(REASON, ""))
        return _answer(await audits.content(principal, id, reason, parts))

    return [exchange, explained, content]


def _kept(who: Who, audits: Audits, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    @get("/api/v1/queries", opt=opt | says(Queries))
    async def queries(request: _Asked) -> _Told:
        """The kept queries."""
        saved = await audits.saved(await who(request.headers, READ))
        return _answer(Queries(tuple(saved)))

    @put("/api/v1/queries/{name:str}", opt=opt | says(StoredQuery, takes=Filters))
    async def save(request: _Asked, name: FromPath[str]) -> _Told:
        """Keep a query: the body is its filters."""
        principal = await who(request.headers, READ)
        filters = filters_from(parse(await request.body()))
        return _answer(await audits.save(principal, name, filters))

    @delete("/api/v1/queries/{name:str}", opt=opt | says(Forgotten), status_code=200)
    async def forget(request: _Asked, name: FromPath[str]) -> _Told:
        """Forget a query of one's own."""
        await audits.forget(await who(request.headers, READ), name)
        return _answer(Forgotten(name, deleted=True))

    return [queries, save, forget]


def filters_of(asked: Mapping[str, Sequence[str]]) -> Filters:
    """Filters from query parameters: a dimension may come several times, anything else once.

    `exclude.app` excludes an app. Raises `Malformed`, naming the parameter.
    """
    told: dict[str, Any] = {}
    exclude: dict[str, list[str]] = {}
    for name, values in asked.items():
        if name.startswith(_EXCLUDE):
            exclude[name.removeprefix(_EXCLUDE)] = list(values)
        elif name in DIMENSIONS:
            told[name] = list(values)
        elif len(values) > 1:
            raise Malformed(f"{name!r} is given {len(values)} times.", param=name)
        else:
            told[name] = values[0]
    return filters_from({**told, **({"exclude": exclude} if exclude else {})}, strict=False)


def filters_from(told: object, *, strict: bool = True) -> Filters:
    """Filters from their JSON; unless `strict`, from text for every value. Raises `Malformed`."""
    try:
        return msgspec.convert(told, Filters, strict=strict)
    except msgspec.ValidationError as error:
        raise Malformed(f"This cannot be asked: {error}") from error


def _query(request: _Asked) -> dict[str, list[str]]:
    return {name: list(values) for name, values in request.query_params.dict().items()}


def _number(text: str) -> int:
    """Zero, which is refused, for what is no number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else 0


def _answer(body: object) -> _Told:
    id = new_id("req")
    headers = {"x-request-id": id, "request-id": id, "cache-control": "no-store"}
    encoded = msgspec.json.encode(body)
    return Response(encoded, status_code=200, headers=headers, media_type=MediaType.JSON)
