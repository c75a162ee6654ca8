"""What the policy was asked, of many exchanges at once.

Only the parts `question` and `decision` are opened, and the part with values that were cut out
where one of the two holds any. What is not as it was written is counted, never used.
"""

from __future__ import annotations

import hashlib
import heapq
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
import orjson
from sqlalchemy import Connection, Select, func, select

from gateway.adapters.store.full_text import FullText
from gateway.adapters.store.indexing import aware
from gateway.adapters.store.lists import among, listed
from gateway.adapters.store.naming import Names
from gateway.adapters.store.opening import Opener
from gateway.adapters.store.sealed_entry import VALUES
from gateway.adapters.store.sealing import Seal, SealedPart, Tampered, Vault
from gateway.adapters.store.selecting import INDEX, Selection
from gateway.adapters.store.tables import AuditEntry, AuditPart, table
from gateway.adapters.store.threads import Threads
from gateway.core.audit import Filters, Scope
from gateway.core.objects import PayloadObjects
from gateway.core.policy import Verdict
from gateway.core.records import Kind, leaf_hash
from gateway.core.replays import AskedThen, Batch, Chosen, Unread, Wanted

_ENTRY, _PART = table(AuditEntry), table(AuditPart)
_READ = ("question", "decision")
_NAMED = b'"part":"question"'
"""How canonical bytes say that there is such a part; no text of a header can, as quotes in it
are escaped."""
_CUT = b"\x00"
"""Stands where a value was cut out, and nowhere else in JSON."""
_VERDICT = msgspec.json.Decoder(Verdict)


class _Told(NamedTuple):
    """An entry with a question: what its header promises of its parts."""

    entry_id: str
    promised: Mapping[str, Mapping[str, Any]]


class SqlQuestions:
    """Implements `RecordedQuestions` over a migrated database at `url`.

    `vault` wrapped the keys; `objects` has large payloads. On PostgreSQL a statement may take
    five times `patience` seconds.
    """

    def __init__(
        self,
        url: str,
        vault: Vault,
        *,
        objects: PayloadObjects | None = None,
        patience: float = 30.0,
    ) -> None:
        self._threads = Threads(url, "questions", patience)
        self._names = Names(vault)
        self._opener = Opener(vault, objects)
        self._text = FullText(self._threads.engine.dialect.name)

    async def choose(self, scope: Scope, wanted: Wanted) -> Chosen:
        return await self._threads.run(self._choose, scope, wanted)

    async def read(self, scope: Scope, numbers: Sequence[int]) -> Batch:
        return await self._threads.run(self._read, scope, numbers)

    async def stop(self) -> None:
        """Close the connections."""
        await self._threads.stop()

    def _choose(self, connection: Connection, scope: Scope, wanted: Wanted) -> Chosen:
        matching = self._matching(connection, scope, wanted.filters)
        if wanted.sample:
            return _drawn(connection, matching, wanted.most)
        newest = matching.order_by(INDEX.c.ts.desc(), INDEX.c.number.desc()).limit(wanted.most)
        numbers = array("q", (row.number for row in connection.execute(newest)))
        matched = len(numbers)
        if matched == wanted.most:
            every = matching.with_only_columns(func.count())
            matched = connection.execute(every).scalar_one()
        return Chosen(numbers, matched)

    def _matching(self, connection: Connection, scope: Scope, filters: Filters) -> Select[Any]:
        selection = Selection(connection, scope, filters, self._names, self._text)
        return select(INDEX.c.number, INDEX.c.exchange_id).where(*selection.conditions())

    def _read(self, connection: Connection, scope: Scope, numbers: Sequence[int]) -> Batch:
        dialect = connection.dialect.name
        rows = [
            row
            for row in connection.execute(_rows(dialect), {"numbers": listed(dialect, numbers)})
            if row.org_id == scope.org and scope.team in (None, row.team)
        ]
        rows.sort(key=lambda row: (row.ts, row.number), reverse=True)
        page = _Page(connection, self._opener, [row.exchange_id for row in rows])
        asked: list[AskedThen] = []
        unread: Counter[Unread] = Counter()
        for row in rows:
            found = page.of(row.exchange_id)
            told = found if isinstance(found, Unread) else _asked(row, *found)
            if isinstance(told, Unread):
                unread[told] += 1
            else:
                asked.append(told)
        return Batch(asked, dict(unread))


def _drawn(connection: Connection, matching: Select[Any], most: int) -> Chosen:
    """Those whose ids hash lowest: as good as at random, and the same each time."""
    matched = 0

    def ranked() -> Iterator[tuple[bytes, int]]:
        nonlocal matched
        for row in connection.execution_options(yield_per=5_000).execute(matching):
            matched += 1
            yield hashlib.sha256(row.exchange_id.encode()).digest()[:12], row.number

    lowest = heapq.nsmallest(most, ranked())
    return Chosen(array("q", sorted((number for _, number in lowest), reverse=True)), matched)


