"""Where text stands in Anthropic's JSON, and JSON that is read as text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.json_values import has_own_names
from gateway.dialects.messages_texts import structural, texts, words_of

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


def strings(value: Any) -> list[Any]:
    """Every string value in order, and every object whose names are somebody's own."""
    if isinstance(value, str) or (isinstance(value, dict) and has_own_names(value)):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in inner for text in strings(item)]


@given(JSON)
def test_every_string_of_what_is_unknown_is_found_in_order(value: Any) -> None:
    holder = {"x": value}
    assert [inner[key] for inner, key in texts(holder, "x", frozenset())] == strings(value)
