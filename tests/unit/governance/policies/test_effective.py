"""Which rules apply is said as the engine sees it: over packs and questions made up at random."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings

from gateway.adapters.packs import question_of
from gateway.governance.policies.effective import Cause, as_text, effective, who_asks
from tests.contracts.policy_cases import at_random, question
from tests.unit.governance.policies.rulesets import ADMIT, made, rule, side

ALWAYS = {"label", "cache", "identifier", "response"}
"""Kinds of rules that hit wherever they apply."""
EARLY, LATE = "2026-01-01T00:00:00Z", "2026-12-01T00:00:00Z"


@settings(max_examples=60, deadline=None)
@given(at_random(lambda dice: dice))
def test_it_says_what_the_engine_sees(dice: Random) -> None:
    from gateway.replaying import side_of

    decides = side_of([made(dice)])
    for _ in range(12):
        asked = question(dice)
        verdict = asyncio.run(decides.policy.decide(asked)).verdict
        standing = {one.rule: one for one in effective(decides.rules, asked)}
        named = {each.rule for each in verdict.reasons}
        named |= {each.rule for each in verdict.observed}
        for id in named - {"default.model", "default.unavailable", "default"}:
            assert standing[id].applies, (id, standing[id])
        for aside in verdict.overridden:
            excepted = standing.get(aside.rule)
            if excepted is not None:  # else the floor set the exception aside
                assert excepted.cause is Cause.EXCEPTED
                assert aside.by in excepted.exceptions
            else:
                assert standing[aside.by].cause is Cause.FLOOR
        if asked["action"]["properties"]["stage"] != "request":
            continue
        for one in standing.values():
            if one.kind in ALWAYS and one.cause is Cause.OBSERVES:
                assert one.rule in {each.rule for each in verdict.observed}
            if one.kind in ALWAYS and verdict.effect == "allow":
                enforced = one.cause in (Cause.APPLIES, Cause.FLOOR)
                assert enforced == (one.rule in {each.rule for each in verdict.reasons})


def told(documents: dict[str, Any], **asked: Any) -> dict[str, Any]:
    facts = {"app": "shop", "model": "gpt-4o", "time": "2026-06-01T00:00:00Z", **asked}
    found = effective(side(documents).rules, who_asks(**facts))
    return {one.rule: one for one in found}


@pytest.mark.parametrize(
    ("changed", "cause", "why"),
    [
        ({}, Cause.APPLIES, "It applies."),
        ({"mode": "observe"}, Cause.OBSERVES, "It applies, and only watches: it changes nothing."),
        ({"mode": "off"}, Cause.OFF, "It is off."),
        ({"valid": {"from": LATE}}, Cause.NOT_BEGUN, "It begins to hold at 2026-12-01T00:00:00"),
        ({"valid": {"until": EARLY}}, Cause.OVER, "It held until 2026-01-01T00:00:00 UTC."),
        ({"when": {"apps": ["lab*"]}}, Cause.NOT_SELECTED, "It is for apps lab*; here: shop."),
        ({"when": {"teams": ["*"]}}, Cause.NOT_SELECTED, "It is for teams *; here: none."),
        ({"when": {"tags": ["a", "b"]}}, Cause.NOT_SELECTED, "It is for tags a or b; here: c."),
        ({"when": {"regions": ["eu"]}}, Cause.NOT_SELECTED, "It is for regions eu; here: none."),
        (
            {"kind": "model_access", "params": {"models": ["claude*", "o1"]}},
            Cause.OTHER_MODEL,
            "It admits claude* or o1, not gpt-4o.",
        ),
    ],
)
def test_it_says_why(changed: dict[str, Any], cause: Cause, why: str) -> None:
    one = {**rule("it", "label", labels=["x"]), **changed}
    standing = told({"rules": [ADMIT, one]}, tags=["c"])["it"]
    assert (standing.cause, standing.why[: len(why)]) == (cause, why)
    assert standing.applies is (cause in (Cause.APPLIES, Cause.OBSERVES))
    assert standing.sentence
    assert standing.told()["cause"] == str(cause)
    assert why in as_text([standing])


def test_attachments_and_exceptions_are_told() -> None:
    mask = rule("pii.mask", "pii", "mask", direction="input", labels=["PERSON"])
    floor = {**mask, "id": "pii.floor", "floor": True}
    waived = {
        "id": "shop.names", "rule": "pii.mask", "when": {"apps": ["shop"]}, "until": LATE,
        "why": "A test.", "approved_by": "ann",
    }  # fmt: skip
    places = [{"rules": ["admit", "pii.*"], "when": {"apps": ["shop"]}}]
    documents = {"rules": [ADMIT, mask, floor], "exceptions": [waived], "attachments": places}
    here, there = told(documents), told(documents, app="lab")
    assert here["pii.mask"].why == "The exception shop.names sets it aside."
    assert here["pii.floor"].cause is Cause.APPLIES
    assert there["pii.mask"].cause is Cause.NOT_ATTACHED
    assert "It is for apps shop; here: lab." in there["pii.mask"].why
    nowhere = told({**documents, "attachments": [{"rules": ["pii.mask"], "when": {}}]})
    assert nowhere["admit"].why == "The attachments of its pack put it nowhere."


def test_what_decides_is_asked_the_same() -> None:
    """`who_asks` has the parts of a question that say where rules apply, in the same places."""
    whole = question_of({"app": "a", "team": "t", "tags": ["x"], "model": "m", "region": "eu"})
    part = who_asks("a", "m", EARLY, team="t", tags=["x"], hosting="external", region="eu")
    for name in ("subject", "resource"):
        assert part[name]["id"] == whole[name]["id"]
        properties = whole[name]["properties"].items()
        assert part[name]["properties"].items() <= properties
    assert part["context"]["time"] == whole["context"]["time"]
