"""What edits of a pack's files have in common: finding documents, and proving what was written."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from gateway.adapters.packs.changes import EditError
from gateway.adapters.packs.documents import Document, Where, parse
from gateway.adapters.packs.positions import Text
from gateway.adapters.packs.problems import PackError
from gateway.adapters.packs.schema import Json, validator
from gateway.adapters.packs.source import SHAPES
from gateway.adapters.packs.suggestions import nearest
from gateway.adapters.packs.writing import lines
from gateway.core.policies import PackFiles

_SORTS = {"rules": "rule", "lists": "list", "tests": "suite"}
_BY_HAND = "{name} is written in a way that must be changed by hand"


def documents_of(files: PackFiles, folder: str) -> Iterator[tuple[str, int, Document]]:
    """Every document of the YAML files of a folder: its file and its number there."""
    for name in sorted(files):
        if name.startswith(f"{folder}/") and name.endswith(".yaml"):
            for at, document in enumerate(parse(files[name], name)):
                yield name, at, document


def unknown(sort: str, id: str, known: Mapping[str, Any] | Sequence[str]) -> NoReturn:
    near = " or ".join(f'"{name}"' for name in nearest(id, known))
    raise EditError(f"there is no {sort} {id!r}" + (f"; did you mean {near}?" if near else ""))


def named(files: PackFiles, folder: str, field: str, id: str) -> tuple[str, int, Json]:
    """The one document of a folder that is called `id`. Raises `EditError`."""
    known: dict[str, tuple[str, int, Json]] = {}
    for name, at, document in documents_of(files, folder):
        if isinstance(document.value, dict):
            known.setdefault(str(document.value.get(field)), (name, at, document.value))
    if id not in known:
        unknown(_SORTS[folder], id, known)
    return known[id]


def sound(files: PackFiles, folder: str, field: str, id: str) -> tuple[str, int, Json]:
    """The same, and of the shape that such a document has."""
    name, at, value = named(files, folder, field, id)
    if not validator(SHAPES[folder]).is_valid(value):
        raise EditError(f"something else is wrong in {name}: check the pack first")
    return name, at, value


def put(files: PackFiles, name: str, at: int, text: Text, meant: Any) -> dict[str, str]:
    """The files with `text` in place of one, of which document `at` must now be `meant`, and
    the others what they were."""
    was = [document.value for document in parse(files[name], name)]
    try:
        found = [document.value for document in parse(text.text, name)]
    except PackError:
        found = []
    if found != [*was[:at], meant, *was[at + 1 :]]:
        raise EditError(f"{name} is written in a way that must be changed by hand")
    return {**files, name: text.text}


def appended(files: PackFiles, name: str, value: Json) -> dict[str, str]:
    """The files with another document at the end of one. Whether that ends in a line break
    stays as it is."""
    before = Text(files.get(name, ""))
    was = [document.value for document in parse(before.text, name)]
    written = before.newline.join(lines(value, 0))
    if not was:
        start = before.text if not before.text or before.text.endswith("\n") else ""
        text = f"{start}{written}\n"
    elif before.text.endswith("\n"):
        text = f"{before.text}---{before.newline}{written}{before.newline}"
    else:
        text = f"{before.text}{before.newline}---{before.newline}{written}"
    if [document.value for document in parse(text, name)] != [*was, value]:
        raise EditError(f"{name} is written in a way that must be changed by hand")
    return {**files, name: text}


def with_value(value: Any, path: Where, new: Any) -> Any:
    """`value` with `new` at `path`; what is missing on the way is made."""
    if not path:
        return new
    part, rest = path[0], path[1:]
    if isinstance(value, list) and isinstance(part, int):
        after = value[part + 1 :]
        return [
            *value[:part],
            with_value(value[part] if part < len(value) else None, rest, new),
            *after,
        ]
    members = value if isinstance(value, dict) else {}
    return {**members, str(part): with_value(members.get(str(part)), rest, new)}


def without_value(value: Any, path: Where) -> Any:
    """`value` without what stands at `path`, and without a group that is left empty."""
    holder = copy.deepcopy(value)
    inner = holder
    for part in path[:-1]:
        inner = inner[part]
    del inner[path[-1]]
    return without_value(value, path[:-1]) if inner == {} and len(path) > 1 else holder
