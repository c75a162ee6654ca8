"""What was said in exchanges, for whoever gets it without personal data: as the index reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import Connection

from gateway.adapters.store.index_reading import MOST_BYTES, Entries, IndexReading
from gateway.adapters.store.indexing import payloads
from gateway.adapters.store.masked_parts import Masked, MaskedParts, SealedParts, size_of, to_read
from gateway.adapters.store.threads import Threads
from gateway.core.audit import Contents, Said
from gateway.core.errors import Unavailable

_ALL = 2**62
"""Behind the last leaf of any log."""
_log = structlog.get_logger(__name__)


class SqlMaskedTexts:
    """Implements `Texts` over the database at `url`.

    Payloads are read some at a time, `most_bytes` of them together, and are opened after the
    transaction in which they were read.
    """

    def __init__(
        self,
        url: str,
        parts: MaskedParts,
        contents: Contents,
        *,
        patience: float = 2.0,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._threads = Threads(url, "texts", patience)
        self._parts = parts
        self._contents = contents
        self._reading = IndexReading(self._threads.engine.dialect.name, parts)
        self._most = most_bytes

    async def of(self, exchange_ids: Collection[str]) -> Mapping[str, Said | None]:
        known = await self._threads.run(self._entries, set(exchange_ids))
        found: dict[str, Said | None] = {}
        for some in _portions(known, self._most):
            wanted = {_id(one): to_read(one.parts) for one in some}
            sealed = await self._threads.run(self._parts.fetch, wanted)
            found |= await asyncio.to_thread(self._opened, some, sealed)
        return found

    async def stop(self) -> None:
        await self._threads.stop()

    def _entries(self, connection: Connection, ids: set[str]) -> Sequence[Entries]:
        return [one for one in self._reading.exchanges(connection, ids, _ALL) if one.ended]

    def _opened(self, some: Sequence[Entries], sealed: SealedParts) -> dict[str, Said | None]:
        found: dict[str, Said | None] = {}
        for one in some:
            if parts := sealed.of(_id(one)):
                found[_id(one)] = self._said(one, parts)
        return found

    def _said(self, entries: Entries, parts: Masked) -> Said | None:
        told: dict[str, Any] = {}
        for row in entries.rows:
            told |= row.header.facts
        try:
            return self._contents.read(payloads(entries.rows[0].header.facts, told, parts))
        except Unavailable:
            raise  # object storage is away: it is asked for again
        except Exception as error:  # noqa: BLE001 - whatever it is, none of it is told
            _log.error("text_not_told", exchange_id=_id(entries), why=type(error).__name__)
            return None


def _id(entries: Entries) -> str:
    return entries.rows[0].exchange_id


def _portions(known: Sequence[Entries], most: int) -> Iterator[Sequence[Entries]]:
    """Exchanges with at most `most` bytes of payloads together; a larger one is alone."""
    some: list[Entries] = []
    held = 0
    for one in known:
        size = size_of(to_read(one.parts))
        if some and held + size > most:
            yield some
            some, held = [], 0
        some.append(one)
        held += size
    if some:
        yield some
