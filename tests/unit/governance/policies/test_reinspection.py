"""Phrases that were not looked for then are found as if they had been."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from hypothesis import given, settings

from gateway.adapters.packs import question_of
from gateway.core.passages import Passage
from gateway.core.policies import PackFiles
from gateway.core.policy import Question
from gateway.core.questions import facts_found
from gateway.core.replays import AskedThen
from gateway.governance.policies.classes import Class, Why
from gateway.governance.policies.reinspection import Reinspection, differing
from gateway.governance.policies.replay import Replay
from gateway.inspectors.phrases import PhraseInspector
from gateway.replaying import side_of
from tests.contracts.policy_cases import LISTS, at_random, pack, question
from tests.unit.governance.policies.rulesets import ADMIT, pack_files, rule
from tests.unit.governance.policies.test_replay import AT, uncached

WORDS = ["a gun", "a bow", "acme", "globex", "initech", "straße"]
THEN = "then"


def lists(dice: Random) -> dict[str, list[str]]:
    return {id: dice.sample(WORDS, dice.randint(1, 3)) for id in LISTS}


def texts(dice: Random) -> list[Passage]:
    """Requests with some of the words, in any dress."""
    said = [dice.choice([*WORDS, "A  Gun", "a\nBOW", "AC\u200bME", "Strasse", "agun", "hello"])
            for _ in range(dice.randint(0, 5))]  # fmt: skip
    return [Passage(f"so {one} it is", f"/messages/{n}/content") for n, one in enumerate(said)]


def asked_of(facts: Question, passages: Sequence[Passage], phrases: Any) -> Question:
    """A question as a gateway asks it that looks for these phrases."""
    found = asyncio.run(PhraseInspector(phrases).inspect(passages))
    others = [one for one in facts["context"]["findings"] if one["kind"] != "phrase"]
    context = {**facts["context"], "findings": [*others, *facts_found(found)]}
    return {**facts, "context": context}


def of_request(dice: Random) -> Question:
    facts = question(dice)
    facts["action"]["properties"]["stage"] = "request"
    facts["context"] |= {"tool_call": None}
    return facts


def with_lists(dice: Random) -> PackFiles:
    """Files in which every list matters."""
    documents = pack(dice) if dice.random() < 0.5 else {"rules": []}
    words = [
        rule(f"word.{id}", "phrase", dice.choice(["deny", "review"]), direction="input", list=id)
        for id in LISTS
    ]
    stays = rule("stays", "residency", labels=[LISTS[0]], hosting=["internal"])
    return pack_files(
        {**documents, "rules": [*documents["rules"], ADMIT, *words, stays]}, lists(dice)
    )


@settings(max_examples=30, deadline=None)
@given(at_random(lambda dice: dice))
def test_it_is_equal_to_deciding_live_by_the_lists_of_the_change(dice: Random) -> None:
    then, base, change = (with_lists(dice) for _ in range(3))
    base = dice.choice([then, base])
    known = [side_of([files]) for files in (then, base, change)]
    phrases = [side.rules.phrases for side in known]
    engines = [uncached(files) for files in (base, change)]
    replay = Replay(known[1], known[2], looking=PhraseInspector)
    replay.learn(THEN, phrases[0])
    for _ in range(8):
        facts, passages = of_request(dice), texts(dice)
        one = AskedThen(
            "exc_1", AT, "shop", "t", "m", 5, asked_of(facts, passages, phrases[0]), None, THEN
        )
        found = asyncio.run(replay.compare(one))
        if found.by_text:
            assert found.why is Why.LISTS_CHANGED
            found = asyncio.run(replay.inspect(one, passages))
            assert found.inspected
        if found.why is not None:
            continue
        live = [
            asyncio.run(engine.decide(asked_of(facts, passages, words))).verdict
            for engine, words in zip(engines, phrases[1:], strict=True)
        ]
        assert [found.before, found.after] == live


def findings(kinds: Mapping[str, str], direction: str = "input") -> list[dict[str, Any]]:
    return [
        {"kind": kind, "label": label, "where": "/x", "direction": direction, "score": 1.0}
        for label, kind in kinds.items()
    ]


def put(then: Any, now: Any, facts: Sequence[dict[str, Any]], *said: str) -> list[dict[str, Any]]:
    """The findings of a question after it was inspected again."""
    again = Reinspection([now], PhraseInspector)
    again.learn(THEN, then)
    asked = question_of({})
    asked = {**asked, "context": {**asked["context"], "findings": list(facts)}}
    passages = [Passage(text, f"/messages/{n}/content") for n, text in enumerate(said)]
    [found] = asyncio.run(again.questions(THEN, asked, passages))
    assert {**found, "context": None} == {**asked, "context": None}
    told: list[dict[str, Any]] = found["context"]["findings"]
    return told


def test_only_lists_that_changed_are_looked_for() -> None:
    """The text on record is masked: what was found in the text itself is not lost."""
    facts = findings({"weapons": "phrase", "rivals": "phrase", "PERSON": "pii"})
    then, now = {"weapons": ["a gun"], "rivals": ["acme"]}, {"weapons": ["a gun"], "rivals": ["z"]}
    kept = findings({"weapons": "phrase", "PERSON": "pii"})
    assert put(then, now, facts, "acme") == kept
    found = {**findings({"rivals": "phrase"})[0], "where": "/messages/1/content"}
    assert put(then, now, facts, "a gun", "a Z") == [*kept, found]
    assert put(then, then, facts, "nothing") == facts
    assert put(then, {"rivals": ["acme"]}, facts, "a gun") == facts[1:]


def test_what_is_no_phrase_of_the_request_stays() -> None:
    facts = [*findings({"rivals": "secret"}), *findings({"rivals": "phrase"}, "output")]
    assert put({}, {"rivals": ["acme"]}, facts, "nothing") == facts


def test_lists_differ_by_their_phrases_and_not_by_their_order() -> None:
    assert differing({"a": ["x", "y"], "b": []}, {"a": ["y", "x"]}) == frozenset()
    assert differing({"a": ["x"], "b": ["y"]}, {"b": ["z"]}) == {"a", "b"}


def test_both_sides_share_what_looks_for_the_same() -> None:
    made: list[Any] = []

    def looking(lists: Any) -> PhraseInspector:
        made.append(lists)
        return PhraseInspector(lists)

    again = Reinspection([{"a": ["x"]}, {"a": ["x"], "b": ["y"]}, {"a": ["x"]}], looking)
    again.learn(THEN, {"b": ["y"]})
    again.learn("other", {"b": ["y"], "c": ["z"]})
    assert made == []
    for revision in (THEN, "other", THEN):
        asyncio.run(again.questions(revision, question_of({}), [Passage("x y", "/x")]))
    assert made == [{"a": ["x"]}]  # for three sides, and twice


def test_what_is_denied_by_a_new_phrase_is_newly_denied() -> None:
    word = rule("word", "phrase", "deny", direction="input", list="weapons")
    base = side_of([pack_files({"rules": [ADMIT, word]})])
    change = side_of([pack_files({"rules": [ADMIT, word]}, {"weapons": ["a gun", "a bow"]})])
    replay = Replay(base, change, looking=PhraseInspector)
    replay.learn(THEN, base.rules.phrases)
    one = AskedThen("exc_1", AT, "shop", "t", "m", 5, question_of({}), None, THEN)
    for text, kind in (("has a bow", Class.NEWLY_DENIED), ("elbow", Class.UNCHANGED)):
        found = asyncio.run(replay.inspect(one, [Passage(text, "/x")]))
        assert (found.difference.kind, found.inspected) == (kind, True)
