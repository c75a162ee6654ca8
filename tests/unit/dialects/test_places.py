"""Nested JSON: what is the caller's own is text, whatever it is; what is the API's is not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.passages import Number, Slot
from gateway.dialects.places import FREE, KNOWN, Grammar, is_number, nested, once
from gateway.dialects.vocabulary import VOCABULARY

NAMES = st.text(max_size=4).filter(lambda name: name not in VOCABULARY) | st.just("type")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=15,
)


def written(value: Any) -> list[str]:
    """Every string, name and long number."""
    if isinstance(value, dict):
        names = [name for name in value if name]
        return names + [text for item in value.values() for text in written(item)]
    if isinstance(value, list):
        return [text for item in value for text in written(item)]
    if Number.is_long(value):
        return [str(int(value))]
    return [value] if isinstance(value, str) else []


def texts(slots: list[Slot]) -> list[str]:
    """What the slots say, each name of several by itself."""
    said = [s.text.split("\n;\n") if s.where.endswith("/#") else [s.text] for s in slots]
    return sorted(text for each in said for text in each)


@given(VALUES)
def test_all_that_is_written_in_free_json_is_text(value: Any) -> None:
    before = copy.deepcopy(value)
    slots = nested({"x": value}, "x", "/x", "user")
    assert texts(slots) == sorted(written(value))
    assert len({slot.where for slot in slots}) == len(slots)
    assert not any(slot.fixed for slot in slots)
    assert value == before


@given(VALUES)
def test_what_the_api_gave_is_all_that_is_passed_over(value: Any) -> None:
    seen = texts(nested({"x": value}, "x", "/x", "user", KNOWN))
    assert all(text == "type" for text in written(value) if text not in seen)


def test_names_that_the_api_gave_stand_in_a_place_and_others_are_numbered() -> None:
    value = {"type": "a", "ann@example.org": {"type": "b", "n": 123456}, "max_tokens": 123456}
    slots = nested({"x": value}, "x", "/x", "user", KNOWN)
    assert {slot.where: slot.text for slot in slots} == {
        "/x/type": "a",
        "/x/#1/#0": "b",
        "/x/#1/#1": "123456",
        "/x/#1/#": "type\n;\nn",
        "/x/#1#": "ann@example.org",
        "/x/max_tokens": "123456",
    }


def test_structure_is_fixed_where_it_holds_a_word() -> None:
    grammar = Grammar(VOCABULARY, words=frozenset({"name"}))
    value = [{"name": "send"}, {"name": "say it"}, {"name": ["f", "ann@x"]}, {"name": "text"}]
    slots = nested({"x": value}, "x", "/x", "user", grammar)
    assert [(slot.text, slot.fixed) for slot in slots] == [
        ("send", True), ("say it", False), ("f", True), ("ann@x", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "number"), [(1, True), (0.5, True), (None, True), ("1", False), ([1], False)]
)
def test_a_number_of_the_api_is_one_only_where_it_is_a_number(value: Any, number: bool) -> None:
    assert is_number({"seed": value}, "seed") is number
    assert not is_number({"card": value}, "card")


def test_sealed_members_and_those_read_apart() -> None:
    def apart(holder: Any, key: Any, where: str, role: str) -> list[Slot]:
        return [Slot(holder[key], 0, where, role)]

    grammar = Grammar(VOCABULARY, sealed=lambda held, name: name == "data", apart={"tools": apart})
    value = {"data": "bytes", "tools": ["t"], "x": {"data": "bytes", "tools": ["u"]}}
    slots = nested({"x": value}, "x", "", "user", grammar)
    assert texts(slots) == ["data", "t", "tools", "u", "x"]


def test_of_what_is_fixed_each_text_is_looked_at_once() -> None:
    holder = ["f", "f", "f", "g"]
    fixed = [Slot(holder, place, f"/{place}", "user", fixed=True) for place in range(4)]
    free = [Slot(holder, place, f"/free/{place}", "user") for place in range(4)]
    tool = Slot(holder, 0, "/tool", "tool", fixed=True)
    assert list(once([*fixed, *free, tool])) == [fixed[0], fixed[3], *free, tool]


def test_a_member_is_rewritten_after_its_name() -> None:
    holder = {"x": {"ann@example.org": "said", "b": 123456}}
    slots = nested(holder, "x", "/x", "user", FREE)
    for slot in reversed(slots):
        slot.put(f"<{slot.text}>")
    assert holder == {"x": {"<ann@example.org>": "<said>", "<b>": "<123456>"}}
