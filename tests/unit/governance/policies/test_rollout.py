"""Into force and out of it: who may, when, and what of two at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import orjson
import pytest

from gateway.core.errors import Code, Denied, Unavailable
from gateway.core.policies import (
    Approval,
    Canary,
    Conflict,
    Missing,
    Node,
    OwnedElsewhere,
    Person,
    Refused,
    Rollout,
    Step,
)
from gateway.core.records import Kind
from gateway.governance.policies.desk import SYSTEM, Terms
from tests.fakes.journal import FakeJournal
from tests.fakes.packs import FakePacks, files, rule
from tests.fakes.policies import FakePolicies
from tests.policymaking import ANN, BASE, BOB, CI, CY, NOBODY, ROOT, House

ONE = files(rules={"house.mask": rule(min_score=0.1)})
TWO = files(rules={"house.mask": rule(min_score=0.2)})
TENTH = Canary(10)


async def standing(house: House) -> Rollout:
    """What is in force."""
    rollout = (await house.store.standing()).rollout
    assert rollout is not None
    return rollout


async def test_what_is_approved_comes_into_force() -> None:
    house = await House.open()
    first = await house.active()
    release, rollout = await house.activated(ONE)
    assert (rollout.number, rollout.active, rollout.previous) == (2, release.id, first)
    assert (rollout.changed_by, rollout.changed_user) == ("key_bob", "bob")
    assert (await house.store.standing()).rollout == rollout
    entry = house.noted(Kind.POLICY_ACTIVATED)[-1]
    assert entry.facts == {
        "release": release.id, "revision": release.revision, "number": 2, "step": "activated",
    }  # fmt: skip
    assert isinstance(house.journal, FakeJournal)
    assert rollout.record == house.journal.written[-1].receipt.entry_id


async def test_who_may_do_what() -> None:
    house = await House.open()
    release = await house.approved(ONE)
    for who in (CI, NOBODY):
        for work in (
            house.rollouts.shadow(release.id, who),
            house.rollouts.canary(release.id, TENTH, who),
            house.rollouts.activate(release.id, who),
            house.rollouts.roll_back(who),
            house.rollouts.break_glass(release.id, who, "x"),
        ):
            with pytest.raises(Denied):
                await work
    with pytest.raises(Denied):
        await house.rollouts.break_glass(release.id, BOB, "approvers do not")
    assert len(await house.store.rollouts()) == 1


async def test_an_author_may_activate_what_another_approved() -> None:
    house = await House.open()
    release = await house.approved(ONE, author=CY)
    assert (await house.rollouts.activate(release.id, CY)).active == release.id


async def test_what_is_not_approved_does_not() -> None:
    house = await House.open()
    release = await house.handed_in(ONE)
    for work in (
        house.rollouts.activate(release.id, ROOT),
        house.rollouts.canary(release.id, TENTH, ROOT),
    ):
        with pytest.raises(Refused, match="approved by 0 of 1"):
            await work
    with pytest.raises(Missing):
        await house.rollouts.activate("rel_9", ROOT)
    await house.releases.reject(release.id, release.revision, BOB, "no")
    for work in (
        house.rollouts.activate(release.id, ROOT),
        house.rollouts.canary(release.id, TENTH, ROOT),
        house.rollouts.shadow(release.id, ROOT),
    ):
        with pytest.raises(Refused, match="rejected"):
            await work
    assert len(house.noted(Kind.POLICY_ACTIVATED)) == 1
    assert house.noted(Kind.POLICY_CANARY_SET) == []


async def test_what_is_stale_does_not() -> None:
    house = await House.open()
    late = await house.approved(ONE)
    await house.activated(TWO)
    for work in (
        house.rollouts.activate(late.id, BOB),
        house.rollouts.canary(late.id, TENTH, BOB),
    ):
        with pytest.raises(Refused, match="hand it in again"):
            await work


async def test_what_says_something_else_by_now_does_not() -> None:
    packs = FakePacks()
    house = await House.open(packs=packs)
    release = await house.approved(ONE)
    packs.library = "2"
    for work in (
        house.rollouts.activate(release.id, BOB),
        house.rollouts.shadow(release.id, BOB),
    ):
        with pytest.raises(Refused, match="another way"):
            await work
    packs.library = "1"
    assert await house.rollouts.activate(release.id, BOB)


async def test_what_is_in_force_is_not_activated_again() -> None:
    house = await House.open()
    release, _ = await house.activated(ONE)
    for work in (
        house.rollouts.activate(release.id, BOB),
        house.rollouts.roll_back(BOB, to=release.id),
        house.rollouts.break_glass(release.id, ROOT, "x"),
    ):
        with pytest.raises(Refused, match="is in force"):
            await work


async def test_of_two_at_once_one_comes_through() -> None:
    house = await House.open()
    one, two = await house.approved(ONE), await house.approved(TWO)
    journal = house.journal
    assert isinstance(journal, FakeJournal)
    journal.gate = asyncio.Event()
    work = [
        asyncio.ensure_future(house.rollouts.activate(release.id, who))
        for release, who in ((one, BOB), (two, CY))
    ]
    while not all(task.done() for task in work):
        journal.gate.set()
        await asyncio.sleep(0)
    ends = [task.exception() for task in work]
    assert [type(end) for end in ends].count(Conflict) == 1
    told = [e.facts for e in house.noted(Kind.POLICY_ACTIVATED) if e.facts["number"] == 2]
    undone = [facts for facts in told if facts.get("undone") == "conflict"]
    assert len(told) == 3
    (standing,) = await house.store.rollouts(1)
    assert [facts["entry"] for facts in undone] != [standing.record]
    assert undone[0]["release"] != standing.active


async def test_nothing_changes_that_is_not_on_record() -> None:
    journal = FakeJournal()
    house = await House.open(journal=journal)
    release = await house.approved(ONE)
    journal.failing = Unavailable(Code.AUDIT_UNAVAILABLE, "away")
    for work in (
        house.rollouts.activate(release.id, BOB),
        house.rollouts.shadow(release.id, BOB),
        house.rollouts.break_glass(release.id, ROOT, "x"),
    ):
        with pytest.raises(Unavailable):
            await work
    assert len(await house.store.rollouts()) == 1


async def test_a_shadow_is_asked_and_ended_without_approval() -> None:
    house = await House.open()
    release = await house.handed_in(ONE)
    shadowed = await house.rollouts.shadow(release.id, BOB, "two days")
    assert (shadowed.shadow, shadowed.active, shadowed.step) == (
        release.id, await house.active(), Step.SHADOW,
    )  # fmt: skip
    with pytest.raises(Refused, match="so already"):
        await house.rollouts.shadow(release.id, BOB)
    assert (await house.rollouts.shadow(None, BOB)).shadow is None
    assert house.noted(Kind.POLICY_SHADOW_STARTED)[0].parts == {"reason": b"two days"}
    assert house.noted(Kind.POLICY_SHADOW_ENDED)[0].facts["release"] == release.id


async def test_a_shadow_that_is_activated_ends() -> None:
    house = await House.open()
    release, other = await house.approved(ONE), await house.handed_in(TWO)
    await house.rollouts.shadow(release.id, BOB)
    assert (await house.rollouts.activate(release.id, BOB)).shadow is None
    await house.rollouts.shadow(other.id, BOB)
    assert (await house.rollouts.roll_back(BOB)).shadow == other.id


async def test_a_canary_is_set_moved_and_ended() -> None:
    house = await House.open()
    release = await house.approved(ONE)
    before = await house.active()
    tried = await house.rollouts.canary(release.id, Canary(5, ("sales",), ("key_1",)), BOB)
    assert (tried.active, tried.trying, tried.step) == (before, release.id, Step.CANARY)
    (entry,) = house.noted(Kind.POLICY_CANARY_SET)
    assert (entry.facts["percent"], entry.facts["teams"], entry.facts["keys"]) == (5, 1, 1)
    assert orjson.loads(entry.parts["canary"])["teams"] == ["sales"]
    moved = await house.rollouts.canary(release.id, Canary(50), BOB)
    assert moved.canary == Canary(50)
    ended = await house.rollouts.canary(None, None, BOB)
    assert (ended.trying, ended.canary, ended.active) == (None, None, before)
    with pytest.raises(Refused, match="on trial"):
        await house.rollouts.canary(None, None, BOB)


@pytest.mark.parametrize("canary", [Canary(-1), Canary(101), Canary(0)])
async def test_a_canary_that_says_nothing(canary: Canary) -> None:
    house = await House.open()
    release = await house.approved(ONE)
    with pytest.raises(ValueError, match="canary"):
        await house.rollouts.canary(release.id, canary, BOB)


@pytest.mark.parametrize("back", [False, True])
async def test_a_canary_ends_with_what_it_was_tried_on(back: bool) -> None:
    house = await House.open()
    await house.activated(TWO)
    one, other = await house.approved(ONE), await house.approved({**ONE, "x.md": "x"})
    await house.rollouts.canary(one.id, TENTH, BOB)
    moved = await (
        house.rollouts.roll_back(BOB) if back else house.rollouts.activate(other.id, BOB)
    )
    assert (moved.trying, moved.canary) == (None, None)


async def test_a_canary_ends_when_its_release_is_rejected() -> None:
    house = await House.open()
    release, other = await house.approved(ONE), await house.approved(TWO)
    before = await house.active()
    await house.rollouts.shadow(other.id, BOB)
    await house.rollouts.canary(release.id, TENTH, BOB)
    await house.releases.reject(other.id, other.revision, CY, "not that")
    assert (await standing(house)).trying == release.id
    judged = await house.releases.reject(release.id, release.revision, CY, "worse")
    assert judged.rejected == [Person("key_cy")]
    ended = await standing(house)
    assert (ended.trying, ended.canary, ended.step) == (None, None, Step.CANARY)
    assert (ended.active, ended.shadow, ended.changed_by) == (before, other.id, "key_cy")
    entry = house.noted(Kind.POLICY_CANARY_SET)[-1]
    assert entry.facts == {
        "release": release.id, "revision": release.revision, "percent": 0, "rejected": True,
        "number": ended.number, "step": "canary",
    }  # fmt: skip
    assert entry.parts == {"reason": f"{release.id} was rejected".encode()}


async def test_a_rejection_that_was_cut_short_is_made_whole_by_repeating_it() -> None:
    class Cut(FakePolicies):
        away = False

        async def move(self, rollout: Rollout) -> None:
            if self.away:
                raise Unavailable(Code.AUDIT_UNAVAILABLE, "away")
            await super().move(rollout)

    store = Cut()
    house = await House.open(store=store)
    release = await house.approved(ONE)
    await house.rollouts.canary(release.id, TENTH, BOB)
    store.away = True
    with pytest.raises(Unavailable):
        await house.releases.reject(release.id, release.revision, CY, "worse")
    assert (await standing(house)).trying == release.id
    store.away = False
    with pytest.raises(Refused, match="already"):
        await house.releases.reject(release.id, release.revision, CY, "worse")
    assert (await standing(house)).trying is None


async def test_a_second_yes_that_becomes_a_no_ends_nothing() -> None:
    house = await House.open()
    release = await house.approved(ONE)
    await house.rollouts.canary(release.id, TENTH, BOB)
    with pytest.raises(Refused, match="already"):
        await house.releases.reject(release.id, release.revision, BOB, "second thoughts")
    assert (await standing(house)).trying == release.id


async def test_a_canary_ends_though_another_moves_at_the_same_moment() -> None:
    class Racing(FakePolicies):
        race: Rollout | None = None

        async def move(self, rollout: Rollout) -> None:
            if self.race is not None:
                other, self.race = self.race, None
                await super().move(other)
            await super().move(rollout)

    store = Racing()
    house = await House.open(store=store)
    release = await house.approved(ONE)
    tried = await house.rollouts.canary(release.id, TENTH, BOB)
    store.race = replace(tried, number=tried.number + 1, canary=Canary(50))
    await house.releases.reject(release.id, release.revision, CY, "worse")
    ended = await standing(house)
    assert (ended.number, ended.trying) == (tried.number + 2, None)
    assert [e.facts.get("undone") for e in house.noted(Kind.POLICY_CANARY_SET)] == [
        None, None, "conflict", None,
    ]  # fmt: skip


async def test_what_is_rejected_while_it_is_put_on_trial_is_not_on_trial() -> None:
    class Late(FakePolicies):
        async def move(self, rollout: Rollout) -> None:
            if rollout.trying is not None:
                no = Approval(rollout.trying, "key_cy", False, "no", house.at)
                await self.add_approval(no)
            await super().move(rollout)

    house = await House.open(store=Late())
    release = await house.approved(ONE)
    with pytest.raises(Refused, match="rejected"):
        await house.rollouts.canary(release.id, TENTH, BOB)
    assert (await standing(house)).trying is None


async def test_back_in_one_step_and_further_back_in_two() -> None:
    house = await House.open()
    first = await house.active()
    one, _ = await house.activated(ONE)
    two, _ = await house.activated(TWO)
    back = await house.rollouts.roll_back(BOB, "worse")
    assert (back.active, back.previous, back.step) == (one.id, first, Step.ROLLED_BACK)
    entry = house.noted(Kind.POLICY_ROLLED_BACK)[0]
    assert entry.facts["from"] == two.id
    assert entry.parts == {"reason": b"worse"}
    further = await house.rollouts.roll_back(BOB)
    assert (further.active, further.previous) == (first, None)
    with pytest.raises(Refused, match="nothing was in force before"):
        await house.rollouts.roll_back(BOB)
    assert (await house.rollouts.roll_back(BOB, to=two.id)).active == two.id


async def test_back_to_what_never_was_is_no_way_round_approval() -> None:
    house = await House.open()
    release = await house.approved(ONE)
    await house.rollouts.canary(release.id, TENTH, BOB)
    with pytest.raises(Refused, match="never in force"):
        await house.rollouts.roll_back(BOB, to=release.id)
    with pytest.raises(Refused, match="never in force"):
        await house.rollouts.roll_back(BOB, to="rel_9")


async def test_nor_to_what_was_rejected_since() -> None:
    house = await House.open()
    release = await house.handed_in(ONE)
    await house.rollouts.break_glass(release.id, ROOT, "an emergency")
    await house.releases.reject(release.id, release.revision, BOB, "never")
    await house.rollouts.roll_back(BOB)
    with pytest.raises(Refused, match="rejected"):
        await house.rollouts.roll_back(BOB, to=release.id)


async def test_the_glass_is_broken_with_a_reason() -> None:
    house = await House.open()
    release = await house.handed_in(ONE)
    await house.activated(TWO)
    with pytest.raises(ValueError, match="a reason"):
        await house.rollouts.break_glass(release.id, ROOT, "  ")
    rollout = await house.rollouts.break_glass(release.id, ROOT, "all is refused")
    assert (rollout.active, rollout.step, rollout.why) == (
        release.id, Step.BREAK_GLASS, "all is refused",
    )  # fmt: skip
    (entry,) = house.noted(Kind.POLICY_BREAK_GLASS)
    assert entry.facts["approvals"] == 0
    assert entry.facts["stale"] is True
    assert entry.parts == {"reason": b"all is refused"}
    assert (await house.rollouts.roll_back(BOB)).active != release.id


async def test_what_is_shipped_comes_first() -> None:
    house = House()
    with pytest.raises(Refused, match="start a gateway"):
        await house.rollouts.shadow("rel_1", BOB)
    rollout = await house.rollouts.begin(BASE)
    assert rollout is not None
    assert (rollout.number, rollout.step, rollout.changed_by) == (1, Step.FIRST, "system")
    assert await house.rollouts.begin(ONE) == rollout
    kinds = [entry.kind for entry in house.noted()]
    assert kinds == [Kind.POLICY_OWNERSHIP_CHANGED, Kind.POLICY_ACTIVATED]
    release = await house.store.release(rollout.active)
    assert release is not None
    assert release.author == SYSTEM.key_id


async def test_of_many_gateways_one_begins() -> None:
    store, journal = FakePolicies(), FakeJournal()
    houses = [House(store=store, journal=journal) for _ in range(5)]
    begun = await asyncio.gather(
        *(house.rollouts.begin(BASE, lambda: asyncio.sleep(0)) for house in houses)
    )
    assert len({rollout.active for rollout in begun if rollout}) == 1
    assert len(store.moves) == 1
    assert journal.kinds().count(Kind.POLICY_ACTIVATED) == 1


async def test_files_of_the_operator_decide_alone() -> None:
    store = FakePolicies()
    fixed = House(store=store, terms=Terms(fixed="policies/mine"))
    assert await fixed.rollouts.begin(BASE) is None
    assert store.moves == []
    for work in (
        fixed.rollouts.shadow(None, ROOT),
        fixed.rollouts.canary(None, None, ROOT),
        fixed.rollouts.activate("rel_1", ROOT),
        fixed.rollouts.roll_back(ROOT),
        fixed.rollouts.break_glass("rel_1", ROOT, "x"),
        fixed.releases.approve("rel_1", "r", ROOT),
        fixed.releases.reject("rel_1", "r", ROOT, "x"),
        fixed.releases.publish(BASE, "x", ROOT),
        fixed.releases.retire("house", ROOT),
    ):
        with pytest.raises(OwnedElsewhere, match="GOVGATE_POLICY__PACK"):
            await work


async def test_a_node_says_that_it_follows() -> None:
    house = await House.open()
    node = Node("nod_1", "a host", "sha256:r", 1, 0, house.at)
    await house.rollouts.acknowledged(node)
    await house.rollouts.acknowledged(replace(node, problem="no engine"))
    well, ill = house.noted(Kind.POLICY_NODE_ACKNOWLEDGED)
    assert well.facts == {
        "node": "nod_1", "number": 1, "revision": "sha256:r", "stops": 0, "follows": True,
    }  # fmt: skip
    assert (ill.facts["follows"], ill.parts) == (False, {"problem": b"no engine"})
    assert "a host" not in str(well.facts)


async def test_notes_and_reasons_have_their_measure() -> None:
    house = await House.open()
    release = await house.approved(ONE)
    with pytest.raises(ValueError, match="characters at most"):
        await house.rollouts.activate(release.id, BOB, "x" * 4_001)
    assert ANN.key_id != await house.active()
