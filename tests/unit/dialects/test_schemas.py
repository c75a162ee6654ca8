"""JSON schemas: the names of properties are text that may change, and all that names them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Denied
from gateway.core.passages import Slot, rewrite
from gateway.dialects.schemas import schema
from gateway.dialects.vocabulary import KEYWORDS
from tests.unit.dialects.test_places import VALUES, texts, written

ANN = "ann@example.org"


def slots(value: Any) -> list[Slot]:
    return schema({"parameters": value}, "parameters", "/p", "system")


def masked(value: Any) -> Any:
    """`value` with every slot's address replaced."""
    found = [slot for slot in slots(value) if ANN in slot.text]
    assert found
    rewrite([(slot, slot.text.replace(ANN, "[[A_1]]")) for slot in found])
    return value


def test_a_property_is_renamed_wherever_it_is_named() -> None:
    value = {
        "type": "object",
        "properties": {"x": {"type": "string"}, ANN: {"type": "integer"}},
        "required": [ANN, "x"],
        "propertyOrdering": ["x", ANN],
        "dependentRequired": {ANN: ["x"], "x": [ANN]},
        "dependentSchemas": {ANN: {"required": ["x"]}},
        "anyOf": [{"required": [ANN]}, {"properties": {ANN: {"const": 1}}}],
        "discriminator": {"propertyName": ANN},
    }
    told = json.dumps(value)
    assert json.dumps(masked(value)) == told.replace(ANN, "[[A_1]]")


@pytest.mark.parametrize(
    "value",
    [
        {"$defs": {ANN: {}}, "$ref": "#/$defs/x"},
        {"definitions": {"x": {"$defs": {ANN: {}}}}},
        {"patternProperties": {ANN: {}}},
    ],
)
def test_names_of_definitions_and_patterns_stay(value: dict[str, Any]) -> None:
    before = copy.deepcopy(value)
    with pytest.raises(Denied, match="cannot be"):
        masked(value)
    assert value == before


def test_a_reference_is_looked_at_unless_its_name_is() -> None:
    value = {
        "$defs": {"Order": {"type": "string"}, "Line": {"$ref": "#/$defs/Order"}},
        "items": {"$ref": "#/$defs/Line"},
        "not": {"$ref": "https://x.test/DE89370400440532013000"},
    }
    fixed = [slot.text for slot in slots(value) if slot.fixed]
    assert fixed == ["Order\n;\nLine", "https://x.test/DE89370400440532013000"]


def test_types_and_drafts_are_no_text_and_other_words_stay() -> None:
    value = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": ["string", "null", "DE89370400440532013000", "a b"],
        "format": "email",
    }
    assert [(slot.text, slot.fixed) for slot in slots(value)] == [
        ("DE89370400440532013000", True), ("a b", False),
    ]  # fmt: skip


def test_a_property_may_be_named_like_a_keyword() -> None:
    value = {"properties": {"type": {"description": "a"}, "required": {"enum": ["b"]}}}
    assert [slot.text for slot in slots(value)] == ["a", "b", "type\n;\nrequired"]
    assert not any(slot.fixed for slot in slots(value))


def test_limits_stay_and_values_may_change() -> None:
    value = {"maximum": 4111111111111111, "const": 4111111111111112, "enum": [4111111111111113]}
    assert [(slot.text[-1], slot.fixed) for slot in slots(value)] == [
        ("1", True), ("2", False), ("3", False),
    ]  # fmt: skip


KEYWORDED = st.recursive(
    VALUES,
    lambda inner: st.dictionaries(
        st.sampled_from(sorted(KEYWORDS)) | st.text(max_size=4), inner, max_size=5
    ),
    max_leaves=12,
)


@given(KEYWORDED)
def test_whatever_stands_in_a_schema_is_seen_or_a_word_of_its_own(value: Any) -> None:
    before = copy.deepcopy(value)
    found = slots(value)
    seen = set(texts(found))
    passed = {text for text in written(value) if text not in seen}
    assert passed <= KEYWORDS
    assert len({slot.where for slot in found}) == len(found)
    for slot in found:
        slot.put(slot.text)
    assert value == before
