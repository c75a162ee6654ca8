"""What OPA servers fetch: `GET /api/v1/bundles/{name}`, as OPA's bundle service API has it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from gateway.core.errors import Code, Denied
from gateway.core.policy_bundles import NAME, FetchBundle
from gateway.core.principal import Principal
from gateway.core.roles import Role

Who: TypeAlias = Callable[[Mapping[str, str], str], Awaitable[Principal]]
"""Whose a request with these headers is, if they may do this action. Raises `Denied`."""

ACTION = "policy.bundle"


def bundle_routes(
    who: Who, fetch: FetchBundle, opt: Mapping[str, Any]
) -> Sequence[HTTPRouteHandler]:
    """The handler, with the route options `opt`."""

    @get("/api/v1/bundles/{name:str}", opt=dict(opt))
    async def bundle(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
        """The rules of every revision in use, signed."""
        asker = await who(request.headers, ACTION)
        if Role.ENGINE not in asker.roles:
            raise Denied(Code.INSUFFICIENT_ROLE, f"This needs the role {Role.ENGINE}.")
        if name != NAME:
            raise Denied(Code.NOT_FOUND, f"There is no bundle {name!r}: there is {NAME!r}.")
        answer = await fetch({name.lower(): text for name, text in request.headers.items()})
        media = answer.headers.get("content-type", "application/octet-stream")
        told = {name: text for name, text in answer.headers.items() if name != "content-type"}
        return Response(answer.body, status_code=answer.status, headers=told, media_type=media)

    return [bundle]
