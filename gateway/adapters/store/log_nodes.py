"""What is kept of the log's tree, read from the database."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from gateway.adapters.store.log_tables import LogHead, LogLeaf, LogNode
from gateway.adapters.store.tables import table
from gateway.core.merkle import Frontier

_LEAF, _NODE, _HEAD = table(LogLeaf), table(LogNode), table(LogHead)


class SqlNodes:
    """Implements `Nodes`, in the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def nodes(self, height: int, start: int, count: int) -> Sequence[bytes]:
        if height == 0:
            place, found = _LEAF.c.leaf_index, select(_LEAF.c.leaf_hash)
        else:
            place, found = _NODE.c.number, select(_NODE.c.hash).where(_NODE.c.height == height)
        among = found.where(place >= start, place < start + count).order_by(place)
        hashes = list(self._connection.scalars(among))
        if len(hashes) != count:
            raise LookupError(f"the log lacks nodes of height {height} from {start}")
        return hashes


def read_head(connection: Connection, *, lock: bool = False) -> Frontier:
    """How far the log has come; with `lock`, nobody else goes on before the commit."""
    statement = select(_HEAD).where(_HEAD.c.id == 1)
    head = connection.execute(statement.with_for_update() if lock else statement).one()
    return Frontier.decoded(head.size, head.frontier)
