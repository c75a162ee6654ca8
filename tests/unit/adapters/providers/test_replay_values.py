from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.providers.replay_values import instance

TREE = {
    "type": "object",
    "properties": {
        "value": {"type": "string"},
        "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
        "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
    },
    "required": ["value", "next", "children"],
    "$defs": {"node": {"$ref": "#"}},
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "hi"),
        ({"type": "string", "minLength": 4}, "hi.."),
        ({"type": "string", "maxLength": 1}, "h"),
        ({"type": "string", "format": "email"}, "someone@example.org"),
        ({"enum": ["red", "blue"]}, "red"),
        ({"const": {"a": 1}}, {"a": 1}),
        ({"type": "boolean"}, False),
        ({"type": "null"}, None),
        ({"type": ["string", "null"]}, None),
        ({"type": ["integer", "string"]}, 0),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 3, "multipleOf": 5}, 5),
        ({"type": "number", "exclusiveMaximum": 0}, -0.5),
        ({"type": "integer", "maximum": -7, "multipleOf": 2}, -8),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2}, ["hi", "hi"]),
        ({"properties": {"a": {"type": "string"}}}, {"a": "hi"}),
        ({"properties": {"a": {}, "b": {}}, "required": ["b"]}, {"b": "hi"}),
        ({"properties": {"a": {"properties": {"b": {}}}}, "required": ["a"]}, {"a": {}}),
        ({"required": ["x"], "type": "object"}, {"x": "hi"}),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, 0),
        ({"allOf": [{"properties": {"a": {}}, "required": ["a"]},
                    {"properties": {"b": {}}, "required": ["b"]}]}, {"a": "hi", "b": "hi"}),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "integer"}}}, 0),
        (TREE, {"value": "hi", "next": None, "children": []}),
        (True, "hi"),
        ({}, "hi"),
    ],
)  # fmt: skip
def test_instances(schema: Any, value: Any) -> None:
    assert instance(schema, "hi") == value
    assert jsonschema_rs.is_valid(schema, instance(schema, "hi"))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"$ref": "#"},
        {"$ref": "https://example.org/other.json"},
        {"type": "string", "minLength": "many"},
        {"$ref": 7},
        {"allOf": [7]},
    ],
)
def test_schemas_that_cannot_be_met(schema: Any) -> None:
    with pytest.raises(ValueError, match=r"schema|reference"):
        instance(schema, "hi")


_LEAVES = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": ["string", "null"]}),
    st.builds(lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
              st.integers(0, 9), st.integers(0, 9)),
    st.builds(lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more},
              st.integers(-9, 9), st.integers(0, 9)),
    st.builds(lambda low: {"type": "number", "exclusiveMinimum": low}, st.integers(-9, 9)),
    st.lists(st.integers(), min_size=1, max_size=3).map(lambda values: {"enum": values}),
)  # fmt: skip
_SCHEMAS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda of, least: {"type": "array", "items": of, "minItems": least},
                  inner, st.integers(0, 3)),
        st.builds(lambda of, strict: {"type": "object", "properties": of, "required": sorted(of),
                                      "additionalProperties": strict},
                  st.dictionaries(st.sampled_from("abcd"), inner, max_size=3), st.booleans()),
        st.lists(inner, min_size=1, max_size=3).map(lambda of: {"anyOf": of}),
    ),
    max_leaves=8,
)  # fmt: skip


@given(_SCHEMAS, st.text(max_size=12))
def test_an_instance_is_valid(schema: Any, text: str) -> None:
    jsonschema_rs.validate(schema, instance(schema, text))
