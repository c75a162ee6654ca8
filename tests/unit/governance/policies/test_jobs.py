"""Replays that nobody waits for: one at a time, bounded, and told of when they are over."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.core.audit import Filters
from gateway.core.errors import Code, Denied, Unavailable
from gateway.core.policies import Conflict, Missing
from gateway.core.principal import Principal
from gateway.core.replays import Wanted
from gateway.governance.policies.jobs import KEPT, MOST, Job, Jobs, Progress
from tests.policymaking import ANN, BOB, NOBODY, House

WANTED = Wanted(Filters(), 10)


class Replays:
    """Says what it is told to, once it may."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.error: Exception | None = None
        self.ended = False

    async def of_draft(self, id: str, who: Principal, wanted: Wanted) -> Mapping[str, Any]:
        try:
            await self.go.wait()
        finally:
            self.ended = True
        if self.error is not None:
            raise self.error
        return {"replayed": wanted.most, "draft": id}


class Room:
    """Jobs, in a house with a draft."""

    def __init__(self, house: House, draft: str, longest: float = 60.0) -> None:
        self.replays = Replays()
        self.draft = draft
        replays: Any = self.replays
        self.jobs = Jobs(house.desk, house.drafts, replays, longest)

    @classmethod
    async def open(cls, longest: float = 60.0) -> Room:
        house = await House.open()
        return cls(house, (await house.drafts.begin("house", ANN)).id, longest)

    async def over(self, job: Job) -> Job:
        """The job once it has ended."""
        async with asyncio.timeout(30):
            while (  # noqa: ASYNC110 - it has no event
                now := await self.jobs.job(job.id, BOB)
            ).state is Progress.RUNNING:
                await asyncio.sleep(0)  # so that the job goes on
        return now


async def test_one_runs_and_another_is_told_to_come_back() -> None:
    room = await Room.open()
    job = await room.jobs.begin(room.draft, WANTED, ANN)
    assert (job.state, job.by, job.edition) == (Progress.RUNNING, "ann", 1)
    with pytest.raises(Unavailable) as refused:
        await room.jobs.begin(room.draft, WANTED, ANN)
    assert (refused.value.code, refused.value.retry_after) == (Code.OVERLOADED, 5.0)
    room.replays.go.set()
    done = await room.over(job)
    assert (done.state, done.failed) == (Progress.DONE, None)
    assert done.result == {"replayed": 10, "draft": room.draft}
    assert done.ended_at is not None
    await room.over(await room.jobs.begin(room.draft, WANTED, ANN))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Conflict("somebody saved it"), "somebody saved it"),
        (Unavailable(Code.AUDIT_UNAVAILABLE, "No records."), "No records."),
        (RuntimeError("what somebody said"), "a fault of the gateway: RuntimeError"),
    ],
)
async def test_one_that_fails_says_why(error: Exception, said: str) -> None:
    room = await Room.open()
    room.replays.error = error
    room.replays.go.set()
    job = await room.over(await room.jobs.begin(room.draft, WANTED, ANN))
    assert (job.state, job.result, job.failed) == (Progress.FAILED, None, said)


async def test_one_that_takes_too_long_is_ended() -> None:
    room = await Room.open(longest=0)
    job = await room.over(await room.jobs.begin(room.draft, WANTED, ANN))
    assert job.failed is not None
    assert "longer than 0 seconds" in job.failed


async def test_the_end_of_the_process_ends_it() -> None:
    room = await Room.open()
    await room.jobs.stop()
    await room.jobs.begin(room.draft, WANTED, ANN)
    await asyncio.sleep(0)
    await room.jobs.stop()
    assert room.replays.ended


async def test_who_and_what_is_looked_at_before_anything_runs() -> None:
    room = await Room.open()
    with pytest.raises(Denied):
        await room.jobs.begin(room.draft, WANTED, BOB)
    with pytest.raises(Missing):
        await room.jobs.begin("drf_x", WANTED, ANN)
    with pytest.raises(ValueError, match="at most"):
        await room.jobs.begin(room.draft, Wanted(Filters(), MOST + 1), ANN)
    with pytest.raises(Denied):
        await room.jobs.job("rpl_x", NOBODY)
    with pytest.raises(Missing):
        await room.jobs.job("rpl_x", BOB)


async def test_the_oldest_are_forgotten() -> None:
    room = await Room.open()
    room.replays.go.set()
    first = await room.over(await room.jobs.begin(room.draft, WANTED, ANN))
    for _ in range(KEPT):
        last = await room.over(await room.jobs.begin(room.draft, WANTED, ANN))
    assert await room.jobs.job(last.id, ANN) == last
    with pytest.raises(Missing):
        await room.jobs.job(first.id, ANN)
