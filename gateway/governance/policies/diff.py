"""What changes between two rulesets: each rule's sentence before and after, and what widens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gateway.core.rulesets import Json, Rules
from gateway.governance.policies import widening

LOCALES = ("en", "fr")
MOST_PHRASES = 100
"""Phrases that are told of a list, each way."""
_NOTHING = Rules("", {})


class What(StrEnum):
    """What became of a rule or an exception."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one rule or exception. Sentences are by locale; None where it is not."""

    id: str
    what: What
    before: dict[str, str] | None
    after: dict[str, str] | None
    widens: Sequence[str] = ()
    """Why it may let pass what did not pass before; empty where it cannot."""
    phrases_added: Sequence[str] = ()
    phrases_removed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Diff:
    """Everything that changes, by id."""

    changes: Sequence[Change] = field(default=())

    @property
    def widening(self) -> bool:
        """Whether something may pass that did not pass before."""
        return any(change.widens for change in self.changes)

    def evidence(self) -> list[dict[str, Any]]:
        """The changes as JSON."""
        return [
            {
                "id": change.id,
                "what": str(change.what),
                "before": change.before,
                "after": change.after,
                "widens": list(change.widens),
                "phrases_added": list(change.phrases_added[:MOST_PHRASES]),
                "phrases_removed": list(change.phrases_removed[:MOST_PHRASES]),
            }
            for change in self.changes
        ]


def compare(before: Rules | None, after: Rules) -> Diff:
    """What changes from what was in force, None where nothing was."""
    was = before or _NOTHING
    rules = _Pair(was, after)
    ids = {id for one in (was, after) for id in _ids(one)}
    return Diff([change for id in sorted(ids) if (change := rules.change(id)) is not None])


def _ids(rules: Rules) -> Iterator[str]:
    yield from rules.rules
    yield from rules.exceptions
    for told in rules.sentences.values():
        yield from told


class _Pair:
    """Two rulesets, one thing of which is compared at a time."""

    def __init__(self, before: Rules, after: Rules) -> None:
        self._before, self._after = before, after

    def change(self, id: str) -> Change | None:
        """What became of a rule or an exception; None where it is the same."""
        told, told_now = self._told(self._before, id), self._told(self._after, id)
        rule, rule_now = self._before.rules.get(id), self._after.rules.get(id)
        waived, waived_now = self._before.exceptions.get(id), self._after.exceptions.get(id)
        phrases, phrases_now = self._phrases(id)
        same = (rule, waived, phrases) == (rule_now, waived_now, phrases_now)
        if same and told == told_now:
            return None
        return Change(
            id,
            _what(told, told_now),
            told,
            told_now,
            [*self._rule(id, rule, rule_now), *self._exception(waived, waived_now)],
            sorted(phrases_now - phrases),
            sorted(phrases - phrases_now),
        )

    def _rule(self, id: str, before: Json | None, after: Json | None) -> Sequence[str]:
        if before is None:
            return [] if after is None else widening.added(after)
        if after is None:
            return widening.removed(before)
        around = widening.Around(*self._phrases(id), shared=self._shared(id, before))
        return widening.changed(before, after, around)

    def _shared(self, id: str, rule: Json) -> bool:
        """Whether another rule had its duty in common with this one."""
        return rule["on_match"] in widening.SHARED and any(
            name != id
            and other["mode"] == "enforce"
            and other["on_match"] == rule["on_match"]
            and other["params"].get("unit") == rule["params"].get("unit")
            for name, other in self._before.rules.items()
        )

    def _exception(self, before: Json | None, after: Json | None) -> Sequence[str]:
        if before is None and after is None:
            return []
        rule = (after or before or {})["rule"]
        return widening.exception_changed(before, after, self._after.rules.get(rule))

    def _phrases(self, id: str) -> tuple[frozenset[str], frozenset[str]]:
        return _looked_for(self._before, id), _looked_for(self._after, id)

    @staticmethod
    def _told(rules: Rules, id: str) -> dict[str, str] | None:
        if not any(id in rules.sentences.get(locale, {}) for locale in LOCALES):
            # a ruleset may come without sentences; what is there is named all the same
            return {} if id in rules.rules or id in rules.exceptions else None
        return {locale: rules.sentences.get(locale, {}).get(id, "") for locale in LOCALES}


def _what(before: object | None, after: object | None) -> What:
    if before is None:
        return What.ADDED
    return What.REMOVED if after is None else What.CHANGED


def _looked_for(rules: Rules, id: str) -> frozenset[str]:
    """The phrases of the list that a rule of the kind phrase looks for."""
    rule = rules.rules.get(id)
    if rule is None or rule["kind"] != "phrase":
        return frozenset()
    return frozenset(
        phrase for name in rule["params"]["labels"] for phrase in rules.phrases.get(name, ())
    )
