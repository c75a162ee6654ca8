"""`GET /v1/models` and `/v1/models/{id}`: what a key may ask for.

Source: OpenAI's API reference, "Models"; Anthropic's, "Models", which pages by `after_id`,
`before_id` and `limit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.errors import Code, Denied, Malformed
from gateway.core.ports import Catalogue, Model
from gateway.server.callers import Callers

ACTION = "models.list"
_MOST = 1_000
_ANTHROPIC_PAGE = 20
_LONG_AGO = "1970-01-01T00:00:00Z"
"""Anthropic's word for a date of release that is not known; OpenAI's is 0."""


class Models:
    """The catalogue, as far as the caller's key reaches, in the shape of the caller's vendor.

    Who sends `anthropic-version` is answered in Anthropic's, anybody else in OpenAI's.
    """

    def __init__(self, callers: Callers, catalogue: Catalogue) -> None:
        self._callers = callers
        self._catalogue = catalogue

    async def listed(
        self, headers: Mapping[str, str], query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Every model with a name of its own that the key may use, or a page of them.

        Raises `Denied`; `Malformed` for a page that cannot be.
        """
        principal = await self._callers.principal(headers, ACTION)
        seen = [model for model in self._catalogue.models() if principal.may_use(model.id)]
        asked = query or {}
        if _is_anthropic(headers):
            page, more = _page(seen, asked, _ANTHROPIC_PAGE, "after_id", "before_id")
            return {"data": [_anthropic(model) for model in page], **_ends(page, more)}
        answer = {"object": "list", "data": [_openai(model) for model in seen]}
        if not {"limit", "after", "before"}.isdisjoint(asked):
            page, more = _page(seen, asked, _MOST, "after", "before")
            answer |= {"data": [_openai(model) for model in page], **_ends(page, more)}
        return answer

    async def one(self, headers: Mapping[str, str], id: str) -> dict[str, Any]:
        """The model called `id`. Raises `Denied`, alike for unknown and not allowed."""
        principal = await self._callers.principal(headers, ACTION)
        model = self._catalogue.find(id) if principal.may_use(id) else None
        if model is None:
            raise Denied(Code.MODEL_NOT_FOUND, f"There is no model {id!r}.", param="model")
        return _anthropic(model) if _is_anthropic(headers) else _openai(model)


def _is_anthropic(headers: Mapping[str, str]) -> bool:
    return "anthropic-version" in headers


def _page(
    models: Sequence[Model], query: Mapping[str, str], usual: int, after: str, before: str
) -> tuple[Sequence[Model], bool]:
    """The models behind `query[after]` or before `query[before]`, and whether there are more.

    Raises `Malformed` for a limit out of range, both cursors, or one that names no model.
    """
    limit = _limit(query, usual)
    names = [model.id for model in models]
    if after in query and before in query:
        raise Malformed(f"Give {after} or {before}, not both.", param=before)
    for cursor in (after, before):
        if cursor in query and query[cursor] not in names:
            raise Malformed(f"There is no model {query[cursor]!r} here.", param=cursor)
    if before in query:
        end = names.index(query[before])
        start = max(0, end - limit)
        return models[start:end], start > 0
    start = names.index(query[after]) + 1 if after in query else 0
    return models[start : start + limit], start + limit < len(models)


def _limit(query: Mapping[str, str], usual: int) -> int:
    given = query.get("limit", str(usual))
    if not (given.isascii() and given.isdigit() and len(given) <= 4 and 1 <= int(given) <= _MOST):
        raise Malformed(f"The limit is a number from 1 to {_MOST}.", param="limit")
    return int(given)


def _ends(page: Sequence[Model], more: bool) -> dict[str, Any]:
    return {
        "has_more": more,
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


def _openai(model: Model) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": 0, "owned_by": model.upstream}


def _anthropic(model: Model) -> dict[str, Any]:
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.id,
        "created_at": _LONG_AGO,
        "lifecycle": "active",
    }
