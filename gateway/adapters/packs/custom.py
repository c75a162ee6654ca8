"""Kinds of rules that a pack brings itself: `rego/<type>.rego` and `schemas/<type>.json`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import orjson
from jsonschema_rs import Draft202012Validator, ValidationError

from gateway.adapters.packs.problems import Code, PackError, Place, Problem
from gateway.core.policies import PackFiles

PREFIX = "custom:"
"""What the names of such kinds begin with."""

_FILE = re.compile(r"rego/([a-z][a-z0-9_]{0,39})\.rego")
_TEST = "_test"
_META = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class CustomKind:
    """A kind of rule in Rego, checked as far as its text alone shows."""

    type: str
    text: str
    """Its module, as it was written."""
    params: Draft202012Validator
    """What checks the `params` of its rules."""

    @property
    def file(self) -> str:
        return f"rego/{self.type}.rego"

    @property
    def module(self) -> str:
        """What its package is called in an engine: another text is another module, so that those
        of two revisions may stand side by side."""
        return f"{self.type}_{hashlib.sha256(self.text.encode()).hexdigest()[:16]}"

    @property
    def compiled_text(self) -> str:
        """The text under the name of its module, line for line."""
        number, named = _first(self.text)
        lines = self.text.split("\n")
        line = lines[number - 1]
        lines[number - 1] = line.replace(named, f"package govgate.custom.{self.module}", 1)
        return "\n".join(lines)


Customs: TypeAlias = Mapping[str, CustomKind]
"""Such kinds by their names: `custom:<type>`."""


def custom_kinds(files: PackFiles) -> Customs:
    """Those that a pack brings. Raises `PackError`."""
    found: dict[str, CustomKind] = {}
    problems: list[Problem] = []
    for name in sorted(name for name in files if name.endswith(".rego")):
        try:
            kind = _kind(name, files)
        except PackError as error:
            problems += error.problems
            continue
        if kind is not None:
            found[f"{PREFIX}{kind.type}"] = kind
    problems += _schemas_alone(files)
    if problems:
        raise PackError(problems)
    return found


def test_files(files: PackFiles) -> Mapping[str, str]:
    """The tests of its Rego, by their paths."""
    return {name: text for name, text in files.items() if name.endswith(f"{_TEST}.rego")}


def _kind(name: str, files: PackFiles) -> CustomKind | None:
    """The kind of a file; None for a file of tests. Raises `PackError`."""
    match = _FILE.fullmatch(name)
    type = match[1] if match else ""
    tested = type.removesuffix(_TEST)
    if match is None or (tested != type and f"rego/{tested}.rego" not in files):
        raise PackError([_misnamed(name)])
    line, said = _first(files[name])
    if said != f"package govgate.custom.{type}":
        raise PackError([_other_package(name, line, type)])
    if tested != type:
        return None
    return CustomKind(type, files[name], _validator(type, files))


def _first(text: str) -> tuple[int, str]:
    """The first line that says something, and its number."""
    for number, line in enumerate(text.split("\n"), 1):
        said = line.partition("#")[0].strip()
        if said:
            return number, said
    return 1, ""


def _validator(type: str, files: PackFiles) -> Draft202012Validator:
    name = f"schemas/{type}.json"
    if name not in files:
        raise PackError([_bad_schema(name, "there is no such file")])
    try:
        schema = orjson.loads(files[name])
        if not isinstance(schema, dict) or schema.get("$schema", _META) != _META:
            raise ValueError("it is no object, or one of another edition of JSON Schema")
        if any(not ref.startswith("#") for ref in _references(schema)):
            raise ValueError("it refers to something outside itself")
        return Draft202012Validator(schema)
    except (ValueError, ValidationError) as error:
        raise PackError([_bad_schema(name, str(error).partition("\n")[0])]) from error


def _references(value: object) -> Iterator[str]:
    members = value.items() if isinstance(value, dict) else ()
    for name, member in members:
        if name in ("$ref", "$dynamicRef", "$id") and isinstance(member, str):
            yield member
        yield from _references(member)
    if isinstance(value, list):
        for member in value:
            yield from _references(member)


def _schemas_alone(files: PackFiles) -> Iterator[Problem]:
    for name in sorted(name for name in files if name.startswith("schemas/")):
        type = name.removeprefix("schemas/").removesuffix(".json")
        if f"rego/{type}.rego" not in files:
            yield Problem.at(
                Place(name), Code.CUSTOM_SCHEMA, f"there is no rego/{type}.rego beside it",
                why="A schema says what the rules of a kind may hold; without the kind it says "
                "nothing.",
                fix="Add the Rego of the kind, or delete the schema.",
            )  # fmt: skip


def _misnamed(name: str) -> Problem:
    return Problem.at(
        Place(name), Code.CUSTOM_FILE, "no file of Rego may be called so",
        why="Its name is the name of a kind of rule, and it would never be run.",
        fix="Call it rego/<type>.rego, with a type of small letters, digits and _, or "
        "rego/<type>_test.rego for the tests of rego/<type>.rego.",
    )  # fmt: skip


def _other_package(name: str, line: int, type: str) -> Problem:
    return Problem.at(
        Place(name, line, 1), Code.CUSTOM_PACKAGE,
        f"the file does not begin with `package govgate.custom.{type}`",
        why="In another package it would not be asked, or would take the place of something.",
        fix=f"Write `package govgate.custom.{type}` as its first line.",
    )  # fmt: skip


def _bad_schema(name: str, why: str) -> Problem:
    return Problem.at(
        Place(name), Code.CUSTOM_SCHEMA, f"there is no usable schema here: {why}",
        why="Nobody could tell what the rules of the kind may hold.",
        fix="Write a JSON Schema (2020-12) of their `params` in it.",
    )  # fmt: skip
