"""What a change of policy would have done: recorded questions, put to it and to what is in force.

Each question is put as it stands, with the time that it had. Where rules look for phrases that
nobody looked for then, the text of the request is inspected again. What cannot be said of it from
what was recorded is counted as that, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from gateway.core.errors import Unavailable
from gateway.core.passages import Passage
from gateway.core.policy import SCHEMA_VERSION, Question, Verdict
from gateway.core.ports import Policy
from gateway.core.replays import AskedThen, Unseen
from gateway.core.rulesets import Json, Rules
from gateway.governance.policies.classes import Class, Difference, Why, difference
from gateway.governance.policies.places import in_force
from gateway.governance.policies.reinspection import Looking, Phrases, Reinspection, differing

_MALFORMED = "question_malformed"
"""The code with which the library refuses a question that it does not know."""
_OF_LISTS = frozenset({"phrase", "residency"})
"""The kinds of rules that look for what was found by lists of phrases."""
_OF_SCORES = frozenset({"pii", "secret", "residency"})


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
    by_text: bool = False
    """Whether it cannot be evaluated, and could be by the text of its request."""
    inspected: bool = False
    """Whether it was evaluated by that text."""


_NOT_EVALUATED = Difference(Class.NOT_EVALUATED)


class Replay:
    """Compares what is in force with a change, question by question.

    `floor` is the least score of findings that are recorded. `at`, RFC 3339 in UTC, is put in the
    place of every question's time, to try rules that begin later. `looking` makes what looks for
    phrases.
    """

    def __init__(
        self,
        base: Side,
        change: Side,
        *,
        looking: Looking,
        floor: float = 0.0,
        at: str | None = None,
    ) -> None:
        self._base, self._change = base, change
        self._at = at
        self._low = list(_low(base.rules, change.rules, floor))
        self._doubts: dict[str | None, Sequence[tuple[Json, Why]]] = {}
        self._phrases = Reinspection([base.rules.phrases, change.rules.phrases], looking)

    def knows(self, revision: str | None) -> bool:
        """Whether it was told, or needs not be, what was looked for under a revision."""
        return revision in self._doubts

    def learn(self, revision: str | None, phrases: Phrases | None) -> None:
        """Which phrases were looked for under a revision; None where nobody knows any more."""
        sides = (self._base.rules, self._change.rules)
        self._doubts[revision] = [each for side in sides for each in _doubts(side, phrases)]
        if phrases is not None:
            self._phrases.learn(revision, phrases)

    async def compare(self, asked: AskedThen) -> Compared:
        """What the change does to a question. Its revision was learnt before."""
        question = self._timed(asked.question)
        if question.get("schema_version") != SCHEMA_VERSION:
            return _unsaid(asked, Why.SCHEMA)
        compared = await self._compared(asked, question, question)
        if compared.why is not None:
            return compared
        whys = list(self._doubted(asked.revision, question))
        by_text = set(whys) == {Why.LISTS_CHANGED} and not _of_call(question)
        return _unsaid(asked, whys[0], by_text=by_text) if whys else compared

    async def inspect(self, asked: AskedThen, passages: Sequence[Passage]) -> Compared:
        """The same of a question that can be evaluated by the text of its request: this."""
        question = self._timed(asked.question)
        before, after = await self._phrases.questions(asked.revision, question, passages)
        return replace(await self._compared(asked, before, after), inspected=True)

    def _timed(self, question: Question) -> Question:
        if self._at is None or not isinstance(question.get("context"), dict):
            return question
        return {**question, "context": {**question["context"], "time": self._at}}

    async def _compared(self, asked: AskedThen, mine: Question, other: Question) -> Compared:
        """What is decided of `mine` by what is in force, and of `other` by the change."""
        try:
            before = (await self._base.policy.decide(mine)).verdict
            after = (await self._change.policy.decide(other)).verdict
        except Unavailable:
            return _unsaid(asked, Why.ENGINE)
        if any(reason.code == _MALFORMED for reason in chain(before.reasons, after.reasons)):
            return _unsaid(asked, Why.FACTS)
        then = Class.NOT_EVALUATED
        if asked.verdict is not None:
            then = difference(asked.verdict, after).kind
        return Compared(asked, difference(before, after), then, None, before, after)

    def _doubted(self, revision: str | None, question: Question) -> Iterator[Why]:
        """Why what was found then does not say what would be found now."""
        for rule, why in chain(self._doubts[revision], self._low):
            if _looks(rule, question) and in_force(rule, question):
                yield why


def unseen(asked: AskedThen, why: Unseen) -> Compared:
    """What becomes of a question of which there is no text to inspect."""
    return _unsaid(asked, Why(why.value))


def _unsaid(asked: AskedThen, why: Why, *, by_text: bool = False) -> Compared:
    return Compared(asked, _NOT_EVALUATED, Class.NOT_EVALUATED, why, by_text=by_text)


def _looks(rule: Json, question: Question) -> bool:
    """Whether a rule looks at findings of a question: one on answers only at finished tool
    calls."""
    output = rule["params"].get("direction") == "output"
    return not output or _of_call(question)


def _of_call(question: Question) -> bool:
    """Whether it is asked of a finished tool call, and not of a request."""
    return bool(question["action"]["properties"]["stage"] == "tool_call")


def _doubts(rules: Rules, then: Phrases | None) -> Iterator[tuple[Json, Why]]:
    """The rules that look for phrases which were not those looked for then."""
    changed = frozenset() if then is None else differing(rules.phrases, then)
    for rule in rules.rules.values():
        if rule["kind"] not in _OF_LISTS:
            continue
        labels: Sequence[str] = rule["params"].get("labels") or ()
        if then is None:
            if any(label in rules.phrases for label in labels) or rule["kind"] == "phrase":
                yield rule, Why.LISTS_UNKNOWN
        elif not changed.isdisjoint(labels):
            yield rule, Why.LISTS_CHANGED


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
