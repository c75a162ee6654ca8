"""The tables that searches read. All of it is made from the log, and can be made again.

The words of exchanges stand in a table besides, `exchange_text`, which each database has in a
form of its own: see `full_text`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, Integer, UniqueConstraint
from sqlmodel import Field

from gateway.adapters.store.tables import KEYED, Row

SEARCHED = (
    "team",
    "app",
    "key_id",
    "subject",
    "session",
    "action",
    "model",
    "upstream",
    "upstream_model",
    "outcome",
    "code",
    "effect",
    "revision",
    "purpose",
    "cost_micro",
)
"""Columns with an index of their own, in which the newest of a value is found first."""


class ExchangeIndex(Row, table=True):
    """What can be asked of an exchange; a copy, never evidence."""

    __tablename__ = "exchange_index"
    __table_args__ = (
        UniqueConstraint("exchange_id"),
        Index("ix_exchange_index_ts", "org_id", "ts", "number"),
        *(
            Index(f"ix_exchange_index_{name}", "org_id", name, "ts", "number")
            for name in SEARCHED
        ),
    )  # fmt: skip
    number: int = Field(
        primary_key=True,
        sa_type=BigInteger().with_variant(Integer, "sqlite"),
        sa_column_kwargs={"autoincrement": False},
    )
    """The leaf index of its `opened` entry. SQLite's own row number, so that it costs nothing."""
    exchange_id: str
    ts: datetime
    ended_at: datetime | None = None
    team: str
    app: str
    key_id: str
    subject: str | None = None
    """The subject's pseudonym, as headers have it."""
    session: str | None = None
    """A keyed hash of what the caller calls the session."""
    action: str | None = None
    model: str | None = None
    upstream: str | None = None
    upstream_model: str | None = None
    outcome: str | None = None
    code: str | None = None
    effect: str | None = None
    decision_id: str | None = None
    revision: str | None = None
    purpose: str | None = None
    hidden: bool = False
    """Whether lists leave it out unless asked: calls that only discover what there is."""
    cost_micro: int = Field(default=0, sa_type=BigInteger)
    input_tokens: int | None = Field(default=None, sa_type=BigInteger)
    output_tokens: int | None = Field(default=None, sa_type=BigInteger)
    elapsed_us: int | None = Field(default=None, sa_type=BigInteger)
    tags: dict[str, Any] = Field(sa_type=JSON)
    """Its tags, by kind: what stands in `exchange_tag`."""


class ExchangeTag(Row, table=True):
    """What an exchange has several of: rules, labels, kinds of findings, tools, ids."""

    __tablename__ = "exchange_tag"
    __table_args__ = KEYED
    org_id: str = Field(default="default", primary_key=True)
    kind: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    ts: datetime = Field(primary_key=True)
    number: int = Field(primary_key=True, sa_type=BigInteger)


class SavedQuery(Row, table=True):
    """A query that somebody keeps under a name."""

    __tablename__ = "saved_query"
    org_id: str = Field(default="default", primary_key=True)
    name: str = Field(primary_key=True)
    filters: dict[str, Any] = Field(sa_type=JSON)
    made_by: str
    created_at: datetime
