"""What changes, in sentences; the phrases of lists; rules that share a duty."""

from __future__ import annotations

from typing import Any

from gateway.core.rulesets import Rules
from gateway.governance.policies.diff import What, compare
from tests.fakes.packs import rule


def rules(given: dict[str, Any], **more: Any) -> Rules:
    told = {id: f"{id} is {one['mode']}" for id, one in given.items()}
    on = {id: one for id, one in given.items() if one["mode"] != "off"}
    return Rules("r", on, sentences={"en": told, "fr": told}, **more)


def test_each_change_has_both_sentences() -> None:
    before = rules({"a": rule(), "b": rule(), "same": rule()})
    after = rules({"a": rule(mode="observe"), "c": rule(), "same": rule()})
    a, b, c = compare(before, after).changes
    assert (a.id, a.what, a.before, a.after) == (
        "a", What.CHANGED, {"en": "a is enforce", "fr": "a is enforce"},
        {"en": "a is observe", "fr": "a is observe"},
    )  # fmt: skip
    assert (b.id, b.what, b.after) == ("b", What.REMOVED, None)
    assert (c.id, c.what, c.before) == ("c", What.ADDED, None)
    assert (bool(a.widens), bool(b.widens), bool(c.widens)) == (True, True, False)


def test_nothing_was_before_the_first() -> None:
    diff = compare(None, rules({"a": rule(), "all": rule(kind="model_access", models=["*"])}))
    assert [change.what for change in diff.changes] == [What.ADDED, What.ADDED]
    assert diff.widening


def test_what_is_the_same_is_not_told() -> None:
    same = rules({"a": rule()}, phrases={"l": ["x"]})
    assert compare(same, same).changes == []
    assert not compare(same, same).widening


def test_a_rule_that_is_switched_off_is_changed_and_widens() -> None:
    (change,) = compare(rules({"a": rule()}), rules({"a": rule(mode="off")})).changes
    assert change.what is What.CHANGED
    assert change.widens


def phrases(*listed: str, name: str = "weapons") -> Rules:
    one = rule(kind="phrase", on_match="deny", params={"direction": "input", "labels": [name]})
    return Rules("r", {"p": one}, phrases={name: listed})


def test_the_phrases_of_a_list_are_told() -> None:
    (change,) = compare(phrases("bomb", "gun"), phrases("gun", "knife")).changes
    assert (change.phrases_added, change.phrases_removed) == (["knife"], ["bomb"])
    assert change.widens
    more = compare(phrases("gun"), phrases("gun", "knife"))
    assert more.changes
    assert not more.widening
    renamed = compare(phrases("gun"), phrases("gun", name="arms"))
    assert renamed.changes
    assert not renamed.widening


def test_exceptions_are_told() -> None:
    waived = {"exception:x": {"rule": "a", "until": "2027-01-01T00:00:00", "when": {}}}
    without, with_it = rules({"a": rule()}), rules({"a": rule()}, exceptions=waived)
    assert compare(without, with_it).widening
    (change,) = compare(with_it, without).changes
    assert change.what is What.REMOVED
    assert not change.widens


def test_rules_that_share_a_duty_lend_each_other_strength() -> None:
    lender, borrower = rule(min_score=0.2), rule(labels=["PHONE_NUMBER"])
    denying = rule(min_score=0.2, on_match="deny")
    assert not compare(rules({"a": lender}), rules({"a": denying})).widening
    both = rules({"a": lender, "b": borrower})
    assert compare(both, rules({"a": denying, "b": borrower})).widening


def test_evidence_is_json() -> None:
    (told,) = compare(phrases("a"), phrases("b")).evidence()
    assert told == {
        "id": "p", "what": "changed", "before": {}, "after": {},
        "widens": ["phrases are not looked for any more"],
        "phrases_added": ["b"], "phrases_removed": ["a"],
    }  # fmt: skip