class _Page:
    """The questions of some exchanges, read together and opened one by one."""

    def __init__(self, connection: Connection, opener: Opener, ids: Sequence[str]) -> None:
        self._connection = connection
        self._opener = opener
        dialect = connection.dialect.name
        self._told: dict[str, _Told | Unread] = {}
        asked = connection.execute(_headers(dialect), {"ids": listed(dialect, ids)})
        for entry_id, exchange_id, header, leaf in asked:
            if _NAMED in header and exchange_id not in self._told:
                self._told[exchange_id] = _told(entry_id, header, leaf)
        entries = [told.entry_id for told in self._told.values() if isinstance(told, _Told)]
        self._stored = self._parts(entries, _READ)
        self._seals = self._keys(list(self._told))

    def of(self, exchange_id: str) -> tuple[bytes, bytes | None] | Unread:
        """The question of an exchange, and what was decided; or why there is none.

        Raises `Unavailable` while a payload cannot be read from object storage.
        """
        told = self._told.get(exchange_id, Unread.NOT_ASKED)
        if isinstance(told, Unread):
            return told
        stored, seal = self._stored.get(told.entry_id), self._seals.get(exchange_id)
        if isinstance(seal, Unread):
            return seal
        if seal is None or stored is None:
            return Unread.ERASED
        try:
            return self._opened(told, stored, seal)
        except (Tampered, ValueError):
            return Unread.ALTERED

    def _opened(
        self, told: _Told, stored: Mapping[str, SealedPart], seal: Seal
    ) -> tuple[bytes, bytes | None] | Unread:
        wanted = [name for name in _READ if name in told.promised]
        if any(name not in stored for name in wanted):
            return Unread.ERASED
        parts: dict[str, bytes] = {}
        for name in wanted:
            promised, part = told.promised[name], stored[name]
            if promised["sha256_ct"] != part.sha256_ct.hex():
                raise Tampered(f"{told.entry_id}: its {name} was replaced")
            if promised.get("bound"):
                return self._restored(told, stored, seal)
            content = seal.unseal(told.entry_id, part)
            away = promised.get("object_sha256")
            parts[name] = self._opener.whole(told.entry_id, name, away, content)
            if _CUT in parts[name]:
                return self._restored(told, stored, seal)
        return parts["question"], parts.get("decision")

    def _restored(
        self, told: _Told, stored: Mapping[str, SealedPart], seal: Seal
    ) -> tuple[bytes, bytes | None] | Unread:
        """The same where values were found in what was asked: they are put back."""
        every = {**stored, **self._parts([told.entry_id], (VALUES,)).get(told.entry_id, {})}
        promised = [told.promised[name] for name in every if name in told.promised]
        found = self._opener.entry(self._connection, seal, told.entry_id, promised, every)
        if found.lacking:
            return Unread.ERASED
        return found.parts["question"], found.parts.get("decision")

    def _parts(
        self, entries: Sequence[str], names: Sequence[str]
    ) -> dict[str, dict[str, SealedPart]]:
        dialect = self._connection.dialect.name
        stored: dict[str, dict[str, SealedPart]] = {}
        wanted = _sealed(dialect, tuple(names))
        for id, *part in self._connection.execute(wanted, {"entries": listed(dialect, entries)}):
            stored.setdefault(id, {})[part[0]] = SealedPart._make(part)
        return stored

    def _keys(self, ids: Sequence[str]) -> Mapping[str, Seal | Unread]:
        """The keys of exchanges. One that was altered keeps nobody from the others."""
        try:
            return self._opener.seals(self._connection, ids)
        except (ValueError, RuntimeError):
            if len(ids) == 1:
                return {ids[0]: Unread.ALTERED}
        half = len(ids) // 2
        return {**self._keys(ids[:half]), **self._keys(ids[half:])}


def _told(entry_id: str, header: bytes, leaf: bytes) -> _Told | Unread:
    if leaf_hash(header) != leaf:
        return Unread.ALTERED
    promised = orjson.loads(header)["parts"]
    return _Told(entry_id, {part["part"]: part for part in promised})


def _asked(row: Any, question: bytes, decision: bytes | None) -> AskedThen | Unread:
    try:
        facts = orjson.loads(question)
    except orjson.JSONDecodeError:
        return Unread.ALTERED
    return AskedThen(
        row.exchange_id,
        aware(row.ts),
        row.app,
        row.team,
        row.model,
        row.cost_micro,
        facts,
        None if decision is None else _verdict(decision),
        row.revision,
    )


def _verdict(decision: bytes) -> Verdict | None:
    try:
        return _VERDICT.decode(decision)
    except msgspec.DecodeError:
        return None


@cache
def _rows(dialect: str) -> Select[Any]:
    names = ("number", "exchange_id", "org_id", "ts", "app", "team", "model", "revision")
    columns = (INDEX.c[name] for name in (*names, "cost_micro"))
    return select(*columns).where(among(dialect, INDEX.c.number, "numbers"))


@cache
def _headers(dialect: str) -> Select[Any]:
    """The entries of exchanges that may hold a question, in the order written."""
    columns = (_ENTRY.c.entry_id, _ENTRY.c.exchange_id, _ENTRY.c.header, _ENTRY.c.leaf_hash)
    return (
        select(*columns)
        .where(among(dialect, _ENTRY.c.exchange_id, "ids"), _ENTRY.c.kind != Kind.SEGMENT.value)
        .order_by(_ENTRY.c.entry_id)
    )


@cache
def _sealed(dialect: str, names: tuple[str, ...]) -> Select[Any]:
    columns = (_PART.c[name] for name in SealedPart._fields)
    return select(_PART.c.entry_id, *columns).where(
        among(dialect, _PART.c.entry_id, "entries"), _PART.c.part.in_(names)
    )
