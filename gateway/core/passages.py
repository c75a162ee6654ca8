"""Where text sits, and how it is cut into the pieces that inspectors are shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from gateway.core.errors import Code, Denied, Malformed
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
    """A place in a JSON document where text stands, which can be rewritten in place.

    What is `fixed` is looked at and stays as it is: the name of a tool, an id, a reference.
    """

    __slots__ = ("fixed", "holder", "key", "role", "where")

    def __init__(
        self, holder: Any, key: str | int, where: str, role: str, *, fixed: bool = False
    ) -> None:
        self.holder = holder
        self.key = key
        self.where = where
        self.role = role
        self.fixed = fixed

    @property
    def text(self) -> str:
        value: str = self.holder[self.key]
        return value

    def put(self, text: str) -> None:
        """Let `text` stand here instead. Raises `Denied`, naming the place, where it cannot."""
        if text != self.text:
            if self.fixed:
                raise immovable(self.where)
            self.holder[self.key] = text

    def passage(self) -> Passage:
        """The text as a passage of the request."""
        return Passage(self.text, self.where, role=self.role)


def immovable(where: str) -> Denied:
    """The refusal of a request in which a rule would rewrite what must stay as it is."""
    return Denied(
        Code.CONTENT_FILTER,
        f"Blocked by policy: what stands at {where} would have to be rewritten, and cannot be: "
        "it is a name, an id or a reference. Choose another.",
        param=where,
    )


def merged(where: str) -> Denied:
    """The refusal of a rewriting by which two names of one object would become the same."""
    return Denied(
        Code.CONTENT_FILTER,
        f"Blocked by policy: two names of one JSON object at {where} would become the same.",
        param=where,
    )


class Number(Slot):
    """A place where a whole number stands; rewritten, it becomes a string."""

    __slots__ = ()

    SHORTEST = 6
    """Digits from which a number may be personal data: a card, a phone."""

    @classmethod
    def is_long(cls, value: object) -> bool:
        """Whether `value` is a whole number of that many digits, however it is written."""
        if isinstance(value, float):
            value = int(value) if value.is_integer() else 0
        return isinstance(value, int) and abs(value) >= 10 ** (cls.SHORTEST - 1)

    @staticmethod
    def said(value: object) -> str:
        """The digits of a whole number; what it was rewritten to, if it was."""
        return str(int(value)) if isinstance(value, float) else str(value)

    @property
    def text(self) -> str:
        return self.said(self.holder[self.key])


class Whole(Protocol):
    """What several slots are parts of."""

    def write(self) -> None:
        """Put what was noted where it stands. Raises `Denied` where that cannot be."""


class Part(Slot):
    """A slot that is rewritten together with others: each is noted, then all are written."""

    __slots__ = ("whole",)

    def __init__(
        self, holder: Any, key: str | int, where: str, role: str, whole: Whole, *,
        fixed: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(holder, key, where, role, fixed=fixed)
        self.whole = whole

    def note(self, text: str) -> None:
        """Let `text` be what stands here once the whole is written."""
        raise NotImplementedError

    def put(self, text: str) -> None:
        self.note(text)
        self.whole.write()


class JsonText:
    """JSON that stands as text inside a field: its strings are slots, and it stays JSON.

    Keys are text too, and whole numbers of six digits or more may be (a card, a phone); a
    number that is rewritten becomes a string. Strings are visited in document order.
    Raises `ValueError` for what is no JSON, or could be read in two ways.
    """

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._document = _read(slot.text)
        self.texts = list(self._strings(self._document))
        self._original = tuple(self.texts)

    def slots(self) -> Iterator[Slot]:
        """One slot for each string; putting into one rewrites the whole field."""
        for index in range(len(self.texts)):
            yield _Leaf(self, index, f"{self._slot.where}#{index}", self._slot.role)

    def write(self) -> None:
        """Put the JSON, with `texts` as they now are, back where it stands.

        Raises `Denied` where two names of one object would become the same.
        """
        pairs = iter(zip(self._original, self.texts, strict=True))
        self._slot.put(orjson.dumps(self._rebuilt(self._document, pairs)).decode())

    @classmethod
    def _strings(cls, value: Any) -> Iterator[str]:
        match value:
            case str():
                yield value
            case int() | float() if Number.is_long(value):
                yield Number.said(value)
            case list():
                for item in value:
                    yield from cls._strings(item)
            case dict():
                for key, item in value.items():
                    yield key
                    yield from cls._strings(item)

    def _rebuilt(self, value: Any, pairs: Iterator[tuple[str, str]]) -> Any:
        match value:
            case str():
                return next(pairs)[1]
            case int() | float() if Number.is_long(value):
                old, new = next(pairs)
                return value if new == old else new
            case list():
                return [self._rebuilt(item, pairs) for item in value]
            case dict():
                members = {next(pairs)[1]: self._rebuilt(item, pairs) for item in value.values()}
                if len(members) != len(value):
                    raise merged(self._slot.where)
                return members
            case _:
                return value


def _read(text: str) -> Any:
    try:
        return parse(text.encode())
    except Malformed as error:
        raise ValueError(error.message) from error


class _Leaf(Part):
    """One string of a `JsonText`."""

    __slots__ = ()

    def __init__(self, json: JsonText, index: int, where: str, role: str) -> None:
        super().__init__(json.texts, index, where, role, json)

    def note(self, text: str) -> None:
        self.holder[self.key] = text


def rewrite(edits: Iterable[tuple[Slot, str]]) -> None:
    """Put each text into its slot; what several of them are parts of is written once.

    Raises what `put` raises.
    """
    touched: dict[int, Whole] = {}
    for slot, text in edits:
        if isinstance(slot, Part):
            slot.note(text)
            touched[id(slot.whole)] = slot.whole
        else:
            slot.put(text)
    for whole in touched.values():
        whole.write()


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
