"""Records handed out to people, in a format of theirs. That it is done is on record first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from gateway.core.errors import Code, Denied, Malformed
from gateway.core.exports import LogReader, Texts
from gateway.core.ports import Journal
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind
from gateway.core.roles import SEES_ALL, SEES_MASKED
from gateway.governance.audits import LONGEST_REASON
from gateway.governance.explaining import Clean
from gateway.governance.formats import FILES, FORMATS, WITH_CONTENT, Format
from gateway.governance.formats.view import View
from gateway.governance.telling import views

MOST_LEAVES = 10_000
"""Leaves that one request over HTTP may ask for."""
MASKED = "masked"
"""What the record says of content that is handed out without personal data."""
_TOGETHER = 128


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records: those that stand at the leaves from `begin` up to `end`.

    `end` None stands for the log as it is now; times are half open, by when a record began;
    `org` None is every organisation. `masked` asks for what was said too, without personal data.
    """

    begin: int = 0
    end: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    org: str | None = None
    masked: bool = False


@dataclass(frozen=True, slots=True)
class Handed:
    """What is handed out, `next`: the leaf to go on from, and the entry that says so."""

    format: Format
    pieces: AsyncIterator[bytes]
    next: int
    recorded_as: str | None


class Exports:
    """Every method raises `Denied`, `Malformed`, `Unavailable`; the pieces also `LogBroken`."""

    def __init__(self, reader: LogReader, journal: Journal, clean: Clean, texts: Texts) -> None:
        self._reader = reader
        self._journal = journal
        self._clean = clean
        self._texts = texts

    async def page(
        self,
        who: Principal,
        format: str,
        begin: int,
        limit: int,
        *,
        masked: bool = False,
        reason: str = "",
    ) -> Handed:
        """What stands at up to `limit` leaves from `begin`, of the asker's organisation."""
        needed = SEES_MASKED if masked else SEES_ALL
        if needed.isdisjoint(who.roles):
            named = " or ".join(sorted(needed))
            raise Denied(Code.INSUFFICIENT_ROLE, f"This needs the role {named}.")
        if format in FILES:
            raise Malformed(
                f"{format!r} is made as one file: `govgate audit export` makes it.", param="format"
            )
        if not 1 <= limit <= MOST_LEAVES:
            raise Malformed(f"'limit' is a number from 1 to {MOST_LEAVES}.", param="limit")
        wanted = Wanted(begin, begin + limit, org=who.org, masked=masked)
        return await self.hand(who, format, wanted, reason)

    async def hand(self, who: Principal, format: str, wanted: Wanted, reason: str = "") -> Handed:
        """What is wanted, whoever asks. Where there is nothing new, nothing is put on record.

        The pieces of a format of `FILES` are the rows of which the file is to be made.
        """
        found = FORMATS.get(format) or FILES.get(format)
        if found is None:
            raise Malformed(f"'format' is one of {', '.join(FORMATS)}.", param="format")
        if wanted.masked:
            _check_masked(format, reason)
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
                **({"content": MASKED} if wanted.masked else {}),
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
            texts = self._texts if wanted.masked else None
            chosen = partial(_is_wanted, wanted=wanted)
            told = await views(stretch.records, self._clean, texts, chosen)
            if text := b"".join(format.line(view) + format.end for view in told):
                yield text


def _check_masked(format: str, reason: str) -> None:
    """Raise `Malformed` unless what was said may be asked for so."""
    if format != WITH_CONTENT:
        raise Malformed(f"What was said is told as {WITH_CONTENT} only.", param="content")
    if not 0 < len(reason.strip()) <= LONGEST_REASON:
        raise Malformed(
            f"Say why what was said is wanted, in 1 to {LONGEST_REASON} characters.", param="reason"
        )


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
