"""Replays of drafts and files: who may run them, and what stays on record."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.adapters.packs import question_of
from gateway.core.audit import Filters, Scope
from gateway.core.errors import Denied
from gateway.core.passages import Passage
from gateway.core.policies import PackFiles, Release, Rollout, Version
from gateway.core.records import Kind
from gateway.core.replays import (
    MOST_REPLAYED,
    AskedThen,
    Batch,
    Chosen,
    Seen,
    Unread,
    Unseen,
    Wanted,
)
from gateway.governance.policies.replay import Side
from gateway.governance.policies.replay_result import MOST_SAMPLES, as_text
from gateway.governance.policies.replays import PAGE, Replays
from gateway.inspectors.phrases import PhraseInspector
from gateway.lifecycle import YamlPacks
from gateway.replaying import side_of
from tests.policymaking import ANN, NOBODY, House
from tests.unit.governance.policies.rulesets import ADMIT, pack_files, rule

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DENY = rule("pii.deny", "pii", "deny", direction="input", labels=["PERSON"])
HOLD = {**DENY, "id": "pii.hold", "on_match": "review"}
WORD = rule("word.deny", "phrase", "deny", direction="input", list="weapons")
BASE = pack_files({"rules": [ADMIT]})
FOUND = [{"kind": "pii", "label": "PERSON", "score": 0.9}]


class Recorded:
    """Implements `RecordedQuestions` over questions in memory."""

    def __init__(self, count: int, revision: str) -> None:
        self.asked = [self._one(number, revision) for number in range(count)]
        self.pages: list[int] = []
        self.hangs: asyncio.Event | None = None

    def _one(self, number: int, revision: str) -> AskedThen:
        facts = {"app": f"app-{number % 3}", "findings": FOUND if number % 2 else []}
        at = NOW - timedelta(hours=number)
        id = f"exc_{number}"
        return AskedThen(
            id, at, f"app-{number % 3}", "t", "m", 7, question_of(facts), None, revision
        )

    async def choose(self, scope: Scope, wanted: Wanted) -> Chosen:
        assert scope == Scope("default")
        return Chosen(range(len(self.asked))[: wanted.most], len(self.asked))

    async def read(self, scope: Scope, numbers: Sequence[int]) -> Batch:
        self.pages.append(len(numbers))
        if self.hangs is not None:
            self.hangs.set()
            await asyncio.Event().wait()
        return Batch([self.asked[number] for number in numbers], {Unread.ERASED: 1})


class Texts:
    """Implements `RecordedTexts` in memory: two of them at a time."""

    def __init__(self) -> None:
        self.seen: dict[str, Seen] = {}
        self.asked: list[str] = []
        self.hangs: asyncio.Event | None = None

    async def read(self, exchange_ids: Collection[str]) -> AsyncIterator[Mapping[str, Seen]]:
        if self.hangs is not None:
            self.hangs.set()
            await asyncio.Event().wait()
        ids = list(exchange_ids)
        self.asked += ids
        for some in batched(ids, 2):
            yield {id: self.seen.get(id, Unseen.NOT_RECORDED) for id in some}


def batched(ids: Sequence[str], count: int) -> Sequence[Sequence[str]]:
    return [ids[start : start + count] for start in range(0, len(ids), count)]


class Site:
    """A house with the real packs, and replays in it."""

    def __init__(self, house: House, count: int, revision: str = "") -> None:
        self.house = house
        self.recorded = Recorded(count, revision or side_of([BASE]).rules.revision)
        self.sides: list[Sequence[PackFiles]] = []
        self.texts = Texts()
        self.replays = Replays(
            house.desk, house.drafts, self.recorded, self.texts, self._side, PhraseInspector, [BASE]
        )

    async def activated(self, files: PackFiles) -> None:
        """Files in force in the place of what was, without the ways of people."""
        store, rules = self.house.store, side_of([files]).rules
        digest = self.house.packs.digest(files)
        await store.add_version(Version(digest, "made-up", "1.0.0", files, "ann", NOW))
        id = f"rel_{rules.revision[-8:]}"
        packs = {"made-up": digest}
        await store.add_release(Release(id, rules.revision, packs, None, "ann", NOW, False))
        rollout = (await store.standing()).rollout
        assert rollout is not None
        await store.move(Rollout(rollout.number + 1, id, rollout.active))

    def _side(self, packs: Sequence[PackFiles]) -> Side:
        self.sides.append(packs)
        return side_of(packs)


async def site(count: int = 30, **more: Any) -> Site:
    house = House(packs=YamlPacks())
    await house.rollouts.begin(BASE)
    return Site(house, count, **more)


def wanted(most: int = 10_000, **filters: Any) -> Wanted:
    return Wanted(Filters(**filters), most)


async def test_a_replay_counts_and_names() -> None:
    here = await site(PAGE + 41)
    changed = pack_files({"rules": [ADMIT, DENY]})
    told = await here.replays.of_files(changed, ANN, wanted(since=NOW - timedelta(days=30)))
    count, half = PAGE + 41, (PAGE + 41) // 2
    assert here.recorded.pages == [PAGE, 41]
    assert (told["replayed"], told["newly_denied"], told["unchanged"]) == (
        count,
        half,
        count - half,
    )
    assert told["unread_erased"] == 2  # one of each page
    assert told["shares"]["newly_denied"] == round(half / count, 6)
    assert sum(told["then"].values()) == count
    named = told["top"]["newly_denied"]
    assert named["rules"] == {"pii.deny": half}
    assert Counter(named["apps"]).total() == half
    assert told["samples"]["newly_denied"] == [f"exc_{n}" for n in range(1, 2 * MOST_SAMPLES, 2)]
    assert told["cost_denied_micro_usd"] == 7 * half
    assert told["widening"] == 0
    assert json.loads(json.dumps(told)) == told
    text = as_text(told)
    assert "newly denied" in text
    assert "exc_1" in text
    assert "cannot be read: their payloads are gone" in text
    # it stands on record, and twice the same is found
    [entry] = here.house.noted(Kind.POLICY_REPLAY_RUN)
    assert entry.facts["newly_denied"] == half
    assert entry.facts["pack"] == "made-up"
    again = await here.replays.of_files(changed, ANN, wanted(since=NOW - timedelta(days=30)))
    assert {**again, "until": ""} == {**told, "until": ""}


async def test_what_a_change_does_is_told_both_ways() -> None:
    here = await site(48)
    await here.activated(pack_files({"rules": [ADMIT, DENY]}))
    told = await here.replays.of_files(pack_files({"rules": [ADMIT, HOLD]}), ANN, wanted())
    assert (told["newly_held"], told["widening"]) == (24, 24)
    assert told["reviews_per_day"]["before"] == 0
    assert 11 < told["reviews_per_day"]["after"] <= 12.3  # 24 in two days, more or less
    assert "WARNING: 24 of them let more pass" in as_text(told)
    freed = await here.replays.of_files(BASE, ANN, wanted())
    assert (freed["newly_allowed"], freed["widening"]) == (24, 24)
    assert freed["cost_denied_micro_usd"] == 0


async def test_a_sample_stands_for_all() -> None:
    here = await site(48)
    changed = pack_files({"rules": [ADMIT, HOLD]})
    filters = Filters(since=NOW - timedelta(days=2), until=NOW)
    told = await here.replays.of_files(changed, ANN, Wanted(filters, 24, sample=True))
    assert (told["sampled"], told["matched"], told["replayed"]) == (True, 48, 24)
    assert told["reviews_per_day"]["after"] == 12


async def test_the_result_of_a_draft_is_kept_with_it() -> None:
    here = await site()
    draft = await here.house.drafts.begin(
        "made-up", ANN, files=pack_files({"rules": [ADMIT, DENY]})
    )
    told = await here.replays.of_draft(draft.id, ANN, wanted())
    kept = await here.house.drafts.draft(draft.id)
    assert kept.replay == told
    [entry] = here.house.noted(Kind.POLICY_REPLAY_RUN)
    assert entry.facts["draft"] == draft.id
    assert entry.facts["newly_denied"] == told["newly_denied"] == 15


async def test_lists_of_a_revision_are_found_in_what_is_kept() -> None:
    """What decided then is not in force any more; its lists are composed again."""
    old = pack_files({"rules": [ADMIT, WORD]}, {"weapons": ["a bow"]})
    here = await site(revision=side_of([old]).rules.revision)
    await here.activated(old)
    new = pack_files({"rules": [ADMIT, WORD]})
    await here.activated(new)
    told = await here.replays.of_files(new, ANN, wanted())
    assert told["reasons"] == {"text_not_recorded": 30}
    told = await here.replays.of_files(old, ANN, wanted())
    assert told["reasons"] == {"text_not_recorded": 30}  # what is in force cannot be told, either
    stranger = await site(revision="sha256:nobody")
    await stranger.activated(new)
    told = await stranger.replays.of_files(new, ANN, wanted())
    assert told["reasons"] == {"lists_unknown": 30}
    assert stranger.texts.asked == []
    assert "it is not known which phrases" in as_text(told)


MORE = {"weapons": ["a gun", "a bow"]}


async def test_texts_are_inspected_for_phrases_that_are_new() -> None:
    here = await site()
    await here.activated(pack_files({"rules": [ADMIT, WORD]}))
    for one, number in zip(here.recorded.asked, range(30), strict=True):
        said = "I want a bow" if number % 5 == 0 else "I want a bowl"
        here.texts.seen[one.exchange_id] = [Passage(said, "/messages/0/content")]
    here.texts.seen["exc_7"] = Unseen.GONE
    here.texts.seen["exc_8"] = Unseen.WITHHELD
    here.texts.seen["exc_9"] = Unseen.TOO_LONG
    here.texts.seen["exc_11"] = Unseen.UNREADABLE
    told = await here.replays.of_files(pack_files({"rules": [ADMIT, WORD]}, MORE), ANN, wanted())
    assert (told["inspected"], told["newly_denied"], told["unchanged"]) == (26, 6, 20)
    assert told["samples"]["newly_denied"] == [f"exc_{n}" for n in range(0, 30, 5)]
    reasons = ["gone", "too_long", "unreadable", "withheld"]
    assert told["reasons"] == {f"text_{why}": 1 for why in reasons}
    assert "bow" not in json.dumps(told)
    [entry] = here.house.noted(Kind.POLICY_REPLAY_RUN)
    assert entry.facts["inspected"] == 26
    assert "requests inspected for phrases: 26" in as_text(told)
    draft = await here.house.drafts.begin(
        "made-up", ANN, files=pack_files({"rules": [ADMIT, WORD]}, MORE)
    )
    again = await here.replays.of_draft(draft.id, ANN, wanted())
    assert again["newly_denied"] == 6
    assert here.house.noted(Kind.POLICY_REPLAY_RUN)[-1].facts["inspected"] == 26


async def test_no_text_is_read_that_is_not_needed() -> None:
    here = await site()
    elsewhere = {**WORD, "when": {"apps": ["app-1"]}}
    await here.activated(pack_files({"rules": [ADMIT, DENY]}))
    told = await here.replays.of_files(pack_files({"rules": [ADMIT]}), ANN, wanted())
    assert (told["inspected"], here.texts.asked) == (0, [])
    assert "inspected" not in as_text(told)
    change = pack_files({"rules": [ADMIT, elsewhere]}, MORE)
    await here.replays.of_files(change, ANN, wanted())
    assert here.texts.asked == [f"exc_{n}" for n in range(1, 30, 3)]


async def test_the_inspection_of_texts_can_be_broken_off() -> None:
    here = await site()
    here.texts.hangs = asyncio.Event()
    change = pack_files({"rules": [ADMIT, WORD]}, MORE)
    running = asyncio.create_task(here.replays.of_files(change, ANN, wanted()))
    await here.texts.hangs.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert here.house.noted(Kind.POLICY_REPLAY_RUN) == []


async def test_only_authors_replay() -> None:
    here = await site()
    with pytest.raises(Denied):
        await here.replays.of_files(BASE, NOBODY, wanted())
    with pytest.raises(Denied):
        await here.replays.of_draft("drf_1", NOBODY, wanted())
    assert here.recorded.pages == []
    assert here.house.noted(Kind.POLICY_REPLAY_RUN) == []


async def test_a_replay_can_be_broken_off() -> None:
    here = await site()
    here.recorded.hangs = asyncio.Event()
    running = asyncio.create_task(here.replays.of_files(BASE, ANN, wanted()))
    await here.recorded.hangs.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert here.house.noted(Kind.POLICY_REPLAY_RUN) == []


@pytest.mark.parametrize("most", [0, MOST_REPLAYED + 1])
def test_a_replay_has_an_end(most: int) -> None:
    with pytest.raises(ValueError, match="1 to 1,000,000"):
        Wanted(Filters(), most)
