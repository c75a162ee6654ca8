"""The keys of subjects and values that a commit needs: remembered, read, or made in it.

A key that is made is in no memory before its commit is durable. What is remembered is dropped
when a key was destroyed, by whomever: each commit reads the count of them, and keeps it from
changing until it is over.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from cachetools import LRUCache
from sqlalchemy import Dialect, bindparam, select

from gateway.adapters.store.erasure_tables import SubjectKey, ValueKey
from gateway.adapters.store.person_keys import SUBJECT, VALUE, PersonKey
from gateway.adapters.store.sealing import Vault
from gateway.adapters.store.statements import Cursor, Statements, Values
from gateway.adapters.store.tables import Row, table
from gateway.core.errors import Code, Unavailable
from gateway.core.ids import new_id

MOST = 10_000
"""Keys that are remembered, of each kind."""
_SIZES = (1, 4, 16, 64)
"""Of lists in a statement, so that all stay prepared; a shorter one repeats its last."""

Who: TypeAlias = tuple[str, bytes]
"""An organisation, and the keyed hash of a subject or a value of it."""


class KeyTable:
    """One table of keys, as a commit uses it."""

    def __init__(self, model: type[Row], mac: str, prefix: str, statements: Statements) -> None:
        columns = table(model).c
        self.prefix = prefix
        self.known: LRUCache[Who, PersonKey] = LRUCache(MOST)
        self.alive: LRUCache[str, None] = LRUCache(MOST)
        """The ids of those that are known not to be destroyed."""
        self._time = statements.time
        self._insert = statements.inserting_once(model, "key_id")
        found = select(columns[mac], columns.key_id, columns.kek_id, columns.wrapped).where(
            columns.org_id == bindparam("org"), columns.destroyed_at.is_(None)
        )
        living = select(columns.key_id).where(columns.destroyed_at.is_(None))
        self._find = _sized(found, columns[mac], statements.dialect)
        self._living = _sized(living, columns.key_id, statements.dialect)

    def find(self, cursor: Cursor, org: str, macs: Sequence[bytes]) -> list[Any]:
        """The hash, the id, the wrapping key and the wrapped key of each that there is."""
        rows: list[Any] = []
        for size, chosen in _chunks(macs):
            cursor.execute(self._find[size], (org, *chosen))
            rows += cursor.fetchall()
        return rows

    def living(self, cursor: Cursor, ids: Sequence[str]) -> set[str]:
        """Those of these keys that are not destroyed."""
        found: set[str] = set()
        for size, chosen in _chunks(ids):
            cursor.execute(self._living[size], chosen)
            found |= {row[0] for row in cursor.fetchall()}
        return found

    def make(self, cursor: Cursor, vault: Vault, wanted: Iterable[Who]) -> dict[Who, PersonKey]:
        """A new key for each that has none. Who finds that another was first is left out.

        They are sorted, so that nobody who does the same waits in a ring.
        """
        now, rows, made = self._time(datetime.now(UTC)), [], {}
        for org, mac in sorted(wanted):
            key = PersonKey(new_id(self.prefix), os.urandom(32))
            kek_id, wrapped = vault.wrap(key.secret, key.id)
            row: Values = (org, key.id, mac, kek_id, wrapped, now, None, None)
            rows.append(row)
            made[key.id] = ((org, mac), key)
        written = {row[0] for row in self._insert.returned(cursor, rows)}
        return dict(pair for id, pair in made.items() if id in written)


class KeyMemory:
    """What one writer knows of keys. For its thread."""

    def __init__(self, vault: Vault, statements: Statements) -> None:
        self.vault = vault
        self.subjects = KeyTable(SubjectKey, "subject_mac", SUBJECT, statements)
        self.values = KeyTable(ValueKey, "value_mac", VALUE, statements)
        self.erasures: int | None = None

    def note(self, erasures: int) -> bool:
        """Drop everything where keys were destroyed since; whether that is so."""
        before, self.erasures = self.erasures, erasures
        if before in (None, erasures):
            return False
        for each in (self.subjects, self.values):
            each.known.clear()
            each.alive.clear()
        return True


class CommitKeys:
    """The keys of one commit. `keep` is called once it is durable."""

    def __init__(self, memory: KeyMemory) -> None:
        self._memory = memory
        self._found: dict[str, dict[Who, PersonKey | Exception]] = {SUBJECT: {}, VALUE: {}}
        self._dead: set[str] = set()

    def fetch(
        self,
        cursor: Cursor,
        subjects: Iterable[Who],
        values: Iterable[Who],
        under: Iterable[str],
    ) -> None:
        """Find or make the keys of `subjects` and `values`.

        `under` are the keys that open exchanges were opened under, which may have been
        destroyed since.
        """
        for keys, wanted in ((self._memory.subjects, subjects), (self._memory.values, values)):
            self._fetch(cursor, keys, dict.fromkeys(wanted))
        subject_keys = self._memory.subjects
        asked = sorted({id for id in under if id not in subject_keys.alive})
        if asked:
            living = subject_keys.living(cursor, asked)
            self._dead |= set(asked) - living
            subject_keys.alive.update(dict.fromkeys(living))

    def subject(self, who: Who) -> PersonKey:
        """A subject's key. Raises `Unavailable` where it cannot be read."""
        return self._key(SUBJECT, who)

    def value(self, who: Who) -> PersonKey:
        """A value's key. Raises `Unavailable` where it cannot be read."""
        return self._key(VALUE, who)

    def destroyed(self, id: str) -> bool:
        """Whether the key that an open exchange was opened under is gone."""
        return id in self._dead

    def keep(self) -> None:
        """Remember the keys: the commit was durable."""
        for keys in (self._memory.subjects, self._memory.values):
            for who, key in self._found[keys.prefix].items():
                if isinstance(key, PersonKey):
                    keys.known[who] = key
                    keys.alive[key.id] = None

    def _key(self, kind: str, who: Who) -> PersonKey:
        key = self._found[kind].get(who)
        if not isinstance(key, PersonKey):
            raise Unavailable(Code.AUDIT_UNAVAILABLE, "The record's key cannot be read.") from key
        return key

    def _fetch(self, cursor: Cursor, keys: KeyTable, wanted: dict[Who, None]) -> None:
        found = self._found[keys.prefix]
        for who in wanted:
            if (key := keys.known.get(who)) is not None:
                found[who] = key
        lacking = [who for who in wanted if who not in found]
        if not lacking:
            return
        self._read(cursor, keys, lacking)
        lacking = [who for who in lacking if who not in found]
        if lacking:
            found.update(keys.make(cursor, self._memory.vault, lacking))
            self._read(cursor, keys, [who for who in lacking if who not in found])

    def _read(self, cursor: Cursor, keys: KeyTable, wanted: Sequence[Who]) -> None:
        found, vault = self._found[keys.prefix], self._memory.vault
        for org in sorted({org for org, _ in wanted}):
            macs = [mac for other, mac in wanted if other == org]
            for mac, id, kek_id, wrapped in keys.find(cursor, org, macs):
                try:
                    key = PersonKey(id, vault.unwrap(kek_id, bytes(wrapped), id))
                except Exception as error:  # noqa: BLE001 - told to whoever needs this one
                    found[org, bytes(mac)] = error
                else:
                    found[org, bytes(mac)] = key


def _sized(statement: Any, column: Any, dialect: Dialect) -> dict[int, str]:
    """The text of `statement` for so many values of `column`, for each size."""
    texts: dict[int, str] = {}
    for size in _SIZES:
        listed = column.in_([bindparam(f"m{number}") for number in range(size)])
        texts[size] = str(statement.where(listed).compile(dialect=dialect))
    return texts


def _chunks(values: Sequence[Any]) -> Iterable[tuple[int, tuple[Any, ...]]]:
    """`values` in lists of a size that there is a statement for."""
    most = _SIZES[-1]
    for start in range(0, len(values), most):
        some = list(values[start : start + most])
        size = next(size for size in _SIZES if size >= len(some))
        yield size, tuple(some + some[-1:] * (size - len(some)))
