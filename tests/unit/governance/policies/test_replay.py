"""A replay says of each question what deciding it would, or that it cannot say."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from hypothesis import given, settings

from gateway.adapters.opa_wasm import WasmPolicy
from gateway.adapters.packs import compose, engine, load_pack
from gateway.core.errors import Code, Unavailable
from gateway.core.policies import PackFiles
from gateway.core.policy import Decision, Effect, Question, Verdict
from gateway.core.replays import AskedThen
from gateway.governance.policies.classes import Class, Why
from gateway.governance.policies.replay import Compared, Replay, Side
from gateway.inspectors.phrases import PhraseInspector
from gateway.replaying import side_of
from tests.contracts.policy_cases import at_random, question, strange_question
from tests.unit.governance.policies.rulesets import ADMIT, made, rule, side

AT = datetime(2026, 11, 1, tzinfo=UTC)
MASK = rule("pii.mask", "pii", "mask", direction="input", labels=["PERSON"])
WORD = rule("word.deny", "phrase", "deny", direction="input", list="weapons")


def asked(
    given: Question, revision: str | None = "then", verdict: Verdict | None = None
) -> AskedThen:
    return AskedThen("exc_1", AT, "shop", "t", "m", 5, given, verdict, revision)


def plain(**facts: Any) -> Question:
    made_up = question(Random(1))
    made_up["context"] |= {"findings": [], "unavailable": [], "review": None, "tool_call": None}
    made_up["action"]["properties"]["stage"] = "request"
    made_up["context"]["request"]["answers"] = ["text"]
    made_up["context"] |= facts
    return made_up


def person(score: float) -> list[dict[str, Any]]:
    return [{"kind": "pii", "label": "PERSON", "where": "/x", "direction": "input", "score": score}]


def replayed(base: Side, change: Side, one: AskedThen, **more: Any) -> Compared:
    replay = Replay(base, change, looking=PhraseInspector, **more)
    replay.learn(one.revision, base.rules.phrases)
    return asyncio.run(replay.compare(one))


def uncached(files: PackFiles) -> WasmPolicy:
    rules = compose([load_pack(files)])
    return WasmPolicy(engine().read_bytes(), rules.data, rules.revision)


@settings(max_examples=40, deadline=None)
@given(at_random(lambda dice: dice))
def test_it_is_equal_to_deciding_each_question(dice: Random) -> None:
    """With the decisions remembered, and by an engine that remembers nothing."""
    one, other = made(dice), made(dice)
    live, beside = uncached(one), uncached(other)
    replay = Replay(side_of([one]), side_of([other]), looking=PhraseInspector)
    replay.learn("then", side_of([one]).rules.phrases)
    for _ in range(15):
        facts = strange_question(dice) if dice.random() < 0.1 else question(dice)
        before = asyncio.run(live.decide(facts)).verdict
        after = asyncio.run(beside.decide(facts)).verdict
        found = asyncio.run(replay.compare(asked(facts, verdict=before)))
        codes = {reason.code for reason in before.reasons}
        if found.why is not None:
            assert found.why in (Why.FACTS, Why.SCHEMA)
            assert "question_malformed" in codes
            continue
        assert "question_malformed" not in codes
        assert (found.before, found.after) == (before, after)
        assert found.difference.kind is found.then is expected(before, after)


def expected(before: Verdict, after: Verdict) -> Class:
    """The class, said another way."""
    if before.effect != after.effect:
        newly = {
            Effect.ALLOW: Class.NEWLY_ALLOWED,
            Effect.DENY: Class.NEWLY_DENIED,
            Effect.REVIEW: Class.NEWLY_HELD,
        }
        return newly[after.effect]
    duties = [[(duty.id, duty.params) for duty in each.obligations] for each in (before, after)]
    if duties[0] != duties[1]:
        return Class.NEWLY_CHANGED
    return Class.UNCHANGED if before == after else Class.MODE_ONLY


def test_phrases_that_were_not_looked_for_cannot_be_told() -> None:
    base = side({"rules": [ADMIT, WORD]})
    change = side({"rules": [ADMIT, WORD]}, {"weapons": ["a gun", "a bow"]})
    found = replayed(base, change, asked(plain()))
    assert (found.why, found.by_text) == (Why.LISTS_CHANGED, True)
    # by the text alone it could be told only if nothing else were in doubt
    low = {**MASK, "params": {**MASK["params"], "min_score": 0.1}}
    lower = side({"rules": [ADMIT, WORD, low]}, {"weapons": ["a bow"]})
    assert not replayed(base, lower, asked(plain()), floor=0.2).by_text
    # another list, or a rule that is not in force for it, hinders nothing
    other = side({"rules": [ADMIT, WORD]}, {"rivals": ["initech"]})
    assert replayed(base, other, asked(plain())).difference.kind is Class.UNCHANGED
    elsewhere = {**WORD, "when": {"apps": ["nobody"]}}
    away = side({"rules": [ADMIT, elsewhere]}, {"weapons": ["a bow"]})
    assert replayed(side({"rules": [ADMIT]}), away, asked(plain())).why is None
    # nor does one on answers: what is asked for is a duty, whatever is found
    answers = {**WORD, "on_match": "filter", "params": {"direction": "output", "list": "weapons"}}
    output = side({"rules": [ADMIT, answers]}, {"weapons": ["a bow"]})
    found = replayed(side({"rules": [ADMIT]}), output, asked(plain()))
    assert found.difference.kind is Class.NEWLY_CHANGED
    assert found.difference.duties == ["+screen"]


def test_phrases_of_a_revision_that_nobody_knows_cannot_be_told() -> None:
    both = side({"rules": [ADMIT, WORD]})
    replay = Replay(both, both, looking=PhraseInspector)
    assert not replay.knows("old")
    replay.learn("old", None)
    assert replay.knows("old")
    found = asyncio.run(replay.compare(asked(plain(), "old")))
    assert (found.difference.kind, found.why) == (Class.NOT_EVALUATED, Why.LISTS_UNKNOWN)
    free = side({"rules": [ADMIT, MASK]})
    replay = Replay(free, free, looking=PhraseInspector)
    replay.learn("old", None)
    assert asyncio.run(replay.compare(asked(plain(), "old"))).why is None


def test_a_threshold_below_what_is_recorded_cannot_be_told() -> None:
    low = {**MASK, "params": {**MASK["params"], "min_score": 0.1}}
    base, change = side({"rules": [ADMIT, MASK]}), side({"rules": [ADMIT, low]})
    facts = asked(plain(findings=person(0.3)))
    assert replayed(base, change, facts, floor=0.2).why is Why.THRESHOLD
    assert replayed(change, change, facts, floor=0.2).why is None
    lower = side({"rules": [ADMIT, {**low, "params": {**low["params"], "min_score": 0.2}}]})
    found = replayed(base, lower, facts, floor=0.2).difference
    assert (found.kind, found.duties) == (Class.NEWLY_CHANGED, ["+mask"])
    assert found.rules == ["pii.mask"]


def test_questions_of_another_shape_cannot_be_told() -> None:
    both = side({"rules": [ADMIT]})
    assert replayed(both, both, asked({**plain(), "schema_version": 2})).why is Why.SCHEMA
    assert replayed(both, both, asked({**plain(), "extra": 1})).why is Why.FACTS
    assert replayed(both, both, asked({})).why is Why.SCHEMA


class Broken:
    revision = "broken"

    async def decide(self, question: Question) -> Decision:
        raise Unavailable(Code.POLICY_ERROR, "It broke.")


def test_an_engine_that_fails_is_told() -> None:
    base = side({"rules": [ADMIT]})
    found = replayed(base, replace(base, policy=Broken()), asked(plain()))
    assert (found.difference.kind, found.why) == (Class.NOT_EVALUATED, Why.ENGINE)


def test_a_rule_that_begins_later_is_tried_at_another_time() -> None:
    later = {**WORD, "kind": "label", "params": {"labels": ["x"]}}
    del later["on_match"]
    later["valid"] = {"from": "2027-01-01T00:00:00Z"}
    base, change = side({"rules": [ADMIT]}), side({"rules": [ADMIT, later]})
    assert replayed(base, change, asked(plain())).difference.kind is Class.UNCHANGED
    tried = replayed(base, change, asked(plain()), at="2027-02-01T00:00:00Z")
    assert tried.difference.duties == ["+label"]


def test_what_was_decided_then_is_compared_too() -> None:
    base, change = side({"rules": [ADMIT]}), side({"rules": []})
    was = asyncio.run(change.policy.decide(plain())).verdict
    found = replayed(base, change, asked(plain(), verdict=was))
    assert (found.difference.kind, found.then) == (Class.NEWLY_DENIED, Class.UNCHANGED)
    assert replayed(base, change, asked(plain())).then is Class.NOT_EVALUATED
