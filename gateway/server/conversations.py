"""Conversations over HTTP. They call no model: a response that names one does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from gateway.governance.conversations import Conversations
from gateway.server.kept import Who
from gateway.server.listing import Asked, Told, answer, listed, page_of, wish_of

PATH = "/v1/conversations"


def conversation_routes(
    who: Who, conversations: Conversations, opt: Mapping[str, Any], body_limit: int
) -> Sequence[HTTPRouteHandler]:
    """The handlers, each with the route options `opt`."""
    given: dict[str, Any] = {"opt": dict(opt), "request_max_body_size": body_limit}
    return [*_whole(who, conversations, given), *_items(who, conversations, given)]


def _whole(who: Who, kept: Conversations, given: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    @post(PATH, **given)
    async def create_conversation(request: Asked) -> Told:
        """Begin a conversation."""
        principal = await who(request.headers, "conversations.create")
        body = await request.body()
        return answer(await kept.create(principal, await wish_of(request) if body else {}))

    @get(f"{PATH}/{{id:str}}", **given)
    async def one_conversation(request: Asked, id: FromPath[str]) -> Told:
        """What is known of a conversation."""
        return answer(await kept.get(await who(request.headers, "conversations.retrieve"), id))

    @post(f"{PATH}/{{id:str}}", **given)
    async def update_conversation(request: Asked, id: FromPath[str]) -> Told:
        """Give a conversation other metadata."""
        principal = await who(request.headers, "conversations.update")
        return answer(await kept.update(principal, id, await wish_of(request)))

    @delete(f"{PATH}/{{id:str}}", **given, status_code=200)
    async def delete_conversation(request: Asked, id: FromPath[str]) -> Told:
        """Destroy a conversation and its items."""
        return answer(await kept.delete(await who(request.headers, "conversations.delete"), id))

    return [create_conversation, one_conversation, update_conversation, delete_conversation]


def _items(who: Who, kept: Conversations, given: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    @post(f"{PATH}/{{id:str}}/items", **given)
    async def add_items(request: Asked, id: FromPath[str]) -> Told:
        """Add items at the end."""
        principal = await who(request.headers, "conversations.items.create")
        added = await kept.add(principal, id, await wish_of(request))
        return listed(added, len(added), nothing="")

    @get(f"{PATH}/{{id:str}}/items", **given)
    async def list_items(request: Asked, id: FromPath[str]) -> Told:
        """A conversation's items, the newest first unless `order=asc`."""
        principal = await who(request.headers, "conversations.items.list")
        return page_of(await kept.items(principal, id), request)

    @get(f"{PATH}/{{id:str}}/items/{{item:str}}", **given)
    async def one_item(request: Asked, id: FromPath[str], item: FromPath[str]) -> Told:
        """An item."""
        principal = await who(request.headers, "conversations.items.retrieve")
        return answer(await kept.item(principal, id, item))

    @delete(f"{PATH}/{{id:str}}/items/{{item:str}}", **given, status_code=200)
    async def delete_item(request: Asked, id: FromPath[str], item: FromPath[str]) -> Told:
        """Take an item out."""
        principal = await who(request.headers, "conversations.items.delete")
        return answer(await kept.delete_item(principal, id, item))

    return [add_items, list_items, one_item, delete_item]
