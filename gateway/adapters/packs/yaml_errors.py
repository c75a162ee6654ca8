"""Why a file is no YAML, in words for people who do not know YAML."""

from __future__ import annotations

from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from gateway.adapters.packs.problems import Code, Place, Problem

_WHY = "Nothing of this file can be used until it can be read."
_SAID: tuple[tuple[str, str, str], ...] = (
    (
        "mapping values are not allowed",
        "a second colon stands where only text may",
        "Put the text after the first colon in quotes, or begin a new line.",
    ),
    (
        "expected alphabetic or numeric character",
        "text that begins with * or & must be in quotes",
        'Put it in quotes: "*".',
    ),
    ("expected '!'", "text that begins with ! must be in quotes", "Put it in quotes."),
    (
        "but found '}'",
        "a bracket is closed that was never opened",
        "Remove the } that is too many.",
    ),
    (
        "but found ']'",
        "a bracket is closed that was never opened",
        "Remove the ] that is too many.",
    ),
    (
        "expected the node content",
        "a value is missing, or a bracket is opened and not closed",
        "Write a value after the colon; close every [ with ] and every { with }.",
    ),
    (
        "expected <block end>",
        "this line is not indented like those it belongs to",
        "Give every field of one level the same number of spaces before it.",
    ),
    ("undefined alias", "text that begins with * must be in quotes", 'Put it in quotes: "*".'),
)
_SAID_OF: tuple[tuple[str, str, str], ...] = (
    ("a quoted scalar", "a quotation mark is opened and never closed",
     "Close the quotation mark where the text ends."),
    ("a flow sequence", "a bracket [ is opened and not closed, or a comma is missing",
     "Close it with ], and put commas between its members."),
    ("a flow mapping", "a bracket { is opened and not closed, or a comma is missing",
     "Close it with }, and put commas between its members."),
    ("a simple key", "a colon is missing after the name of a field",
     "Write `name: value`, with a space after the colon; put longer text in quotes."),
    ("a tag", "text that begins with ! must be in quotes", "Put it in quotes."),
    ("an alias", "text that begins with * must be in quotes", 'Put it in quotes: "*".'),
)  # fmt: skip
"""What the reader was about when it gave up; the place is where that began."""


def unread(name: str, text: str, error: YAMLError) -> Problem:
    """The problem of a file, called `name`, whose `text` raised `error`."""
    if isinstance(error, ReaderError):
        line, column = _after(text, error.position)
        return Problem.at(
            Place(name, line, column), Code.NOT_YAML, "there is a character that no text has",
            why=_WHY, fix="Remove the invisible character; type the line again if need be.",
        )  # fmt: skip
    if not isinstance(error, MarkedYAMLError):
        return Problem.at(Place(name), Code.NOT_YAML, "it is not YAML", why=_WHY)
    return _marked(name, text, error)


def _marked(name: str, text: str, error: MarkedYAMLError) -> Problem:
    """What is wrong at a place that the reader knows."""
    mark = error.problem_mark or error.context_mark
    place = Place(name, mark.line + 1, mark.column + 1) if mark else Place(name)
    said, about = error.problem or "", error.context or ""
    if "depth" in said:
        return Problem.at(
            place, Code.TOO_DEEP, "brackets stand within brackets too often",
            why=_WHY, fix="No rule needs this. Look for brackets that were opened by mistake.",
        )  # fmt: skip
    for found, what, fix in _SAID:
        if found in said:
            return Problem.at(place, Code.NOT_YAML, what, why=_WHY, fix=fix)
    for found, what, fix in _SAID_OF:
        if found in about:
            began = error.context_mark or mark
            where = Place(name, began.line + 1, began.column + 1) if began else place
            return Problem.at(where, Code.NOT_YAML, what, why=_WHY, fix=fix)
    sign = text.split("\n")[place.line - 1][place.column - 1 : place.column] if mark else ""
    if sign == "\t":
        return Problem.at(
            place, Code.NOT_YAML, "the line is indented with the tab key",
            why=_WHY, fix="Put two spaces in place of each tab.",
        )  # fmt: skip
    if sign and "cannot start" in said:
        return Problem.at(
            place, Code.NOT_YAML, f"a text that begins with {sign} must be in quotes",
            why=_WHY, fix="Put the text in quotes.",
        )  # fmt: skip
    return Problem.at(
        place, Code.NOT_YAML, f"it cannot be read here: {said or about or 'not YAML'}",
        why=_WHY, fix="Compare this line, and the one before it, with an example.",
    )  # fmt: skip


def _after(text: str, position: int) -> tuple[int, int]:
    """Line and column, from 1, of a position in `text`."""
    before = text[:position]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
