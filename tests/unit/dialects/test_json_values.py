"""JSON that stands as a value and is read as text: whole, in pieces, broken off."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import Lane
from gateway.dialects.json_values import JsonRun, JsonSlot, has_own_names

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=15,
)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("content", False),
        ("kv_transfer_params", False),
        ("hate/threatening", False),
        ("reasoning.v2", False),
        ("[[EMAIL_ADDRESS_1]]", True),
        ("ann@example.org", True),
        ("DE89370400440532013000", True),
        ("Ann Onym", True),
        ("4111", True),
        ("", True),
    ],
)
def test_whose_a_name_is(name: str, own: bool) -> None:
    assert has_own_names({"type": 1, name: 2}) is own


@given(st.dictionaries(st.text(max_size=4), JSON))
def test_json_is_read_as_text_and_put_back(value: dict[str, Any]) -> None:
    holder = {"input": value}
    slot = JsonSlot(holder, "input", "/x", "user")
    assert json.loads(slot.text) == value
    slot.put('{"a": [1]}')
    assert holder == {"input": {"a": [1]}}


@given(st.dictionaries(st.text(max_size=4), JSON), st.integers(0, 40))
def test_json_that_is_put_in_pieces_is_whole_in_the_end(value: dict[str, Any], cut: int) -> None:
    holder = {"input": value}
    run = JsonRun(Lane(0, "input", json=True), holder, "input")
    text = run.text
    run.put(text[:cut])
    run.put(run.text + text[cut:])
    assert holder == {"input": json.loads(text)}


def test_json_that_breaks_off_is_seen_as_such() -> None:
    holder: dict[str, Any] = {"input": {"a": 1}}
    run = JsonRun(Lane(0, "input", json=True), holder, "input")
    run.put('{"a": ')
    assert holder == {"input": '{"a": '}
    run.put("")
    assert holder == {"input": {}}
