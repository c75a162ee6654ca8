"""The log: sequences what was written, signs how far it has come, proves what is in it.

Checkpoints are signed notes (c2sp.org/tlog-checkpoint). Nothing is signed before the log was
seen to begin with all that this host signed before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from sqlalchemy import Connection, Engine, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.adapters.store.engine import for_writing
from gateway.adapters.store.log_files import LogFiles
from gateway.adapters.store.log_nodes import SqlNodes, read_head
from gateway.adapters.store.log_tables import Anchor as Anchored
from gateway.adapters.store.log_tables import Checkpoint as Signed
from gateway.adapters.store.log_tables import Cosignature
from gateway.adapters.store.sequencer import MOST_LEAVES, sequence
from gateway.adapters.store.tables import table
from gateway.core.log import LogState
from gateway.core.merkle import consistency_proof, root_at
from gateway.core.note_keys import Signer
from gateway.core.notes import Checkpoint, sign

_CHECKPOINT, _LINE, _ANCHOR = table(Signed), table(Cosignature), table(Anchored)
_RESTORED = re.compile(r"(.+)\.restored-([0-9]+)")
_log = structlog.get_logger(__name__)


class RolledBack(RuntimeError):
    """The database holds less than was signed, or something else: it is older, or forked."""


class Log:
    """The log of one deployment, over a migrated database.

    `origin` names it when it is signed for the first time. Methods block: they are for a
    thread. `state` may be read from anywhere.
    """

    def __init__(self, engine: Engine, files: LogFiles, origin: str) -> None:
        self._engine = for_writing(engine)
        self._files = files
        self._origin = origin
        self._signer: Signer | None = None
        self.state = LogState()

    @property
    def vkey(self) -> str | None:
        """The public key, as whoever verifies wants it; None while nothing can be signed."""
        return self._signer.verifier.encoded() if self._signer else None

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def open(self) -> None:
        """Find the key, or make it; hold the database against what was signed.

        Without the key of a log that was signed, nothing is signed. Raises `RolledBack`,
        `LogKeyError`, SQLAlchemy's errors.
        """
        with self._engine.begin() as connection:
            last = connection.execute(
                select(_CHECKPOINT).order_by(_CHECKPOINT.c.size.desc()).limit(1)
            ).one_or_none()
            self._signer = self._files.signer()
            if self._signer is None and last is None:
                self._signer = self._files.make_signer(self._origin)
            if self._signer is None:
                self._say("the log's key is gone: nothing is signed")
            else:
                self._check(connection, self._signer)
            kept = connection.execute(
                select(_ANCHOR).order_by(_ANCHOR.c.size.desc(), _ANCHOR.c.created_at).limit(1)
            ).one_or_none()
            self.state = replace(
                self.state,
                size=read_head(connection).size,
                signed=last.size if last else 0,
                signed_at=last.created_at if last else None,
                anchored=kept.size if kept else 0,
                anchored_at=kept.created_at if kept else None,
            )

    def step(self) -> int:
        """Sequence up to `MOST_LEAVES` entries; sign if those were all. How many there were.

        Under a steady load there are always more, so that to wait for none would be to wait
        forever. Raises `BrokenChain`, `RolledBack`, `LogKeyError`, SQLAlchemy's errors.
        """
        with self._engine.begin() as connection:
            count = sequence(connection)
            size = read_head(connection).size
        problem = None if self._signer else self.state.problem
        self.state = replace(self.state, size=size, problem=problem)
        if count < MOST_LEAVES and size > self.state.signed and self._signer is not None:
            self._sign(self._signer)
        return count

    def catch_up(self) -> None:
        """Sequence all there is, and sign. Raises what `step` raises."""
        while self.step():
            pass

    def last_note(self) -> tuple[int, str] | None:
        """The size and the note of the last checkpoint. Raises SQLAlchemy's errors."""
        newest = select(_CHECKPOINT.c.size, _CHECKPOINT.c.note).order_by(_CHECKPOINT.c.size.desc())
        with self._engine.connect() as connection:
            row = connection.execute(newest.limit(1)).one_or_none()
        return None if row is None else (row.size, row.note)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that the log of `new` entries begins with those of `old`."""
        with self._engine.connect() as connection:
            return consistency_proof(SqlNodes(connection), old, new)

    def keep_lines(self, size: int, lines: Sequence[str]) -> None:
        """Keep witnesses' lines under a checkpoint. Raises SQLAlchemy's errors."""
        now = datetime.now(UTC)
        rows = [
            {"org_id": "default", "size": size, "witness": line.split(" ")[1], "line": line,
             "created_at": now}
            for line in lines
        ]  # fmt: skip
        insert_ = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        with self._engine.begin() as connection:
            connection.execute(insert_(_LINE).on_conflict_do_nothing(), rows)
        self.state = replace(self.state, held=size, held_at=now)

    def anchored(self) -> dict[str, int]:
        """The size of the last checkpoint that each anchor keeps. Raises SQLAlchemy's errors."""
        newest = select(_ANCHOR.c.name, func.max(_ANCHOR.c.size)).group_by(_ANCHOR.c.name)
        with self._engine.connect() as connection:
            return {name: size for name, size in connection.execute(newest)}

    def keep_anchors(self, size: int, places: Mapping[str, str]) -> None:
        """Keep which anchors have a checkpoint, and where. Raises SQLAlchemy's errors."""
        now = datetime.now(UTC)
        rows = [
            {"org_id": "default", "size": size, "name": name, "reference": place, "created_at": now}
            for name, place in places.items()
        ]
        insert_ = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        with self._engine.begin() as connection:
            connection.execute(insert_(_ANCHOR).on_conflict_do_nothing(), rows)
        self.state = replace(self.state, anchored=size, anchored_at=now)

    def failed(self, error: Exception) -> None:
        """Note why a step failed."""
        self._say(f"{type(error).__name__}: {error}")

    def restart(self) -> tuple[Checkpoint | None, Checkpoint]:
        """Go on with the database as it is, under a new name and key; for a restored backup.

        The old log ends with what it signed last. Gives that, and the new log's first
        checkpoint. Raises `LogKeyError`, SQLAlchemy's errors.
        """
        old = self._files.signer()
        name, last = self._origin, None
        if old is not None:
            last = self._files.last_signed(old.verifier)
            name = _next_name(old.name)
            self._files.retire_signer()
            self._files.forget()
        self._signer = self._files.make_signer(name)
        with self._engine.begin() as connection:
            frontier = read_head(connection)
        return last, Checkpoint(name, frontier.size, frontier.root())

    def _say(self, problem: str) -> None:
        if problem != self.state.problem:
            _log.critical("log_stands_still", problem=problem)
        self.state = replace(self.state, problem=problem)

    def _sign(self, signer: Signer) -> None:
        """Sign the log as it is, unless somebody has."""
        now = datetime.now(UTC)
        with self._engine.begin() as connection:
            frontier = read_head(connection, lock=True)
            last = connection.execute(select(func.max(_CHECKPOINT.c.size))).scalar()
            if last is not None and last >= frontier.size:
                self.state = replace(self.state, signed=last, signed_at=now)
                return
            self._check(connection, signer)
            note = sign(Checkpoint(signer.name, frontier.size, frontier.root()).text(), signer)
            self._files.remember(note)
            connection.execute(
                insert(_CHECKPOINT).values(
                    org_id="default", size=frontier.size, note=note, created_at=now
                )
            )
        self.state = replace(self.state, signed=frontier.size, signed_at=now)

    def _check(self, connection: Connection, signer: Signer) -> None:
        """Raises `RolledBack` unless the log begins with what this host signed last."""
        signed = self._files.last_signed(signer.verifier)
        if signed is None:
            return
        size = read_head(connection).size
        if size < signed.size:
            raise RolledBack(
                f"the database's log has {size} entries, but {signed.size} were signed: it is "
                "older than what was signed. Restore a newer one, or run `govgate audit restored`"
            )
        if root_at(SqlNodes(connection), signed.size) != signed.root:
            raise RolledBack(
                f"the database's log has other entries than the {signed.size} that were signed"
            )


def _next_name(name: str) -> str:
    """What a log is called that goes on after `name` was cut off."""
    found = _RESTORED.fullmatch(name)
    return f"{found[1]}.restored-{int(found[2]) + 1}" if found else f"{name}.restored-1"
