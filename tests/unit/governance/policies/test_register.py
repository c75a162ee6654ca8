"""What stands, as those who may read it are told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.core.errors import Denied
from gateway.core.policies import Canary, Missing, Node, Owner, Stopped
from gateway.core.roles import Role
from gateway.governance.policies.desk import READERS, Terms
from gateway.governance.policies.register import ALIVE, Register, State, told
from tests.fakes.packs import files, rule
from tests.policymaking import ANN, BASE, BOB, NOBODY, ROOT, House, somebody

CHANGED = files(rules={"house.mask": rule(min_score=0.1)})
OTHER = files(rules={"house.mask": rule(min_score=0.2)})
DEVELOPER = somebody("key_d", *(set(Role) - READERS))


def register_of(house: House) -> Register:
    return Register(house.desk, house.drafts, house.releases)


async def test_a_release_is_in_one_state_at_a_time() -> None:
    house = await House.open()
    register = register_of(house)
    first = await house.active()

    async def states() -> dict[str, State]:
        return {one.id: one.state for one in await register.releases(BOB)}

    waiting = await house.handed_in(CHANGED)
    refused = await house.handed_in(OTHER)
    await house.releases.reject(refused.id, refused.revision, BOB, "no")
    expected = {first: State.ACTIVE, waiting.id: State.WAITING, refused.id: State.REJECTED}
    assert await states() == expected
    await house.releases.approve(waiting.id, waiting.revision, BOB)
    assert (await states())[waiting.id] is State.APPROVED
    late = await house.handed_in(files(rules={"house.mask": rule(min_score=0.3)}))
    await house.rollouts.activate(waiting.id, BOB)
    after = await states()
    assert (after[waiting.id], after[late.id], after[first]) == (
        State.ACTIVE, State.STALE, State.STALE,
    )  # fmt: skip
    one = await register.release(waiting.id, BOB)
    assert (one.approved_by, one.people, one.needed) == (["bob"], ["ann"], 1)
    assert one.evidence["tests"]["run"] == 1
    with pytest.raises(Missing):
        await register.release("rel_x", BOB)


async def test_status_tells_of_nodes_that_gave_a_sign() -> None:
    house = await House.open()
    register = register_of(house)
    assert (await register.status(BOB)).acknowledged is False
    node = Node("node_1", "host", "sha256:1", 1, 0, house.at)
    await house.store.acknowledge(node)
    gone = replace(node, id="node_0", seen_at=house.at - ALIVE - timedelta(seconds=5))
    await house.store.acknowledge(gone)
    status = await register.status(BOB)
    assert [(one.id, one.follows) for one in status.nodes] == [("node_1", True)]
    assert status.acknowledged
    await house.store.acknowledge(replace(node, id="node_2", number=0))
    assert not (await register.status(BOB)).acknowledged
    await house.store.acknowledge(replace(node, id="node_2", problem="no"))
    assert not (await register.status(BOB)).acknowledged
    await house.store.acknowledge(replace(node, id="node_2"))
    assert (await register.status(BOB)).acknowledged
    stop = await house.stops.stop(Stopped.APP, "shop", "why", ROOT)
    status = await register.status(BOB)
    assert (status.stops, status.acknowledged) == ((stop,), False)
    assert list(await register.stops(BOB)) == [stop]


async def test_where_files_decide_nodes_follow_them() -> None:
    house = House(terms=Terms(fixed="somewhere"))
    register = register_of(house)
    status = await register.status(BOB)
    assert (status.fixed, status.rollout, status.release) == ("somewhere", None, None)
    await house.store.acknowledge(Node("node_1", "host", "sha256:1", 0, 0, house.at))
    assert (await register.status(BOB)).acknowledged


async def test_packs_tell_where_they_are_changed_and_what_they_say() -> None:
    house = await House.open()
    register = register_of(house)
    release, _ = await house.activated(CHANGED)
    (line,) = await register.packs(ANN)
    assert (line.id, line.owner) == ("house", Owner.CONSOLE)
    assert line.in_force is not None
    assert line.in_force.digest == release.packs["house"]
    pack = await register.pack("house", ANN)
    assert set(pack.sentences["fr"]) == {"house.mask"}
    assert [one.digest for one in pack.versions] == [
        house.packs.digest(CHANGED), house.packs.digest(BASE),
    ]  # fmt: skip
    version = await register.version(pack.versions[1].digest, ANN)
    assert (version.files, version.pack) == (BASE, "house")
    with pytest.raises(Missing):
        await register.pack("nowhere", ANN)


async def test_a_draft_names_all_hands() -> None:
    house = await House.open()
    register = register_of(house)
    draft = await house.drafts.begin("house", ANN, note="x")
    saved = await house.drafts.save(draft.id, 1, CHANGED, ROOT)
    one = await register.draft(draft.id, BOB)
    assert one == told(saved)
    assert (one.people, one.files, one.edition) == (["ann", "key_root"], CHANGED, 2)
    (line,) = await register.drafts(BOB)
    assert (line.id, line.note) == (draft.id, "x")


async def test_history_is_the_newest_first() -> None:
    house = await House.open()
    release, _ = await house.activated(CHANGED)
    other = await house.approved(OTHER)
    await house.rollouts.canary(other.id, Canary(5), BOB)
    found = await register_of(house).rollouts(BOB, 2)
    assert [one.number for one in found] == [3, 2]
    assert {one.active for one in found} == {release.id}


async def test_others_are_told_nothing() -> None:
    house = await House.open()
    register = register_of(house)
    draft = await house.drafts.begin("house", ANN)
    for asked in (
        lambda: register.status(DEVELOPER),
        lambda: register.packs(DEVELOPER),
        lambda: register.pack("house", DEVELOPER),
        lambda: register.version("x", DEVELOPER),
        lambda: register.drafts(DEVELOPER),
        lambda: register.draft(draft.id, DEVELOPER),
        lambda: register.releases(DEVELOPER),
        lambda: register.release("x", DEVELOPER),
        lambda: register.rollouts(DEVELOPER),
        lambda: register.stops(DEVELOPER),
        lambda: house.drafts.compared(draft.id, NOBODY),
    ):
        with pytest.raises(Denied):
            await asked()
