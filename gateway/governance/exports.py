"""Records handed out to people, in a format of theirs. That it is done is on record first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from gateway.core.errors import Code, Denied, Malformed
from gateway.core.exports import LogReader, Record
from gateway.core.ports import Journal
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind
from gateway.core.roles import SEES_ALL
from gateway.governance.explaining import Clean
from gateway.governance.formats import FORMATS, Format
from gateway.governance.formats.view import View, view_of

MOST_LEAVES = 10_000
"""Leaves that one request over HTTP may ask for."""
_TOGETHER = 128


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records: those that stand at the leaves from `begin` up to `end`.

    `end` None stands for the log as it is now; times are half open, by when a record began;
    `org` None is every organisation.
    """

    begin: int = 0
    end: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    org: str | None = None


@dataclass(frozen=True, slots=True)
class Handed:
    """What is handed out, `next`: the leaf to go on from, and the entry that says so."""

    format: Format
    pieces: AsyncIterator[bytes]
    next: int
    recorded_as: str | None


class Exports:
    """Every method raises `Denied`, `Malformed`, `Unavailable`; the pieces also `LogBroken`."""

    def __init__(self, reader: LogReader, journal: Journal, clean: Clean) -> None:
        self._reader = reader
        self._journal = journal
        self._clean = clean

    async def page(self, who: Principal, format: str, begin: int, limit: int) -> Handed:
        """What stands at up to `limit` leaves from `begin`, of the asker's organisation."""
        if SEES_ALL.isdisjoint(who.roles):
            named = " or ".join(sorted(SEES_ALL))
            raise Denied(Code.INSUFFICIENT_ROLE, f"This needs the role {named}.")
        if not 1 <= limit <= MOST_LEAVES:
            raise Malformed(f"'limit' is a number from 1 to {MOST_LEAVES}.", param="limit")
        return await self.hand(who, format, Wanted(begin, begin + limit, org=who.org))

    async def hand(self, who: Principal, format: str, wanted: Wanted, reason: str = "") -> Handed:
        """What is wanted, whoever asks. Where there is nothing new, nothing is put on record."""
        found = FORMATS.get(format)
        if found is None:
            raise Malformed(f"'format' is one of {', '.join(FORMATS)}.", param="format")
        size = await self._reader.size()
        if wanted.begin > size:
            raise Malformed(f"The log has {size} leaves only.", param="from_leaf")
        end = size if wanted.end is None else min(wanted.end, size)
        recorded = None
        if wanted.begin < end:
            facts = {
                "of": "records",
                "format": format,
                "from_leaf": wanted.begin,
                "to_leaf": end,
                "org": wanted.org,
            }
            parts = {"reason": reason.encode()} if reason else {}
            entry = Entry(Kind.AUDIT_EXPORT, facts, parts)
            recorded = (await self._journal.note(who, entry)).entry_id
        pieces = self._pieces(found, wanted, end)
        return Handed(found, pieces, max(wanted.begin, end), recorded)

    async def _pieces(self, format: Format, wanted: Wanted, end: int) -> AsyncIterator[bytes]:
        if format.head:
            yield format.head
        begin = wanted.begin
        while begin < end:
            stretch = await self._reader.read(begin, min(_TOGETHER, end - begin))
            begin = stretch.end
            lines = [self._line(format, wanted, record) for record in stretch.records]
            if text := b"".join(lines):
                yield text

    def _line(self, format: Format, wanted: Wanted, record: Record) -> bytes:
        view = view_of(record, self._clean)
        return format.line(view) + format.end if _is_wanted(view, wanted) else b""


def _is_wanted(view: View, wanted: Wanted) -> bool:
    """A record that cannot be read is nobody's, and is shown to who sees every organisation."""
    if wanted.org is not None and view.org != wanted.org:
        return False
    if wanted.since is None and wanted.until is None:
        return True
    if view.ts is None:
        return False
    began = datetime.fromisoformat(view.ts)
    after = wanted.since is None or wanted.since <= began
    return after and (wanted.until is None or began < wanted.until)
