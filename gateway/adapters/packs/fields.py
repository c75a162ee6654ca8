"""Which fields there are, and where: looked up in the schema, for messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from gateway.adapters.packs.schema import Json, definitions, kind_of, kinds


def fields_at(schema_path: Sequence[str | int]) -> frozenset[str]:
    """The fields that are known where the `additionalProperties` of this path stands."""
    holder = _at(schema_path[:-1])
    return frozenset(name for name, member in holder.get("properties", {}).items() if member)


def alternatives(schema_path: Sequence[str | int]) -> Sequence[str]:
    """The fields of which an `anyOf` wants one; none where it is about something else."""
    options = _at(schema_path)
    required = [name for option in options for name in option.get("required", [])]
    return required if len(required) == len(options) else ()


def described(value: Any, where: Sequence[str | int], name: str) -> str:
    """What the schema says of a field that is missing; nothing where it says nothing."""
    about = definitions()["rule"]["properties"].get(name, {}) if not where else {}
    if where == ("params",) and isinstance(value, dict) and value.get("kind") in kinds():
        about = _params(value["kind"]).get(name, {})
    said = about.get("description", "") if isinstance(about, Mapping) else ""
    return f"{said}." if said else ""


def where_it_belongs(value: Any, where: Sequence[str | int], name: str) -> str:
    """Where else in a rule there is a field of this name; empty where there is none."""
    if not isinstance(value, dict) or value.get("kind") not in kinds():
        return ""
    if not where:
        if name in _params(value["kind"]):
            return "two spaces further in, below `params:`"
        if name in definitions()["when"]["properties"]:
            return "two spaces further in, below `when:`"
    if where in (("params",), ("when",)) and name in definitions()["rule"]["properties"]:
        return f"out of `{where[0]}`, to the beginning of a line"
    return ""


def _params(kind: str) -> Json:
    fields: Json = kind_of(kind)["properties"]["params"]["properties"]
    return fields


def _at(schema_path: Sequence[str | int]) -> Any:
    """The part of the schema at a path that begins with `$defs`."""
    start: Any = definitions()
    return reduce(lambda part, name: part[name], schema_path[1:], start)
