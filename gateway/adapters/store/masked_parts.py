"""Payloads of several exchanges at once, as an index may read them: without found values.

Where a value was cut out stands its label. A payload that holds one which could not be cut out
is not read at all, nor anything of an exchange with values that are not known to be cut out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import orjson
import structlog
from sqlalchemy import Connection, select

from gateway.adapters.store.erasure_tables import ValueIndex
from gateway.adapters.store.opening import Opener
from gateway.adapters.store.sealed_entry import VALUES, cut_out
from gateway.adapters.store.sealing import Seal, SealedPart, Vault
from gateway.adapters.store.tables import AuditEntry, AuditPart, table

READ = ("request_received", "request_sent", "answer_received", "attributes")
"""The parts that an index is made of. Of the answer it is what the provider said: masked."""
_ENTRY, _PART, _VALUE = table(AuditEntry), table(AuditPart), table(ValueIndex)
_log = structlog.get_logger(__name__)
_TOKEN = re.compile(rb"\x00([0-9]+)\x00")
_STAND_IN = b"1"
"""What stands for a value where a label cannot: in place of a number."""


class MaskedParts:
    """Decrypts under the keys that `vault` wrapped."""

    def __init__(self, vault: Vault) -> None:
        self._opener = Opener(vault)

    def fetch(self, connection: Connection, exchange_ids: Collection[str]) -> SealedParts:
        """What is stored of these exchanges, still sealed."""
        ids = list(exchange_ids)
        wanted = (
            select(_PART, _ENTRY.c.exchange_id, _ENTRY.c.header)
            .join(_ENTRY, _ENTRY.c.entry_id == _PART.c.entry_id)
            .where(_ENTRY.c.exchange_id.in_(ids), _PART.c.part.in_((*READ, VALUES)))
            .order_by(_ENTRY.c.writer_seq)
        )
        sealed: dict[str, dict[str, list[Any]]] = {}
        for row in connection.execute(wanted):
            sealed.setdefault(row.exchange_id, {}).setdefault(row.entry_id, []).append(row)
        uncut = select(_VALUE.c.exchange_id).where(
            _VALUE.c.exchange_id.in_(ids), _VALUE.c.whole.is_(True)
        )
        for exchange_id in connection.scalars(uncut):
            sealed.pop(exchange_id, None)
        return SealedParts(self._seals(connection, ids), sealed)

    def _seals(self, connection: Connection, ids: list[str]) -> dict[str, Seal]:
        """The keys of exchanges. One that was altered keeps nobody from the others."""
        try:
            return self._opener.seals(connection, ids)
        except (ValueError, RuntimeError) as error:
            if len(ids) == 1:
                _log.error("key_unreadable", exchange_id=ids[0], why=type(error).__name__)
                return {}
        half = len(ids) // 2
        return self._seals(connection, ids[:half]) | self._seals(connection, ids[half:])


class SealedParts:
    """Parts that were read and not yet opened."""

    def __init__(
        self, seals: Mapping[str, Seal], sealed: Mapping[str, Mapping[str, list[Any]]]
    ) -> None:
        self._seals = seals
        self._sealed = sealed

    def opened(self, exchange_id: str) -> tuple[dict[str, bytes], frozenset[str]]:
        """The parts of an exchange by name, the last of each, and which of them were cut.

        None where its key is gone. Raises `Tampered`.
        """
        seal = self._seals.get(exchange_id)
        parts: dict[str, bytes] = {}
        cut: set[str] = set()
        for entry_id, rows in self._sealed.get(exchange_id, {}).items() if seal else ():
            opened = _entry(seal, entry_id, rows)
            labels = [b" ".join(one) for one in _labels(opened.pop(VALUES, None))]
            for name, payload in opened.items():
                parts[name] = _named(payload, labels) if labels else payload
                if parts[name] is not payload:
                    cut.add(name)
        return parts, frozenset(cut)


def _entry(seal: Seal | None, entry_id: str, rows: list[Any]) -> dict[str, bytes]:
    """The parts of an entry that hold no value which could not be cut out."""
    assert seal is not None
    promised = orjson.loads(rows[0].header)["parts"]
    bound = {part["part"] for part in promised if part.get("bound")}
    return {
        row.part: seal.unseal(
            entry_id, SealedPart(*(row._mapping[name] for name in SealedPart._fields))
        )
        for row in rows
        if row.part not in bound
    }


def _labels(values: bytes | None) -> list[list[bytes]]:
    if values is None:
        return []
    return [[label.encode() for label in piece.labels] for piece in cut_out(values).pieces]


def _named(payload: bytes, labels: list[bytes]) -> bytes:
    """`payload` with labels where values were cut out of it; itself where none was."""
    if not _TOKEN.search(payload):
        return payload
    named = _TOKEN.sub(lambda token: b" %b " % labels[int(token[1])], payload)
    if _is_json(named):
        return named
    standing = _TOKEN.sub(_STAND_IN, payload)
    return standing if _is_json(standing) else named


def _is_json(payload: bytes) -> bool:
    try:
        for line in payload.split(b"\n"):
            orjson.loads(line or b"0")
    except ValueError:
        return False
    return True
