"""Keys read back: those of exchanges, under whatever they rest, and those of values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, select

from gateway.adapters.store.erasure_tables import SubjectKey, ValueKey
from gateway.adapters.store.object_parts import open_object
from gateway.adapters.store.person_keys import SUBJECT, PersonKey
from gateway.adapters.store.sealed_entry import VALUES, cut_out, restored
from gateway.adapters.store.sealing import Seal, SealedPart, Tampered, Vault
from gateway.adapters.store.tables import RecordKey, table
from gateway.core.objects import PayloadObjects

_RECORD, _SUBJECT, _VALUE = table(RecordKey), table(SubjectKey), table(ValueKey)
_MOST = 500
"""Ids in one list of a statement."""


class Opened(NamedTuple):
    """The parts of an entry that can still be read, and the names of those that are not all
    there, because a value in them was erased."""

    parts: dict[str, bytes]
    lacking: frozenset[str]


class Opener:
    """Opens what rests under the keys that `vault` wrapped. `objects` has large payloads."""

    def __init__(self, vault: Vault, objects: PayloadObjects | None = None) -> None:
        self._vault = vault
        self._objects = objects

    def seals(self, connection: Connection, exchange_ids: Collection[str]) -> dict[str, Seal]:
        """The keys of exchanges; without those that were erased, or have none.

        Raises `Tampered`, and what the vault raises for a key that is not its own.
        """
        rows = list(_rows(connection, _RECORD, "exchange_id", exchange_ids))
        under = {row.kek_id for row in rows if row.kek_id.startswith(f"{SUBJECT}_")}
        subjects = self._keys(connection, _SUBJECT, under)
        seals: dict[str, Seal] = {}
        for row in rows:
            id, wrapped = row.exchange_id, bytes(row.wrapped)
            if row.kek_id in under:
                subject = subjects[row.kek_id]
                if subject is None:
                    continue
                key = subject.unwrap(wrapped, id)
            else:
                key = self._vault.unwrap(row.kek_id, wrapped, id)
            seals[id] = Seal(key, row.kek_id, wrapped)
        return seals

    def secrets(self, connection: Connection, ids: Collection[str]) -> dict[str, bytes]:
        """The keys of values, by their ids; without those that were destroyed."""
        keys = self._keys(connection, _VALUE, set(ids))
        return {id: key.secret for id, key in keys.items() if key is not None}

    def entry(
        self,
        connection: Connection,
        seal: Seal,
        entry_id: str,
        promised: Sequence[Mapping[str, Any]],
        stored: Mapping[str, SealedPart],
    ) -> Opened:
        """The parts of an entry, with its values put back. `promised` is what its header says.

        Raises `Tampered`; `Unavailable` while a payload cannot be read from object storage.
        """
        bound = {part["part"]: list(part.get("bound", ())) for part in promised}
        away = {part["part"]: part.get("object_sha256") for part in promised}
        ids = {id for several in bound.values() for id in several}
        values = None
        if VALUES in stored:
            values = cut_out(seal.unseal(entry_id, stored[VALUES]))
            ids |= {id for piece in values.pieces for id in piece.keys}
        secrets = self.secrets(connection, ids) if ids else {}
        parts: dict[str, bytes] = {}
        lacking: set[str] = set()
        for name, part in stored.items():
            if name == VALUES:
                continue
            if any(id not in secrets for id in bound[name]):
                lacking.add(name)
            else:
                content = seal.unseal(entry_id, part, [secrets[id] for id in bound[name]])
                parts[name] = self.whole(entry_id, name, away.get(name), content)
        if values is not None:
            parts, cut = restored(entry_id, parts, values, seal, secrets)
            lacking |= cut
        return Opened(parts, frozenset(lacking))

    def whole(self, entry_id: str, part: str, digest: str | None, content: bytes) -> bytes:
        """A payload. Where its header names an object, `content` is what that is read with.

        Raises as `entry`.
        """
        if digest is None:
            return content
        return open_object(entry_id, part, bytes.fromhex(digest), content, self._objects)

    def _keys(
        self, connection: Connection, keys: Table, ids: Collection[str]
    ) -> dict[str, PersonKey | None]:
        """Keys by id; None for one that was destroyed. Raises `Tampered` for one that is gone."""
        found: dict[str, PersonKey | None] = {}
        for row in _rows(connection, keys, "key_id", ids):
            destroyed = row.wrapped is None
            found[row.key_id] = None if destroyed else self._opened(row)
        if gone := set(ids) - found.keys():
            raise Tampered(f"there is no key {min(gone)}")
        return found

    def _opened(self, row: Any) -> PersonKey:
        secret = self._vault.unwrap(row.kek_id, bytes(row.wrapped), row.key_id)
        return PersonKey(row.key_id, secret)


def _rows(connection: Connection, of: Table, column: str, ids: Collection[str]) -> Iterator[Any]:
    listed = list(ids)
    for start in range(0, len(listed), _MOST):
        some = listed[start : start + _MOST]
        yield from connection.execute(select(of).where(of.c[column].in_(some)))
