"""Conversations: items that go before those of each response that names the conversation.

They are kept here and no provider knows of them. What was said in a turn is added when the turn
is over, as its caller was told it, so each turn is inspected and masked as a whole, anew.
Source: OpenAI's API reference, "Conversations".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import orjson

from gateway.core.errors import Code, Denied, Malformed, Unavailable
from gateway.core.ids import new_id
from gateway.core.kept import Kept, Shelf
from gateway.core.principal import Principal
from gateway.governance.items import (
    KeptItems,
    asked_items,
    id_of,
    output_items,
    sayable,
    says_item,
    shown,
)
from gateway.governance.unattended import owner_of

CONVERSATION = "conversation"
KEPT_FOR = timedelta(days=30)
"""After the last change."""
MOST_AT_ONCE = 20
MOST_METADATA = 16
LONGEST_NAME, LONGEST_VALUE = 64, 512
_TRIES = 8
"""How often a change is begun again because another came between."""

Check: TypeAlias = Callable[[list[Any]], None]
"""Raises `Malformed` for items that no request may hold, as `items[n]`."""
_Entry: TypeAlias = tuple[str, dict[str, Any]]
"""An item and the id that it goes by."""


class Conversations:
    """What callers do with conversations, and what a response does with the one that it names.

    Implements `StoredConversations`. `most_bytes` is how long the items of one may be, as JSON.
    """

    def __init__(self, shelf: Shelf, check: Check, most_bytes: int) -> None:
        self._shelf = shelf
        self._check = check
        self._most_bytes = most_bytes
        self._named = KeptItems(shelf, most_bytes)

    async def create(self, principal: Principal, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Begin one, with `metadata` and `items`. Raises `Malformed`."""
        now, owner = datetime.now(UTC), owner_of(principal)
        told: dict[str, Any] = {
            "id": new_id("conv"),
            "object": "conversation",
            "created_at": int(now.timestamp()),
            "metadata": _metadata(wish.get("metadata")),
        }
        entries = self._entries(wish.get("items") or [], [])
        document = {"told": told, "items": entries, "responses": []}
        until = now + KEPT_FOR
        await self._shelf.put(
            Kept(told["id"], CONVERSATION, owner, document, principal, now, until)
        )
        return told

    async def get(self, principal: Principal, id: str) -> dict[str, Any]:
        """What is known of one. Raises `Denied` (NOT_FOUND)."""
        return dict((await self._known(principal, id)).document["told"])

    async def update(
        self, principal: Principal, id: str, wish: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Give it other `metadata`. Raises `Denied` (NOT_FOUND), `Malformed`."""
        metadata = _metadata(wish.get("metadata"))

        def change(document: dict[str, Any]) -> dict[str, Any]:
            return document | {"told": document["told"] | {"metadata": metadata}}

        return dict((await self._changed(principal, id, change))["told"])

    async def delete(self, principal: Principal, id: str) -> dict[str, Any]:
        """Destroy it, and its items with it. Raises `Denied` (NOT_FOUND)."""
        if not await self._shelf.remove(CONVERSATION, id, owner_of(principal)):
            raise _missing(id)
        return {"id": id, "object": "conversation.deleted", "deleted": True}

    async def add(
        self, principal: Principal, id: str, wish: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Add `items` at the end; as they are shown. Raises `Denied` (NOT_FOUND), `Malformed`."""
        added: list[_Entry] = []

        def change(document: dict[str, Any]) -> dict[str, Any]:
            added[:] = self._entries(wish.get("items"), document["items"])
            return document | {"items": [*document["items"], *added]}

        await self._changed(principal, id, change)
        return [shown(item, id) for id, item in added]

    async def items(self, principal: Principal, id: str) -> list[dict[str, Any]]:
        """Its items as they are shown, the oldest first. Raises `Denied` (NOT_FOUND)."""
        document = (await self._known(principal, id)).document
        return [shown(item, id) for id, item in document["items"]]

    async def item(self, principal: Principal, id: str, item_id: str) -> dict[str, Any]:
        """One of its items. Raises `Denied` (NOT_FOUND)."""
        for item in await self.items(principal, id):
            if item["id"] == item_id:
                return item
        raise _no_item(item_id)

    async def delete_item(self, principal: Principal, id: str, item_id: str) -> dict[str, Any]:
        """Take an item out; what is known of the conversation. Raises `Denied` (NOT_FOUND)."""

        def change(document: dict[str, Any]) -> dict[str, Any]:
            left = [entry for entry in document["items"] if entry[0] != item_id]
            if len(left) == len(document["items"]):
                raise _no_item(item_id)
            return document | {"items": left}

        return dict((await self._changed(principal, id, change))["told"])

    async def turns(self, principal: Principal, id: str) -> list[dict[str, Any]]:
        """Its items as a request says them, the oldest first.

        Raises `Denied` (NOT_FOUND), `Malformed` when they are too long for a request.
        """
        document = (await self._known(principal, id)).document
        said = [sayable(item) for _, item in document["items"]]
        if len(orjson.dumps(said)) > self._most_bytes:
            raise self._too_long("conversation")
        return said

    async def append(
        self, principal: Principal, id: str, asked: Mapping[str, Any], told: Mapping[str, Any]
    ) -> None:
        """Add what was asked and what was told in a turn: once, though it be told again.

        One that was deleted meanwhile stays so. Raises `Unavailable`, also when it is changed by
        too many at once, and `Malformed` when what was named is too long.
        """
        news = [*await self._said(principal, asked), *output_items(told)]

        def change(document: dict[str, Any]) -> dict[str, Any]:
            if told.get("id") in document["responses"]:
                return document
            known = {id for id, _ in document["items"]}
            fresh = [_entry(item) for item in news if id_of(item) not in known]
            responses = [*document["responses"], *filter(None, [id_of(told)])]
            return document | {"items": [*document["items"], *fresh], "responses": responses}

        try:
            await self._changed(principal, id, change)
        except Denied as error:
            if error.code is not Code.NOT_FOUND:
                raise

    async def _said(self, principal: Principal, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What was asked, and what was named if it is still there."""
        given = list(asked_items(asked))
        names = [id for item in given if (id := id_of(item)) and not says_item(item)]
        found = await self._named.named(owner_of(principal), names) if names else {}
        said = [found.get(id_of(item) or "", item) for item in given]
        return [item for item in said if id_of(item) is None or says_item(item)]

    def _entries(self, items: Any, known: Sequence[_Entry]) -> list[_Entry]:
        """Items that a caller adds. Raises `Malformed`."""
        if not isinstance(items, list) or len(items) > MOST_AT_ONCE:
            raise Malformed(f"'items' must be an array of at most {MOST_AT_ONCE}.", param="items")
        self._check(items)
        entries: list[_Entry] = []
        ids = {id for id, _ in known}
        for place, item in enumerate(items):
            if item.get("id") is not None and (not says_item(item) or id_of(item) in ids):
                where = f"items[{place}].id"
                raise Malformed(f"'{where}' must be new, and the item's own.", param=where)
            entries.append(_entry(item))
            ids.add(entries[-1][0])
        if len(orjson.dumps([*known, *entries])) > self._most_bytes:
            raise self._too_long("items")
        return entries

    async def _changed(
        self, principal: Principal, id: str, change: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> dict[str, Any]:
        """The document as `change` made it, which may be asked again.

        Raises what `change` raises, `Denied` (NOT_FOUND), `Unavailable`.
        """
        for _ in range(_TRIES):
            kept = await self._known(principal, id)
            document = change(kept.document)
            if document is kept.document:
                return document
            until = datetime.now(UTC) + KEPT_FOR
            if await self._shelf.change(kept, document, working=False, expires=until) is not None:
                return document
        raise Unavailable(
            Code.OVERLOADED,
            f"Conversation {id!r} is changed by too many at once.",
            retry_after=1.0,
        )

    async def _known(self, principal: Principal, id: str) -> Kept:
        kept = await self._shelf.get(CONVERSATION, id, owner_of(principal))
        if kept is None:
            raise _missing(id)
        return kept

    def _too_long(self, param: str) -> Malformed:
        return Malformed(
            f"The items of the conversation have over {self._most_bytes} bytes "
            "(GOVGATE_SERVER__BODY_LIMIT).",
            param=param,
            code=Code.REQUEST_TOO_LARGE,
        )


def _entry(item: dict[str, Any]) -> _Entry:
    prefix = "msg" if item.get("type") in (None, "message") else "item"
    return id_of(item) or new_id(prefix), item


def _metadata(given: Any) -> dict[str, str]:
    """`given`, when it is metadata. Raises `Malformed`."""
    if given is None:
        return {}
    if (
        not isinstance(given, dict)
        or len(given) > MOST_METADATA
        or not all(len(name) <= LONGEST_NAME for name in given)
        or not all(isinstance(v, str) and len(v) <= LONGEST_VALUE for v in given.values())
    ):
        raise Malformed(
            f"'metadata' must hold at most {MOST_METADATA} strings of {LONGEST_VALUE} characters "
            f"under names of {LONGEST_NAME}.",
            param="metadata",
        )
    return dict(given)


def _missing(id: str) -> Denied:
    return Denied(Code.NOT_FOUND, f"Conversation with id {id!r} not found.")


def _no_item(id: str) -> Denied:
    return Denied(Code.NOT_FOUND, f"Item with id {id!r} not found in the conversation.")
