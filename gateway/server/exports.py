"""Records over HTTP, a stretch of the log at a time, and how the sinks stand."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias
from urllib.parse import unquote

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from gateway.core.errors import Malformed
from gateway.core.ids import new_id
from gateway.core.principal import Principal
from gateway.governance.exports import MASKED, MOST_LEAVES, Exports
from gateway.governance.formats import FORMATS
from gateway.governance.sinks import PREFIX, Sinks
from gateway.server.described import NUMBER, TEXT, Param, says

Who: TypeAlias = Callable[[Mapping[str, str], str], Awaitable[Principal]]
"""Whose a request with these headers is, if they may do this action. Raises `Denied`."""
_Asked: TypeAlias = Request[Any, Any, Any]

ACTION = "audit.export"
NEXT = "x-govgate-next-leaf"
RECORDED = "x-govgate-export-entry"
REASON = "x-govgate-reason"
_LIMIT = "1000"
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_QUERY = {
    "format": Param({"enum": sorted(FORMATS), "default": "jsonl"}, ""),
    "from_leaf": Param({**NUMBER, "default": 0}, "The leaf to begin at."),
    "limit": Param({**NUMBER, "maximum": MOST_LEAVES, "default": int(_LIMIT)}, "How many leaves."),
    "content": Param(
        {"enum": ["none", MASKED], "default": "none"},
        "Whether what was said is told too, without personal data; of `jsonl` only.",
    ),
}
_WHY = Param(TEXT, "Why what was said is wanted; goes on record first.")
_MEDIA = tuple(sorted({each.media.partition(";")[0] for each in FORMATS.values()}))


class SinkState(msgspec.Struct, frozen=True):
    """How far a sink is; `failed` is why it waits."""

    name: str
    position: int
    behind: int
    failed: str | None
    updated_at: datetime | None


class SinkStates(msgspec.Struct, frozen=True):
    """Every sink. `size` counts the entries of the log."""

    size: int
    sinks: tuple[SinkState, ...]


def export_routes(
    who: Who, exports: Exports, sinks: Sinks, opt: Mapping[str, Any]
) -> Sequence[HTTPRouteHandler]:
    """The handlers, each with the route options `opt`."""

    @get(
        "/api/v1/export",
        opt=dict(opt) | says(TEXT, media=_MEDIA, query=_QUERY, headers={REASON: _WHY}),
    )
    async def export(request: _Asked) -> Stream:
        """The records at the leaves from `from_leaf`; the next cursor is in a header."""
        principal = await who(request.headers, ACTION)
        asked = request.query_params
        if unknown := set(asked) - set(_QUERY):
            raise Malformed(f"There is no {min(unknown)!r} here.", param=min(unknown))
        begin, limit = _number(asked, "from_leaf", "0"), _number(asked, "limit", _LIMIT)
        handed = await exports.page(
            principal,
            asked.get("format", "jsonl"),
            begin,
            limit,
            masked=_masked(asked.get("content", "none")),
            reason=unquote(request.headers.get(REASON, "")),
        )
        headers = {**_headers(), NEXT: str(handed.next)}
        if handed.recorded_as is not None:
            headers[RECORDED] = handed.recorded_as
        return Stream(handed.pieces, media_type=handed.format.media, headers=headers)

    @get("/api/v1/sinks", opt=dict(opt) | says(SinkStates))
    async def standing(request: _Asked) -> Response[SinkStates]:
        """How far each sink is, and why one that waits does."""
        size, stands = await sinks.standing(await who(request.headers, ACTION))
        told = tuple(
            SinkState(
                name=one.name.removeprefix(PREFIX),
                position=one.position,
                behind=size - one.position,
                failed=one.failed,
                updated_at=one.updated_at,
            )
            for one in stands
        )
        return Response(SinkStates(size, told), headers=_headers())

    return [export, standing]


def _headers() -> dict[str, str]:
    id = new_id("req")
    return {"x-request-id": id, "request-id": id, "cache-control": "no-store"}


def _masked(content: str) -> bool:
    if content not in ("none", MASKED):
        raise Malformed(f"'content' is none or {MASKED}.", param="content")
    return content == MASKED


def _number(asked: Mapping[str, Any], name: str, default: str) -> int:
    value = asked.get(name, default)
    if not _NUMBER.fullmatch(value):
        raise Malformed(f"{name!r} is a whole number, at most {MOST_LEAVES} for limit.", param=name)
    return int(value)
