"""Gives entries their places in the log, one after the other, whoever wrote them.

Any process may do it; the lock on `log_head` lets one at a time. A writer's entries are
numbered without a gap and commit in that order, so what is new of it is all that stands after
its last entry in the log. Between writers the time decides, and it need not be right: so what
fenced writers left comes first, as others have closed what they had open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import Connection, DateTime, bindparam, func, select, type_coerce, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.adapters.store.log_nodes import read_head
from gateway.adapters.store.log_tables import LogCursor, LogHead
from gateway.adapters.store.statements import Statement, Values, cursor_of
from gateway.adapters.store.tables import AuditEntry, Writer, table
from gateway.core.merkle import TILE_HEIGHT, leaf_hash

MOST_LEAVES = 512
"""Entries of one transaction."""

_ENTRY, _WRITER = table(AuditEntry), table(Writer)
_HEAD, _CURSOR = table(LogHead), table(LogCursor)

_NEXT = (
    select(_ENTRY.c.entry_id, _ENTRY.c.writer_seq, _ENTRY.c.header, _ENTRY.c.leaf_hash)
    .add_columns(type_coerce(_ENTRY.c.ts, DateTime(timezone=True)).label("ts"))
    .where(_ENTRY.c.writer_epoch == bindparam("epoch"), _ENTRY.c.writer_seq > bindparam("seq"))
    .order_by(_ENTRY.c.writer_seq)
    .limit(bindparam("most"))
)
_WRITERS = (
    select(
        _WRITER.c.epoch,
        func.coalesce(_CURSOR.c.seq, 0).label("seq"),
        _CURSOR.c.leaf_hash,
        _WRITER.c.recovered_at,
    )
    .outerjoin(_CURSOR, _CURSOR.c.epoch == _WRITER.c.epoch)
    .where(_CURSOR.c.done.is_not(True))
    .order_by(_WRITER.c.epoch)
)


_MOVED = (
    update(_HEAD)
    .where(_HEAD.c.id == 1)
    .values(size=bindparam("size"), frontier=bindparam("frontier"))
)
_INSERTS = {
    "sqlite": (
        Statement("INSERT INTO log_leaf (org_id, leaf_index, entry_id, leaf_hash) VALUES ",
                  "('default', ?, ?, ?)", ""),
        Statement("INSERT INTO log_node (org_id, height, number, hash) VALUES ",
                  "('default', ?, ?, ?)", ""),
    ),
    "postgresql": (
        Statement("INSERT INTO log_leaf (org_id, leaf_index, entry_id, leaf_hash) VALUES ",
                  "('default', %s, %s, %s)", ""),
        Statement("INSERT INTO log_node (org_id, height, number, hash) VALUES ",
                  "('default', %s, %s, %s)", ""),
    ),
}  # fmt: skip
"""By database: what puts in leaves, and what puts in nodes."""


class _Written(msgspec.Struct):
    """What a header says of its place among its writer's."""

    epoch: str
    seq: int
    prev_leaf: str | None


class _Header(msgspec.Struct):
    """Of a header, all that is read here."""

    writer: _Written


_read_header = msgspec.json.Decoder(_Header).decode


class BrokenChain(RuntimeError):
    """An entry that is not in the log yet was changed, removed or put in."""


class Progress:
    """A writer, how far it is in the log, and its next entries."""

    def __init__(self, connection: Connection, writer: Any, most: int) -> None:
        self.epoch: str = writer.epoch
        self.seq = int(writer.seq)
        self.leaf: bytes | None = writer.leaf_hash
        self._fenced_at: datetime | None = writer.recovered_at
        after = {"epoch": self.epoch, "seq": self.seq, "most": most}
        self._rows = connection.execute(_NEXT, after).all()
        self._left = len(self._rows)

    def before(self, row: Any) -> tuple[bool, datetime, datetime, str]:
        """What decides where `row`, which is one of its own, stands among all writers'."""
        return self._fenced_at is None, self._fenced_at or row.ts, row.ts, row.entry_id

    def __iter__(self) -> Iterator[tuple[Any, Progress]]:
        return ((row, self) for row in self._rows)

    def take(self, row: Any) -> None:
        """Go on to `row`. Raises `BrokenChain` unless it is what its writer wrote next."""
        if leaf_hash(row.header) != row.leaf_hash:
            raise BrokenChain(f"entry {row.entry_id} has other bytes than were hashed")
        said = _read_header(row.header).writer
        before = self.leaf.hex() if self.leaf else None
        if (row.writer_seq, said.seq) != (self.seq + 1, self.seq + 1):
            raise BrokenChain(f"entry {self.seq + 1} of writer {self.epoch} is missing")
        if said.prev_leaf != before or said.epoch != self.epoch:
            raise BrokenChain(f"entry {row.entry_id} does not follow the one before it")
        self.seq, self.leaf = self.seq + 1, row.leaf_hash
        self._left -= 1

    @property
    def values(self) -> dict[str, Any] | None:
        """The cursor's row, where it has changed."""
        done = self._fenced_at is not None and not self._left
        if not done and not self._moved:
            return None
        return {
            "org_id": "default",
            "epoch": self.epoch,
            "seq": self.seq,
            "leaf_hash": self.leaf,
            "done": done,
        }

    @property
    def _moved(self) -> bool:
        return self._left < len(self._rows)


def sequence(connection: Connection, most: int = MOST_LEAVES) -> int:
    """Append up to `most` entries to the log, in the caller's transaction; how many.

    Raises `BrokenChain`: then nothing may be appended any more, by anybody.
    """
    frontier = read_head(connection, lock=True)
    writers = _read_writers(connection, most)
    leaves: list[Values] = []
    nodes: list[Values] = []
    in_time = merge(*writers, key=lambda pair: pair[1].before(pair[0]))
    for row, writer in islice(in_time, most):
        writer.take(row)
        leaves.append((frontier.size, row.entry_id, row.leaf_hash))
        completed = frontier.append(row.leaf_hash)
        nodes += [node for node in completed if node[0] % TILE_HEIGHT == 0]
    _write(connection, leaves, nodes, [row for w in writers if (row := w.values)])
    if leaves:
        head = {"size": frontier.size, "frontier": frontier.encoded()}
        connection.execute(_MOVED, head)
    return len(leaves)


def _read_writers(connection: Connection, most: int) -> list[Progress]:
    """Every writer that is not done, with its next entries.

    Read again when one was fenced meanwhile: whoever closed what it had open may have been read
    after it was, and with more than it.
    """
    while True:
        known = connection.execute(_WRITERS).all()
        writers = [Progress(connection, writer, most) for writer in known]
        if _fenced(connection.execute(_WRITERS).all()) == _fenced(known):
            return writers


def _fenced(writers: Sequence[Any]) -> set[str]:
    return {writer.epoch for writer in writers if writer.recovered_at is not None}


def _write(
    connection: Connection,
    leaves: list[Values],
    nodes: list[Values],
    cursors: list[dict[str, Any]],
) -> None:
    cursor = cursor_of(connection)
    for rows, into in zip((leaves, nodes), _INSERTS[connection.dialect.name], strict=True):
        into.run(cursor, rows)
    if cursors:
        to = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        statement = to(_CURSOR)
        new = {name: statement.excluded[name] for name in ("seq", "leaf_hash", "done")}
        connection.execute(
            statement.on_conflict_do_update(index_elements=["epoch"], set_=new), cursors
        )
