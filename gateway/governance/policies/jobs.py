"""Replays that somebody has asked for and does not wait for: one at a time in a process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from gateway.core.errors import Code, GatewayError, Unavailable
from gateway.core.ids import new_id
from gateway.core.policies import Missing
from gateway.core.principal import Principal
from gateway.core.replays import Wanted
from gateway.governance.policies.desk import APPROVERS, AUTHORS, Desk
from gateway.governance.policies.drafts import Drafts
from gateway.governance.policies.replays import Replays

log = logging.getLogger("govgate.policies")

MOST = 100_000
"""Exchanges that one of them asks about."""
LONGEST = 900.0
"""Seconds that one may take."""
KEPT = 20
"""Those that are over, and are still told of."""


class Progress(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Job(msgspec.Struct, frozen=True):
    """A replay. `result` is there once it is done; `failed` says why it is not."""

    id: str
    draft: str
    edition: int
    by: str
    state: Progress
    begun_at: datetime
    ended_at: datetime | None = None
    result: Mapping[str, Any] | None = None
    failed: str | None = None


class Jobs:
    """Runs replays of drafts in this process, and keeps what the last ones said.

    The result is kept with the draft, too: it outlives this process.
    """

    def __init__(
        self, desk: Desk, drafts: Drafts, replays: Replays, longest: float = LONGEST
    ) -> None:
        self._desk = desk
        self._drafts = drafts
        self._replays = replays
        self._longest = longest
        self._jobs: dict[str, Job] = {}
        self._task: asyncio.Task[None] | None = None

    async def begin(self, draft_id: str, wanted: Wanted, who: Principal) -> Job:
        """Begin a replay of a draft.

        Raises `Denied`, `Missing`, `ValueError` for too many exchanges, and `Unavailable` while
        another runs here.
        """
        me = self._desk.enter(who, AUTHORS)
        draft = await self._drafts.draft(draft_id)
        if wanted.most > MOST:
            raise ValueError(f"a replay over HTTP asks about {MOST:,} exchanges at most")
        if self._task is not None and not self._task.done():
            told = "Another replay runs in this gateway: ask again when it is over."
            raise Unavailable(Code.OVERLOADED, told, retry_after=5.0)
        job = Job(
            new_id("rpl"), draft.id, draft.edition, me.user or me.key_id, Progress.RUNNING,
            self._desk.now(),
        )  # fmt: skip
        self._keep(job)
        work = self._replays.of_draft(draft.id, who, wanted)
        self._task = asyncio.create_task(self._run(job, work))
        return job

    async def job(self, id: str, who: Principal) -> Job:
        """How a replay stands. Raises `Denied`, and `Missing` for one that is not known here."""
        self._desk.admit(who, AUTHORS | APPROVERS)
        if id not in self._jobs:
            raise Missing(f"this gateway knows of no replay {id[:100]!r}")
        return self._jobs[id]

    async def stop(self) -> None:
        """End the one that runs; nothing of it is kept."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self, job: Job, work: Awaitable[Mapping[str, Any]]) -> None:
        result, failed = None, None
        try:
            async with asyncio.timeout(self._longest):
                result = await work
        except TimeoutError:
            failed = f"it took longer than {self._longest:.0f} seconds: ask about fewer exchanges"
        except GatewayError as error:
            failed = error.message
        except ValueError as error:
            failed = str(error)
        except Exception as error:  # noqa: BLE001 - whoever waits for it is told
            log.error("a replay failed: %s", type(error).__name__)
            failed = f"a fault of the gateway: {type(error).__name__}"
        state = Progress.DONE if failed is None else Progress.FAILED
        self._keep(
            msgspec.structs.replace(
                job, state=state, ended_at=self._desk.now(), result=result, failed=failed
            )
        )

    def _keep(self, job: Job) -> None:
        self._jobs[job.id] = job
        while len(self._jobs) > KEPT:
            del self._jobs[next(iter(self._jobs))]
