"""What the endpoints of kept things tell: one, or a page of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from litestar import Request, Response

from gateway.core.errors import Malformed
from gateway.core.ids import new_id
from gateway.core.json_body import parse

Asked: TypeAlias = Request[Any, Any, Any]
Told: TypeAlias = Response[dict[str, Any]]

_PAGE = 20
_MOST = 100


async def wish_of(request: Asked) -> dict[str, Any]:
    """The JSON object of a body. Raises `Malformed`."""
    wish = parse(await request.body())
    if not isinstance(wish, dict):
        raise Malformed("The body must be a JSON object.")
    return wish


def page(request: Asked) -> tuple[str | None, int]:
    """The id after which a page begins, and how many it holds. Raises `Malformed`."""
    asked = request.query_params.get("limit", str(_PAGE))
    number = asked.isascii() and asked.isdigit() and len(asked) <= 3
    if not number or not 1 <= int(asked) <= _MOST:
        raise Malformed(f"'limit' must be between 1 and {_MOST}.", param="limit")
    return request.query_params.get("after"), int(asked)


def page_of(items: Sequence[dict[str, Any]], request: Asked) -> Told:
    """A page of `items`, which are the oldest first: the newest first unless `order=asc`."""
    ordered = list(items) if request.query_params.get("order") == "asc" else list(reversed(items))
    after, limit = page(request)
    ids = [item["id"] for item in ordered]
    begin = ids.index(after) + 1 if after in ids else 0
    return listed(ordered[begin : begin + limit + 1], limit, nothing="")


def listed(found: Sequence[dict[str, Any]], limit: int, *, nothing: str | None = None) -> Told:
    """A page of at most `limit`; one more in `found` says that there are more.

    `nothing` stands for the ends of an empty page: a string, where the API has no null there.
    """
    shown = found[:limit]
    ids = [each["id"] for each in shown]
    ends = {"first_id": ids[0] if ids else nothing, "last_id": ids[-1] if ids else nothing}
    more = {"has_more": len(found) > limit}
    return answer({"object": "list", "data": list(shown), **ends, **more})


def answer(body: dict[str, Any], headers: Mapping[str, str] | None = None) -> Told:
    """One thing."""
    return Response(body, status_code=200, headers={**request_ids(), **(headers or {})})


def request_ids() -> dict[str, str]:
    """An id of the request: there is no exchange that it could have."""
    id = new_id("req")
    return {"x-request-id": id, "request-id": id}
