"""What people ask of the record, and who may ask what.

Nobody sees anything without a role. Metadata is a team's or an organisation's; what was said is
an investigator's, with a reason, and to read it is on record before it is shown.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec

from gateway.core.audit import (
    MOST_ROWS,
    Facets,
    Filters,
    Ledger,
    Listed,
    Page,
    Scope,
    Search,
    Session,
    Standing,
    StoredParts,
    StoredQuery,
)
from gateway.core.errors import Code, Denied, Malformed, Unavailable
from gateway.core.ports import Journal
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind
from gateway.core.roles import SEES_ALL, SEES_CONTENT, SEES_TEAM, Role
from gateway.governance.contents import Find, without
from gateway.governance.explaining import Clean, Explanation, cleaned, explain, revision_of

LONGEST_REASON = 1_000
_NAME = re.compile(r"[^\W_](?:[\w .:/-]{0,98}[^\W_])?")
_SAME = "same as "

Spoken: TypeAlias = Callable[[str], Awaitable[Mapping[str, str]]]
"""The sentences of the rules of a revision, by their ids; none where it is not known."""


class Step(msgspec.Struct, frozen=True):
    """An entry of an exchange: its header's facts, and which payloads it has."""

    entry_id: str
    kind: str
    ts: datetime
    leaf: str
    position: int | None
    """Its place in the log; None while it has none."""
    intact: bool
    """Whether its header has the hash that was stored."""
    facts: dict[str, Any]
    parts: tuple[dict[str, Any], ...]
    """The name and size of each payload."""


class Timeline(msgspec.Struct, frozen=True):
    """An exchange, without anything that was said."""

    exchange_id: str
    summary: Listed | None
    """None until it is in the index."""
    erased: bool
    """Whether the key of its payloads is gone."""
    entries: tuple[Step, ...]


class Piece(msgspec.Struct, frozen=True):
    """A payload in clear: as text where it is that, else as base64."""

    entry_id: str
    kind: str
    part: str
    text: str | None = None
    base64: str | None = None


class Content(msgspec.Struct, frozen=True):
    """What was said in an exchange. `read` is the entry that says who read it, and why."""

    exchange_id: str
    read: str
    parts: tuple[Piece, ...]
    lacking: tuple[str, ...] = ()
    """Payloads in which a value was erased: it reads `[erased]`, or the payload is not here."""


class Audits:
    """Every method raises `Denied` (INSUFFICIENT_ROLE, NOT_FOUND), `Malformed`, `Unavailable`.

    What is outside of what somebody may see is not found.
    """

    def __init__(
        self,
        search: Search,
        ledger: Ledger,
        journal: Journal,
        find: Find,
        spoken: Spoken | None = None,
    ) -> None:
        """`find` tells where personal data stands in a caller's word, such as a tag; `spoken`
        what the rules of a revision do."""
        self._search = search
        self._ledger = ledger
        self._journal = journal
        self._find = find
        self._spoken = spoken

    async def page(
        self, who: Principal, filters: Filters, after: str | None = None, limit: int = 50
    ) -> Page:
        """The newest exchanges that match, after the place that `Page.next` named."""
        scope = _scope(who, filters)
        if not 1 <= limit <= MOST_ROWS:
            raise Malformed(f"'limit' is a number from 1 to {MOST_ROWS}.", param="limit")
        try:
            return await self._search.page(scope, filters, after, limit)
        except ValueError as error:
            raise Malformed("No page named the place in 'after'.", param="after") from error

    async def facets(self, who: Principal, filters: Filters) -> Facets:
        """What the newest matches are made of, by dimension."""
        return await self._search.facets(_scope(who, filters), filters)

    async def find(self, who: Principal, id: str) -> str:
        """The exchange that any id belongs to, whenever it was."""
        scope = _scope(who)
        found = await self._search.find(scope.org, id)
        if found is None or not await self._search.entries(scope, found):
            raise _not_found(id)
        return found

    async def exchange(self, who: Principal, exchange_id: str) -> Timeline:
        """What happened, in order, without anything that was said."""
        scope = _scope(who)
        entries = await self._entries(scope, exchange_id)
        summary = await self._search.listed(scope, exchange_id)
        steps = tuple(_step(entry, self._clean) for entry in entries)
        erased = any(step.parts for step in steps) and any(entry.erased for entry in entries)
        return Timeline(exchange_id, summary, erased, steps)

    async def explain(self, who: Principal, exchange_id: str) -> Explanation:
        """Why it was decided as it was."""
        await self._entries(_scope(who), exchange_id)
        stored = await self._read(exchange_id)
        revision = revision_of(stored)
        spoken: Mapping[str, str] = {}
        if revision is not None and self._spoken is not None:
            spoken = await self._spoken(revision)
        try:
            return explain(exchange_id, stored, self._clean, spoken)
        except (ValueError, LookupError) as error:
            raise _unreadable() from error

    async def session(self, who: Principal, session: str) -> Session:
        """The exchanges of a session, the oldest first."""
        found = await self._search.session(_scope(who), session)
        if not found.turns:
            raise _not_found(session)
        return found

    async def content(
        self, who: Principal, exchange_id: str, reason: str, parts: Sequence[str] = ()
    ) -> Content:
        """Payloads in clear; all of them unless `parts` names some.

        That they are read, by whom and why, is durable before they are decrypted.
        """
        if SEES_CONTENT.isdisjoint(who.roles):
            raise _needs(SEES_CONTENT)
        reason = reason.strip()
        if not 0 < len(reason) <= LONGEST_REASON:
            raise Malformed(
                f"Say why, in 1 to {LONGEST_REASON} characters: x-govgate-reason.",
                param="x-govgate-reason",
            )
        entries = await self._entries(Scope(who.org), exchange_id)
        there = {name for entry in entries for name in _names(entry.header)}
        if missing := set(parts) - there:
            raise _not_found(f"{exchange_id}: {min(missing)}")
        wanted = sorted(parts or there)
        facts = {"exchange_id": exchange_id, "parts": wanted}
        entry = Entry(Kind.AUDIT_READ, facts, {"reason": reason.encode()})
        receipt = await self._journal.note(who, entry)
        stored = await self._read(exchange_id)
        if all(entry.parts is None for entry in stored if entry.header["parts"]):
            raise Denied(Code.NOT_FOUND, f"What was said in {exchange_id} is erased.")
        lacking = {name for entry in stored for name in entry.lacking}.intersection(wanted)
        pieces = tuple(_pieces(stored, wanted))
        return Content(exchange_id, receipt.entry_id, pieces, tuple(sorted(lacking)))

    async def saved(self, who: Principal) -> Sequence[StoredQuery]:
        """The kept queries of the organisation, by name."""
        return await self._search.saved(_scope(who).org)

    async def save(self, who: Principal, name: str, filters: Filters) -> StoredQuery:
        """Keep a query for everybody who may ask any."""
        scope = _scope(who, filters)
        if not _NAME.fullmatch(name):
            raise Malformed("A name has up to 100 letters, digits, spaces and .:/-", param="name")
        if filters.user is not None or filters.value is not None or filters.text is not None:
            raise Malformed(
                "A query that names a person, a value or words of a text cannot be kept.",
                param="filters",
            )
        query = StoredQuery(name, filters, who.key_id, datetime.now(UTC))
        if not await self._search.save(scope.org, query):
            raise Malformed(f"Somebody else keeps a query called {name!r}.", param="name")
        return query

    async def forget(self, who: Principal, name: str) -> None:
        """Forget a query of one's own."""
        if not await self._search.forget(_scope(who).org, name, who.key_id):
            raise _not_found(name)

    def _clean(self, text: str) -> str:
        return without(text, self._find(text))

    async def _entries(self, scope: Scope, exchange_id: str) -> Sequence[Standing]:
        entries = await self._search.entries(scope, exchange_id)
        if not entries or entries[0].kind != Kind.OPENED:
            raise _not_found(exchange_id)
        return entries

    async def _read(self, exchange_id: str) -> Sequence[StoredParts]:
        try:
            return await self._ledger.read_exchange(exchange_id)
        except ValueError as error:
            raise _unreadable() from error


