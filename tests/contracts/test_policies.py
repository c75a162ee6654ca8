"""What every store of policies does: the fake, SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import delete, insert, text, update
from sqlalchemy.exc import DBAPIError

from gateway.adapters.store.engine import for_writing, open_engine
from gateway.adapters.store.policies import SqlPolicies
from gateway.adapters.store.policy_rows import APPROVAL, RELEASE
from gateway.adapters.store.policy_tables import POLICY_INSERT_ONLY
from gateway.adapters.store.tables import Row
from gateway.core.policies import (
    Approval,
    Canary,
    Conflict,
    Draft,
    Node,
    Owner,
    Person,
    PolicyStore,
    Release,
    Rollout,
    Standing,
    Step,
    Stop,
    Stopped,
    Version,
)
from tests.databases import Database
from tests.fakes.policies import FakePolicies

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FILES = {"pack.yaml": "id: a\n", "rules/é.yaml": "title: «ümlaut»\r\n"}
ANN, BOB = Person("key_ann", "ann"), Person("key_bob", "bob")


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[PolicyStore]:
    if request.param == "fake":
        yield FakePolicies()
        return
    kept = SqlPolicies(request.getfixturevalue(f"{request.param}_url"))
    yield kept
    await kept.stop()


def version(digest: str = "sha256:1", minutes: int = 0) -> Version:
    return Version(digest, "a", "1.0.0", FILES, "key_ann", NOON + minutes * MINUTE, "abc packs/a")


def draft(id: str = "drf_1", edition: int = 1) -> Draft:
    replay = {"unchanged": 7, "share": 0.25}
    hands = (ANN, Person("key_x"))
    return Draft(id, "a", None, FILES, "key_ann", edition, NOON, "why", hands, replay)


def release(id: str = "rel_1", minutes: int = 0) -> Release:
    at = NOON + minutes * MINUTE
    evidence = {"tests": {"run": 3}, "diff": [{"en": "é"}]}
    packs = {"a": "sha256:1", "b": "sha256:2"}
    return Release(
        id, "sha256:r", packs, None, "key_ann", at, True, "n", evidence, "ann", (ANN, BOB)
    )


def said(who: Person, id: str = "rel_1", *, approved: bool = True) -> Approval:
    return Approval(id, who.key_id, approved, "fine", NOON, who.user)


def stop(id: str, minutes: int = 0) -> Stop:
    return Stop(id, Stopped.APP, "shop-*", "leaks", "key_ann", NOON + minutes * MINUTE)


async def test_each_pack_has_one_owner(store: PolicyStore) -> None:
    assert await store.owners() == {}
    await store.own("b", Owner.GIT)
    await store.own("a", Owner.CONSOLE)
    await store.own("b", Owner.CONSOLE)
    assert list((await store.owners()).items()) == [("a", Owner.CONSOLE), ("b", Owner.CONSOLE)]


async def test_a_version_is_kept_as_it_came_and_once(store: PolicyStore) -> None:
    assert await store.version("sha256:1") is None
    await store.add_version(version())
    await store.add_version(replace(version(), files={}, author="thief"))
    assert await store.version("sha256:1") == version()
    await store.add_version(version("sha256:2", 5))
    newest, oldest = await store.versions("a")
    assert newest == replace(version("sha256:2", 5), files={})
    assert oldest == replace(version(), files={})
    assert await store.versions("b") == []


async def test_a_draft_is_saved_by_one_at_a_time(store: PolicyStore) -> None:
    await store.save_draft(draft())
    assert await store.draft("drf_1") == draft()
    for late in (draft(), draft(edition=3), draft("drf_2", edition=2)):
        with pytest.raises(Conflict):
            await store.save_draft(late)
    second = replace(draft(edition=2), files={"a": "b"}, updated_at=NOON + MINUTE, replay=None)
    await store.save_draft(second)
    assert await store.draft("drf_1") == second
    await store.save_draft(draft("drf_2"))
    assert [one.id for one in await store.drafts()] == ["drf_1", "drf_2"]
    assert [one.files for one in await store.drafts()] == [{}, {}]
    await store.drop_draft("drf_1")
    await store.drop_draft("drf_1")
    assert await store.draft("drf_1") is None
    with pytest.raises(Conflict):
        await store.save_draft(replace(second, edition=3))


async def test_a_release_is_kept_as_it_came(store: PolicyStore) -> None:
    assert await store.release("rel_1") is None
    await store.add_release(release())
    plain = replace(release("rel_2", 1), author_user=None, hands=(), base="rel_1")
    await store.add_release(plain)
    assert await store.release("rel_1") == release()
    assert list(await store.releases()) == [plain, release()]
    assert list(await store.releases(1)) == [plain]


async def test_a_time_in_another_zone_is_the_same_time(store: PolicyStore) -> None:
    there = timezone(timedelta(hours=9))
    await store.add_release(replace(release(), created_at=NOON.astimezone(there)))
    kept = await store.release("rel_1")
    assert kept is not None
    assert kept.created_at == NOON


async def test_nobody_approves_their_own(store: PolicyStore) -> None:
    await store.add_release(release())
    for me in (ANN, Person("key_ann"), Person("key_other", "ann")):
        with pytest.raises(ValueError, match="author"):
            await store.add_approval(said(me))
    with pytest.raises(ValueError, match="no release"):
        await store.add_approval(said(BOB, "rel_9"))
    await store.add_approval(said(BOB))
    for again in (BOB, Person("key_bob", "eve"), Person("key_new", "bob")):
        with pytest.raises(Conflict):
            await store.add_approval(said(again, approved=False))
    await store.add_approval(replace(said(Person("key_cy")), at=NOON + MINUTE))
    assert [one.person for one in await store.approvals("rel_1")] == ["key_cy", "key_bob"]
    assert (await store.approvals("rel_1"))[1] == said(BOB)
    assert list(await store.approvals("rel_2")) == []


async def test_the_newest_rollout_is_in_force(store: PolicyStore) -> None:
    await store.add_release(release())
    await store.add_release(release("rel_2", 1))
    assert await store.standing() == Standing(None, ())
    first = Rollout(1, "rel_1", changed_by="key_ann", changed_at=NOON, step=Step.FIRST, record="e1")
    canary = Canary(10, ("sales",), ("key_1", "key_2"))
    second = Rollout(
        2, "rel_1", "rel_0", "rel_2", canary, "rel_3", "key_bob", NOON, "try", Step.CANARY, "e2",
        "bob",
    )  # fmt: skip
    with pytest.raises(Conflict):
        await store.move(replace(first, number=2))
    await store.move(first)
    assert (await store.standing()).rollout == first
    await store.move(second)
    for late in (1, 2, 4):
        with pytest.raises(Conflict):
            await store.move(replace(second, number=late))
    assert (await store.standing()).rollout == second
    assert list(await store.rollouts()) == [second, first]
    assert list(await store.rollouts(1)) == [second]


async def test_of_many_at_once_one_changes_what_is_in_force(store: PolicyStore) -> None:
    await store.add_release(release())
    tries = (store.move(Rollout(1, "rel_1", why=str(n))) for n in range(8))
    ends = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(map(type, ends), key=str) == sorted([type(None), *[Conflict] * 7], key=str)
    assert len(await store.rollouts()) == 1


async def test_stops_stand_until_they_are_lifted(store: PolicyStore) -> None:
    await store.add_stop(stop("stp_1"))
    await store.add_stop(stop("stp_2", 1))
    assert list((await store.standing()).stops) == [stop("stp_1"), stop("stp_2", 1)]
    assert await store.lift_stop("stp_1", "key_bob", NOON)
    assert not await store.lift_stop("stp_1", "key_cy", NOON)
    assert not await store.lift_stop("stp_9", "key_cy", NOON)
    lifted = replace(stop("stp_1"), lifted_by="key_bob", lifted_at=NOON)
    assert list((await store.standing()).stops) == [stop("stp_2", 1)]
    assert list(await store.stops()) == [stop("stp_2", 1), lifted]
    assert list(await store.stops(1)) == [stop("stp_2", 1)]


async def test_a_node_says_what_it_runs(store: PolicyStore) -> None:
    old = Node("nod_1", "h1", None, 0, 0, NOON)
    other = Node("nod_2", "h2", "sha256:r", 3, 1, NOON + MINUTE, "cannot build")
    await store.acknowledge(old)
    await store.acknowledge(other)
    assert list(await store.nodes(NOON)) == [other, old]
    assert list(await store.nodes(NOON + MINUTE)) == [other]
    new = replace(old, revision="sha256:r", number=3, seen_at=NOON + 2 * MINUTE)
    await store.acknowledge(new)
    assert list(await store.nodes(NOON)) == [new, other]


async def test_a_deed_is_done_once(store: PolicyStore) -> None:
    ends = await asyncio.gather(*(store.claim("x", 60) for _ in range(5)))
    assert sorted(ends) == [False] * 4 + [True]
    assert await store.claim("y", 60)
    assert await store.claim("x", 0)  # whoever was at it is taken to be dead
    await store.done("x")
    assert not await store.claim("x", 0)
    assert await store.claim("y", 0)


async def test_another_organisation_sees_nothing_of_it(database: Database) -> None:
    mine, other = SqlPolicies(database.url), SqlPolicies(database.url, org="other")
    await mine.own("a", Owner.GIT)
    await mine.add_version(version())
    await mine.save_draft(draft())
    await mine.add_release(release())
    await mine.move(Rollout(1, "rel_1"))
    await mine.add_stop(stop("stp_1"))
    await mine.acknowledge(Node("nod_1", "h", None, 0, 0, NOON))
    assert await other.standing() == Standing(None, ())
    for seen in (
        await other.owners(),
        await other.versions("a"),
        await other.drafts(),
        await other.releases(),
        await other.rollouts(),
        await other.stops(),
        await other.nodes(NOON),
    ):
        assert not seen
    assert await other.version("sha256:1") is None
    assert await other.draft("drf_1") is None
    assert await other.release("rel_1") is None
    assert not await other.lift_stop("stp_1", "key_eve", NOON)
    await mine.stop()
    await other.stop()


@pytest.mark.parametrize("name", POLICY_INSERT_ONLY)
async def test_what_was_is_never_changed(database: Database, name: str) -> None:
    store = SqlPolicies(database.url)
    await store.add_version(version())
    await store.add_release(release())
    await store.add_approval(said(BOB))
    await store.move(Rollout(1, "rel_1"))
    await store.stop()
    engine = open_engine(database.url)
    table = Row.metadata.tables[name]
    for change in (update(table).values(org_id="thief"), delete(table)):
        with (
            pytest.raises(DBAPIError, match="insert-only"),
            for_writing(engine).begin() as connection,
        ):
            connection.execute(change)
    engine.dispose()


LIES = [
    {"person": "key_ann"},
    {"person_user": "ann"},
    {"author": "key_bob", "person": "key_ann"},
    {"author_user": "", "person_user": "ann"},
    {"release_id": "rel_9"},
]


@pytest.mark.parametrize("lie", LIES, ids=str)
async def test_the_database_refuses_an_author_who_approves(
    database: Database, lie: dict[str, str]
) -> None:
    """Even where a program forgets to look, or lies about who the author is."""
    store = SqlPolicies(database.url)
    await store.add_release(release())
    await store.stop()
    right = {
        "org_id": "default", "release_id": "rel_1", "person": "key_bob", "person_user": "bob",
        "author": "key_ann", "author_user": "ann", "approved": True, "comment": "", "at": NOON,
    }  # fmt: skip
    engine = for_writing(open_engine(database.url))
    with pytest.raises(DBAPIError), engine.begin() as connection:
        connection.execute(insert(APPROVAL).values({**right, **lie}))
    with engine.begin() as connection:
        connection.execute(insert(APPROVAL).values(right))
    engine.dispose()


async def test_what_every_node_asks_all_the_time_reads_by_indexes(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    asked = (
        "SELECT * FROM policy_rollout WHERE org_id = 'a' ORDER BY number DESC LIMIT 1",
        "SELECT * FROM policy_stop WHERE org_id = 'a' AND lifted_at IS NULL",
    )
    with engine.connect() as connection:
        for one in asked:
            plan = [str(row[3]) for row in connection.execute(text(f"EXPLAIN QUERY PLAN {one}"))]
            assert all("USING INDEX" in step for step in plan), plan
            assert not any("TEMP B-TREE" in step for step in plan), plan
    engine.dispose()


def test_a_release_has_columns_for_all_that_it_holds() -> None:
    """So that a member which is added is not forgotten."""
    columns = {column.name for column in RELEASE.columns} - {"org_id", "release_id"}
    assert columns == set(Release.__slots__) - {"id"}
