"""Who prunes: one at a time, by the row `retention` of the log's followers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Update, or_, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.adapters.store.leases import clock
from gateway.adapters.store.log_tables import Follower
from gateway.adapters.store.tables import table
from gateway.core.ids import new_id

NAME = "retention"
LASTS = timedelta(minutes=5)
"""For how long a claim is good without a sign."""

_FOLLOWER = table(Follower)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Claim:
    """The claim of one process."""

    def __init__(self) -> None:
        self._me = new_id("prn")

    def take(self, connection: Connection, every: timedelta) -> bool:
        """Take it, unless another has it, or it was released less than `every` ago."""
        put = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        first = {"org_id": "default", "name": NAME, "position": 0, "updated_at": _NEVER}
        connection.execute(put(_FOLLOWER).values(first).on_conflict_do_nothing())
        now = clock(connection)
        free = or_(
            _FOLLOWER.c.claimed_by.is_(None),
            _FOLLOWER.c.claimed_by == self._me,
            _FOLLOWER.c.claimed_until < now,
        )
        taken = update(_FOLLOWER).where(_FOLLOWER.c.name == NAME, free)
        if every:
            taken = taken.where(_FOLLOWER.c.updated_at <= now - every)
        until = {"claimed_by": self._me, "claimed_until": now + LASTS}
        return connection.execute(taken.values(until)).rowcount == 1

    def renew(self, connection: Connection) -> None:
        """Keep it. Raises `RuntimeError` when another has it."""
        until = clock(connection) + LASTS
        if connection.execute(self._mine().values(claimed_until=until)).rowcount != 1:
            raise RuntimeError("another process prunes now")

    def release(self, connection: Connection) -> None:
        """Give it up, if it is still ours."""
        done = {"claimed_by": None, "claimed_until": None, "updated_at": clock(connection)}
        connection.execute(self._mine().values(done))

    def _mine(self) -> Update:
        return update(_FOLLOWER).where(_FOLLOWER.c.name == NAME, _FOLLOWER.c.claimed_by == self._me)
