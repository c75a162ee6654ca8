"""Members of a request: their types, and every text in them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Malformed
from gateway.core.names import Names
from gateway.dialects import fields

LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=15,
)


def strings(value: Any) -> list[str]:
    """Every string in `value` that is no name, and every long number, in document order."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 99_999:
        return [str(value)]
    inner = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    return [text for item in inner for text in strings(item)]


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=5))
def test_every_text_has_one_slot_that_can_be_rewritten(request: dict[str, Any]) -> None:
    request = {**request, "model": "m"}
    before = copy.deepcopy({name: item for name, item in request.items() if name != "model"})
    every = list(fields.slots(request, {"a"}))
    assert len({slot.where for slot in every}) == len(every)
    found = [slot for slot in every if not isinstance(slot, Names)]
    assert [slot.text for slot in found] == strings(before)
    for number, slot in enumerate(found):
        slot.put(f"<{number}>")
    del request["model"]
    assert strings(request) == [f"<{number}>" for number in range(len(found))]


def test_places_are_pointers_and_hold_no_name_of_the_callers() -> None:
    request = {"model": "m", "prompt": ["a", "b"], "ann@example.org": {"x": ["c"]}, "stop": "d"}
    found = list(fields.slots(request, {"prompt", "stop"}))
    assert {slot.where: slot.text for slot in found} == {
        "/prompt/0": "a", "/prompt/1": "b", "/#2/#0/0": "c", "/#2/#": "x", "/stop": "d",
        "/#2#": "ann@example.org",
    }  # fmt: skip


@pytest.mark.parametrize("model", [None, "", 1, ["m"], "m" * 257])
def test_a_request_names_a_model(model: object) -> None:
    with pytest.raises(Malformed) as refused:
        fields.checked({"model": model}, {})
    assert refused.value.param == "model"


@pytest.mark.parametrize("body", [None, [], "x", 1])
def test_a_request_is_an_object(body: object) -> None:
    with pytest.raises(Malformed):
        fields.checked(body, {})


@pytest.mark.parametrize("value", ["1", True, 1.5, [1]])
def test_a_member_keeps_to_its_type(value: object) -> None:
    assert fields.checked({"model": "m", "n": None, "x": value}, {"n": (int,)})
    with pytest.raises(Malformed, match="'n' must be an integer") as refused:
        fields.checked({"model": "m", "n": value}, {"n": (int,)})
    assert refused.value.param == "n"


def test_a_number_keeps_to_its_bounds() -> None:
    fields.between(None, 1, 2, "n")
    fields.between(2, 1, 2, "n")
    with pytest.raises(Malformed, match="between 1 and 2"):
        fields.between(3, 1, 2, "n")


def test_texts_are_texts() -> None:
    assert fields.texts("a", "input") == ["a"]
    assert fields.texts(["a", ""], "input") == ["a", ""]


@pytest.mark.parametrize("tokens", [[1, 2], [[1], [2]], ["a", 7], [True]])
def test_tokens_are_refused_as_nothing_can_read_them(tokens: object) -> None:
    with pytest.raises(Malformed, match="token ids cannot be governed") as refused:
        fields.texts(tokens, "prompt")
    assert refused.value.param == "prompt"


@pytest.mark.parametrize("value", [None, 7, {}, [], [None], ["a", {}], ["a"] * 2_049])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(Malformed) as refused:
        fields.texts(value, "input")
    assert refused.value.param == "input"
