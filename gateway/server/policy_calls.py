"""What the routes of policymaking have in common: bodies, refusals, editions."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import msgspec
from litestar import MediaType, Request, Response

from gateway.core.errors import Code, Denied, Malformed, Unusable
from gateway.core.ids import new_id
from gateway.core.json_body import parse
from gateway.core.policies import Conflict, Missing, OwnedElsewhere, Refused
from gateway.core.principal import Principal
from gateway.core.rulesets import Unfit
from gateway.governance.policies.register import DraftTold

T = TypeVar("T")

Who: TypeAlias = Callable[[Mapping[str, str], str], Awaitable[Principal]]
"""Whose a request with these headers is, if they may do this action. Raises `Denied`."""
Asked: TypeAlias = Request[Any, Any, Any]
Told: TypeAlias = Response[bytes]

BASE = "/api/v1/policies"
READ = "policy.read"
"""What a key's scopes must cover, besides the role that is needed."""
WRITE = "policy.write"
_EDITION = re.compile(r'"([1-9][0-9]{0,8})"')


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body. A member that is unknown is refused: it may be a typing error."""


class Why(Wish, frozen=True):
    """Why somebody does something; goes on record."""

    why: str = ""


async def asker(who: Who, request: Asked, action: str) -> Principal:
    """Whose the request is. Raises `Denied`."""
    return await who(request.headers, action)


async def wish(request: Asked, kind: type[T]) -> T:
    """The body as `kind`; no body is an empty object. Raises `Malformed`."""
    body = await request.body()
    try:
        return msgspec.convert(parse(body) if body else {}, kind)
    except msgspec.ValidationError as error:
        raise Malformed(f"The body is not what is asked for here: {error}.") from error


def edition(request: Asked) -> int:
    """The edition of the draft that the caller has looked at, out of `if-match`.

    Raises `Denied` where it is not given, or is no edition.
    """
    given = request.headers.get("if-match")
    if given is None:
        raise Denied(
            Code.PRECONDITION_REQUIRED,
            "Say in 'if-match' which edition of the draft this is about: the 'etag' that came "
            "with it.",
        )
    found = _EDITION.fullmatch(given.strip())
    if found is None:
        raise Denied(Code.PRECONDITION_FAILED, f"No edition is called {given[:50]!r}.")
    return int(found[1])


async def done(work: Awaitable[T], *, conflict: Code = Code.CONFLICT) -> T:
    """What `work` gives; what it refuses as an error that callers can act on.

    `conflict` says what it is where somebody else was faster. Raises `GatewayError`.
    """
    try:
        return await work
    except Missing as error:
        raise Denied(Code.NOT_FOUND, _sentence(error)) from error
    except Conflict as error:
        raise Denied(conflict, _sentence(error)) from error
    except OwnedElsewhere as error:
        raise Denied(Code.OWNED_ELSEWHERE, _sentence(error)) from error
    except Refused as error:
        raise Denied(Code.STEP_REFUSED, _sentence(error)) from error
    except Unfit as error:
        raise Unusable(_sentence(error), error.problems) from error
    except ValueError as error:
        raise Malformed(_sentence(error)) from error


async def repeated(work: Awaitable[T], already: Callable[[], Awaitable[T | None]]) -> T:
    """What `work` gives; where it is refused, and was done already, what stands.

    So that a caller who heard no answer may ask again.
    """
    try:
        return await work
    except OwnedElsewhere:
        raise
    except Refused:
        standing = await already()
        if standing is None:
            raise
        return standing


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Told:
    """One thing, as JSON."""
    encoded = msgspec.json.encode(body)
    told = {**_headers(), **(headers or {})}
    return Response(encoded, status_code=status, headers=told, media_type=MediaType.JSON)


def document(body: bytes, media: str, headers: Mapping[str, str] | None = None) -> Told:
    """One thing that is not JSON."""
    return Response(body, status_code=200, headers={**_headers(), **(headers or {})},
                    media_type=media)  # fmt: skip


def of_draft(draft: DraftTold, status: int = 200) -> Told:
    """A draft, with its edition as the entity tag."""
    return answer(draft, status, {"etag": f'"{draft.edition}"'})


def _headers() -> dict[str, str]:
    id = new_id("req")
    return {"x-request-id": id, "request-id": id, "cache-control": "no-store"}


def _sentence(error: Exception) -> str:
    said = str(error)
    ended = said if said.endswith((".", "?", "!")) else f"{said}."
    return ended[:1].upper() + ended[1:]
