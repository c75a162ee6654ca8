"""The JSON Schema of packs, and rules as the engines take them: with its defaults filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

import orjson
from jsonschema_rs import Draft202012Validator

Json: TypeAlias = dict[str, Any]

_ASSETS = Path(str(files("gateway"))) / "assets"


def assets() -> Path:
    """The directory of what is shipped beside the program."""
    return _ASSETS


def engine() -> Path:
    """The compiled rule library (`policies/lib`) that is shipped: a Wasm module."""
    return _ASSETS / "govgate.wasm"


def well_formed() -> Callable[[object], bool]:
    """Whether a value is a question, by `policies/schemas/question.json`."""
    return Draft202012Validator(_schema("question")).is_valid


@cache
def _schema(name: str) -> Json:
    schema: Json = orjson.loads((_ASSETS / "schemas" / f"{name}.json").read_bytes())
    return schema


def definitions() -> Json:
    """The `$defs` of the pack's schema: one for each shape of document, and what they share."""
    shapes: Json = _schema("pack")["$defs"]
    return shapes


@cache
def validator(shape: str) -> Draft202012Validator:
    """What checks documents of a shape: manifest, rule, list, exceptions, attachments, tables."""
    return Draft202012Validator({"$ref": f"#/$defs/{shape}", "$defs": definitions()})


def kinds() -> Sequence[str]:
    """The kinds of rules that are built in."""
    named: Sequence[str] = definitions()["rule"]["properties"]["kind"]["anyOf"][0]["enum"]
    return named


def kind_of(kind: str) -> Json:
    """The schema of a kind of rule, with what it takes from a common one."""
    custom = kind.startswith("custom:")
    own: Json = definitions()["custom_rule"] if custom else definitions()["kinds"][kind]
    common: Json = definitions().get(own.get("$ref", "").removeprefix("#/$defs/"), {})
    properties = {**common.get("properties", {}), **own["properties"]}
    return {**common, **own, "properties": properties}


def with_defaults(rule: Mapping[str, Any]) -> Json:
    """A rule as it was written, and what it leaves out."""
    kind = kind_of(rule["kind"])
    full = _defaults(definitions()["rule"]) | _defaults(kind) | dict(rule)
    return full | {"params": _defaults(kind["properties"]["params"]) | full["params"]}


def filled(rule: Mapping[str, Any], attached: Sequence[Json] | None) -> Json:
    """A rule as the engines take it: with its defaults, and only what they look at.

    `attached` is where the pack's attachments put it: None when the pack has no such file.
    """
    full = with_defaults(rule)
    params = full["params"]
    if "list" in params:
        params["labels"] = [params.pop("list")]
    return {
        "kind": full["kind"],
        "mode": full["mode"],
        "floor": full["floor"],
        "from": moment(full["valid"].get("from")),
        "until": moment(full["valid"].get("until")),
        "when": full["when"],
        "attached": None if attached is None else list(attached),
        "params": params,
        "on_match": full.get("on_match"),
        "on_error": full.get("on_error"),
        "code": full["code"],
        "severity": full["severity"],
        "message": full["message"],
        "id": full["id"],
    }


def _defaults(schema: Json) -> Json:
    return {
        name: member["default"]
        for name, member in schema["properties"].items()
        if isinstance(member, dict) and "default" in member
    }


def moment(time: str | None) -> str | None:
    """A time as engines compare it: as text, to the second."""
    return None if time is None else time.removesuffix("Z")


def like(pattern: str, text: str) -> bool:
    """Whether `text` is as a pattern says, in which `*` stands for any run of characters.

    The same as `like` of policies/lib/rules.rego.
    """
    start, *rest = pattern.split("*")
    if not rest:
        return text == start
    *middle, end = rest
    inner = text[len(start) : len(text) - len(end)]
    fits = len(text) >= len(start) + len(end) and text.startswith(start) and text.endswith(end)
    return fits and all(part in inner for part in middle)
