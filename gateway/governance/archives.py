"""Writes the archive: files of exchanges by month, each stretch of the log once.

The name of a file says which leaves of the log it is made of. A run that was cut off leaves
files whose stretch is not noted as done; the next run makes the same stretch again, so that it
writes the same files in their place.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from gateway.core.archive import ArchivedExchange, ArchiveSource, Stretch
from gateway.core.objects import Objects

Pack = Callable[[Sequence[ArchivedExchange]], Awaitable[bytes]]
"""Makes one file of exchanges."""
_NAME = re.compile(r"year=[0-9]{4}/month=[0-9]{2}/exchanges-([0-9]{12})-([0-9]{12})\.parquet")


class ArchiveError(ValueError):
    """The archive cannot go on without holding an exchange twice, or not at all."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a run wrote, and up to which leaf of the log the archive is complete."""

    exchanges: int
    files: int
    end: int


@dataclass(frozen=True, slots=True)
class Archives:
    """Archives from `source` into `objects`.

    `note` puts on record that records are handed out; it is awaited once, before the first file
    is written. `pack` makes a file.
    """

    source: ArchiveSource
    objects: Objects
    pack: Pack
    note: Callable[[], Awaitable[object]]

    async def run(self) -> Written:
        """Write what is new in the log. Raises `ArchiveError`, `ObjectsError`, `Unavailable`."""
        if not await self.source.claim():
            raise ArchiveError("another process writes this archive now")
        try:
            return await self._run()
        finally:
            await self.source.release()

    async def _run(self) -> Written:
        there = _stretches(await self.objects.names())
        begin = await self.source.position()
        exchanges = files = 0
        while True:
            end = _planned(there, begin)
            stretch = await self.source.read(begin, end)
            if stretch is None:
                if end is not None:
                    raise ArchiveError(f"the archive has leaves up to {end}, the log does not")
                return Written(exchanges, files, begin)
            _check(there, stretch)
            if stretch.exchanges and not exchanges:
                await self.note()
            files += await self._write(stretch)
            exchanges += len(stretch.exchanges)
            if not await self.source.move(stretch.begin, stretch.end):
                raise ArchiveError("another process went on with this archive meanwhile")
            begin = stretch.end

    async def _write(self, stretch: Stretch) -> int:
        """Write the files of a stretch; how many."""
        in_time = sorted(stretch.exchanges, key=lambda one: (one.started_at, one.exchange_id))
        count = 0
        for (year, month), some in groupby(in_time, lambda one: _month(one.started_at)):
            name = (
                f"year={year:04}/month={month:02}/"
                f"exchanges-{stretch.begin:012}-{stretch.end:012}.parquet"
            )
            await self.objects.put(name, await self.pack(list(some)))
            count += 1
        return count


def _month(moment: datetime) -> tuple[int, int]:
    return moment.year, moment.month


def _stretches(names: Sequence[str]) -> set[tuple[int, int]]:
    found = (_NAME.fullmatch(name) for name in names)
    return {(int(each[1]), int(each[2])) for each in found if each}


def _planned(there: set[tuple[int, int]], begin: int) -> int | None:
    """Where the stretch ended that begins at `begin` and was once begun; None when none was."""
    ends = [end for first, end in there if first == begin]
    if len(ends) > 1:
        raise ArchiveError(f"files of the archive from leaf {begin} do not agree where they end")
    return ends[0] if ends else None


def _check(there: set[tuple[int, int]], stretch: Stretch) -> None:
    """Raise `ArchiveError` where files of another stretch hold some of this one."""
    mine = stretch.begin, stretch.end
    for first, end in there - {mine}:
        if first < stretch.end and end > stretch.begin:
            raise ArchiveError(
                f"the archive has leaves {first} to {end} already, which is no stretch of this "
                "one: give each log a place of its own"
            )
