"""The log over HTTP: its checkpoints, its proofs, its tiles (c2sp.org/tlog-tiles)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from gateway.core.errors import Code, Denied, Malformed
from gateway.core.log import LogView
from gateway.core.principal import Principal
from gateway.server.described import BYTES, NUMBER, TEXT, Param, says

Who: TypeAlias = Callable[[Mapping[str, str], str], Awaitable[Principal]]
"""Whose a request with these headers is, if they may do this action. Raises `Denied`."""
_Asked: TypeAlias = Request[Any, Any, Any]

ACTION = "log.read"
_TILE = re.compile(r"([0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
_WIDTH = 256
_FOREVER = {"cache-control": "public, max-age=31536000, immutable"}
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_SIZES = {"old": Param(NUMBER, "", required=True), "new": Param(NUMBER, "", required=True)}
_PLAIN = ("text/plain",)


class Reached(msgspec.Struct, frozen=True):
    """How many entries, and when."""

    size: int
    at: datetime | None


class State(msgspec.Struct, frozen=True):
    """How the log stands, and the key that it is signed with."""

    vkey: str | None
    size: int
    signed: Reached
    held_elsewhere: Reached
    anchored: Reached
    problem: str | None


class Consistent(msgspec.Struct, frozen=True):
    """The hashes, in hex, that prove that one log begins with another."""

    old: int
    new: int
    hashes: tuple[str, ...]


def log_routes(who: Who, log: LogView, opt: Mapping[str, Any]) -> Sequence[HTTPRouteHandler]:
    """The handlers, each with the route options `opt`."""
    return [*_notes(who, log, dict(opt)), *_proofs(who, log, dict(opt))]


def _notes(who: Who, log: LogView, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    @get("/api/v1/log", opt=opt | says(State))
    async def state(request: _Asked) -> Response[State]:
        """How the log stands, and the key that it is signed with."""
        await who(request.headers, ACTION)
        now = log.state
        return Response(
            State(
                log.vkey,
                now.size,
                signed=Reached(now.signed, now.signed_at),
                held_elsewhere=Reached(now.held, now.held_at),
                anchored=Reached(now.anchored, now.anchored_at),
                problem=now.problem,
            )
        )

    @get("/api/v1/log/checkpoint", opt=opt | says(TEXT, media=_PLAIN))
    async def checkpoint(request: _Asked) -> Response[str]:
        """The last signed note."""
        await who(request.headers, ACTION)
        note = await log.checkpoint()
        if note is None:
            raise Denied(Code.NOT_FOUND, "Nothing has been signed yet.")
        return _text(note, {"cache-control": "no-store"})

    octets = ("application/octet-stream",)

    @get("/api/v1/log/tile/{place:path}", opt=opt | says(BYTES, media=octets))
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
        return Response(hashes, media_type=octets[0], headers=_FOREVER)

    return [state, checkpoint, tile]


def _proofs(who: Who, log: LogView, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    @get("/api/v1/log/proof/{id:str}", opt=opt | says(TEXT, media=_PLAIN))
    async def proof(request: _Asked, id: FromPath[str]) -> Response[str]:
        """That the log has an entry."""
        principal = await who(request.headers, ACTION)
        text = await log.proof(principal.org, id)
        if text is None:
            raise Denied(Code.NOT_FOUND, "No entry that is signed for has this id.")
        return _text(text, {})

    @get("/api/v1/log/consistency", opt=opt | says(Consistent, query=_SIZES))
    async def consistency(request: _Asked) -> Response[Consistent]:
        """That the log of `new` entries begins with those of `old`."""
        await who(request.headers, ACTION)
        old, new = (_number(request, name) for name in ("old", "new"))
        hashes = await log.consistency(old, new)
        if hashes is None:
            raise Denied(Code.NOT_FOUND, f"The log was never {old} and then {new} entries long.")
        return Response(Consistent(old, new, tuple(each.hex() for each in hashes)))

    return [proof, consistency]


def _number(request: _Asked, name: str) -> int:
    value = request.query_params.get(name, "")
    if not _NUMBER.fullmatch(value):
        raise Malformed(f"'{name}' must be a whole number.", param=name)
    return int(value)


def _text(text: str, headers: Mapping[str, str]) -> Response[str]:
    return Response(text, media_type=MediaType.TEXT, headers=dict(headers))
