"""How decisions differ, and what of that lets more pass."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.policy import Verdict
from gateway.governance.policies.classes import Class, difference


def verdict(effect: str = "allow", *rules: str, **more: Any) -> Verdict:
    reasons = [
        {"rule": rule, "code": "c", "message": {}, "severity": "low", "facts": {}} for rule in rules
    ]
    lists = {"obligations": [], "observed": [], "overridden": []}
    return Verdict.parse({"effect": effect, "reasons": reasons, **lists, **more})


def duty(id: str, rule: str = "r", **params: Any) -> dict[str, Any]:
    return {"id": id, "params": params, "rule": rule}


MASK, LABEL, CACHE = duty("mask", labels=["A"]), duty("label", "l"), duty("cache", "c", seconds=1)


@pytest.mark.parametrize(
    ("before", "after", "kind", "rules", "widens"),
    [
        (verdict(), verdict(), Class.UNCHANGED, [], False),
        (verdict("allow", "a"), verdict("deny", "d"), Class.NEWLY_DENIED, ["d"], False),
        (verdict("review", "h"), verdict("deny", "d"), Class.NEWLY_DENIED, ["d"], False),
        (verdict("allow", "a"), verdict("review", "h"), Class.NEWLY_HELD, ["h"], False),
        (verdict("deny", "d"), verdict("review", "h"), Class.NEWLY_HELD, ["d"], True),
        (verdict("deny", "d"), verdict("allow", "a"), Class.NEWLY_ALLOWED, ["d"], True),
        (verdict("review", "h"), verdict("allow"), Class.NEWLY_ALLOWED, ["h"], True),
        (verdict("allow", "a"), verdict("allow", "b"), Class.MODE_ONLY, ["a", "b"], False),
    ],
)
def test_effects(
    before: Verdict, after: Verdict, kind: Class, rules: list[str], widens: bool
) -> None:
    found = difference(before, after)
    assert (found.kind, list(found.rules), found.widens) == (kind, rules, widens)


@pytest.mark.parametrize(
    ("before", "after", "duties", "rules", "widens"),
    [
        ([], [MASK], ["+mask"], ["r"], False),
        ([MASK], [], ["-mask"], ["r"], True),
        ([MASK], [duty("mask", labels=["B"])], ["~mask"], ["r"], False),
        ([MASK], [duty("mask", "r,s", labels=["A", "B"])], ["~mask"], ["s"], False),
        ([CACHE], [], ["-cache"], ["c"], False),
        ([MASK, LABEL], [LABEL, CACHE], ["+cache", "-mask"], ["c", "r"], True),
        ([duty("screen", unit="a")], [duty("screen", unit="a"), duty("screen", "s", unit="b")],
         ["~screen"], ["s"], False),
    ],
)  # fmt: skip
def test_duties(
    before: list[Any], after: list[Any], duties: list[str], rules: list[str], widens: bool
) -> None:
    found = difference(verdict(obligations=before), verdict(obligations=after))
    assert found.kind is Class.NEWLY_CHANGED
    assert (list(found.duties), list(found.rules), found.widens) == (duties, rules, widens)


def test_a_rule_that_only_observes_changes_nothing_but_what_is_told() -> None:
    watching = verdict(observed=[{"rule": "w", "would": "deny"}])
    found = difference(verdict(), watching)
    assert (found.kind, list(found.rules), found.duties) == (Class.MODE_ONLY, ["w"], ())
    aside = verdict(overridden=[{"rule": "r", "by": "e"}])
    assert list(difference(aside, watching).rules) == ["r", "w"]
