"""What a payload says once its JSON is read: text that is spelled in another way than it stands.

Events of a stream each hold a piece of a text; a string may be escaped in ways that nobody
foresaw, or spelled as numbers. Here the pieces of each text are joined and read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import orjson

_APART = ("index", "output_index", "content_index", "summary_index", "item_id")
"""Members that tell apart what is said at the same time."""
_TELLS_APART = frozenset(_APART)
_BYTES = "bytes"
"""Where a token is spelled as numbers, in the probabilities that OpenAI's API gives."""
_FEWEST = 3
"""Characters from which the beginning of a value counts, at the end of a piece of a stream."""
_DEEPEST = 4
"""JSON inside of strings of JSON, so often."""
_MORE = frozenset({str, dict, list})

Literals: TypeAlias = Sequence[tuple[bytes, ...]]
"""For each value: how it may be written, in lower case."""
_Path: TypeAlias = tuple[Any, ...]


class Texts:
    """The texts of a payload, by where they stand; of several events, joined."""

    def __init__(self) -> None:
        self.texts: dict[_Path, list[str]] = {}

    @classmethod
    def of(cls, documents: Iterable[Any]) -> Texts:
        """The texts of a payload that says these."""
        texts = cls()
        for document in documents:
            texts.add(document)
        return texts

    def add(self, document: Any) -> None:
        """Add what an event says. A loop, as a provider may nest as deep as it likes."""
        left: list[tuple[Any, _Path, int]] = [(document, (), 0)]
        while left:
            value, path, depth = left.pop()
            kind = value.__class__
            if kind is str:
                self._say(path, value)
                inner = _document(value) if depth < _DEEPEST else None
                if inner is not None:
                    left.append((inner, (path, depth), depth + 1))
            elif kind is dict:
                self._open(value, path, depth, left)
            elif kind is list:
                if path and path[-1] == _BYTES:
                    self._say(path, _said(value))
                left += [(item, path, depth) for item in reversed(value) if item.__class__ in _MORE]

    def joined(self) -> dict[_Path, str]:
        """Each text, whole."""
        return {path: "".join(pieces) for path, pieces in self.texts.items()}

    def holding(self, literals: Literals) -> set[int]:
        """The numbers of the values that stand in the texts."""
        return holding(self.joined().values(), literals)

    def _say(self, path: _Path, text: str) -> None:
        said = self.texts.get(path)
        if said is None:
            self.texts[path] = [text]
        else:
            said.append(text)

    def _open(
        self, holder: dict[str, Any], path: _Path, depth: int, left: list[tuple[Any, _Path, int]]
    ) -> None:
        """Put the members of `holder` before what is `left` to read, its odd names aside."""
        apart = () if _TELLS_APART.isdisjoint(holder) else _told_apart(holder)
        if not all(map(str.isidentifier, holder)):
            for name in holder:
                if not name.isidentifier():
                    self._say((path, apart), name)
        for name, item in reversed(holder.items()):
            if item.__class__ in _MORE:
                left.append((item, (path, apart, name), depth))


class Spelled:
    """What a stream has said so far: the end of each of its texts."""

    def __init__(self) -> None:
        self._tails: dict[_Path, str] = {}

    @property
    def begun(self) -> bool:
        """Whether anything was said before."""
        return bool(self._tails)

    def go_on(self, payload: bytes, literals: Literals, *, ends: bool) -> set[int]:
        """The values that the next piece of the stream goes on with, or begins and does not
        end, unless the stream `ends` here."""
        texts = read(payload)
        if texts is None:
            return set()
        longest = max(len(literal) for several in literals for literal in several)
        said = {path: self._tails.get(path, "") + text for path, text in texts.joined().items()}
        self._tails |= {path: text[1 - longest :] for path, text in said.items()}
        found = holding(said.values(), literals)
        return found if ends else found | _beginning(said.values(), literals)


def read(payload: bytes) -> Texts | None:
    """The texts of JSON, or of events of JSON, one on a line; None for anything else."""
    told = documents(payload)
    return None if told is None else Texts.of(told)


def documents(payload: bytes) -> Sequence[Any] | None:
    """What JSON says, or each event of it, one on a line; None for anything else."""
    try:
        return [orjson.loads(payload)]
    except orjson.JSONDecodeError:
        try:
            return [orjson.loads(line) for line in payload.split(b"\n") if line.strip()]
        except orjson.JSONDecodeError:
            return None


def holding(texts: Iterable[str], literals: Literals) -> set[int]:
    """The numbers of the values that stand in `texts`, whatever their case."""
    said = "\x00".join(texts)
    exact, folded = said.lower().encode(errors="replace"), said.casefold()
    return {
        number
        for number, several in enumerate(literals)
        if any(each in exact or each.decode().casefold() in folded for each in several)
    }


def _beginning(texts: Iterable[str], literals: Literals) -> set[int]:
    """The numbers of the values whose beginning one of `texts` ends with."""
    ends = [text.casefold() for text in texts]
    return {
        number
        for number, several in enumerate(literals)
        for literal in several
        if any(_ends_within(end, literal.decode().casefold()) for end in ends)
    }


def _ends_within(text: str, literal: str) -> bool:
    return any(text.endswith(literal[:size]) for size in range(len(literal) - 1, _FEWEST - 1, -1))


def _told_apart(holder: dict[str, Any]) -> _Path:
    return tuple(holder[name] for name in _APART if isinstance(holder.get(name), str | int))


def _document(text: str) -> Any:
    """The JSON that a string holds; None where it holds none."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return None


def _said(numbers: Sequence[Any]) -> str:
    """The text that bytes spell; nothing where they are none."""
    try:
        return bytes(numbers).decode(errors="ignore")
    except (ValueError, TypeError):
        return ""
