"""A ledger's database, read as it is: one snapshot, plain SQL, nothing but reading."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from gateway.verifier.rows import Source, StoredEntry, StoredLeaf, StoredPart

Query: TypeAlias = Callable[[str], Iterator[Any]]
"""Runs a statement, and gives its rows as they are read."""

_ENTRY = (
    "e.entry_id, e.exchange_id, e.kind, e.org_id, e.team, e.app, e.key_id, e.writer_epoch,"
    " e.writer_seq, e.header, e.leaf_hash"
)
_LEAVES = (
    f"SELECT l.leaf_index, l.entry_id, l.leaf_hash, {_ENTRY} FROM log_leaf l"  # noqa: S608
    " LEFT JOIN audit_entry e ON e.entry_id = l.entry_id ORDER BY l.leaf_index"
)
_PARTS = (
    "SELECT l.leaf_index, p.entry_id, p.part, p.alg, p.size, p.sha256_ct, p.key_commit, p.nonce,"
    " p.ciphertext, p.object_sha256 FROM log_leaf l JOIN audit_part p ON p.entry_id = l.entry_id"
    " ORDER BY l.leaf_index, p.part"
)
_WAITING = (
    f"SELECT {_ENTRY} FROM audit_entry e WHERE NOT EXISTS"  # noqa: S608
    " (SELECT 1 FROM log_leaf l WHERE l.entry_id = e.entry_id)"
    " ORDER BY e.writer_epoch, e.writer_seq"
)
_STRAY_PARTS = (
    "SELECT p.entry_id, p.part FROM audit_part p WHERE NOT EXISTS"
    " (SELECT 1 FROM audit_entry e WHERE e.entry_id = p.entry_id)"
)
_ENDED_TWICE = (
    "SELECT exchange_id FROM audit_entry WHERE kind = 'closed' GROUP BY exchange_id"
    " HAVING count(*) > 1"
)
_PRUNED = (
    "SELECT p.entry_id, p.pruned_by FROM pruned_entry p"
    " LEFT JOIN log_leaf l ON l.entry_id = p.entry_id ORDER BY p.pruned_by, l.leaf_index"
)


class DatabaseSource:
    """Implements `Source` over `query`, which must see one snapshot."""

    def __init__(self, query: Query) -> None:
        self._query = query

    def leaves(self) -> Iterator[StoredLeaf]:
        for index, entry_id, leaf, *entry in self._query(_LEAVES):
            found = None if entry[0] is None else _entry(entry)
            yield StoredLeaf(index, entry_id, _bytes(leaf), found)

    def parts(self) -> Iterator[tuple[int, StoredPart]]:
        for index, entry_id, part, alg, size, *stored, kept in self._query(_PARTS):
            digest, commit, nonce, text = map(_bytes, stored)
            named = None if kept is None else _bytes(kept)
            yield (
                index,
                StoredPart(entry_id, part, alg, size, digest, commit, nonce + text, named),
            )

    def waiting(self) -> Iterator[StoredEntry]:
        return map(_entry, self._query(_WAITING))

    def strays(self) -> Iterable[str]:
        for entry_id, part in self._query(_STRAY_PARTS):
            yield f"a payload {part} of an entry that is gone: {entry_id}"
        for (exchange_id,) in self._query(_ENDED_TWICE):
            yield f"an exchange that ended twice: {exchange_id}"

    def nodes(self) -> Iterator[tuple[int, int, bytes]]:
        for height, number, value in self._query("SELECT height, number, hash FROM log_node"):
            yield height, number, _bytes(value)

    def head(self) -> tuple[int, bytes] | None:
        for size, frontier in self._query("SELECT size, frontier FROM log_head WHERE id = 1"):
            return size, _bytes(frontier)
        return -1, b""

    def checkpoints(self) -> Iterator[tuple[int, str]]:
        return self._query("SELECT size, note FROM checkpoint ORDER BY size")

    def cosignatures(self) -> Iterator[tuple[int, str, str]]:
        return self._query("SELECT size, witness, line FROM cosignature ORDER BY size, witness")

    def pruned(self) -> Iterator[tuple[str, str]]:
        return self._query(_PRUNED)


@contextmanager
def read_sqlite(path: Path) -> Iterator[Source]:
    """The ledger in a SQLite file. Raises `sqlite3.Error`."""
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=10)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    connection.isolation_level = None
    try:
        connection.execute("BEGIN")
        yield DatabaseSource(lambda statement: iter(connection.execute(statement)))
    finally:
        connection.close()


@contextmanager
def read_postgresql(url: str) -> Iterator[Source]:
    """The ledger in a PostgreSQL database; `url` as libpq takes it. Raises `psycopg.Error`."""
    import psycopg  # only who has such a database needs the driver

    with psycopg.connect(url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        count = iter(range(1_000))

        def query(statement: str) -> Iterator[Any]:
            with connection.cursor(f"verify_{next(count)}") as cursor:
                cursor.itersize = 1_000
                cursor.execute(statement.encode())
                yield from cursor

        yield DatabaseSource(query)


def _entry(row: Iterable[Any]) -> StoredEntry:
    entry = StoredEntry(*row)
    return entry._replace(header=_bytes(entry.header), leaf_hash=_bytes(entry.leaf_hash))


def _bytes(value: Any) -> bytes:
    """A stored value as bytes, whatever it was turned into."""
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else b""