def _scope(who: Principal, filters: Filters | None = None) -> Scope:
    """What `who` may see the metadata of. Raises `Denied`."""
    if not SEES_ALL.isdisjoint(who.roles):
        return Scope(who.org)
    if filters is not None and filters.value is not None:
        raise _needs(SEES_ALL)  # or a team could try out whom others write to
    if not SEES_TEAM.isdisjoint(who.roles):
        return Scope(who.org, who.team)
    raise _needs(SEES_TEAM | SEES_ALL)


def _needs(roles: frozenset[Role]) -> Denied:
    named = " or ".join(sorted(roles))
    return Denied(Code.INSUFFICIENT_ROLE, f"This needs the role {named}.")


def _not_found(id: str) -> Denied:
    return Denied(Code.NOT_FOUND, f"Nothing is known of {id[:200]!r} here.")


def _unreadable() -> Unavailable:
    return Unavailable(Code.AUDIT_UNAVAILABLE, "The record is not as it was written.")


def _step(entry: Standing, clean: Clean) -> Step:
    header = entry.header
    parts = tuple({"part": part["part"], "size": part["size"]} for part in header["parts"])
    return Step(
        entry.entry_id,
        str(entry.kind),
        entry.ts,
        entry.leaf.hex(),
        entry.position,
        entry.intact,
        cleaned(header["facts"], clean),
        parts,
    )


def _names(header: Any) -> Iterator[str]:
    """The payloads that an entry has, also those that equal another's."""
    yield from (part["part"] for part in header["parts"])
    yield from _aliases(header)


def _aliases(header: Any) -> dict[str, str]:
    """Payloads that are not stored twice, and which each equals."""
    facts = header["facts"].items()
    told = {name: said for name, said in facts if isinstance(said, str) and said[:8] == _SAME}
    return {name: said.removeprefix(_SAME) for name, said in told.items()}


def _pieces(stored: Sequence[StoredParts], wanted: Sequence[str]) -> Iterator[Piece]:
    known: dict[str, bytes] = {}
    for entry in stored:
        parts = dict(entry.parts or {})
        known |= parts
        parts |= {
            name: known[original]
            for name, original in _aliases(entry.header).items()
            if original in known
        }
        for name in wanted:
            if name in parts:
                yield _piece(entry, name, parts[name])


def _piece(entry: StoredParts, name: str, payload: bytes) -> Piece:
    try:
        return Piece(entry.entry_id, str(entry.kind), name, text=payload.decode())
    except UnicodeDecodeError:
        encoded = base64.b64encode(payload).decode()
        return Piece(entry.entry_id, str(entry.kind), name, base64=encoded)
