"""Replays of drafts and of files, by whom they may be run, and what stays of them on record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

from gateway.core.audit import Scope
from gateway.core.policies import PackFiles
from gateway.core.principal import Principal
from gateway.core.records import Kind
from gateway.core.replays import (
    AskedThen,
    Batch,
    RecordedQuestions,
    RecordedTexts,
    Seen,
    Unseen,
    Wanted,
)
from gateway.governance.policies.desk import AUTHORS, Desk
from gateway.governance.policies.drafts import Drafts
from gateway.governance.policies.history import History
from gateway.governance.policies.reinspection import Looking
from gateway.governance.policies.replay import Compared, Replay, Side, unseen
from gateway.governance.policies.replay_result import Tally, result

PAGE = 500
"""Questions that are read, and then decided, at a time."""

Sides: TypeAlias = Callable[[Sequence[PackFiles]], Side]
"""Makes what decides by some packs together. Slow; raises `Unfit`."""


class Replays:
    """Puts recorded questions to a change. To read questions is to read no content: they hold
    facts. Where other phrases are looked for than were then, the texts of those requests are
    inspected, and nothing of them is told. A result names exchanges, applications, teams and
    rules, and is shown only once it is on record that it was made.

    `looking` makes what looks for phrases. `shipped` are the packs that decide where none were
    brought into force, or where a directory of this host decides.
    """

    def __init__(
        self,
        desk: Desk,
        drafts: Drafts,
        questions: RecordedQuestions,
        texts: RecordedTexts,
        sides: Sides,
        looking: Looking,
        shipped: Sequence[PackFiles],
        floor: float = 0.0,
    ) -> None:
        self._desk = desk
        self._drafts = drafts
        self._questions = questions
        self._texts = texts
        self._sides = sides
        self._looking = looking
        self._shipped = shipped
        self._floor = floor
        self._history = History(desk)

    async def of_draft(
        self, id: str, who: Principal, wanted: Wanted, at: str | None = None
    ) -> Mapping[str, Any]:
        """Replay a draft, and keep the result with it, as evidence.

        Raises `Denied`, `Missing`, `Unfit`, `Unavailable`; `Conflict` where somebody saved the
        draft meanwhile.
        """
        self._desk.enter(who, AUTHORS)
        draft = await self._drafts.draft(id)
        told = await self._run(draft.files, who, wanted, at)
        await self._drafts.replayed(id, draft.edition, told, who)
        return told

    async def of_files(
        self, files: PackFiles, who: Principal, wanted: Wanted, at: str | None = None
    ) -> Mapping[str, Any]:
        """Replay the files of a pack, in the place of what is in force of it, or beside it.

        Raises `Denied`, `Unfit`, `Unavailable`.
        """
        self._desk.admit(who, AUTHORS)
        told = await self._run(files, who, wanted, at)
        counts = {name: value for name, value in told.items() if type(value) is int}
        pack, _ = self._desk.packs.named(files)
        facts = {"pack": pack, "digest": self._desk.packs.digest(files), **counts}
        await self._desk.note(who, Kind.POLICY_REPLAY_RUN, facts)
        return told

    async def base(self) -> Mapping[str, PackFiles]:
        """The packs that decide now, by id. Raises `Unavailable`."""
        standing = None if self._desk.terms.fixed else await self._desk.in_force()
        if standing is not None:
            return await self._desk.files(standing[1].packs)
        return {self._desk.packs.named(files)[0]: files for files in self._shipped}

    async def _run(
        self, files: PackFiles, who: Principal, wanted: Wanted, at: str | None
    ) -> Mapping[str, Any]:
        now, base = self._desk.now(), await self.base()
        changed = {**base, self._desk.packs.named(files)[0]: files}
        thread = ThreadPoolExecutor(1, "replay")  # what decides is asked by one thread alone
        loop = asyncio.get_running_loop()
        try:
            sides = [
                await loop.run_in_executor(thread, self._sides, list(packs.values()))
                for packs in (base, changed)
            ]
            replay = Replay(*sides, looking=self._looking, floor=self._floor, at=at)
            for side in sides:
                replay.learn(side.rules.revision, side.rules.phrases)
            scope, tally = Scope(who.org), Tally()
            chosen = await self._questions.choose(scope, wanted)
            for start in range(0, len(chosen.numbers), PAGE):
                batch = await self._questions.read(scope, chosen.numbers[start : start + PAGE])
                await self._learn(replay, batch)
                tally.skip(batch)
                compared = await loop.run_in_executor(thread, _compared, replay, batch)
                await self._inspect(replay, compared, thread)
                for one in compared:
                    tally.add(one)
        finally:
            thread.shutdown(wait=False, cancel_futures=True)
        revisions = (sides[0].rules.revision, sides[1].rules.revision)
        return {**result(tally, chosen, wanted, now, revisions), "at": at}

    async def _inspect(
        self, replay: Replay, compared: list[Compared], thread: ThreadPoolExecutor
    ) -> None:
        """Put in their places what the texts of requests say, where nothing else does."""
        places = {one.asked.exchange_id: n for n, one in enumerate(compared) if one.by_text}
        if not places:
            return
        loop = asyncio.get_running_loop()
        async for some in self._texts.read(list(places)):
            asked = [(compared[places[id]].asked, seen) for id, seen in some.items()]
            for one in await loop.run_in_executor(thread, _inspected, replay, asked):
                compared[places[one.asked.exchange_id]] = one

    async def _learn(self, replay: Replay, batch: Batch) -> None:
        """What was looked for under the revisions that decided these."""
        for revision in dict.fromkeys(asked.revision for asked in batch.asked):
            if not replay.knows(revision):
                rules = None if revision is None else await self._history.rules(revision)
                replay.learn(revision, None if rules is None else rules.phrases)


def _compared(replay: Replay, batch: Batch) -> list[Compared]:
    async def every() -> list[Compared]:
        return [await replay.compare(asked) for asked in batch.asked]

    return asyncio.run(every())


def _inspected(replay: Replay, asked: Sequence[tuple[AskedThen, Seen]]) -> list[Compared]:
    async def every() -> list[Compared]:
        return [
            unseen(one, seen) if isinstance(seen, Unseen) else await replay.inspect(one, seen)
            for one, seen in asked
        ]

    return asyncio.run(every())
