"""A process follows what is to be in force, says what it runs, and goes on when it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from gateway.core.errors import Code, Unavailable
from gateway.core.last_policy import LastPolicy
from gateway.core.policies import Canary, Node, Stopped, Version
from gateway.governance.policies.follower import SIGN, Follower, Here
from gateway.governance.policies.live import LivePolicy, Revision
from gateway.governance.policies.shadow import Shadow
from tests.exchanges import SOMEBODY, chat_request, exchange_of
from tests.fakes.policy import ALLOW, FixedPolicy
from tests.unit.core.test_stopping import stop
from tests.unit.governance.policies.building import NOW, Away, FakeBuilds, stage_of

PATIENCE = 10.0
"""Seconds; a bound for what never comes, not a measure."""


class Memory:
    """Implements `KeepsLast`."""

    def __init__(self, kept: LastPolicy | None = None, broken: bool = False) -> None:
        self.kept = kept
        self.broken = broken
        self.writes = 0

    def read(self) -> LastPolicy | None:
        if self.broken:
            raise ValueError("the file is not as it was written")
        return self.kept

    def write(self, last: LastPolicy) -> None:
        self.writes += 1
        self.kept = last


@dataclass
class Process:
    """A follower, and all that it looks at. Its clock stands still unless it is moved."""

    store: Away = field(default_factory=Away)
    builds: FakeBuilds = field(default_factory=FakeBuilds)
    memory: Memory = field(default_factory=Memory)
    fixed: Revision | None = None
    now: float = 1_000.0
    told: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.live = LivePolicy(["acme"], 300.0, lambda: self.now)

        async def tell(node: Node) -> None:
            self.told.append(node)

        here = Here("node_1", "host")
        self.follower = Follower(
            self.store, self.live, self.builds, Shadow("node_1"), here,
            last=self.memory, fixed=self.fixed, told=tell, clock=lambda: self.now,
        )  # fmt: skip

    @property
    def revision(self) -> str | None:
        return self.live.in_force.active.revision if self.live.in_force else None

    @property
    def node(self) -> Node:
        return self.store.known["node_1"]

    async def looked(self, until: Callable[[], bool]) -> None:
        """Return once it holds; the follower is told to look until it does."""
        async with asyncio.timeout(PATIENCE):
            while not until():
                self.follower.nudge()
                await asyncio.sleep(0)


@asynccontextmanager
async def following(process: Process) -> AsyncIterator[Process]:
    await process.follower.start()
    try:
        yield process
    finally:
        await process.follower.stop()


async def started(**more: object) -> Process:
    """A process over a store in which `a` is in force, and `b` and `c` may be."""
    process = Process(**more)  # type: ignore[arg-type]
    await process.store.released("a", "b", "c")
    await process.store.moved("a")
    return process


async def test_it_starts_with_what_is_in_force_and_says_so() -> None:
    async with following(await started()) as process:
        assert process.revision == "sha256:a"
        assert (process.node.revision, process.node.number) == ("sha256:a", 1)
        assert (process.node.host, process.node.problem) == ("host", None)
        assert [node.revision for node in process.told] == ["sha256:a"]
        assert process.follower.told() == {
            "revision": "sha256:a", "rollout": 1, "stops": 0, "problem": None,
        }  # fmt: skip
        assert process.builds.waited == [False]


async def test_it_follows_and_closes_what_nobody_names_any_more() -> None:
    async with following(await started()) as process:
        await process.store.moved("b", previous="a")
        await process.looked(lambda: process.node.number == 2)
        assert process.revision == "sha256:b"
        assert process.builds.closed == []
        await process.store.moved("c", previous="b")
        await process.looked(lambda: process.node.number == 3)
        assert process.builds.closed == ["sha256:a"]
        assert [node.revision for node in process.told] == ["sha256:a", "sha256:b", "sha256:c"]
        assert process.builds.waited == [False, True, True]
    assert sorted(process.builds.closed) == ["sha256:a", "sha256:b", "sha256:c"]


async def test_a_rollback_builds_nothing() -> None:
    async with following(await started()) as process:
        await process.store.moved("b", previous="a")
        await process.looked(lambda: process.node.number == 2)
        await process.store.moved("a", previous="b")
        await process.looked(lambda: process.node.number == 3)
        assert process.revision == "sha256:a"
        assert process.builds.built == ["sha256:a", "sha256:b"]


async def test_while_it_builds_the_old_decides_and_stops_take_effect() -> None:
    async with following(await started()) as process:
        process.builds.gate = asyncio.Event()
        await process.store.moved("b", previous="a")
        await process.store.add_stop(stop(Stopped.APP, "x"))
        await process.looked(lambda: process.node.stops == 1)
        assert len(process.live.stops) == 1
        assert (process.revision, process.node.number) == ("sha256:a", 1)
        process.builds.gate.set()
        await process.looked(lambda: process.node.number == 2)
        assert process.revision == "sha256:b"


async def test_a_stop_is_lifted() -> None:
    process = await started()
    await process.store.add_stop(stop(Stopped.APP, "x"))
    async with following(process):
        assert len(process.live.stops) == 1
        await process.store.lift_stop("stp_1", "ann", NOW)
        await process.looked(lambda: not process.live.stops)


async def test_what_cannot_be_built_leaves_the_old_in_force_and_is_told() -> None:
    process = await started()
    process.builds.broken.add("sha256:b")
    async with following(process):
        await process.store.moved("b", previous="a")
        await process.looked(lambda: process.node.problem is not None)
        assert process.revision == "sha256:a"
        assert process.node.number == 1
        assert "sha256:b is broken" in (process.node.problem or "")
        assert process.follower.told()["problem"] == process.node.problem
        assert [node.problem is None for node in process.told] == [True, False]
        process.builds.broken.clear()
        process.now += SIGN
        await process.looked(lambda: process.node.number == 2)
        assert process.node.problem is None


@pytest.mark.parametrize("lost", ["release", "version"])
async def test_what_is_not_in_the_store_is_a_problem(lost: str) -> None:
    async with following(await started()) as process:
        await process.store.moved("b", previous="a")
        if lost == "release":
            del process.store.submitted["b"]
        else:
            del process.store.kept["sha256:b"]
        await process.looked(lambda: process.node.problem is not None)
        assert "b" in (process.node.problem or "")
        assert process.revision == "sha256:a"


async def test_a_release_on_trial_is_built_beside() -> None:
    async with following(await started()) as process:
        await process.store.moved("a", trying="b", canary=Canary(100))
        await process.looked(lambda: process.node.number == 2)
        exchange = exchange_of(chat_request())
        exchange.principal = SOMEBODY
        async with exchange:
            process.live.choose(exchange)
            trial = process.live.in_force and process.live.in_force.trial
            assert trial is not None
            assert (trial.under.revision, trial.under.running) == ("sha256:b", 1)
        await process.store.moved("b", previous="a")
        await process.looked(lambda: process.node.number == 3)
        assert process.builds.built == ["sha256:a", "sha256:b"]


@pytest.mark.parametrize("which", ["trying", "shadow"])
async def test_what_is_tried_and_cannot_be_built_leaves_the_active_alone(which: str) -> None:
    process = await started()
    process.builds.broken.add("sha256:c")
    async with following(process):
        named = {"trying": "c", "canary": Canary(100)} if which == "trying" else {"shadow": "c"}
        await process.store.moved("b", previous="a", **named)
        await process.looked(lambda: process.node.number == 2 and bool(process.node.problem))
        assert process.revision == "sha256:b"
        now = process.live.in_force
        assert now is not None
        assert now.trial is now.beside is None
        process.builds.broken.clear()
        process.now += SIGN
        await process.looked(lambda: process.node.problem is None)
        now = process.live.in_force
        assert now is not None
        assert (now.trial is None) is (which == "shadow")
        assert (now.beside is None) is (which == "trying")


async def test_it_gives_a_sign_of_life_and_only_then() -> None:
    async with following(await started()) as process:
        first = process.node.seen_at
        asked = process.store.asked
        await process.looked(lambda: process.store.asked >= asked + 5)
        assert process.node.seen_at == first
        process.now += SIGN
        await process.looked(lambda: process.node.seen_at > first)


async def test_while_the_store_is_away_the_old_decides_until_it_is_stale() -> None:
    exchange = exchange_of(chat_request())
    exchange.principal = SOMEBODY
    async with following(await started()) as process:
        process.store.away = True
        asked = process.store.asked
        await process.looked(lambda: process.store.asked > asked)
        assert process.revision == "sha256:a"
        assert process.follower.problem == "the database is away"
        process.now += 301
        assert process.live.stale(exchange) is not None
        process.store.away = False
        await process.looked(lambda: process.follower.problem is None)
        assert process.live.stale(exchange) is None


async def test_what_cannot_be_followed_is_stale_too() -> None:
    """Strict organisations are not served by a policy that was replaced."""
    exchange = exchange_of(chat_request())
    exchange.principal = SOMEBODY
    process = await started()
    process.builds.broken.add("sha256:b")
    async with following(process):
        await process.store.moved("b", previous="a")
        await process.looked(lambda: process.node.problem is not None)
        process.now += 301
        asked = process.store.asked
        await process.looked(lambda: process.store.asked > asked)
        assert process.live.stale(exchange) is not None


async def test_what_is_in_force_is_kept_with_the_stops() -> None:
    async with following(await started()) as process:
        kept = process.memory.kept
        assert kept is not None
        assert (kept.release, kept.number, kept.stops) == ("a", 1, ())
        assert [version.digest for version in kept.versions] == ["sha256:a"]
        await process.store.add_stop(stop(Stopped.APP, "x"))
        await process.looked(lambda: process.memory.writes == 2)
        assert process.memory.kept is not None
        assert [each.id for each in process.memory.kept.stops] == ["stp_1"]


def kept(ago: float = 0.0) -> LastPolicy:
    version = Version("sha256:z", "p", "1.0.0", {}, "ann", NOW)
    written = datetime.now(UTC) - timedelta(seconds=ago)
    return LastPolicy("z", 7, [version], [stop(Stopped.APP, "x")], written)


async def test_without_the_store_it_starts_with_what_it_kept_as_old_as_that_is() -> None:
    exchange = exchange_of(chat_request())
    exchange.principal = SOMEBODY
    process = await started(memory=Memory(kept(ago=200)))
    process.store.away = True
    async with following(process):
        assert process.revision == "sha256:z"
        assert [each.id for each in process.live.stops.standing] == ["stp_1"]
        assert process.live.stale(exchange) is None
        process.now += 150
        assert process.live.stale(exchange) is not None
        process.store.away = False
        await process.looked(lambda: process.revision == "sha256:a")
        assert not process.live.stops


async def test_what_cannot_be_built_at_the_start_neither_hides_what_was_kept() -> None:
    process = await started(memory=Memory(kept()))
    process.builds.broken.add("sha256:a")
    async with following(process):
        assert process.revision == "sha256:z"
        assert "sha256:a is broken" in (process.node.problem or "")


@pytest.mark.parametrize(
    ("memory", "told"),
    [(Memory(), "none was in force on this host before"), (Memory(broken=True), "not as it was")],
    ids=["nothing kept", "not whole"],
)
async def test_with_neither_it_does_not_start_and_says_why(memory: Memory, told: str) -> None:
    process = await started(memory=memory)
    process.store.away = True
    with pytest.raises(Unavailable, match=told) as refused:
        await process.follower.start()
    assert refused.value.code is Code.POLICY_UNAVAILABLE
    assert "the database is away" in refused.value.message


async def test_nor_where_nothing_was_ever_brought_into_force() -> None:
    with pytest.raises(Unavailable, match="GOVGATE_POLICY__PACK"):
        await Process().follower.start()


def fixed() -> Revision:
    return Revision("sha256:files", stage_of("files"), FixedPolicy(ALLOW))


async def test_where_files_decide_only_stops_are_followed() -> None:
    process = await started(fixed=fixed())
    async with following(process):
        assert process.revision == "sha256:files"
        assert (process.node.revision, process.node.number) == ("sha256:files", 0)
        await process.store.add_stop(stop(Stopped.EVERYTHING, "*"))
        await process.store.moved("b", previous="a")
        await process.looked(lambda: process.node.stops == 1)
        assert process.revision == "sha256:files"
        assert process.builds.built == []
        assert process.memory.writes == 0


async def test_where_files_decide_it_starts_without_the_store() -> None:
    process = await started(fixed=fixed())
    process.store.away = True
    async with following(process):
        assert process.revision == "sha256:files"
        assert process.follower.problem == "the database is away"


async def test_an_acknowledgement_that_fails_is_repeated() -> None:
    process = await started()
    failing = [Unavailable(Code.AUDIT_UNAVAILABLE, "no")]
    keep = process.store.acknowledge

    async def acknowledge(node: Node) -> None:
        if failing:
            raise failing.pop()
        await keep(node)

    process.store.acknowledge = acknowledge  # type: ignore[method-assign]
    async with following(process):
        await process.looked(lambda: "node_1" in process.store.known)
        assert [node.number for node in process.told] == [1]


async def test_a_round_that_breaks_is_not_the_last() -> None:
    async with following(await started()) as process:
        good, broken = process.store.standing, [1]

        async def standing() -> object:
            if broken:
                broken.pop()
                raise ZeroDivisionError
            return await good()

        process.store.standing = standing  # type: ignore[method-assign, assignment]
        await process.store.moved("b", previous="a")
        await process.looked(lambda: process.revision == "sha256:b")
        assert broken == []
