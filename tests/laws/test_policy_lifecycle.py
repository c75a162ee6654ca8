"""Nothing is ever active that nobody approved, but by broken glass, which is on record.

Random people do random things in random order, over the fake store and both databases.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.adapters.store.policies import SqlPolicies
from gateway.core.errors import Denied
from gateway.core.ids import new_id
from gateway.core.policies import Canary, Person, PolicyStore, Release, Rollout, Step
from gateway.core.principal import Principal
from gateway.core.records import Kind
from gateway.core.roles import Role
from gateway.governance.policies.desk import Terms
from gateway.governance.policies.moving import KINDS
from tests.databases import Database
from tests.fakes.journal import FakeJournal
from tests.fakes.packs import files, rule
from tests.fakes.policies import FakePolicies
from tests.policymaking import House, somebody

BOTH = (Role.POLICY_AUTHOR, Role.POLICY_APPROVER)
PEOPLE = [
    somebody("key_a", *BOTH, user="ann"),
    somebody("key_a2", *BOTH, user="ann"),
    somebody("key_b", *BOTH, user="bob"),
    somebody("key_c", Role.POLICY_AUTHOR),
    somebody("key_d", Role.POLICY_APPROVER),
    somebody("key_r", Role.ADMIN),
    somebody("key_n", Role.DEVELOPER),
]
TEXTS = [files(rules={"house.mask": rule(min_score=score)}) for score in (0.1, 0.5, 0.9)]
Act: TypeAlias = tuple[str, Principal, int, int]
ACTS = st.tuples(
    st.sampled_from(
        ["hand in", "approve", "approve", "reject", "activate", "activate", "roll back",
         "roll back to", "break", "canary", "shadow", "end canary", "reopen"]
    ),
    st.sampled_from(PEOPLE),
    st.integers(0, 5),
    st.integers(0, len(TEXTS) - 1),
)  # fmt: skip


@dataclass
class Life:
    """A house, what was done in it, and when what was said of releases."""

    house: House
    releases: list[Release] = field(default_factory=list)
    done: int = 0

    async def act(self, act: Act) -> None:
        """Do one thing; that it is refused is an end like any other."""
        verb, who, which, text = act
        chosen = self.releases[which % len(self.releases)] if self.releases else None
        work = self._work(verb, who, chosen, TEXTS[text])
        if work is None:
            return
        try:
            await work
            self.done += 1
        except (ValueError, Denied):
            pass

    def _work(
        self, verb: str, who: Principal, release: Release | None, text: dict[str, str]
    ) -> Awaitable[object] | None:
        if verb == "hand in":
            return self._hand_in(who, text)
        if release is None:
            return None
        id, revision = release.id, release.revision
        releases, rollouts, drafts = self.house.releases, self.house.rollouts, self.house.drafts
        works: dict[str, Callable[[], Awaitable[object]]] = {
            "approve": lambda: releases.approve(id, revision, who),
            "reject": lambda: releases.reject(id, revision, who, "no"),
            "activate": lambda: rollouts.activate(id, who),
            "roll back": lambda: rollouts.roll_back(who),
            "roll back to": lambda: rollouts.roll_back(who, to=id),
            "break": lambda: rollouts.break_glass(id, who, "an emergency"),
            "canary": lambda: rollouts.canary(id, Canary(10), who),
            "end canary": lambda: rollouts.canary(None, None, who),
            "shadow": lambda: rollouts.shadow(id, who),
            "reopen": lambda: drafts.reopen(id, who),
        }
        return works[verb]()

    async def _hand_in(self, who: Principal, text: dict[str, str]) -> None:
        self.releases.append(await self.house.handed_in(text, who))


async def live(store: PolicyStore, acts: list[Act], terms: Terms) -> None:
    life = Life(await House.open(store=store, terms=terms))
    for act in acts:
        before = (await store.standing()).rollout
        standing_before = [await life.house.releases.judged(release) for release in life.releases]
        judged = dict(zip((r.id for r in life.releases), standing_before, strict=True))
        await life.act(act)
        after = (await store.standing()).rollout
        assert before is not None
        assert after is not None
        tried = {release.id: release for release in life.releases}.get(after.trying or "")
        assert tried is None or not (await life.house.releases.judged(tried)).rejected
        if after != before:
            await check(life, before, after, {id: one.ready for id, one in judged.items()})


async def check(life: Life, before: Rollout, after: Rollout, ready: dict[str, bool]) -> None:
    """What must hold of each change of what is in force."""
    store, journal = life.house.store, life.house.journal
    assert isinstance(journal, FakeJournal)
    (told,) = [w.entry for w in journal.written if w.receipt.entry_id == after.record]
    assert told.kind in (KINDS[after.step], Kind.POLICY_SHADOW_ENDED)
    assert told.facts["number"] == after.number == before.number + 1
    earlier = {rollout.active for rollout in await store.rollouts() if rollout != after}
    match after.step:
        case Step.ACTIVATED:
            assert ready[after.active]
        case Step.ROLLED_BACK:
            assert after.active in earlier
        case Step.BREAK_GLASS:
            assert after.changed_by == "key_r"
            assert after.why
        case _:
            assert after.active == before.active
    if after.trying is not None:
        assert ready[after.trying]
        assert after.step is Step.CANARY or after.trying == before.trying
    for approval in await store.approvals(after.active):
        release = await store.release(after.active)
        assert release is not None
        me = Person(approval.person, approval.user)
        assert not any(me.same(one) for one in release.people)


TERMS = st.sampled_from([Terms(), Terms(approvals=2)])


@given(acts=st.lists(ACTS, max_size=40), terms=TERMS)
def test_whatever_people_do(acts: list[Act], terms: Terms) -> None:
    asyncio.run(live(FakePolicies(), acts, terms))


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(ACTS, min_size=10, max_size=30), terms=TERMS)
def test_whatever_people_do_on_a_database(
    database: Database, acts: list[Act], terms: Terms
) -> None:
    async def run() -> None:
        store = SqlPolicies(database.url, org=new_id("org"))
        try:
            await live(store, acts, terms)
        finally:
            await store.stop()

    asyncio.run(run())


USUAL: list[Act] = [
    ("hand in", PEOPLE[0], 0, 0),
    ("approve", PEOPLE[1], 0, 0),
    ("activate", PEOPLE[2], 0, 0),
    ("approve", PEOPLE[2], 0, 0),
    ("activate", PEOPLE[2], 0, 0),
    ("hand in", PEOPLE[3], 0, 2),
    ("break", PEOPLE[5], 1, 0),
    ("roll back", PEOPLE[4], 0, 0),
]


@pytest.mark.parametrize(("approvals", "moves"), [(1, 4), (2, 4)])
async def test_the_usual_way_is_open(approvals: int, moves: int) -> None:
    """So that the law above is not kept by refusing everything."""
    store = FakePolicies()
    await live(store, USUAL, Terms(approvals=approvals))
    assert len(store.moves) == moves
