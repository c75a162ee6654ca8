"""The log over HTTP: its checkpoints, its proofs, its tiles (c2sp.org/tlog-tiles)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from litestar import MediaType, Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from gateway.core.errors import Code, Denied, Malformed
from gateway.core.log import LogView
from gateway.core.principal import Principal

Who: TypeAlias = Callable[[Mapping[str, str], str], Awaitable[Principal]]
"""Whose a request with these headers is, if they may do this action. Raises `Denied`."""
_Asked: TypeAlias = Request[Any, Any, Any]

ACTION = "log.read"
_TILE = re.compile(r"([0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
_WIDTH = 256
_FOREVER = {"cache-control": "public, max-age=31536000, immutable"}
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")


def log_routes(who: Who, log: LogView, opt: Mapping[str, Any]) -> Sequence[HTTPRouteHandler]:
    """The handlers, each with the route options `opt`."""
    return [*_notes(who, log, dict(opt)), *_proofs(who, log, dict(opt))]


def _notes(who: Who, log: LogView, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    @get("/api/v1/log", opt=opt)
    async def state(request: _Asked) -> Response[Any]:
        """How the log stands, and the key that it is signed with."""
        await who(request.headers, ACTION)
        now = log.state
        return Response(
            {
                "vkey": log.vkey,
                "size": now.size,
                "signed": {"size": now.signed, "at": now.signed_at},
                "held_elsewhere": {"size": now.held, "at": now.held_at},
                "anchored": {"size": now.anchored, "at": now.anchored_at},
                "problem": now.problem,
            }
        )

    @get("/api/v1/log/checkpoint", opt=opt)
    async def checkpoint(request: _Asked) -> Response[str]:
        """The last signed note."""
        await who(request.headers, ACTION)
        note = await log.checkpoint()
        if note is None:
            raise Denied(Code.NOT_FOUND, "Nothing has been signed yet.")
        return _text(note, {"cache-control": "no-store"})

    @get("/api/v1/log/tile/{place:path}", opt=opt)
    async def tile(request: _Asked, place: FromPath[str]) -> Response[bytes]:
        """Hashes of a tile."""
        await who(request.headers, ACTION)
        found = _TILE.fullmatch(place.lstrip("/"))
        width = int(found[3] or _WIDTH) if found else 0
        if found is None or not 0 < width <= _WIDTH:
            raise Denied(Code.NOT_FOUND, "There is no such tile.")
        number = int(found[2].replace("x", "").replace("/", ""))
        hashes = await log.tile(int(found[1]), number, width)
        if hashes is None:
            raise Denied(Code.NOT_FOUND, "The log does not have that tile yet.")
        media = "application/octet-stream"
        return Response(hashes, media_type=media, headers=_FOREVER)

    return [state, checkpoint, tile]


def _proofs(who: Who, log: LogView, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    @get("/api/v1/log/proof/{id:str}", opt=opt)
    async def proof(request: _Asked, id: FromPath[str]) -> Response[str]:
        """That the log has an entry."""
        principal = await who(request.headers, ACTION)
        text = await log.proof(principal.org, id)
        if text is None:
            raise Denied(Code.NOT_FOUND, "No entry that is signed for has this id.")
        return _text(text, {})

    @get("/api/v1/log/consistency", opt=opt)
    async def consistency(request: _Asked) -> Response[Any]:
        """That the log of `new` entries begins with those of `old`."""
        await who(request.headers, ACTION)
        old, new = (_number(request, name) for name in ("old", "new"))
        hashes = await log.consistency(old, new)
        if hashes is None:
            raise Denied(Code.NOT_FOUND, f"The log was never {old} and then {new} entries long.")
        return Response({"old": old, "new": new, "hashes": [each.hex() for each in hashes]})

    return [proof, consistency]


def _number(request: _Asked, name: str) -> int:
    value = request.query_params.get(name, "")
    if not _NUMBER.fullmatch(value):
        raise Malformed(f"'{name}' must be a whole number.", param=name)
    return int(value)


def _text(text: str, headers: Mapping[str, str]) -> Response[str]:
    return Response(text, media_type=MediaType.TEXT, headers=dict(headers))
