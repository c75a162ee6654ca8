"""The tables of the log: where each entry stands in it, and what was signed of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger
from sqlmodel import Field

from gateway.adapters.store.tables import KEYED, Row


class LogLeaf(Row, table=True):
    """An entry's place in the log. The leaf hash is copied from the entry."""

    __tablename__ = "log_leaf"
    leaf_index: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False}
    )
    entry_id: str = Field(unique=True)
    leaf_hash: bytes


class LogNode(Row, table=True):
    """The root of a complete subtree of `2**height` leaves; heights are multiples of 8."""

    __tablename__ = "log_node"
    __table_args__ = KEYED
    height: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    number: int = Field(primary_key=True, sa_type=BigInteger)
    hash: bytes


class LogHead(Row, table=True):
    """One row: how far the log has come. Whoever sequences locks it."""

    __tablename__ = "log_head"
    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    size: int = Field(sa_type=BigInteger)
    frontier: bytes
    """The roots of the complete subtrees that make up the log, the largest first."""


class LogCursor(Row, table=True):
    """How many entries of a writer are in the log, and the leaf of the last.

    `done` when the writer will never write again and all it wrote is there.
    """

    __tablename__ = "log_cursor"
    __table_args__ = KEYED
    epoch: str = Field(primary_key=True)
    seq: int = Field(sa_type=BigInteger)
    leaf_hash: bytes | None = None
    done: bool = False


class Checkpoint(Row, table=True):
    """A signed note about the log at one size."""

    __tablename__ = "checkpoint"
    size: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False}
    )
    note: str
    created_at: datetime


class Cosignature(Row, table=True):
    """A witness's line under a checkpoint."""

    __tablename__ = "cosignature"
    size: int = Field(primary_key=True, sa_type=BigInteger)
    witness: str = Field(primary_key=True)
    line: str
    created_at: datetime


class Anchor(Row, table=True):
    """Where a checkpoint was put besides the database."""

    __tablename__ = "anchor"
    size: int = Field(primary_key=True, sa_type=BigInteger)
    name: str = Field(primary_key=True)
    reference: str
    created_at: datetime


class PrunedEntry(Row, table=True):
    """An entry whose payloads were deleted when their time was over, and the entry that says so."""

    __tablename__ = "pruned_entry"
    __table_args__ = KEYED
    entry_id: str = Field(primary_key=True)
    pruned_by: str


class Follower(Row, table=True):
    """Somebody who reads the log in order: how many leaves they are done with."""

    __tablename__ = "follower"
    name: str = Field(primary_key=True)
    position: int = Field(sa_type=BigInteger)
    claimed_by: str | None = None
    claimed_until: datetime | None = None
    failed: str | None = None
    """Why the last attempt to go on failed; None when it did not."""
    updated_at: datetime
