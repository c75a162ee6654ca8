"""Where text stands in Anthropic's JSON, and JSON that is read as text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import Lane
from gateway.dialects.messages_texts import JsonRun, JsonSlot, structural, texts, words_of

WORDS = frozenset({"type", "id"})
SEALED = "EqQBCkYIChgCKkBxY2x0" * 4


@pytest.mark.parametrize(
    ("name", "value", "is_structure"),
    [
        ("type", "text", True),
        ("type", ["string", "null"], True),
        ("type", "application/pdf", True),
        ("id", "toolu_01AbC", True),
        ("id", "1h", True),
        ("id", "ann@example.org", False),
        ("id", "Ann Onym", False),
        ("id", "+442079460958", False),
        ("id", "4111111111111111", False),
        ("id", "", False),
        ("id", {"type": "text"}, False),
        ("type", ["string", "Ann Onym"], False),
        ("note", "text", False),
        ("signature", SEALED, True),
        ("signature", SEALED + "==", True),
        ("signature", SEALED[:39], False),
        ("signature", SEALED + " for Ann", False),
        ("encrypted_content", SEALED, True),
        ("note", SEALED, False),
        ("data", SEALED, False),
    ],
)
def test_what_is_structure(name: str, value: Any, is_structure: bool) -> None:
    assert structural({name: value}, name, WORDS) is is_structure


def test_data_is_sealed_only_where_its_type_says_so() -> None:
    for kind, is_structure in (("base64", True), ("redacted_thinking", True), ("text", False)):
        assert structural({"type": kind, "data": SEALED}, "data", WORDS) is is_structure


def test_names_are_structure_in_blocks_about_tools() -> None:
    assert "name" in words_of({"type": "server_tool_use"})
    assert "name" not in words_of({"type": "hologram"})
    assert "name" not in words_of({})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=15,
)


def strings(value: Any) -> list[str]:
    """Every string value, in order."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in inner for text in strings(item)]


@given(JSON)
def test_every_string_of_what_is_unknown_is_found_in_order(value: Any) -> None:
    holder = {"x": value}
    assert [inner[key] for inner, key in texts(holder, "x", frozenset())] == strings(value)


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
