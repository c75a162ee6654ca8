"""A small value of a JSON Schema, made of a given text."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor
from typing import Any

_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "P1D",
    "email": "someone@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_DEEPEST = 32


def instance(schema: Any, text: str) -> Any:
    """A small value that `schema` admits: what is required and no more, `text` for strings.

    An object that requires nothing gets all its members, at the top level. `pattern`, `not`
    and `if` are not looked at. Raises `ValueError` for a schema that is malformed, or that
    no finite value fits.
    """
    try:
        return _value(schema, schema, text, 0)
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError("the schema cannot be read") from error


def _value(schema: Any, root: Any, text: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ValueError("the schema requires itself without end")
    if not isinstance(schema, Mapping):
        return text
    if "$ref" in schema:
        return _value(_resolved(schema["$ref"], root), root, text, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for among in ("anyOf", "oneOf"):
        if schema.get(among):
            return _value(_simplest(schema[among]), root, text, depth + 1)
    if schema.get("allOf"):
        return _value(_merged(schema, root), root, text, depth + 1)
    return _typed(_kind(schema), schema, root, text, depth)


def _typed(kind: str, schema: Mapping[str, Any], root: Any, text: str, depth: int) -> Any:
    match kind:
        case "object":
            members = schema.get("properties") or {}
            wanted = schema.get("required") or (() if depth else members)
            return {n: _value(members.get(n, True), root, text, depth + 1) for n in wanted}
        case "array":
            least = schema.get("minItems", 0)
            item = _value(schema.get("items", True), root, text, depth + 1) if least else None
            return [item] * least
        case "string":
            return _string(schema, text)
        case "integer" | "number":
            return _number(schema, whole=kind == "integer")
        case "boolean":
            return False
        case _:
            return None


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = "null" if "null" in kind else kind[0]
    return str(kind)


def _string(schema: Mapping[str, Any], text: str) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    return text.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]


def _number(schema: Mapping[str, Any], *, whole: bool) -> int | float:
    """The number nearest to 0 within the bounds."""
    step = schema.get("multipleOf") or (1 if whole else None)
    nudge = 1 if whole else 0.5
    low = [schema["minimum"]] if "minimum" in schema else []
    low += [schema["exclusiveMinimum"] + nudge] if "exclusiveMinimum" in schema else []
    high = [schema["maximum"]] if "maximum" in schema else []
    high += [schema["exclusiveMaximum"] - nudge] if "exclusiveMaximum" in schema else []
    value = min([max([0, *low]), *high])
    if step:
        value = (ceil(value / step) if value >= 0 else floor(value / step)) * step
    return int(value) if whole else value


def _simplest(schemas: list[Any]) -> Any:
    """The branch that says null, where there is one: it ends what refers to itself."""
    for schema in schemas:
        if isinstance(schema, Mapping) and schema.get("type") == "null":
            return schema
    return schemas[0]


def _merged(schema: Mapping[str, Any], root: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {key: item for key, item in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        part = _resolved(part["$ref"], root) if "$ref" in part else part
        both = {
            "properties": {**merged.get("properties", {}), **part.get("properties", {})},
            "required": [*merged.get("required", ()), *part.get("required", ())],
        }
        merged = {**merged, **part, **{key: item for key, item in both.items() if item}}
    return merged


def _resolved(reference: str, root: Any) -> Any:
    """What a JSON Pointer (RFC 6901) into the same document points at."""
    place, *steps = reference.split("/")
    found = root
    for step in steps:
        found = found.get(step.replace("~1", "/").replace("~0", "~"), {})
    if place != "#":
        raise ValueError(f"a reference to another document: {reference}")
    return found
