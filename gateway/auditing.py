"""The composition of searches: the index that follows the log, and who may ask what of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from litestar.handlers import HTTPRouteHandler

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.idempotency import name_mac
from gateway.adapters.store.index_keeper import IndexKeeper
from gateway.adapters.store.indexer import Indexer
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.masked_parts import MaskedParts
from gateway.adapters.store.naming import Names
from gateway.adapters.store.queries import ReadingLedger, SqlSearch
from gateway.adapters.store.records import SqlRecords
from gateway.core.dialect import Dialect
from gateway.governance.audits import Audits, Spoken
from gateway.governance.contents import LEAST_MILLI, DialectContents, Span
from gateway.inspectors.pii import scan
from gateway.payloads import open_payloads
from gateway.server.audit import audit_routes
from gateway.server.callers import Callers
from gateway.server.census import POSTURE, Posture
from gateway.settings import Settings


@dataclass
class Auditing:
    """Who answers questions about the record, and who keeps the index that answers rest on."""

    audits: Audits
    search: SqlSearch
    keeper: IndexKeeper
    follows: bool
    """Whether this process keeps the index."""

    def routes(self, callers: Callers) -> Sequence[HTTPRouteHandler]:
        """The endpoints, none of which calls a model."""
        return audit_routes(callers.principal, self.audits, {POSTURE: Posture.CONTROL})

    def start(self) -> None:
        """Begin to follow the log, once the journal has begun."""
        if self.follows:
            self.keeper.start()

    async def stop(self) -> None:
        """Stop, before the journal does."""
        await self.keeper.stop()

    async def finish(self) -> None:
        """Index what is left, once all of it is in the log; close the connections."""
        await self.keeper.finish(index=self.follows)
        await self.search.stop()


def build_auditing(
    settings: Settings,
    keyring: Keyring,
    journal: SqlJournal,
    records: SqlRecords,
    dialects: Mapping[str, Dialect],
    spoken: Spoken,
) -> Auditing:
    """Searches over a migrated database. Nothing runs yet. `spoken` says what rules do."""
    search = open_search(settings, keyring)
    indexer = open_indexer(settings, keyring, dialects)
    return Auditing(
        Audits(search, ReadingLedger(records), journal, personal, spoken),
        search,
        IndexKeeper(indexer, journal.between),
        settings.audit.index,
    )


def open_search(settings: Settings, keyring: Keyring) -> SqlSearch:
    """What answers questions."""
    return SqlSearch(
        settings.database_url,
        Names(keyring),
        lambda name: name_mac(keyring.pepper, name),
    )


def open_indexer(settings: Settings, keyring: Keyring, dialects: Mapping[str, Dialect]) -> Indexer:
    """What keeps the index."""
    contents = DialectContents(dialects.values(), personal) if settings.audit.text else None
    parts = MaskedParts(keyring, open_payloads(settings))
    return Indexer(settings.database_url, parts, contents, keyring.index_key)


def personal(text: str) -> list[Span]:
    """Where personal data stands in `text`, as far as it is found by its shape."""
    least = LEAST_MILLI / 1_000
    return [Span(hit.label, hit.start, hit.end) for hit in scan(text) if hit.score >= least]
