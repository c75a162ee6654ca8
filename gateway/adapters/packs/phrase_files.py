"""Long lists as plain text: `lists/ID.LANGUAGE.txt`, a phrase on each line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from gateway.adapters.packs.documents import Document, Where
from gateway.adapters.packs.problems import Code, PackError, Place, Problem

_NAME = re.compile(r"(?P<id>.+)\.(?P<language>[a-z]{2}(?:-[A-Z]{2})?)\.txt")


def phrase_file(name: str, text: str) -> Document:
    """The list in a text file: of its own, or the rest of one of the same id in YAML.

    Empty lines, and lines that begin with `#`, are left out. Raises `PackError` where the name
    does not say the list and the language.
    """
    said = _NAME.fullmatch(PurePosixPath(name).name)
    if said is None:
        raise PackError([
            Problem.at(
                Place(name), Code.MISPLACED, "the name does not say the list and the language",
                why="Nobody could tell which list these phrases belong to.",
                fix="Call it lists/ID.LANGUAGE.txt, such as lists/weapons.en.txt.",
            )
        ])  # fmt: skip
    phrases: list[str] = []
    marks: dict[Where, tuple[int, int]] = {(): (1, 1)}
    for line, phrase in phrase_lines(text):
        marks["phrases", said["language"], len(phrases)] = line, 1
        phrases.append(phrase)
    value = {"id": said["id"], "title": said["id"], "phrases": {said["language"]: phrases}}
    return Document(name, value, marks)


def phrase_lines(text: str) -> Iterator[tuple[int, str]]:
    """The phrases of such a text, each with its line, from 1."""
    for at, line in enumerate(text.split("\n"), 1):
        phrase = line.strip().removeprefix("\ufeff")
        if phrase and not phrase.startswith("#"):
            yield at, phrase
