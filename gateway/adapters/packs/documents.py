"""YAML documents as JSON values that know where each part of them stands.

Only the JSON types are made: a date stays text, a tag makes no object, and aliases are
refused, so that a small file stays small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.adapters.packs.problems import Code, PackError, Place, Problem
from gateway.adapters.packs.yaml_errors import unread

Where: TypeAlias = tuple[str | int, ...]

_DEEPEST = 32
_SCALARS: Mapping[str, Callable[[str], Any]] = {
    "tag:yaml.org,2002:null": lambda text: None,
    "tag:yaml.org,2002:bool": lambda text: text.lower() == "true",
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": float,
}


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its value, and the line and column of each part of it, from 1."""

    file: str
    value: Any
    marks: Mapping[Where, tuple[int, int]]

    def problem(self, where: Sequence[str | int], what: str) -> str:
        """`what`, after the file, the line of the nearest part that there is, and its id."""
        place = self.place(where)
        at = f"{place.file}:{place.line}" if place.line else place.file
        return f"{at}: {f'{place.rule}: ' if place.rule else ''}{what}"

    def place(self, where: Sequence[str | int]) -> Place:
        """The place of the nearest part of the document that there is."""
        path = tuple(where)
        while path and path not in self.marks:
            path = path[:-1]
        line, column = self.marks.get(path, (0, 0))
        return Place(self.file, line, column, spelled(where), self._id(where))

    def _id(self, where: Sequence[str | int]) -> str | None:
        """The id of the document, or in a list of the member that `where` is in."""
        holder = self.value
        if isinstance(holder, list) and where and isinstance(where[0], int):
            holder = holder[where[0]] if where[0] < len(holder) else None
        id = holder.get("id") if isinstance(holder, dict) else None
        return id if isinstance(id, str) else None


def spelled(where: Sequence[str | int]) -> str:
    """A path as people write it: `params.labels[2]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return text.removeprefix(".")


def read(path: Path, name: str) -> list[Document]:
    """The documents of the file at `path`, which is called `name` in messages.

    Raises `PackError` when it cannot be read or is no such YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PackError(
            [Problem.at(Place(name), Code.NOT_READ, f"cannot be read: {error}")]
        ) from error
    return parse(text, name)


def parse(text: str, name: str) -> list[Document]:
    """The documents of a file's text; the file is called `name` in messages.

    Raises `PackError` when it is no YAML, or YAML that is not taken here.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.max_depth = _DEEPEST
    try:
        return [_document(name, node) for node in yaml.compose_all(text)]
    except (MarkedYAMLError, YAMLError) as error:
        raise PackError([unread(name, text, error)]) from error


def _document(name: str, root: Node) -> Document:
    marks: dict[Where, tuple[int, int]] = {}
    seen: set[int] = set()

    def value(node: Node, where: Where) -> Any:
        marks.setdefault(where, _mark(node))
        if id(node) in seen:
            raise _refused(
                name, node, where, Code.ALIAS, "aliases are not taken in a pack",
                why="An alias (*name) stands for text elsewhere, so a change there would "
                "change this too, unseen.",
                fix="Write the value out in both places.",
            )  # fmt: skip
        seen.add(id(node))
        match node:
            case MappingNode():
                return mapping(node, where)
            case SequenceNode():
                return [value(item, (*where, at)) for at, item in enumerate(node.value)]
            case ScalarNode():
                if _halved(node):
                    raise _refused(
                        name, node, where, Code.NOT_READ, "there is half of a character here",
                        why="Such text cannot be written to a file or sent to anyone.",
                        fix="Type the text again.",
                    )  # fmt: skip
                return _scalar(node)
        raise TypeError(f"not a YAML node: {node!r}")

    def mapping(node: MappingNode, where: Where) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for key, item in node.value:
            if not isinstance(key, ScalarNode) or _halved(key):
                raise _refused(
                    name, key, where, Code.KEY_NOT_TEXT,
                    "a list or a group stands where the name of a field should be",
                    why="What stands before a colon is the name of a field.",
                    fix="Write a plain word before the colon; remove a `?` before it.",
                )  # fmt: skip
            if key.value in members:
                raise _refused(
                    name, key, (*where, key.value), Code.KEY_TWICE,
                    f"{key.value!r} is there twice",
                    why="Only one of the two could count, and nobody could tell which.",
                    fix=f"Keep one of them (the first is on line {marks[*where, key.value][0]}). "
                    "Where a new rule begins, put a line with --- before it.",
                )  # fmt: skip
            marks[*where, key.value] = _mark(key)
            members[key.value] = value(item, (*where, key.value))
        return members

    return Document(name, value(root, ()), marks)


def _mark(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _refused(
    name: str, node: Node, where: Where, code: Code, what: str, *, why: str, fix: str
) -> PackError:
    place = Place(name, *_mark(node), spelled(where))
    return PackError([Problem.at(place, code, what, why=why, fix=fix)])


def value_of(node: Node) -> Any:
    """The JSON value of a node, as `parse` reads it."""
    match node:
        case MappingNode():
            return {key.value: value_of(item) for key, item in node.value}
        case SequenceNode():
            return [value_of(item) for item in node.value]
    return _scalar(node)


def _halved(node: ScalarNode) -> bool:
    """Whether an escape such as `\\ud800` gives half of a character."""
    return any("\ud800" <= letter <= "\udfff" for letter in node.value)


def _scalar(node: Node) -> Any:
    """The JSON value of a scalar; what JSON has no type for stays text."""
    text: str = node.value
    try:
        return _SCALARS.get(node.tag or "", str)(text)
    except ValueError:
        return text
