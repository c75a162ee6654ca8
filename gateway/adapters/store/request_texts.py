"""What requests said, without personal data, to be inspected again: as the index reads it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import structlog
from sqlalchemy import Connection

from gateway.adapters.store.index_reading import Entries, IndexReading
from gateway.adapters.store.indexing import payloads
from gateway.adapters.store.masked_parts import (
    Masked,
    MaskedParts,
    Parts,
    SealedParts,
    size_of,
    to_read,
)
from gateway.adapters.store.threads import Threads
from gateway.core.audit import Contents
from gateway.core.errors import Unavailable
from gateway.core.passages import Passage
from gateway.core.replays import Seen, Unseen

MOST_BYTES = 8 << 20
"""Bytes of payloads that are opened together."""
LONGEST = 4 << 20
"""Bytes of a payload that is opened at all."""
_ALL = 2**62
"""Behind the last leaf of any log."""
_REQUEST = frozenset({"request_received", "request_sent"})
_log = structlog.get_logger(__name__)

_Wanted: TypeAlias = Sequence[tuple[Entries, Parts]]


class SqlRequestTexts:
    """Implements `RecordedTexts` over the database at `url`. No answer is opened.

    Payloads are read some at a time, `most_bytes` of them together, and are opened after the
    transaction in which they were read. On PostgreSQL a statement may take five times `patience`
    seconds.
    """

    def __init__(
        self,
        url: str,
        parts: MaskedParts,
        contents: Contents,
        *,
        patience: float = 30.0,
        most_bytes: int = MOST_BYTES,
        longest: int = LONGEST,
    ) -> None:
        self._threads = Threads(url, "request texts", patience)
        self._parts = parts
        self._contents = contents
        self._reading = IndexReading(self._threads.engine.dialect.name, parts)
        self._most = most_bytes
        self._longest = longest

    async def read(self, exchange_ids: Collection[str]) -> AsyncIterator[Mapping[str, Seen]]:
        known = await self._threads.run(self._entries, set(exchange_ids))
        seen: dict[str, Seen] = dict.fromkeys(exchange_ids, Unseen.NOT_RECORDED)
        wanted = []
        for one in known:
            found = self._promised(one)
            if isinstance(found, Unseen):
                seen[_id(one)] = found
            else:
                del seen[_id(one)]
                wanted.append((one, found))
        yield seen
        for some in _portions(wanted, self._most):
            parts = {_id(one): found for one, found in some}
            sealed = await self._threads.run(self._parts.fetch, parts)
            yield await asyncio.to_thread(self._opened, some, sealed)

    async def stop(self) -> None:
        """Close the connections."""
        await self._threads.stop()

    def _entries(self, connection: Connection, ids: set[str]) -> Sequence[Entries]:
        return [one for one in self._reading.exchanges(connection, ids, _ALL) if one.ended]

    def _promised(self, entries: Entries) -> Parts | Unseen:
        """The parts of a request that may be read, by what the headers say."""
        if not any(part.part in _REQUEST for some in entries.parts.values() for part in some):
            return Unseen.NOT_RECORDED
        found = {
            id: [part for part in some if part.part in _REQUEST]
            for id, some in to_read(entries.parts).items()
        }
        sizes = [part.size for some in found.values() for part in some]
        if not sizes:
            return Unseen.WITHHELD
        return found if max(sizes) <= self._longest else Unseen.TOO_LONG

    def _opened(self, some: _Wanted, sealed: SealedParts) -> dict[str, Seen]:
        return {_id(one): self._seen(one, sealed) for one, _ in some}

    def _seen(self, entries: Entries, sealed: SealedParts) -> Seen:
        id = _id(entries)
        if sealed.withheld(id):
            return Unseen.WITHHELD
        parts = sealed.of(id)
        if not parts:
            return Unseen.GONE
        try:
            return self._passages(entries, parts)
        except Unavailable:
            raise  # object storage is away: nothing can be said of anything
        except Exception as error:  # noqa: BLE001 - whatever it is, none of it is told
            _log.error("text_not_inspected", exchange_id=id, why=type(error).__name__)
            return Unseen.UNREADABLE

    def _passages(self, entries: Entries, parts: Masked) -> Seen:
        told: dict[str, Any] = {}
        for row in entries.rows:
            told |= row.header.facts
        found = payloads(entries.rows[0].header.facts, told, parts)
        if found.request is None:
            return Unseen.WITHHELD
        said = self._contents.read(found)
        return [Passage(text, at) for text, at in zip(said.asked, said.places, strict=True)]


def _id(entries: Entries) -> str:
    return entries.rows[0].exchange_id


def _portions(wanted: _Wanted, most: int) -> Iterator[_Wanted]:
    """Exchanges with at most `most` bytes of payloads together; a larger one is alone."""
    some: list[tuple[Entries, Parts]] = []
    held = 0
    for one in wanted:
        size = size_of(one[1])
        if some and held + size > most:
            yield some
            some, held = [], 0
        some.append(one)
        held += size
    if some:
        yield some
