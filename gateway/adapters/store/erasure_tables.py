"""The tables of what can be erased, and of what must not be."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, text
from sqlmodel import Field

from gateway.adapters.store.tables import KEYED, Row


class SubjectKey(Row, table=True):
    """The key of one subject's records, wrapped. Without `wrapped` it is destroyed."""

    __tablename__ = "subject_key"
    __table_args__ = (
        Index("ix_subject_key_destroyed", "key_id", sqlite_where=text("destroyed_at IS NOT NULL"),
              postgresql_where=text("destroyed_at IS NOT NULL")),
        Index("uq_subject_key_subject", "org_id", "subject_mac", unique=True,
              sqlite_where=text("destroyed_at IS NULL"),
              postgresql_where=text("destroyed_at IS NULL")),
    )  # fmt: skip
    key_id: str = Field(primary_key=True)
    subject_mac: bytes
    """A keyed hash of who it is; the name itself is not kept."""
    kek_id: str
    wrapped: bytes | None = None
    created_at: datetime
    destroyed_at: datetime | None = None
    recorded_at: datetime | None = None
    """When its destruction was put on record."""


class ValueKey(Row, table=True):
    """The key of one found value, such as an e-mail address, wherever it stands."""

    __tablename__ = "value_key"
    __table_args__ = (
        Index("ix_value_key_destroyed", "key_id", sqlite_where=text("destroyed_at IS NOT NULL"),
              postgresql_where=text("destroyed_at IS NOT NULL")),
        Index("uq_value_key_value", "org_id", "value_mac", unique=True,
              sqlite_where=text("destroyed_at IS NULL"),
              postgresql_where=text("destroyed_at IS NULL")),
    )  # fmt: skip
    key_id: str = Field(primary_key=True)
    value_mac: bytes
    kek_id: str
    wrapped: bytes | None = None
    created_at: datetime
    destroyed_at: datetime | None = None
    recorded_at: datetime | None = None
    """When its destruction was put on record."""


class ValueIndex(Row, table=True):
    """Which exchanges a found value stands in, by a keyed hash of it."""

    __tablename__ = "value_index"
    __table_args__ = (Index("ix_value_index_exchange_id", "exchange_id"), KEYED)
    org_id: str = Field(default="default", primary_key=True)
    value_mac: bytes = Field(primary_key=True)
    exchange_id: str = Field(primary_key=True)
    label: str
    whole: bool = False
    """Whether it can be erased there only with all the rest of the exchange."""


class LegalHold(Row, table=True):
    """Records that must be kept, whatever else says that they may go."""

    __tablename__ = "legal_hold"
    hold_id: str = Field(primary_key=True)
    scope: dict[str, Any] = Field(sa_type=JSON)
    """What it covers, as `core.legal_holds` has it: people and values only as keyed hashes."""
    reason: str
    placed_by: str
    placed_at: datetime
    lift_asked_by: str | None = None
    lift_asked_at: datetime | None = None
    lifted_by: str | None = None
    lifted_at: datetime | None = None


class ObjectGone(Row, table=True):
    """A payload in object storage that was pruned or erased: its object is to be deleted."""

    __tablename__ = "object_gone"
    __table_args__ = KEYED
    object_sha256: bytes = Field(primary_key=True)
    since: datetime
