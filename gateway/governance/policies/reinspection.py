"""Phrases that nobody looked for then, looked for in what is on record of requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from gateway.core.findings import Direction, Finding
from gateway.core.passages import Passage
from gateway.core.policy import Question
from gateway.core.ports import Inspector
from gateway.core.questions import facts_found

Phrases: TypeAlias = Mapping[str, Sequence[str]]
Looking: TypeAlias = Callable[[Phrases], Inspector]
"""Makes what looks for the phrases of lists."""

_KIND = "phrase"
_Key: TypeAlias = frozenset[tuple[str, frozenset[str]]]


@dataclass(frozen=True, slots=True)
class _Changed:
    """How the lists of a side differ from those then."""

    labels: frozenset[str]
    """Lists that are not what they were, also those that are gone."""
    lists: Phrases
    """What they are now."""
    key: _Key


class Reinspection:
    """Puts into questions what the lists of each of `sides` find, where they are not those of
    then. What was found by lists that are the same was found in the text as it was sent, before
    anything was masked: it stays.

    Asked by one thread at a time.
    """

    def __init__(self, sides: Sequence[Phrases], looking: Looking) -> None:
        self._sides = sides
        self._looking = looking
        self._changed: dict[str | None, Sequence[_Changed]] = {}
        self._inspectors: dict[_Key, Inspector] = {}

    def learn(self, revision: str | None, then: Phrases) -> None:
        """Which phrases were looked for under a revision."""
        self._changed[revision] = [_changed(side, then) for side in self._sides]

    async def questions(
        self, revision: str | None, question: Question, passages: Sequence[Passage]
    ) -> Sequence[Question]:
        """A question of this revision, as each side would ask it of these passages."""
        found: dict[_Key, Sequence[Finding]] = {}
        asked = []
        for changed in self._changed[revision]:
            if changed.key not in found:
                found[changed.key] = await self._found(changed, passages)
            asked.append(_put(question, changed.labels, found[changed.key]))
        return asked

    async def _found(self, changed: _Changed, passages: Sequence[Passage]) -> Sequence[Finding]:
        if not changed.lists:
            return ()
        if changed.key not in self._inspectors:
            self._inspectors[changed.key] = self._looking(changed.lists)
        return await self._inspectors[changed.key].inspect(passages)


def differing(one: Phrases, other: Phrases) -> frozenset[str]:
    """The lists that are not the same in both; the order of phrases says nothing."""
    return frozenset(id for id in {*one, *other} if as_set(one, id) != as_set(other, id))


def as_set(phrases: Phrases, label: str) -> frozenset[str]:
    """The phrases of a list; none of one that is not there."""
    return frozenset(phrases.get(label, ()))


def _changed(side: Phrases, then: Phrases) -> _Changed:
    labels = differing(side, then)
    lists = {label: side[label] for label in sorted(labels) if side.get(label)}
    return _Changed(labels, lists, frozenset((id, as_set(lists, id)) for id in lists))


def _put(question: Question, labels: frozenset[str], found: Sequence[Finding]) -> Question:
    """A question with what was `found` in the place of what was found under `labels` then."""
    if not labels:
        return question
    context = question["context"]
    kept = [
        fact
        for fact in context["findings"]
        if fact["kind"] != _KIND
        or fact["direction"] != Direction.INPUT
        or fact["label"] not in labels
    ]
    return {**question, "context": {**context, "findings": [*kept, *facts_found(found)]}}
