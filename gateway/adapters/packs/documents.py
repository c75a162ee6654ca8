"""YAML documents as JSON values that know which line each part came from.

Only the JSON types are made: a date stays text, a tag makes no object, and aliases are
refused, so that a small file stays small.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from jsonschema_rs import Draft202012Validator, ValidationErrorKind
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Where: TypeAlias = tuple[str | int, ...]

_DEEPEST = 32
_SCALARS: Mapping[str, Callable[[str], Any]] = {
    "tag:yaml.org,2002:null": lambda text: None,
    "tag:yaml.org,2002:bool": lambda text: text.lower() == "true",
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": float,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a pack, and where. `line` counts from 1; 0 when there is none."""

    file: str
    line: int
    rule: str | None
    """The id of the rule, list or exception, where one could be read."""
    what: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {f'{self.rule}: ' if self.rule else ''}{self.what}"


class PackError(ValueError):
    """A pack that cannot be used. `problems` holds everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its value, and the line of each part of it."""

    file: str
    value: Any
    lines: Mapping[Where, int]

    def problem(self, where: Sequence[str | int], what: str) -> Problem:
        """`what`, at the line of the nearest part of the document that there is."""
        path = tuple(where)
        while path and path not in self.lines:
            path = path[:-1]
        return Problem(self.file, self.lines.get(path, 0), self._id(where), what)

    def _id(self, where: Sequence[str | int]) -> str | None:
        """The id of the document, or in a list of the member that `where` is in."""
        holder = self.value
        if isinstance(holder, list) and where and isinstance(where[0], int):
            holder = holder[where[0]]
        id = holder.get("id") if isinstance(holder, dict) else None
        return id if isinstance(id, str) else None


def read(path: Path, name: str) -> list[Document]:
    """The documents of the file at `path`, which is called `name` in messages.

    Raises `PackError` when it cannot be read or is no such YAML.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.max_depth = _DEEPEST
    try:
        nodes = list(yaml.compose_all(path.read_text(encoding="utf-8")))
        return [_document(name, node) for node in nodes]
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context or "not YAML"
        raise PackError([Problem(name, mark.line + 1 if mark else 0, None, what)]) from error
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise PackError([Problem(name, 0, None, f"cannot be read: {error}")]) from error


def _document(name: str, root: Node) -> Document:
    lines: dict[Where, int] = {}
    seen: set[int] = set()

    def value(node: Node, where: Where) -> Any:
        line = node.start_mark.line + 1
        lines.setdefault(where, line)
        if id(node) in seen:
            raise PackError([Problem(name, line, None, "aliases are not taken in a pack")])
        seen.add(id(node))
        match node:
            case MappingNode():
                return mapping(node, where)
            case SequenceNode():
                return [value(item, (*where, at)) for at, item in enumerate(node.value)]
            case ScalarNode():
                return _scalar(node)
        raise TypeError(f"not a YAML node: {node!r}")

    def mapping(node: MappingNode, where: Where) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for key, item in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode):
                raise PackError([Problem(name, line, None, "a key must be text")])
            if key.value in members:
                raise PackError([Problem(name, line, None, f"{key.value!r} is there twice")])
            lines[*where, key.value] = line
            members[key.value] = value(item, (*where, key.value))
        return members

    return Document(name, value(root, ()), lines)


def _scalar(node: ScalarNode) -> Any:
    """The JSON value of a scalar; what JSON has no type for stays text."""
    text: str = node.value
    try:
        return _SCALARS.get(node.tag or "", str)(text)
    except ValueError:
        return text


def violations(document: Document, validator: Draft202012Validator) -> Iterator[Problem]:
    """What the schema says against the document."""
    for error in validator.iter_errors(document.value):
        where = list(error.instance_path)
        at = ".".join(map(str, where))
        what = _plain(error.message)
        if isinstance(error.kind, ValidationErrorKind.AdditionalProperties):
            where = [*where, *error.kind.unexpected[:1]]
        yield document.problem(where, f"{at}: {what}" if at else what)


def _plain(message: str) -> str:
    """A validator's message, without the value where that is long."""
    return re.sub(r"^(.{80}).* (?=(is not|does not|has|should) )", r"\1… ", message)
