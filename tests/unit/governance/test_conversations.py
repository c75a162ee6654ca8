"""Conversations are kept for their app, grow by a turn at a time, and end when they are deleted."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.core.errors import Code, Denied, Malformed, Unavailable
from gateway.core.kept import Came
from gateway.core.principal import Principal
from gateway.governance.conversations import CONVERSATION, Conversations
from gateway.governance.responses import Responses
from gateway.governance.unattended import owner_of
from tests.fakes.shelf import FakeShelf

WHO = Principal("acme", "sales", "shop", "k1")
OTHER = Principal("acme", "sales", "desk", "k2")
SAID = {
    "id": "msg_said",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello.", "annotations": [], "logprobs": [{}]}],
}
HI = {"role": "user", "content": "Hi"}


def told(*output: Any, id: str = "resp_1") -> dict[str, Any]:
    return {"id": id, "status": "completed", "output": list(output)}


class House:
    def __init__(self, most_bytes: int = 10_000) -> None:
        self.shelf = FakeShelf()
        self.refused: Malformed | None = None
        self.kept = Conversations(self.shelf, self.check, most_bytes)

    def check(self, items: list[Any]) -> None:
        if self.refused is not None:
            raise self.refused

    async def begin(self, *items: Any) -> str:
        return str((await self.kept.create(WHO, {"items": list(items)}))["id"])

    async def texts(self, id: str) -> list[Any]:
        items = await self.kept.items(WHO, id)
        return [(item["role"], item["content"][0]["text"]) for item in items]


async def test_it_is_begun_read_changed_and_deleted() -> None:
    house = House()
    begun = await house.kept.create(WHO, {"metadata": {"topic": "x"}})
    assert begun["object"] == "conversation"
    assert begun["id"].startswith("conv_")
    assert await house.kept.get(WHO, begun["id"]) == begun
    changed = await house.kept.update(WHO, begun["id"], {"metadata": {"topic": "y"}})
    assert changed == begun | {"metadata": {"topic": "y"}}
    assert await house.kept.get(WHO, begun["id"]) == changed
    gone = await house.kept.delete(WHO, begun["id"])
    assert gone == {"id": begun["id"], "object": "conversation.deleted", "deleted": True}
    with pytest.raises(Denied):
        await house.kept.get(WHO, begun["id"])


async def test_it_is_its_apps_alone() -> None:
    house = House()
    id = await house.begin(HI)
    [item] = await house.kept.items(WHO, id)
    for ask in (
        house.kept.get(OTHER, id),
        house.kept.update(OTHER, id, {"metadata": {}}),
        house.kept.delete(OTHER, id),
        house.kept.add(OTHER, id, {"items": [HI]}),
        house.kept.items(OTHER, id),
        house.kept.item(OTHER, id, item["id"]),
        house.kept.delete_item(OTHER, id, item["id"]),
        house.kept.turns(OTHER, id),
    ):
        with pytest.raises(Denied) as refused:
            await ask
        assert refused.value.code is Code.NOT_FOUND
    await house.kept.append(OTHER, id, {"input": "x"}, told())
    assert await house.kept.items(WHO, id) == [item]


async def test_items_are_added_shown_and_taken_out() -> None:
    house = House()
    id = await house.begin(HI)
    call = {"type": "function_call_output", "call_id": "c", "output": "42"}
    added = await house.kept.add(WHO, id, {"items": [SAID, call]})
    assert added[0] == SAID
    assert added[1] == {**call, "id": added[1]["id"]}
    first, *rest = await house.kept.items(WHO, id)
    assert rest == added
    assert (first["type"], first["status"]) == ("message", "completed")
    assert first["content"] == [{"type": "input_text", "text": "Hi"}]
    assert await house.kept.item(WHO, id, "msg_said") == SAID
    assert (await house.kept.delete_item(WHO, id, "msg_said"))["id"] == id
    for ask in (house.kept.item, house.kept.delete_item):
        with pytest.raises(Denied) as refused:
            await ask(WHO, id, "msg_said")
        assert refused.value.code is Code.NOT_FOUND


@pytest.mark.parametrize(
    ("wish", "param"),
    [
        ({"items": "x"}, "items"),
        ({"items": None}, "items"),
        ({"items": [HI] * 21}, "items"),
        ({"items": [SAID, SAID]}, "items[1].id"),
        ({"items": [{"type": "item_reference", "id": "msg_1"}]}, "items[0].id"),
        ({"items": [{**HI, "id": 7}]}, "items[0].id"),
        ({"items": [{**HI, "content": "x" * 10_000}]}, "items"),
    ],
)
async def test_what_cannot_be_added_is_refused_by_name(wish: Any, param: str) -> None:
    house = House()
    id = await house.begin()
    with pytest.raises(Malformed) as refused:
        await house.kept.add(WHO, id, wish)
    assert refused.value.param == param
    assert await house.kept.items(WHO, id) == []


async def test_what_no_request_may_hold_is_not_added() -> None:
    house = House()
    house.refused = Malformed("No.", param="items[0].role")
    with pytest.raises(Malformed):
        await house.kept.create(WHO, {"items": [HI]})


@pytest.mark.parametrize(
    "metadata",
    ["x", {"a": 1}, {"a" * 65: "x"}, {"a": "x" * 513}, {str(n): "x" for n in range(17)}],
)
async def test_metadata_has_its_limits(metadata: Any) -> None:
    with pytest.raises(Malformed) as refused:
        await House().kept.create(WHO, {"metadata": metadata})
    assert refused.value.param == "metadata"


async def test_a_turn_is_what_was_asked_and_what_was_told() -> None:
    house = House()
    id = await house.begin({"role": "system", "content": "Be kind."})
    await house.kept.append(WHO, id, {"input": "Hi"}, told(SAID))
    await house.kept.append(WHO, id, {"input": [HI]}, told(id="resp_2"))
    assert await house.texts(id) == [
        ("system", "Be kind."), ("user", "Hi"), ("assistant", "Hello."), ("user", "Hi"),
    ]  # fmt: skip


async def test_a_turn_that_is_told_again_is_added_once() -> None:
    house = House()
    id = await house.begin()
    for _ in range(2):
        await house.kept.append(WHO, id, {"input": "Hi"}, told(SAID))
    assert len(await house.kept.items(WHO, id)) == 2


async def test_an_item_that_is_said_again_is_added_once() -> None:
    house = House()
    id = await house.begin()
    await house.kept.append(WHO, id, {"input": "Hi"}, told(SAID))
    await house.kept.append(WHO, id, {"input": [SAID, HI]}, told(id="resp_2"))
    roles = [item["role"] for item in await house.kept.items(WHO, id)]
    assert roles == ["user", "assistant", "user"]


async def test_an_item_that_was_named_is_added_itself_if_it_is_still_there() -> None:
    house = House()
    responses = Responses(house.shelf)
    await responses.keep(WHO, {"input": "Hi"}, told(SAID, id="resp_0"), Came("exc_0"))
    id = await house.begin()
    names = [{"type": "item_reference", "id": name} for name in ("msg_said", "msg_gone")]
    await house.kept.append(WHO, id, {"input": names}, told())
    assert await house.texts(id) == [("assistant", "Hello.")]


async def test_turns_are_said_without_what_spells_them_out_or_an_id_of_ours() -> None:
    house = House()
    id = await house.begin(HI)
    await house.kept.append(WHO, id, {"input": []}, told(SAID))
    part = {"type": "output_text", "text": "Hello.", "annotations": []}
    assert await house.kept.turns(WHO, id) == [HI, {**SAID, "content": [part]}]


async def test_a_conversation_that_is_too_long_for_a_request_says_so() -> None:
    house = House(most_bytes=200)
    id = await house.begin()
    await house.kept.append(WHO, id, {"input": "x" * 200}, told())
    with pytest.raises(Malformed) as refused:
        await house.kept.turns(WHO, id)
    assert refused.value.code is Code.REQUEST_TOO_LARGE
    assert "GOVGATE_SERVER__BODY_LIMIT" in refused.value.message


async def test_one_that_was_deleted_stays_so() -> None:
    house = House()
    id = await house.begin()
    await house.kept.delete(WHO, id)
    await house.kept.append(WHO, id, {"input": "Hi"}, told(SAID))
    with pytest.raises(Denied):
        await house.kept.get(WHO, id)


async def test_turns_that_end_together_are_all_added() -> None:
    house = House()
    id = await house.begin()
    turns = [{**SAID, "id": f"msg_{n}"} for n in range(5)]
    async with asyncio.TaskGroup() as group:
        for n, item in enumerate(turns):
            answer = told(item, id=f"resp_{n}")
            group.create_task(house.kept.append(WHO, id, {"input": "Hi"}, answer))
    assert len(await house.kept.items(WHO, id)) == 10


async def test_who_is_always_overtaken_is_told_to_come_again() -> None:
    house = House()
    id = await house.begin()

    async def overtaken(*_: Any, **__: Any) -> None:
        return None

    house.shelf.change = overtaken  # type: ignore[method-assign]
    for ask in (
        house.kept.add(WHO, id, {"items": [HI]}),
        house.kept.append(WHO, id, {"input": "Hi"}, told(SAID)),
    ):
        with pytest.raises(Unavailable) as refused:
            await ask
        assert refused.value.retry_after == 1.0


async def test_it_is_kept_for_as_long_as_it_goes_on() -> None:
    house = House()
    id = await house.begin()
    kept = await house.shelf.get(CONVERSATION, id, owner_of(WHO))
    assert kept is not None
    soon = datetime.now(UTC) + timedelta(days=1)
    house.shelf._kept[id] = replace(kept, expires=soon)
    await house.kept.append(WHO, id, {"input": "Hi"}, told(SAID))
    house.shelf.now = lambda: soon + timedelta(days=28)
    assert await house.kept.get(WHO, id)
    house.shelf.now = lambda: soon + timedelta(days=30)
    with pytest.raises(Denied):
        await house.kept.get(WHO, id)
