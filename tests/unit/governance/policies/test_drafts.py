"""Drafts: begun, changed, tried, handed in again; each step on record, nobody's text in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.errors import Code, Denied, Unavailable
from gateway.core.policies import Conflict, Missing, OwnedElsewhere, Owner, Refused
from gateway.core.records import Kind
from gateway.core.rulesets import Unfit
from gateway.governance.policies.cases import Recorded
from gateway.governance.policies.desk import Terms
from gateway.governance.policies.diff import What
from gateway.governance.policies.drafts import LARGEST
from tests.fakes.journal import FakeJournal
from tests.fakes.packs import files, rule
from tests.fakes.policies import FakePolicies
from tests.policymaking import ANN, BASE, BOB, CY, NOBODY, House

LOOSER = files(rules={"house.mask": rule(min_score=0.9)})


async def test_a_draft_begins_with_what_is_in_force() -> None:
    house = await House.open()
    draft = await house.drafts.begin("house", ANN, note=" stricter ")
    assert draft.files == BASE
    assert draft.base == house.packs.digest(BASE)
    assert (draft.author, draft.edition, draft.note) == ("key_ann", 1, "stricter")
    (entry,) = house.noted(Kind.POLICY_DRAFT_SAVED)
    assert entry.facts == {
        "draft": draft.id, "edition": 1, "pack": "house", "base": draft.base, "digest": draft.base,
    }  # fmt: skip
    assert entry.parts == {"note": b"stricter"}


async def test_a_new_pack_begins_with_its_files() -> None:
    house = await House.open()
    with pytest.raises(Missing, match="'new'"):
        await house.drafts.begin("new", ANN)
    draft = await house.drafts.begin("new", ANN, files=files("new"))
    assert draft.base is None


async def test_who_authors_and_nobody_else() -> None:
    house = await House.open()
    draft = await house.drafts.begin("house", ANN)
    for work in (
        house.drafts.begin("house", BOB),
        house.drafts.save(draft.id, 1, BASE, NOBODY),
        house.drafts.change(draft.id, 1, [], BOB),
        house.drafts.add_test(draft.id, 1, "exc_1", "x", BOB),
        house.drafts.validate(draft.id, BOB),
        house.drafts.test(draft.id, BOB),
        house.drafts.replayed(draft.id, 1, {}, BOB),
        house.drafts.reopen("rel_1", BOB),
        house.drafts.drop(draft.id, BOB),
    ):
        with pytest.raises(Denied) as refused:
            await work
        assert refused.value.code is Code.INSUFFICIENT_ROLE
    assert len(house.noted(Kind.POLICY_DRAFT_SAVED)) == 1


async def test_of_two_who_save_the_second_is_told() -> None:
    house = await House.open()
    draft = await house.drafts.begin("house", ANN)
    saved = await house.drafts.save(draft.id, 1, LOOSER, CY, note="mine")
    assert (saved.edition, saved.author, saved.note) == (2, "key_cy", "mine")
    assert [one.key_id for one in saved.hands] == ["key_ann", "key_cy"]
    with pytest.raises(Conflict, match="edition 2"):
        await house.drafts.save(draft.id, 1, BASE, ANN)
    assert (await house.drafts.draft(draft.id)).files == LOOSER


async def test_nothing_is_saved_that_is_not_on_record() -> None:
    journal = FakeJournal()
    house = await House.open(journal=journal)
    draft = await house.drafts.begin("house", ANN)
    journal.failing = Unavailable(Code.AUDIT_UNAVAILABLE, "away")
    with pytest.raises(Unavailable):
        await house.drafts.save(draft.id, 1, LOOSER, ANN)
    assert (await house.drafts.draft(draft.id)).files == BASE


async def test_changes_as_data() -> None:
    house = await House.open()
    draft = await house.drafts.begin("house", ANN)
    changed = await house.drafts.change(
        draft.id, 1, [{"file": "rules.yaml", "text": LOOSER["rules.yaml"]}], ANN
    )
    assert changed.files == LOOSER


@pytest.mark.parametrize(
    "path", ["../x.yaml", "/etc/passwd", "a//b", "a/../b", ".git/config", "a\\b", "", "a/", "a\nb"]
)
async def test_paths_stay_inside_the_pack(path: str) -> None:
    house = await House.open()
    with pytest.raises(ValueError, match="no path"):
        await house.drafts.begin("new", ANN, files={path: "x"})


async def test_a_pack_has_its_measure() -> None:
    house = await House.open()
    with pytest.raises(ValueError, match="5 MB"):
        await house.drafts.begin("new", ANN, files={"a.md": "é" * (LARGEST // 2 + 1)})
    with pytest.raises(ValueError, match="note has"):
        await house.drafts.begin("new", ANN, files=files("new"), note="x" * 5_000)


async def test_a_draft_says_what_it_would_change() -> None:
    house = await House.open()
    draft = await house.drafts.begin("house", ANN, files=LOOSER)
    checked = await house.drafts.validate(draft.id, ANN)
    assert not checked.problems
    (change,) = checked.diff.changes
    assert (change.id, change.what) == ("house.mask", What.CHANGED)
    assert checked.diff.widening
    (entry,) = house.noted(Kind.POLICY_VALIDATED)
    assert entry.facts["problems"] == 0
    assert entry.facts["digest"] == house.packs.digest(LOOSER)


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        ({**BASE, "rules.yaml": "{"}, "cannot be read"),
        (files("other"), "another id"),
        (files("new", rules={"house.mask": rule()}), "twice"),
    ],
)
async def test_what_is_wrong_is_said_and_counted(broken: dict[str, str], what: str) -> None:
    house = await House.open()
    pack = "new" if what == "twice" else "house"
    draft = await house.drafts.begin(pack, ANN, files=broken)
    checked = await house.drafts.validate(draft.id, ANN)
    assert what in checked.problems[0]["what"]
    assert house.noted(Kind.POLICY_VALIDATED)[0].facts["problems"] == 1


async def test_its_tests_are_run_with_those_of_the_packs_beside_it() -> None:
    house = await House.open()
    draft = await house.drafts.begin("new", ANN, files=files("new", tests=["ok", "alone", "fails"]))
    run = await house.drafts.test(draft.id, ANN)
    assert not run.passed
    assert [case.name for case in run.failed] == ["fails"]
    assert [case.name for case in run.together] == ["alone"]
    (entry,) = house.noted(Kind.POLICY_TESTS_RUN)
    assert entry.facts["run"] == 4
    assert (entry.facts["failed"], entry.facts["otherwise_together"]) == (1, 1)


async def test_tests_of_what_cannot_be_read() -> None:
    house = await House.open()
    draft = await house.drafts.begin("house", ANN, files={**BASE, "tests.yaml": "{"})
    with pytest.raises(Unfit):
        await house.drafts.test(draft.id, ANN)


async def test_a_replay_is_evidence_of_the_files_it_was_of() -> None:
    house = await House.open()
    draft = await house.drafts.begin("house", ANN, files=LOOSER)
    summary = {"newly_allowed": 3, "share": 0.5, "samples": ["exc_1"]}
    kept = await house.drafts.replayed(draft.id, 1, summary, ANN)
    assert kept.replay == summary
    (entry,) = house.noted(Kind.POLICY_REPLAY_RUN)
    assert entry.facts["newly_allowed"] == 3
    same = await house.drafts.save(draft.id, 2, LOOSER, ANN, note="only a note")
    assert same.replay == summary
    other = await house.drafts.save(draft.id, 3, files(rules={}), ANN)
    assert other.replay is None


QUESTION: dict[str, Any] = {
    "subject": {"id": "shop", "properties": {"team": "sales", "tags": ["web"], "user": "u-77"}},
    "resource": {"id": "gpt", "properties": {"hosting": "external", "region": None}},
    "context": {
        "time": "2026-11-01T10:00:00Z",
        "findings": [
            {"kind": "pii", "label": "EMAIL_ADDRESS", "where": "/messages/0/content",
             "direction": "input", "score": 0.9},
        ],
        "unavailable": [],
        "request": {"tools": ["search", "search"], "answers": ["text"]},
        "tool_call": None,
        "review": None,
        "session": {"id": "ses_9"},
    },
}  # fmt: skip


async def test_an_exchange_becomes_a_test() -> None:
    house = await House.open()
    house.questions.asked["exc_1"] = Recorded(QUESTION, {"effect": "deny"})
    draft = await house.drafts.begin("house", ANN)
    with_test = await house.drafts.add_test(draft.id, 1, "exc_1", 'she said: "no"', ANN)
    text = with_test.files["tests/exchange-exc_1.yaml"]
    lines = dict(line.strip(" -").split(": ", 1) for line in text.splitlines()[3:])
    assert json.loads(lines["name"]) == 'she said: "no"'
    assert json.loads(lines["expect"]) == {"effect": "deny"}
    assert json.loads(lines["given"]) == {
        "app": "shop",
        "team": "sales",
        "tags": ["web"],
        "model": "gpt",
        "hosting": "external",
        "time": "2026-11-01T10:00:00Z",
        "findings": [{"kind": "pii", "label": "EMAIL_ADDRESS", "direction": "input", "score": 0.9}],
        "tools": ["search"],
        "answers": ["text"],
    }
    assert "u-77" not in text
    assert "ses_9" not in text
    (entry,) = house.noted(Kind.AUDIT_READ)
    assert entry.facts == {"exchange_id": "exc_1", "parts": ["decision", "question"]}
    other = await house.drafts.add_test(draft.id, 2, "exc_1", "x", ANN, {"effect": "allow"})
    assert '{"effect": "allow"}' in other.files["tests/exchange-exc_1.yaml"]


@pytest.mark.parametrize(
    ("id", "recorded", "why"),
    [
        ("exc_2", None, "no question"),
        ("../x", None, "no id"),
        ("exc_1", Recorded({"subject": {}}, {"effect": "deny"}), "older shape"),
        ("exc_1", Recorded(QUESTION, {}), "say what is expected"),
    ],
)
async def test_what_is_no_test(id: str, recorded: Recorded | None, why: str) -> None:
    house = await House.open()
    if recorded is not None:
        house.questions.asked[id] = recorded
    draft = await house.drafts.begin("house", ANN)
    with pytest.raises(ValueError, match=why):
        await house.drafts.add_test(draft.id, 1, id, "x", ANN)


async def test_a_draft_is_dropped() -> None:
    house = await House.open()
    draft = await house.drafts.begin("house", ANN)
    await house.drafts.drop(draft.id, CY)
    for work in (house.drafts.drop(draft.id, ANN), house.drafts.save(draft.id, 1, BASE, ANN)):
        with pytest.raises(Missing):
            await work


async def test_what_is_changed_in_git_is_only_proposed_here() -> None:
    house = await House.open()
    release = await house.releases.publish(files("repo"), "a1b2c3d packs/repo", ANN)
    await house.releases.approve(release.id, release.revision, BOB)
    await house.rollouts.activate(release.id, BOB)
    with pytest.raises(OwnedElsewhere, match=r"Git \(a1b2c3d packs/repo\)"):
        await house.drafts.begin("repo", ANN)
    draft = await house.drafts.begin("repo", ANN, proposing=True)
    assert draft.files == files("repo")
    with pytest.raises(OwnedElsewhere, match="Git"):
        await house.releases.submit(draft.id, 1, ANN)


async def test_what_went_stale_is_opened_again_on_top() -> None:
    house = await House.open()
    mine = await house.handed_in({**BASE, "extra.md": "mine"})
    await house.activated({**LOOSER})
    draft = await house.drafts.reopen(mine.id, CY)
    assert draft.files == {**LOOSER, "extra.md": "mine"}
    assert draft.base == house.packs.digest(LOOSER)
    assert [one.key_id for one in draft.hands] == ["key_ann", "key_cy"]
    assert (await house.releases.submit(draft.id, 1, CY)).base == await house.active()


async def test_what_both_changed_is_not_guessed() -> None:
    house = await House.open()
    mine = await house.handed_in(files(rules={"house.mask": rule(min_score=0.1)}))
    await house.activated({**LOOSER})
    with pytest.raises(Refused, match=r"rules\.yaml"):
        await house.drafts.reopen(mine.id, ANN)


async def test_files_of_the_operator_decide_alone() -> None:
    store = FakePolicies()
    await House.open(store=store)
    fixed = House(store=store, terms=Terms(fixed="policies/mine"))
    with pytest.raises(OwnedElsewhere, match=r"GOVGATE_POLICY__PACK is set.*policies/mine"):
        await fixed.drafts.begin("house", ANN)
    assert await store.owners() == {"house": Owner.CONSOLE}
