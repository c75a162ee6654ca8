"""Where text stands in JSON that is nested in a request: strings, names, and long numbers.

What is the API's own is told by a `Grammar`; all the rest is the caller's. Names stand after
what stands under them. A place is a path of numbers, and of names that the API gave: other
names are the caller's text.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from gateway.core.names import names
from gateway.core.passages import Number, Slot
from gateway.dialects.vocabulary import NUMBERS, VOCABULARY, is_token

Walk: TypeAlias = Callable[[Any, Any, str, str], list[Slot]]
"""The slots of what stands at `holder[key]`, by its place and by who says it."""


class Grammar(NamedTuple):
    """What of some JSON is the API's own."""

    known: Collection[str] = frozenset()
    """Names that the API gave, which are not looked at. All below another is the caller's."""
    words: Collection[str] = frozenset()
    """Members that are structure where they hold a word, or a list of words."""
    is_word: Callable[[str], bool] = is_token
    sealed: Callable[[dict[str, Any], str], bool] | None = None
    """Whether what an object holds under a name is no text."""
    apart: Mapping[str, Walk] = MappingProxyType({})
    """Members that are read in a way of their own."""

    def beyond(self) -> Grammar:
        """The grammar of a member that the API did not give: nothing in it is the API's."""
        return Grammar(sealed=self.sealed)


FREE = Grammar()
"""JSON that is the caller's, all of it."""
KNOWN = Grammar(known=VOCABULARY)


def nested(
    holder: Any, key: Any, where: str, role: str, grammar: Grammar = FREE, *, word: bool = False
) -> list[Slot]:
    """A slot for every text at `holder[key]`, however deep.

    Where a `word` is due, a string that looks like one is fixed: rewriting it would break the
    request.
    """
    found: list[Slot] = []
    _add(found, holder, key, where, role, grammar, word)
    return found


def _add(
    found: list[Slot], holder: Any, key: Any, where: str, role: str, grammar: Grammar, word: bool
) -> None:
    value = holder[key]
    if isinstance(value, str):
        if not (word and value in VOCABULARY):
            found.append(Slot(holder, key, where, role, fixed=word and grammar.is_word(value)))
    elif isinstance(value, list):
        for index in range(len(value)):
            _add(found, value, index, f"{where}/{index}", role, grammar, word)
    elif isinstance(value, dict):
        start = len(found)
        _add_members(found, value, where, role, grammar)
        found += names(value, where, role, found, grammar.known, since=start)
    elif Number.is_long(value):
        found.append(Number(holder, key, where, role))


def _add_members(
    found: list[Slot], held: dict[str, Any], where: str, role: str, grammar: Grammar
) -> None:
    for place, name in enumerate(held):
        if grammar.sealed is not None and grammar.sealed(held, name):
            continue
        known = name in grammar.known
        inside = f"{where}/{name}" if known else f"{where}/#{place}"
        if name in grammar.apart:
            found += grammar.apart[name](held, name, inside, role)
        elif not known:
            _add(found, held, name, inside, role, grammar.beyond(), False)
        else:
            _add(found, held, name, inside, role, grammar, name in grammar.words)


def is_number(request: Mapping[str, Any], name: str) -> bool:
    """Whether a member of a request is one of the API's numbers, and is a number."""
    return name in NUMBERS and not isinstance(request[name], str | list | dict)


def once(slots: Iterable[Slot]) -> Iterator[Slot]:
    """`slots`, but of those that are fixed and say the same only the first: a name that stays
    as it is need not be looked at again wherever it stands."""
    seen: set[tuple[str, str]] = set()
    for slot in slots:
        if slot.fixed:
            told = (slot.role, slot.text)
            if told in seen:
                continue
            seen.add(told)
        yield slot
