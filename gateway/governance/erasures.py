"""Erase a person's records, or one value wherever it stands.

To erase is to destroy a key: the records stay, and prove that they are whole, but nobody can
read them. Each destruction is itself a record, which names keys and never people.
"""

from __future__ import annotations

from collections.abc import Awaitable

from gateway.core.erasures import SUBJECT, VALUE, Destroyed, ErasureStore, UnderHold
from gateway.core.ports import Journal
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind

BASIS = "GDPR Art. 17(3)"
"""Why what is under a hold may be kept."""
_ITSELF = "govgate"
"""Who puts on record what was erased before the process that did it died."""
_MOST = 500
"""Ids that one record names: its header has a size limit."""


class Erasures:
    """What people erase. To repeat an erasure completes one that was left half done."""

    def __init__(self, store: ErasureStore, journal: Journal) -> None:
        self._store = store
        self._journal = journal

    async def erase_subject(self, org: str, subject: str, by: Principal, reason: str) -> Destroyed:
        """Erase everything of a subject, such as `user:ann`, that is on record by now.

        Raises `UnderHold`, which is on record then; `ValueError`, `Unavailable`.
        """
        kind, _, name = subject.partition(":")
        if kind not in ("user", "app") or not name:
            raise ValueError("a subject reads user:NAME or app:NAME")
        _check(reason)
        work = self._store.destroy_subject(org, subject, by.key_id)
        return await self._erase(SUBJECT, work, by, reason)

    async def erase_value(
        self, org: str, label: str | None, value: str, by: Principal, reason: str
    ) -> Destroyed:
        """Erase a value that was found, under any label unless one is given. As above."""
        if not value.strip():
            raise ValueError("give the value that is to be erased")
        _check(reason)
        work = self._store.destroy_value(org, label, value, by.key_id)
        return await self._erase(VALUE, work, by, reason)

    async def reapply(self) -> int:
        """Destroy again what a restored backup brought back; before anything is served."""
        return await self._store.reapply()

    async def finish(self) -> None:
        """Put on record what was destroyed by whoever did not live to say so."""
        for destroyed in await self._store.unrecorded():
            await self._record(destroyed, Principal(destroyed.org, "", "", _ITSELF), None)

    async def _erase(
        self, of: str, work: Awaitable[Destroyed], by: Principal, reason: str
    ) -> Destroyed:
        try:
            destroyed = await work
        except UnderHold as refused:
            facts = {"of": of, "holds": list(refused.holds[:_MOST]), "basis": BASIS}
            entry = Entry(Kind.ERASURE_REFUSED, facts, {"reason": reason.encode()})
            await self._journal.note(by, entry)
            raise
        if destroyed.keys:
            await self._record(destroyed, by, reason)
        await self.finish()
        return destroyed

    async def _record(self, destroyed: Destroyed, by: Principal, reason: str | None) -> None:
        parts = {} if reason is None else {"reason": reason.encode()}
        exchanges = list(destroyed.exchanges)
        for start in range(0, max(len(exchanges), 1), _MOST):
            facts = {
                "of": destroyed.of,
                "keys": list(destroyed.keys),
                "exchanges": exchanges[start : start + _MOST],
            }
            await self._journal.note(by, Entry(Kind.KEY_DESTROYED, facts, parts))
        await self._store.recorded(destroyed.keys)


def _check(reason: str) -> None:
    if not reason.strip():
        raise ValueError("an erasure needs a reason")
