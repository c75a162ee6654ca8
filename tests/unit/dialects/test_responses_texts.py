"""Where texts stand, however deep: nothing that somebody may have written is passed over."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.names import Names
from gateway.core.passages import Number, Slot
from gateway.dialects.responses_texts import Unread, texts
from tests.unit.dialects.test_places import texts as named_in

BYTES = "aGkK" * 20
WORDS = st.sampled_from(["type", "id", "name", "text", "required", "data", "note", "call_id"])
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=4) | st.sampled_from(["a b", "msg_1", "4111"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=15,
)


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)


def named(value: Any) -> Iterator[str]:
    """Every name of a member."""
    if isinstance(value, dict):
        yield from value
    if isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from named(item)


def slots(value: Any, key: str = "x", *, plain: bool) -> list[Slot]:
    return [f for f in texts({key: value}, key, "/x", "user", plain=plain) if isinstance(f, Slot)]


def values_of(found: list[Slot]) -> list[str]:
    """The texts that stand as strings: names and numbers left out."""
    return [slot.text for slot in found if not isinstance(slot, Names | Number)]


@given(VALUES)
def test_where_it_is_plain_every_string_and_name_is_text(value: Any) -> None:
    found = slots(value, plain=True)
    assert values_of(found) == list(strings(value))
    assert not any(slot.fixed for slot in found)
    assert set(named_in([slot for slot in found if isinstance(slot, Names)])) == set(named(value))


@given(VALUES)
def test_elsewhere_only_what_looks_like_a_name_is_passed_over(value: Any) -> None:
    seen = [slot.text for slot in slots(value, plain=False)]
    passed = [text for text in strings(value) if text not in seen]
    assert all(text.isascii() and " " not in text for text in passed)
    assert not {"4111", "a b", ""} & set(passed)


@given(VALUES, st.booleans())
def test_places_are_distinct_and_rewriting_one_rewrites_no_other(value: Any, plain: bool) -> None:
    value = copy.deepcopy(value)
    found = slots(value, plain=plain)
    assert len({slot.where for slot in found}) == len(found)
    found = [slot for slot in found if not (slot.fixed or isinstance(slot, Names))]
    before = [slot.text for slot in found]
    for index, slot in enumerate(found):
        slot.put("rewritten")
        assert [other.text for other in found] == ["rewritten"] * (index + 1) + before[index + 1 :]


@pytest.mark.parametrize(
    ("part", "label", "seen"),
    [
        ({"type": "input_image", "image_url": "data:image/png;base64,aGk="}, "image", []),
        ({"type": "input_image", "image_url": "https://x.test/a b"}, "image",
         ["https://x.test/a b"]),
        ({"type": "input_file", "file_data": BYTES, "filename": "a b.pdf"}, "file", ["a b.pdf"]),
        ({"type": "input_file", "file_url": "data:a/b;base64,aGk="}, "file", []),
        ({"type": "input_audio", "input_audio": {"data": BYTES, "format": "a b"}}, "audio",
         ["a b"]),
        ({"type": "computer_screenshot", "file_id": "file-1"}, "image", []),
        ({"type": "image", "url": "data:image/png;base64,aGk="}, "image", []),
        ({"type": "reasoning", "encrypted_content": BYTES}, "reasoning", []),
        ({"type": "compaction", "encrypted_content": BYTES}, "reasoning", []),
        ({"type": "image_generation_call", "result": BYTES}, "image", []),
        ({"type": "base64", "media_type": "a b", "data": BYTES}, "file", ["a b"]),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_of_once(
    part: dict[str, Any], label: str, seen: list[str]
) -> None:
    found = list(texts({"content": [part]}, "content", "/x", "user"))
    assert [each.label for each in found if isinstance(each, Unread)] == [label]
    assert [each.text for each in found if isinstance(each, Slot) and not each.fixed] == seen


@pytest.mark.parametrize(
    ("part", "label"),
    [
        ({"type": "input_image", "image_url": "data:text/plain,a b"}, "image"),
        ({"type": "input_file", "file_data": "a b"}, "file"),
        ({"type": "input_audio", "input_audio": {"data": "a b", "format": "wav"}}, "audio"),
        ({"type": "reasoning", "encrypted_content": "a b"}, "reasoning"),
        ({"type": "image_generation_call", "result": "a b"}, "image"),
        ({"type": "base64", "data": "a b"}, "file"),
        ({"encrypted_content": "a b"}, "reasoning"),
    ],
)
@pytest.mark.parametrize("plain", [True, False])
def test_what_does_not_look_like_bytes_is_told_of_and_read(
    part: dict[str, Any], label: str, plain: bool
) -> None:
    found = list(texts({"content": [part]}, "content", "/x", "user", plain=plain))
    assert label in [each.label for each in found if isinstance(each, Unread)]
    assert any("a b" in each.text for each in found if isinstance(each, Slot))


def test_structure_of_a_schema_is_kept_and_its_words_are_read() -> None:
    schema = {
        "type": ["object", "null"],
        "required": ["a.b", "a b", "4111"],
        "properties": {"type": {"type": "string", "format": "date", "pattern": "^a b$",
                                "description": "say when", "enum": ["now", "later"]}},
        "format": "a b",
    }  # fmt: skip
    found = slots(schema, "parameters", plain=False)
    assert not [slot.text for slot in found if slot.fixed]
    assert [slot.text for slot in found] == [
        *("a.b", "a b", "4111", "^a b$", "say when", "now", "later", "type", "a b"),
    ]  # fmt: skip


@given(VALUES)
def test_in_a_schema_only_what_looks_like_a_name_is_passed_over(value: Any) -> None:
    for word in ("type", "required", "format", "$ref", "pattern", "enum"):
        schema = {word: value}
        seen = [slot.text for slot in slots(schema, "parameters", plain=False)]
        passed = [text for text in strings(schema) if text not in seen]
        assert all(text.isascii() and " " not in text for text in passed)
        assert not {"4111", "a b", ""} & set(passed)
        if isinstance(value, str) and word in ("pattern", "enum"):
            assert seen == [value]
