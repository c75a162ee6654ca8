"""Everything on record about one person, in clear: what they may ask for.

Source: GDPR, Article 15.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from gateway.core.erasures import ErasureStore
from gateway.core.ports import Journal
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind


class Read(Protocol):
    """An entry of an exchange, read back."""

    @property
    def entry_id(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def header(self) -> Mapping[str, Any]: ...
    @property
    def parts(self) -> Mapping[str, bytes] | None: ...
    @property
    def lacking(self) -> frozenset[str]: ...


ReadExchange = Callable[[str], Awaitable[Sequence[Read]]]


class SubjectExports:
    """Reads all of one subject's exchanges. That it is done is on record first."""

    def __init__(self, store: ErasureStore, journal: Journal, read: ReadExchange) -> None:
        self._store = store
        self._journal = journal
        self._read = read

    async def export(
        self, org: str, subject: str, by: Principal, reason: str
    ) -> tuple[dict[str, Any], AsyncIterator[dict[str, Any]]]:
        """What the export is, and its exchanges, the oldest first.

        Raises `Unavailable`; while it is read, also `Tampered` of whoever reads.
        """
        keys, exchanges = await self._store.exchanges_of(org, subject)
        facts = {"of": "subject", "keys": list(keys), "exchanges": len(exchanges)}
        entry = Entry(Kind.AUDIT_EXPORT, facts, {"reason": reason.encode()})
        receipt = await self._journal.note(by, entry)
        about = {
            "subject": subject,
            "org": org,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "made_by": by.key_id,
            "recorded_as": receipt.entry_id,
            "count": len(exchanges),
        }
        return about, self._exchanges(exchanges)

    async def _exchanges(self, ids: Sequence[str]) -> AsyncIterator[dict[str, Any]]:
        for id in ids:
            entries = [_entry(entry) for entry in await self._read(id)]
            yield {"exchange_id": id, "entries": entries}


def _entry(entry: Read) -> dict[str, Any]:
    return {
        "entry_id": entry.entry_id,
        "kind": str(entry.kind),
        "ts": entry.header["ts"],
        "facts": entry.header["facts"],
        "parts": {name: _text(content) for name, content in (entry.parts or {}).items()},
        "erased_in": sorted(entry.lacking),
    }


def _text(content: bytes) -> dict[str, str]:
    """Text as it is, anything else in base64."""
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
