"""The composition of erasure: who destroys keys, who holds, who hands out what is known."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.erasure import SqlErasure
from gateway.adapters.store.erasure_file import ErasureFile
from gateway.adapters.store.index_writing import forget, scrub
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.legal_holds import SqlHolds
from gateway.adapters.store.records import SqlRecords
from gateway.governance.erasures import Erasures
from gateway.governance.holds import Holds
from gateway.governance.subject_export import SubjectExports
from gateway.settings import Settings


@dataclass
class Erasing:
    """What people erase, hold and hand out."""

    erasures: Erasures
    holds: Holds
    exports: SubjectExports
    _store: SqlErasure
    _holds: SqlHolds

    async def reapply(self) -> None:
        """Destroy again what a restored backup brought back; before the journal starts.

        Raises `ValueError` for an erasure journal that cannot be read.
        """
        await self.erasures.reapply()

    async def start(self) -> None:
        """Put on record what was destroyed and is not, once the journal has started."""
        await self.erasures.finish()

    async def stop(self) -> None:
        """Close the connections."""
        self._store.stop()
        await self._holds.stop()


def build_erasing(
    settings: Settings, keyring: Keyring, journal: SqlJournal, records: SqlRecords
) -> Erasing:
    """Erasure over a migrated database. Nothing runs yet."""
    url = settings.database_url
    file = ErasureFile(settings.ledger.erasures or settings.data_dir / "erasures.jsonl")
    store = SqlErasure(url, keyring.index_key, file, journal.between, forget=(forget,), scrub=scrub)
    holds = SqlHolds(url, keyring.index_key)
    return Erasing(
        Erasures(store, journal),
        Holds(holds, journal),
        SubjectExports(store, journal, records.read_exchange),
        store,
        holds,
    )
