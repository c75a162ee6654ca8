"""Releases: handed in with their evidence, judged by others, owed for where nobody did."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from gateway.core.errors import Denied
from gateway.core.policies import Conflict, Missing, OwnedElsewhere, Owner, Person, Refused
from gateway.core.principal import Principal
from gateway.core.records import Kind
from gateway.core.roles import Role
from gateway.core.rulesets import Unfit
from gateway.governance.policies.desk import Terms
from tests.fakes.packs import FakePacks, files, rule
from tests.policymaking import ANN, BASE, BOB, CI, CY, NOBODY, ROOT, House, somebody

STRICTER = files(rules={"house.mask": rule(min_score=0.1)})
LOOSER = files(rules={"house.mask": rule(min_score=0.9)})


async def test_what_is_handed_in_has_its_evidence() -> None:
    house = await House.open()
    before = await house.active()
    draft = await house.drafts.begin("house", ANN, files=LOOSER, note="too many hits")
    await house.drafts.replayed(draft.id, 1, {"newly_allowed": 3}, ANN)
    release = await house.releases.submit(draft.id, 2, ANN)
    assert release == await house.store.release(release.id)
    assert release.packs == {"house": house.packs.digest(LOOSER)}
    assert (release.base, release.note, release.widening) == (before, "too many hits", True)
    assert release.evidence["replay"] == {"newly_allowed": 3}
    assert release.evidence["tests"]["run"] == 1
    (change,) = release.evidence["diff"]
    assert change["before"]["fr"] != change["after"]["fr"]
    assert change["widens"] == ["min_score is weaker, or another"]
    (entry,) = house.noted(Kind.POLICY_SUBMITTED)
    assert entry.facts["revision"] == release.revision
    assert entry.facts["widening"] is True
    assert entry.facts["draft"] == draft.id
    assert entry.parts["note"] == b"too many hits"
    assert orjson.loads(entry.parts["diff"]) == release.evidence["diff"]
    version = await house.store.version(release.packs["house"])
    assert version is not None
    assert version.files == LOOSER
    assert list(await house.store.drafts()) == []


async def test_what_is_stricter_does_not_widen() -> None:
    house = await House.open()
    assert not (await house.handed_in(STRICTER)).widening


@pytest.mark.parametrize(
    ("changed", "error", "why"),
    [
        (BASE, Refused, "nothing would change"),
        (files(tests=["ok", "fails"]), Refused, "tests fail: house: suite: fails"),
        (files(rules={}, tests=[]), Refused, "no test cases"),
        (files("other"), Refused, "pack.yaml says 'other'"),
        ({**BASE, "rules.yaml": "{"}, Unfit, "no JSON"),
    ],
)
async def test_what_cannot_be_handed_in(
    changed: dict[str, str], error: type[Exception], why: str
) -> None:
    house = await House.open()
    with pytest.raises(error, match=why):
        await house.handed_in(changed)
    assert house.noted(Kind.POLICY_SUBMITTED) == []
    assert len(await house.store.releases()) == 1


async def test_a_draft_of_what_is_not_in_force_any_more_is_not_handed_in() -> None:
    house = await House.open()
    draft = await house.drafts.begin("house", ANN, files=STRICTER)
    await house.activated(LOOSER)
    with pytest.raises(Refused, match="came into force since"):
        await house.releases.submit(draft.id, 1, ANN)


async def test_the_newest_edition_alone_is_handed_in() -> None:
    house = await House.open()
    draft = await house.drafts.begin("house", ANN, files=LOOSER)
    await house.drafts.save(draft.id, 1, STRICTER, CY)
    with pytest.raises(Conflict):
        await house.releases.submit(draft.id, 1, ANN)


async def test_a_new_pack_is_the_consoles() -> None:
    house = await House.open()
    release = await house.handed_in(files("new"), pack="new")
    assert (await house.store.owners())["new"] is Owner.CONSOLE
    assert set(release.packs) == {"house", "new"}
    *_, owned = house.noted(Kind.POLICY_OWNERSHIP_CHANGED)
    assert owned.facts == {"pack": "new", "before": None, "after": "console"}


async def test_two_packs_with_one_rule_do_not_go_together() -> None:
    house = await House.open()
    with pytest.raises(Unfit, match="twice"):
        await house.handed_in(files("new", rules={"house.mask": rule()}), pack="new")


async def test_what_fails_owns_nothing() -> None:
    house = await House.open()
    failing = files("new", tests=["fails"])
    with pytest.raises(Refused):
        await house.releases.publish(failing, "a1b2c3d", CI)
    with pytest.raises(Refused):
        await house.handed_in(failing, pack="new")
    assert await house.store.owners() == {"house": Owner.CONSOLE}


async def test_what_cannot_be_read_any_more_can_be_replaced() -> None:
    """After an upgrade of the gateway, say."""
    packs = FakePacks()
    house = House(packs=packs)
    await house.rollouts.begin({**BASE, "README.md": "needs 1"})
    packs.library = "2"
    release = await house.approved(STRICTER)
    assert release.widening, "nobody can say what it is compared with"
    assert (await house.rollouts.activate(release.id, BOB)).active == release.id


async def test_who_may_do_what() -> None:
    house = await House.open()
    release = await house.handed_in(LOOSER)
    for work in (
        house.releases.submit("drf_1", 1, BOB),
        house.releases.publish(files("repo"), "x", BOB),
        house.releases.retire("house", NOBODY),
        house.releases.approve(release.id, release.revision, CI),
        house.releases.reject(release.id, release.revision, NOBODY, "no"),
    ):
        with pytest.raises(Denied):
            await work


SAME_PERSON = [
    ANN,
    somebody("key_ann", Role.ADMIN),
    somebody("another_key", Role.POLICY_APPROVER, user="ann"),
]


@pytest.mark.parametrize("me", SAME_PERSON, ids=lambda me: f"{me.key_id} {me.user}")
async def test_nobody_approves_their_own(me: Principal) -> None:
    house = await House.open()
    release = await house.handed_in(LOOSER)
    for work in (
        house.releases.approve(release.id, release.revision, me),
        house.releases.reject(release.id, release.revision, me, "no"),
    ):
        with pytest.raises(Refused, match="worked on"):
            await work
    assert house.noted(Kind.POLICY_APPROVED) == []


async def test_nor_does_whoever_saved_the_draft() -> None:
    house = await House.open()
    draft = await house.drafts.begin("house", CY, files=BASE)
    await house.drafts.save(draft.id, 1, LOOSER, ANN)
    release = await house.releases.submit(draft.id, 2, ANN)
    assert list(release.people) == [Person("key_ann", "ann"), Person("key_cy")]
    with pytest.raises(Refused, match="worked on"):
        await house.releases.approve(release.id, release.revision, CY)


async def test_what_is_approved_is_what_was_looked_at() -> None:
    house = await House.open()
    release = await house.handed_in(LOOSER)
    with pytest.raises(Refused, match="look at that"):
        await house.releases.approve(release.id, "sha256:other", BOB)
    with pytest.raises(Missing):
        await house.releases.approve("rel_9", release.revision, BOB)
    judged = await house.releases.approve(release.id, release.revision, BOB, "fine")
    assert judged.ready
    assert judged.approved == [Person("key_bob", "bob")]
    (entry,) = house.noted(Kind.POLICY_APPROVED)
    assert entry.facts == {"release": release.id, "revision": release.revision, "by": "person"}
    assert entry.parts == {"comment": b"fine"}
    with pytest.raises(Refused, match="already"):
        await house.releases.approve(release.id, release.revision, BOB)
    with pytest.raises(Refused, match="already"):
        await house.releases.reject(
            release.id, release.revision, replace(BOB, key_id="key_new"), "second thoughts"
        )


async def test_one_no_is_enough() -> None:
    house = await House.open()
    release = await house.approved(LOOSER)
    with pytest.raises(ValueError, match="a reason"):
        await house.releases.reject(release.id, release.revision, CY, " ")
    judged = await house.releases.reject(release.id, release.revision, CY, "too loose")
    assert not judged.ready
    with pytest.raises(Refused, match="rejected"):
        await house.releases.approve(release.id, release.revision, ROOT)
    (entry,) = house.noted(Kind.POLICY_REJECTED)
    assert entry.parts == {"comment": b"too loose"}


async def test_what_widens_may_need_more_people() -> None:
    house = await House.open(terms=Terms(approvals=2))
    strict, loose = await house.approved(STRICTER), await house.approved(LOOSER)
    assert (await house.releases.judged(strict)).ready
    assert not (await house.releases.judged(loose)).ready
    assert (await house.releases.approve(loose.id, loose.revision, CY)).ready


async def test_stale_is_not_approved() -> None:
    house = await House.open()
    late = await house.handed_in(STRICTER)
    await house.activated(LOOSER)
    assert (await house.releases.judged(late)).stale
    with pytest.raises(Refused, match="reopen"):
        await house.releases.approve(late.id, late.revision, BOB)
    await house.releases.reject(late.id, late.revision, BOB, "overtaken")


async def test_what_stands_in_git_is_published_and_approved() -> None:
    house = await House.open()
    release = await house.releases.publish(files("repo"), "a1b2c3d packs/repo", CI, "merge 7")
    assert (await house.store.owners())["repo"] is Owner.GIT
    version = await house.store.version(release.packs["repo"])
    assert version is not None
    assert version.source == "a1b2c3d packs/repo"
    *_, entry = house.noted(Kind.POLICY_SUBMITTED)
    assert entry.parts["source"] == b"a1b2c3d packs/repo"
    assert not (await house.releases.judged(release)).ready
    with pytest.raises(OwnedElsewhere, match="console"):
        await house.releases.publish({**BASE, "x.md": "x"}, "a1b2c3d packs/house", CI)
    with pytest.raises(ValueError, match="where it stands"):
        await house.releases.publish(files("repo"), " ", CI)


async def test_a_merge_may_be_the_approval() -> None:
    house = await House.open(terms=Terms(git_approves=True))
    release = await house.releases.publish(files("repo"), "a1b2c3d packs/repo", CI)
    assert (await house.releases.judged(release)).approved == [Person("git")]
    (entry,) = house.noted(Kind.POLICY_APPROVED)
    assert entry.facts["by"] == "git"
    assert entry.parts == {"source": b"a1b2c3d packs/repo"}
    await house.rollouts.activate(release.id, BOB)
    mine = await house.handed_in({**BASE, "x.md": "x"})
    assert not (await house.releases.judged(mine)).ready, "the console's needs a person"


async def test_a_merge_is_one_approval() -> None:
    house = await House.open(terms=Terms(git_approves=True, approvals=2))
    first = files("repo", rules={"repo.x": rule(mode="observe")})
    release = await house.releases.publish(first, "a1", CI)
    await house.rollouts.activate(release.id, BOB)
    wider = files("repo", rules={"repo.all": rule(kind="model_access", models=["*"])})
    release = await house.releases.publish(wider, "b2", CI)
    assert release.widening
    assert not (await house.releases.judged(release)).ready
    assert (await house.releases.approve(release.id, release.revision, BOB)).ready


async def test_a_pack_is_retired() -> None:
    house = await House.open()
    with pytest.raises(Missing):
        await house.releases.retire("new", ANN)
    with pytest.raises(Refused, match="one pack at least"):
        await house.releases.retire("house", ANN)
    both = await house.handed_in(files("new"), pack="new")
    await house.releases.approve(both.id, both.revision, BOB)
    await house.rollouts.activate(both.id, BOB)
    release = await house.releases.retire("new", ANN)
    assert set(release.packs) == {"house"}
    assert release.widening, "its rule is gone"


async def test_a_debt_is_paid_by_another_person() -> None:
    house = await House.open()
    other = somebody("key_other_root", Role.ADMIN, user="root")
    me = replace(ROOT, user="root")
    release = await house.handed_in(LOOSER)
    await house.rollouts.break_glass(release.id, me, "the gateway refuses everything")
    assert list(await house.releases.debts()) == [release]
    for breaker in (me, other):
        with pytest.raises(Refused, match="breaks the glass"):
            await house.releases.approve(release.id, release.revision, breaker)
    await house.activated({**BASE, "next.md": "x"})
    assert list(await house.releases.debts()) == [release], "also after the next"
    await house.releases.approve(release.id, release.revision, BOB)
    assert list(await house.releases.debts()) == []


async def test_a_debt_that_is_rejected_stays_one() -> None:
    house = await House.open()
    release = await house.handed_in(LOOSER)
    await house.rollouts.break_glass(release.id, ROOT, "an emergency")
    await house.releases.reject(release.id, release.revision, BOB, "never")
    assert list(await house.releases.debts()) == [release]
