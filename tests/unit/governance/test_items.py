"""Items that a request names are found where they came in, for their app alone."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.errors import Code, Malformed
from gateway.core.kept import Came, Owner
from gateway.core.principal import Principal
from gateway.governance import items
from gateway.governance.responses import Responses
from tests.fakes.shelf import FakeShelf

WHO = Principal("acme", "sales", "shop", "k1")
CAME = Came("exc_0")
OTHER = Principal("acme", "sales", "desk", "k2")
SAID = {
    "id": "msg_said",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hello.", "annotations": []}],
}
GIVEN = {"id": "msg_given", "role": "user", "content": "Hi"}


def told(*output: Any, id: str = "resp_1") -> dict[str, Any]:
    return {"id": id, "object": "response", "status": "completed", "output": list(output)}


def kept() -> Responses:
    return Responses(FakeShelf())


async def test_what_was_said_and_what_was_asked_is_found_by_its_id() -> None:
    responses = kept()
    await responses.keep(WHO, {"input": [GIVEN]}, told(SAID), CAME)
    found = await responses.items(WHO, ["msg_given", "msg_said", "msg_unknown"])
    assert found == {"msg_given": GIVEN, "msg_said": SAID}


async def test_nobody_elses_item_is_found() -> None:
    responses = kept()
    await responses.keep(WHO, {"input": [GIVEN]}, told(SAID), CAME)
    assert await responses.items(OTHER, ["msg_given", "msg_said", "msg_resp_1_0"]) == {}


async def test_an_item_goes_with_its_response() -> None:
    responses = kept()
    await responses.keep(WHO, {"input": "Hi"}, told(SAID), CAME)
    await responses.keep(WHO, {"input": [SAID, GIVEN]}, told(id="resp_2"), CAME)
    await responses.delete(WHO, "resp_1")
    assert await responses.items(WHO, ["msg_said", "msg_given"]) == {"msg_given": GIVEN}


async def test_what_is_not_to_be_stored_is_not_found() -> None:
    responses = kept()
    await responses.keep(WHO, {"input": [GIVEN], "store": False}, told(SAID), CAME)
    assert await responses.items(WHO, ["msg_given", "msg_said"]) == {}


async def test_the_model_is_believed_before_a_caller_who_says_it_again() -> None:
    responses = kept()
    changed = {**SAID, "content": "Something else."}
    await responses.keep(WHO, {"input": "Hi"}, told(SAID), CAME)
    await responses.keep(WHO, {"input": [changed]}, told(id="resp_2"), CAME)
    assert await responses.items(WHO, ["msg_said"]) == {"msg_said": SAID}
    await responses.keep(WHO, {"input": [changed]}, told(SAID, id="resp_3"), CAME)
    assert await responses.items(WHO, ["msg_said"]) == {"msg_said": SAID}


async def test_input_items_are_found_by_the_ids_that_they_are_shown_with() -> None:
    responses = kept()
    asked: list[Any] = [{"role": "user", "content": "One"}, GIVEN, {"role": "user", "content": "2"}]
    await responses.keep(WHO, {"input": asked}, told(SAID), CAME)
    shown = await responses.input_items(WHO, "resp_1")
    ids = [item["id"] for item in shown]
    found = await responses.items(WHO, ids)
    assert [found[id] for id in ids] == asked, "an id that we gave is no provider's"
    assert await responses.items(WHO, ["msg_resp_1_3", "msg_resp_1_1", "msg_resp_2_0"]) == {}


async def test_a_text_that_was_asked_is_found_as_a_message() -> None:
    responses = kept()
    await responses.keep(WHO, {"input": "Hello"}, told(), CAME)
    [shown] = await responses.input_items(WHO, "resp_1")
    content = [{"type": "input_text", "text": "Hello"}]
    found = await responses.items(WHO, [shown["id"]])
    assert found == {shown["id"]: {"type": "message", "role": "user", "content": content}}


async def test_items_that_were_named_are_shown_as_they_are_now() -> None:
    responses = kept()
    await responses.keep(WHO, {"input": "Hi"}, told(SAID), CAME)
    names = [{"type": "item_reference", "id": "msg_said"}, {"role": "user", "content": "And?"}]
    await responses.keep(WHO, {"input": names}, told(id="resp_2"), CAME)
    assert (await responses.input_items(WHO, "resp_2"))[0] == SAID
    await responses.delete(WHO, "resp_1")
    assert (await responses.input_items(WHO, "resp_2"))[0] == names[0]
    assert await responses.items(WHO, ["msg_said"]) == {}, "a name is not what it names"


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (
            {"type": "image_generation_call", "id": "ig_1", "result": "aGk=", "size": "1x1"},
            {"type": "image_generation_call", "id": "ig_1", "size": "1x1"},
        ),
        (
            {**SAID, "content": [{"type": "output_text", "text": "a@b.c", "logprobs": [{}]}, 7]},
            {**SAID, "content": [{"type": "output_text", "text": "a@b.c"}, 7]},
        ),
        (
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "reasoning", "id": "rs_1", "summary": []},
        ),
    ],
)
async def test_an_item_is_found_as_a_request_may_say_it(item: Any, said: Any) -> None:
    responses = kept()
    await responses.keep(WHO, {"input": "Hi"}, told(item), CAME)
    assert await responses.items(WHO, [item["id"]]) == {item["id"]: said}
    assert (await responses.get(WHO, "resp_1"))[0]["output"] == [item], "it is kept as it was told"


async def test_named_over_and_over_an_item_counts_each_time() -> None:
    shelf = FakeShelf()
    responses = Responses(shelf, most_bytes=1_000)
    await responses.keep(WHO, {"input": "Hi"}, told({**SAID, "content": "x" * 300}), CAME)
    assert await responses.items(WHO, ["msg_said"] * 2)
    with pytest.raises(Malformed) as refused:
        await responses.items(WHO, ["msg_said"] * 3)
    assert refused.value.code is Code.REQUEST_TOO_LARGE
    assert "GOVGATE_SERVER__BODY_LIMIT" in refused.value.message


async def test_a_request_may_name_items_of_so_many_responses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(items, "MOST_RESPONSES", 40)
    responses = kept()
    for number in range(41):
        item = {**SAID, "id": f"msg_{number}"}
        await responses.keep(WHO, {"input": "Hi"}, told(item, id=f"resp_{number}"), CAME)
    names = [f"msg_{number}" for number in range(41)]
    assert len(await responses.items(WHO, names[:40])) == 40
    with pytest.raises(Malformed) as refused:
        await responses.items(WHO, names)
    assert refused.value.param == "input"


@pytest.mark.parametrize("output", [None, "x", [7, {"id": 7, "type": "message"}, {"id": "a"}]])
async def test_what_is_no_item_has_no_place(output: Any) -> None:
    asked = {"input": [{"type": "item_reference", "id": "b"}, {"id": None, "content": "x"}]}
    assert items.items_of(asked, {"output": output if output != "x" else []}) == {}
    owner = Owner("acme", "shop")
    assert await items.KeptItems(FakeShelf(), 10).named(owner, ["a", "b", "", "msg__1"]) == {}
