"""How two decisions about one question differ, and what of that lets more pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import Any

import msgspec

from gateway.core.policy import Effect, Obligation, Observed, Overridden, Reason, Verdict


class Class(StrEnum):
    """What a change of policy does to a question."""

    NEWLY_DENIED = "newly_denied"
    NEWLY_HELD = "newly_held"
    """A person is asked; where it was denied before, that lets more pass."""
    NEWLY_CHANGED = "newly_changed"
    """The same effect, with other duties."""
    NEWLY_ALLOWED = "newly_allowed"
    MODE_ONLY = "mode_only"
    """The same is done; what is only observed, or told as the reason, differs."""
    UNCHANGED = "unchanged"
    NOT_EVALUATED = "not_evaluated"


class Why(StrEnum):
    """Why a question cannot be evaluated."""

    LISTS_CHANGED = "lists_changed"
    """A rule here looks for phrases that were not those looked for then: what was found does not
    say."""
    LISTS_UNKNOWN = "lists_unknown"
    """The same, where it is not known any more which phrases were looked for."""
    THRESHOLD = "threshold_not_recorded"
    """A rule here asks for findings that score lower than any that are recorded."""
    SCHEMA = "schema_version_unknown"
    FACTS = "facts_not_recorded"
    """The question lacks facts that the policy needs today, or has others."""
    ENGINE = "engine_failed"
    TEXT_NOT_RECORDED = "text_not_recorded"
    """As `LISTS_CHANGED`, and there is no text to look at: this, and the following."""
    TEXT_GONE = "text_gone"
    TEXT_WITHHELD = "text_withheld"
    TEXT_TOO_LONG = "text_too_long"
    TEXT_UNREADABLE = "text_unreadable"


_NO_GUARD = frozenset({"cache", "respond_with"})
"""Duties that keep nobody from anything."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a change of policy does to a question, and by which rules."""

    kind: Class
    rules: Sequence[str] = ()
    """What makes the difference, by id, in order."""
    duties: Sequence[str] = ()
    """Of NEWLY_CHANGED: `+mask` for a duty that is new, `-mask` for one that is gone, `~mask` for
    one with other parameters."""
    widens: bool = False
    """Whether more may pass: an allowance, a denial that a person may now lift, or a guarding
    duty that is gone. Of parameters it is not judged."""


SAME = Difference(Class.UNCHANGED)


def difference(before: Verdict, after: Verdict) -> Difference:
    """What becomes of a question that was decided `before`, decided `after` instead."""
    if before == after:
        return SAME
    if before.effect is not after.effect:
        return _other_effect(before, after)
    duties = _duties(before, after)
    if duties:
        gone = any(said[0] == "-" and said[1:] not in _NO_GUARD for said in duties)
        rules = _wanting(before, after, {said[1:] for said in duties})
        return Difference(Class.NEWLY_CHANGED, sorted(rules), duties, gone)
    return Difference(Class.MODE_ONLY, sorted(_told(before, after)))


def _other_effect(before: Verdict, after: Verdict) -> Difference:
    match after.effect:
        case Effect.ALLOW:
            return Difference(Class.NEWLY_ALLOWED, _reasons(before), widens=True)
        case Effect.DENY:
            return Difference(Class.NEWLY_DENIED, _reasons(after))
        case Effect.REVIEW:
            lifted = before.effect is Effect.DENY
            return Difference(
                Class.NEWLY_HELD, _reasons(before if lifted else after), widens=lifted
            )


def _reasons(verdict: Verdict) -> list[str]:
    return sorted({reason.rule for reason in verdict.reasons})


def _duties(before: Verdict, after: Verdict) -> list[str]:
    """Which duties differ, by name and with what became of them."""
    was, now = _by_id(before), _by_id(after)
    said = []
    for id in sorted({*was, *now}):
        if id not in was:
            said.append(f"+{id}")
        elif id not in now:
            said.append(f"-{id}")
        else:
            pairs = zip_longest(was[id], now[id])
            said += [f"~{id}"] if any(one != other for one, other in pairs) else []
    return said


def _by_id(verdict: Verdict) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for duty in verdict.obligations:
        found.setdefault(duty.id, []).append(duty.params)
    return found


def _wanting(before: Verdict, after: Verdict, ids: set[str]) -> set[str]:
    """The rules that ask for a duty in one of the decisions only, else all that ask for it."""
    was, now = _naming(before.obligations, ids), _naming(after.obligations, ids)
    return was ^ now or was | now


def _naming(duties: Sequence[Obligation], ids: set[str]) -> set[str]:
    return {rule for duty in duties if duty.id in ids for rule in duty.rule.split(",")}


def _told(before: Verdict, after: Verdict) -> set[str]:
    """The rules of which something else is told."""
    return {rule for rule, _ in _said(before) ^ _said(after)}


def _said(verdict: Verdict) -> set[tuple[str, bytes]]:
    every: tuple[Reason | Observed | Overridden, ...]
    every = (*verdict.reasons, *verdict.observed, *verdict.overridden)
    asking = {(rule, b"") for duty in verdict.obligations for rule in duty.rule.split(",")}
    return asking | {(each.rule, msgspec.json.encode(each)) for each in every}
