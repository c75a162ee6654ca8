"""What a change of policy would have done: recorded questions, put to it and to what is in force.

Each question is put as it stands, with the time that it had. What cannot be said of it from what
was recorded is counted as that, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from gateway.core.errors import Unavailable
from gateway.core.policy import SCHEMA_VERSION, Question, Verdict
from gateway.core.ports import Policy
from gateway.core.replays import AskedThen
from gateway.core.rulesets import Json, Rules
from gateway.governance.policies.classes import Class, Difference, Why, difference
from gateway.governance.policies.places import in_force

_MALFORMED = "question_malformed"
"""The code with which the library refuses a question that it does not know."""
_OF_LISTS = frozenset({"phrase", "residency"})
"""The kinds of rules that look for what was found by lists of phrases."""
_OF_SCORES = frozenset({"pii", "secret", "residency"})

Phrases = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Side:
    """Rules, and what decides by them. It is asked by one thread at a time."""

    rules: Rules
    policy: Policy


@dataclass(frozen=True, slots=True)
class Compared:
    """What becomes of one question."""

    asked: AskedThen
    difference: Difference
    """From what is in force to the change."""
    then: Class
    """What the change does to what was decided then."""
    why: Why | None = None
    """Where it cannot be evaluated."""
    before: Verdict | None = None
    after: Verdict | None = None


_NOT_EVALUATED = Difference(Class.NOT_EVALUATED)


class Replay:
    """Compares what is in force with a change, question by question.

    `floor` is the least score of findings that are recorded. `at`, RFC 3339 in UTC, is put in the
    place of every question's time, to try rules that begin later.
    """

    def __init__(
        self, base: Side, change: Side, *, floor: float = 0.0, at: str | None = None
    ) -> None:
        self._base, self._change = base, change
        self._at = at
        self._low = list(_low(base.rules, change.rules, floor))
        self._doubts: dict[str | None, Sequence[tuple[Json, Why]]] = {}

    def knows(self, revision: str | None) -> bool:
        """Whether it was told, or needs not be, what was looked for under a revision."""
        return revision in self._doubts

    def learn(self, revision: str | None, phrases: Phrases | None) -> None:
        """Which phrases were looked for under a revision; None where nobody knows any more."""
        sides = (self._base.rules, self._change.rules)
        self._doubts[revision] = [each for side in sides for each in _doubts(side, phrases)]

    async def compare(self, asked: AskedThen) -> Compared:
        """What the change does to a question. Its revision was learnt before."""
        question = asked.question
        if question.get("schema_version") != SCHEMA_VERSION:
            return _unsaid(asked, Why.SCHEMA)
        if self._at is not None and isinstance(question.get("context"), dict):
            question = {**question, "context": {**question["context"], "time": self._at}}
        try:
            before = (await self._base.policy.decide(question)).verdict
            after = (await self._change.policy.decide(question)).verdict
        except Unavailable:
            return _unsaid(asked, Why.ENGINE)
        if any(reason.code == _MALFORMED for reason in chain(before.reasons, after.reasons)):
            return _unsaid(asked, Why.FACTS)
        if (why := self._doubt(asked.revision, question)) is not None:
            return _unsaid(asked, why)
        then = Class.NOT_EVALUATED
        if asked.verdict is not None:
            then = difference(asked.verdict, after).kind
        return Compared(asked, difference(before, after), then, None, before, after)

    def _doubt(self, revision: str | None, question: Question) -> Why | None:
        """Why what was found then does not say what would be found now."""
        for rule, why in chain(self._doubts[revision], self._low):
            if _looks(rule, question) and in_force(rule, question):
                return why
        return None


def _unsaid(asked: AskedThen, why: Why) -> Compared:
    return Compared(asked, _NOT_EVALUATED, Class.NOT_EVALUATED, why)


def _looks(rule: Json, question: Question) -> bool:
    """Whether a rule looks at findings of a question: one on answers only at finished tool
    calls."""
    output = rule["params"].get("direction") == "output"
    return not output or question["action"]["properties"]["stage"] == "tool_call"


def _doubts(rules: Rules, then: Phrases | None) -> Iterator[tuple[Json, Why]]:
    """The rules that look for phrases which were not those looked for then."""
    for rule in rules.rules.values():
        if rule["kind"] not in _OF_LISTS:
            continue
        labels: Sequence[str] = rule["params"].get("labels") or ()
        if then is None:
            if any(label in rules.phrases for label in labels) or rule["kind"] == "phrase":
                yield rule, Why.LISTS_UNKNOWN
        elif any(_set(rules.phrases, label) != _set(then, label) for label in labels):
            yield rule, Why.LISTS_CHANGED


def _set(phrases: Phrases, label: str) -> frozenset[str]:
    return frozenset(phrases.get(label, ()))


def _low(base: Rules, change: Rules, floor: float) -> Iterator[tuple[Json, Why]]:
    """The rules of a change that ask for scores below any that are recorded."""
    for id, rule in change.rules.items():
        least = _least(rule)
        if least is None or least >= floor:
            continue
        same = base.rules.get(id)
        if same is None or _least(same) != least:
            yield rule, Why.THRESHOLD


def _least(rule: Mapping[str, Any]) -> float | None:
    params = rule["params"]
    if rule["kind"] not in _OF_SCORES or not params.get("labels"):
        return None
    least: float | None = params.get("min_score")
    return least
