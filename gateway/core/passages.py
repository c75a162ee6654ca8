"""Where text sits, and how it is cut into the pieces that inspectors are shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.core.errors import Malformed
from gateway.core.findings import Direction
from gateway.core.json_body import parse


@dataclass(frozen=True, slots=True)
class Passage:
    """The unit of text that an inspector is shown.

    `where` is a JSON pointer into the request or the name of a lane. `before` is text that
    directly precedes and was already shown: findings may begin there, but must end in `text`;
    their offsets count from the start of `text`, so such a finding starts below zero.
    """

    text: str
    where: str
    direction: Direction = Direction.INPUT
    role: str = "user"
    """Who said it: system, developer, user, assistant, tool."""
    before: str = ""


class Slot:
    """A place in a JSON document where text stands, which can be rewritten in place."""

    __slots__ = ("holder", "key", "role", "where")

    def __init__(self, holder: Any, key: str | int, where: str, role: str) -> None:
        self.holder = holder
        self.key = key
        self.where = where
        self.role = role

    @property
    def text(self) -> str:
        value: str = self.holder[self.key]
        return value

    def put(self, text: str) -> None:
        self.holder[self.key] = text

    def passage(self) -> Passage:
        """The text as a passage of the request."""
        return Passage(self.text, self.where, role=self.role)


class JsonText:
    """JSON that stands as text inside a field: its strings are slots, and it stays JSON.

    Keys are text too, and whole numbers of six digits or more may be (a card, a phone); a
    number that is rewritten becomes a string. Strings are visited in document order.
    Raises `ValueError` for what is no JSON, or could be read in two ways.
    """

    SHORTEST_NUMBER = 6

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._document = _read(slot.text)
        self.texts = list(self._strings(self._document))
        self._original = tuple(self.texts)

    def slots(self) -> Iterator[Slot]:
        """One slot for each string; putting into one rewrites the whole field."""
        for index in range(len(self.texts)):
            yield _Leaf(self, index, f"{self._slot.where}#{index}", self._slot.role)

    def rewrite(self, index: int, text: str) -> None:
        """Put `text` for the string at `index`, and the JSON back where it stands."""
        self.texts[index] = text
        pairs = iter(zip(self._original, self.texts, strict=True))
        self._slot.put(orjson.dumps(self._rebuilt(self._document, pairs)).decode())

    @classmethod
    def _strings(cls, value: Any) -> Iterator[str]:
        match value:
            case str():
                yield value
            case bool():
                return
            case int() if abs(value) >= 10 ** (cls.SHORTEST_NUMBER - 1):
                yield str(value)
            case list():
                for item in value:
                    yield from cls._strings(item)
            case dict():
                for key, item in value.items():
                    yield key
                    yield from cls._strings(item)

    @classmethod
    def _rebuilt(cls, value: Any, pairs: Iterator[tuple[str, str]]) -> Any:
        match value:
            case str():
                return next(pairs)[1]
            case bool():
                return value
            case int() if abs(value) >= 10 ** (cls.SHORTEST_NUMBER - 1):
                old, new = next(pairs)
                return value if new == old else new
            case list():
                return [cls._rebuilt(item, pairs) for item in value]
            case dict():
                return {next(pairs)[1]: cls._rebuilt(item, pairs) for key, item in value.items()}
            case _:
                return value


def _read(text: str) -> Any:
    try:
        return parse(text.encode())
    except Malformed as error:
        raise ValueError(error.message) from error


class _Leaf(Slot):
    """One string of a `JsonText`."""

    __slots__ = ("_index", "_json")

    def __init__(self, json: JsonText, index: int, where: str, role: str) -> None:
        super().__init__(json.texts, index, where, role)
        self._json = json
        self._index = index

    def put(self, text: str) -> None:
        self._json.rewrite(self._index, text)


def slots_of(slot: Slot, *, json: bool) -> Sequence[Slot]:
    """The slots of a field: itself, or where it holds `json`, one for each string inside.

    Text that should be JSON and is not, or in which a name occurs twice, is governed as plain
    text: what a parser would drop is seen too.
    """
    if json:
        try:
            return list(JsonText(slot).slots())
        except ValueError:
            pass
    return [slot]
