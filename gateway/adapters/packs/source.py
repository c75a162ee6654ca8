"""The documents of a pack: its files sorted by what they are, parsed, and their shape checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from gateway.adapters.packs.custom import Customs, custom_kinds, test_files
from gateway.adapters.packs.documents import Document, parse
from gateway.adapters.packs.phrase_files import phrase_file
from gateway.adapters.packs.problems import Code, PackError, Place, Problem
from gateway.adapters.packs.schema import validator
from gateway.adapters.packs.suggestions import nearest
from gateway.adapters.packs.violations import violations
from gateway.core.policies import PackFiles

SHAPES: Mapping[str, str] = {
    "pack.yaml": "manifest",
    "exceptions.yaml": "exceptions",
    "attachments.yaml": "attachments",
    "rules": "rule",
    "lists": "list",
    "tests": "tables",
}
"""The shape of the documents of a file, or of every file of a folder."""

_BESIDE = {("rego", ".rego"), ("schemas", ".json"), ("lists", ".txt")}


@dataclass(frozen=True, slots=True)
class Source:
    """The documents of a pack. Those of one shape stand in order of their files."""

    manifest: Document
    rules: Sequence[Document]
    lists: Sequence[Document]
    exceptions: Document
    attachments: Document | None
    """None where the pack has no attachments.yaml: its rules apply wherever they say."""
    tables: Sequence[Document]
    custom: Customs
    """The kinds of rules that it brings, by their names."""
    custom_tests: Mapping[str, str]
    """The tests of their Rego, by their paths."""


def source_of(files: PackFiles) -> Source:
    """The documents of `files`. Raises `PackError`, which says everything that is no YAML, or of
    another shape."""
    found = _Found()
    found.sort(files)
    for shape, documents in found.documents.items():
        for document in documents:
            found.problems += violations(document, validator(shape))
    custom: Customs = {}
    try:
        custom = custom_kinds(files)
    except PackError as error:
        found.problems += error.problems
    if found.problems:
        raise PackError(found.problems)
    of = found.documents
    return Source(
        manifest=of["manifest"][0],
        rules=of.get("rule", []),
        lists=of.get("list", []),
        exceptions=of.get("exceptions", [Document("exceptions.yaml", [], {})])[0],
        attachments=of.get("attachments", [None])[0],
        tables=of.get("tables", []),
        custom=custom,
        custom_tests=test_files(files),
    )


@dataclass(slots=True)
class _Found:
    """What was found so far, by shape, and what is wrong with it."""

    documents: dict[str, list[Document]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def sort(self, files: PackFiles) -> None:
        if "pack.yaml" not in files:
            self.problems.append(_no_manifest(files))
        for name, text in sorted(files.items()):
            path = PurePosixPath(name)
            folder = path.parent.as_posix()
            shape = SHAPES.get(name) or SHAPES.get(folder)
            try:
                if shape and path.suffix == ".yaml":
                    self.documents.setdefault(shape, []).extend(_documents(name, text))
                elif (folder, path.suffix) == ("lists", ".txt"):
                    self.documents.setdefault("list", []).append(phrase_file(name, text))
                elif path.suffix != ".md" and (folder, path.suffix) not in _BESIDE:
                    self.problems.append(_misplaced(path))
            except PackError as error:
                self.problems += error.problems


def _documents(name: str, text: str) -> list[Document]:
    """The documents of a file. A file of one document has that one and no other."""
    documents = parse(_sound(name, text), name)
    if name in SHAPES and len(documents) != 1:
        raise PackError([_not_one(name, len(documents))])
    return documents


def _sound(name: str, text: str) -> str:
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise PackError([
            Problem.at(
                Place(name), Code.NOT_READ, "cannot be read: it holds half of a character",
                why="Such text cannot be written to a file or sent to anyone.",
                fix="Type the text again.",
            )
        ])  # fmt: skip
    return text


def _not_one(name: str, count: int) -> Problem:
    if count == 0:
        return Problem.at(
            Place(name), Code.EMPTY, "the file is empty",
            why="It could be empty by mistake.",
            fix="Delete the file, or write what belongs in it."
            if name != "pack.yaml" else "Write id, version, title and policy_api in it.",
        )  # fmt: skip
    return Problem.at(
        Place(name), Code.ONE_DOCUMENT, f"the file holds one document, and this has {count}",
        why="Only the files in rules/, lists/ and tests/ may have several parts.",
        fix="Remove the lines with --- and what is there twice.",
    )  # fmt: skip


def _no_manifest(files: PackFiles) -> Problem:
    similar = nearest("pack.yaml", [name for name in files if "/" not in name])
    return Problem.at(
        Place("pack.yaml"), Code.NO_MANIFEST, "there is no file pack.yaml",
        why="It says the id and the version of the pack, without which nothing can be approved.",
        fix="Write it, or make a new pack with it: govgate policy edit new-pack.",
        similar=similar,
    )  # fmt: skip


def _misplaced(path: PurePosixPath) -> Problem:
    """A file that nobody would look at."""
    return Problem.at(
        Place(str(path)), Code.MISPLACED, "no file of a pack is called so, or stands there",
        why="It would be left out without a word, and what it says would not be in force.",
        fix="Rules stand in rules/, lists in lists/ and tests in tests/, in files that end in "
        ".yaml; beside them are pack.yaml, exceptions.yaml and attachments.yaml.",
        similar=list(_better_names(path)),
    )  # fmt: skip


def _better_names(path: PurePosixPath) -> Iterator[str]:
    name = f"{path.stem}.yaml"
    if len(path.parts) == 1:
        yield from nearest(name, [shape for shape in SHAPES if shape.endswith(".yaml")])
        return
    folders = [shape for shape in SHAPES if not shape.endswith(".yaml")]
    for folder in nearest(path.parts[0], folders):
        yield f"{folder}/{name}"
