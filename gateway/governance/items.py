"""Items of kept responses, which a later request may name instead of saying them.

An item goes with the response that it came in. Source: OpenAI's API reference, "Create a model
response" (`item_reference`) and "List input items".
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import orjson

from gateway.core.errors import Code, Malformed
from gateway.core.kept import Items, Kept, Owner, Shelf

RESPONSE = "response"
MOST_RESPONSES = 1_000
"""Responses of which one request may name items."""
_TOGETHER = 32
"""Documents that are read at once."""
_PLACED = re.compile(r"msg_(?P<response>.+)_(?P<place>[0-9]{1,5})", re.ASCII)


def items_of(asked: Mapping[str, Any], told: Mapping[str, Any]) -> Items:
    """The items that a response holds: those that were asked, and those that it brought."""
    ids = {str(item["id"]): False for item in asked_items(asked) if says_item(item)}
    return ids | {str(item["id"]): True for item in output_items(told) if says_item(item)}


def input_items(id: str, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a response was asked, as items are shown."""
    return [
        item if id_of(item) and not says_item(item) else shown(item, f"msg_{id}_{place}")
        for place, item in enumerate(asked_items(asked))
    ]


def shown(item: Mapping[str, Any], id: str) -> dict[str, Any]:
    """An item that was given, as it is shown: with an id, `id` where it has none; a message also
    with what callers may leave out of it."""
    named = {**item, "id": id_of(item) or id}
    if named.get("type") not in (None, "message"):
        return named
    content = named.get("content")
    if isinstance(content, str):
        said = item.get("role") == "assistant"
        part = {"type": "output_text", "annotations": [], "logprobs": []} if said else {}
        content = [{"type": "input_text", **part, "text": content}]
    return {"status": "completed", **named, "type": "message", "content": content or []}


class KeptItems:
    """Finds items by their ids. `most_bytes` is how long they may be together, as JSON."""

    def __init__(self, shelf: Shelf, most_bytes: int) -> None:
        self._shelf = shelf
        self._most_bytes = most_bytes

    async def named(self, owner: Owner, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The owner's items among `ids`, each as a request may say it.

        Raises `Malformed` when they are too many or too long, `Unavailable`.
        """
        found: dict[str, dict[str, Any]] = {}
        wanted, left = Counter(ids), self._most_bytes
        homes = await self._homes(owner, wanted)
        async for kept in self._documents(list(homes), owner):
            for id in homes[kept.id]:
                item = _item(kept, id)
                if item is not None:
                    left -= len(orjson.dumps(item)) * wanted[id]
                    if left < 0:
                        raise self._too_long()
                    found[id] = item
        return found

    async def _documents(self, ids: Sequence[str], owner: Owner) -> AsyncIterator[Kept]:
        for begin in range(0, len(ids), _TOGETHER):
            some = ids[begin : begin + _TOGETHER]
            for kept in await self._shelf.several(RESPONSE, some, owner):
                yield kept

    async def _homes(self, owner: Owner, ids: Mapping[str, int]) -> dict[str, list[str]]:
        """By response: the items that it may hold."""
        known = await self._shelf.homes(owner, ids)
        homes: dict[str, list[str]] = defaultdict(list)
        for id in ids:
            if home := known.get(id) or _placed(id)[0]:
                homes[home].append(id)
        if len(homes) > MOST_RESPONSES:
            raise Malformed(
                f"'input' may name items of at most {MOST_RESPONSES} responses. "
                "Send the items themselves.",
                param="input",
            )
        return homes

    def _too_long(self) -> Malformed:
        return Malformed(
            f"The items that 'input' names have over {self._most_bytes} bytes "
            "(GOVGATE_SERVER__BODY_LIMIT).",
            param="input",
            code=Code.REQUEST_TOO_LARGE,
        )


def _item(kept: Kept, id: str) -> dict[str, Any] | None:
    """The item of a response that goes by `id`."""
    asked = list(asked_items(kept.document["asked"]))
    for item in (*output_items(kept.document["told"]), *asked):
        if item.get("id") == id and says_item(item):
            return sayable(item)
    home, place = _placed(id)
    if home == kept.id and place < len(asked) and id_of(asked[place]) is None:
        return sayable(asked[place])
    return None


def _placed(id: str) -> tuple[str, int]:
    """The response and the place that an id of ours tells of; an empty one where it is not."""
    told = _PLACED.fullmatch(id)
    return (told["response"], int(told["place"])) if told else ("", 0)


def sayable(item: dict[str, Any]) -> dict[str, Any]:
    """An item of an answer, as a request says it.

    Without log probabilities: they spell out what is masked in the text. Without the bytes of an
    image that the provider made: it has the image, and adds it by its id.
    """
    said = dict(item)
    if said.get("type") == "image_generation_call":
        said.pop("result", None)
    if isinstance(said.get("content"), list):
        said["content"] = [_unspelt(part) for part in said["content"]]
    return said


def _unspelt(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    return {name: value for name, value in part.items() if name != "logprobs"}


def says_item(item: Mapping[str, Any]) -> bool:
    """Whether an item has an id, and does not only name another by it."""
    kind = item.get("type")
    says = kind != "item_reference" and bool(kind or item.get("content"))
    return says and id_of(item) is not None


def id_of(item: Mapping[str, Any]) -> str | None:
    """The id of an item, if it has one."""
    id = item.get("id")
    return id if isinstance(id, str) and id else None


def output_items(told: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The items that a response brought."""
    output = told.get("output")
    yield from (item for item in output or () if isinstance(item, dict))


def asked_items(asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What was asked, as items. A text is a message."""
    given = asked.get("input")
    if isinstance(given, list):
        yield from (item for item in given if isinstance(item, dict))
    elif given:
        content = [{"type": "input_text", "text": given}]
        yield {"type": "message", "role": "user", "content": content}
