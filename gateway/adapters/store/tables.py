"""Every table. The ledger's are insert-only: triggers refuse to change or delete a row."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import JSON, BigInteger, CheckConstraint, Index, MetaData, Table, text
from sqlmodel import Field, SQLModel

SCHEMA = "0012"
"""The migration that these tables are at."""

INSERT_ONLY = ("audit_entry", "audit_part", "budget_post")

KEYED = {"sqlite_with_rowid": False}
"""For short rows: SQLite keeps them in their key's own tree, not in a second one."""


class Row(SQLModel):
    """What every row has: the organisation that it belongs to."""

    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )

    org_id: str = Field(default="default")


class Deployment(Row, table=True):
    """One row: which keyring the records are encrypted under."""

    __tablename__ = "deployment"
    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    keyring_id: str
    erasures: int = Field(default=0, sa_type=BigInteger)
    """Counts the keys that were destroyed, so that writers drop what they remember of them."""


class Writer(Row, table=True):
    """One run of one process, and how long it is taken to be alive."""

    __tablename__ = "writer"
    epoch: str = Field(primary_key=True)
    started_at: datetime
    lease_until: datetime
    open_from: int = Field(sa_type=BigInteger)
    """No exchange that was opened under a lower `writer_seq` is still open."""
    recovered_at: datetime | None = None
    """When another writer closed what this one left open; it may write no more."""
    host: str
    pid: int


class AuditEntry(Row, table=True):
    """An entry of the ledger: its header as canonical bytes, and columns copied from it."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("uq_audit_entry_writer", "writer_epoch", "writer_seq", unique=True),
        Index(
            "uq_audit_entry_terminal",
            "exchange_id",
            unique=True,
            sqlite_where=text("kind = 'closed'"),
            postgresql_where=text("kind = 'closed'"),
        ),
        Index("ix_audit_entry_exchange_id", "exchange_id"),
    )
    entry_id: str = Field(primary_key=True)
    exchange_id: str
    kind: str
    writer_epoch: str
    writer_seq: int = Field(sa_type=BigInteger)
    ts: datetime
    header: bytes
    leaf_hash: bytes
    team: str
    app: str
    key_id: str
    model: str | None = None
    outcome: str | None = None
    decision_id: str | None = None


class AuditPart(Row, table=True):
    """A payload of an entry, encrypted under its exchange's key.

    Of one that is in object storage, what is encrypted here is the key of its object.
    """

    __tablename__ = "audit_part"
    __table_args__ = (
        Index(
            "ix_audit_part_object_sha256",
            "object_sha256",
            sqlite_where=text("object_sha256 IS NOT NULL"),
            postgresql_where=text("object_sha256 IS NOT NULL"),
        ),
        {"postgresql_partition_by": "RANGE (entry_id)"},
    )
    entry_id: str = Field(primary_key=True)
    part: str = Field(primary_key=True)
    alg: str
    ciphertext: bytes
    nonce: bytes
    sha256_ct: bytes
    key_commit: bytes
    size: int = Field(sa_type=BigInteger)
    """Bytes of the payload before compression and encryption."""
    object_sha256: bytes | None = None
    """The hash of the object that holds the payload, and is named by it."""


class RecordKey(Row, table=True):
    """The key of an exchange, wrapped. To erase the exchange's payloads, delete it."""

    __tablename__ = "record_key"
    __table_args__ = (Index("ix_record_key_kek_id", "kek_id"), KEYED)
    exchange_id: str = Field(primary_key=True)
    kek_id: str
    """The key that wraps it: its subject's, or one of the keyring."""
    wrapped: bytes


class Budget(Row, table=True):
    """A hard limit in micro-USD, and what of it is held and spent."""

    __tablename__ = "budget"
    __table_args__ = (
        CheckConstraint("limit_micro >= 0", name="limit"),
        CheckConstraint("reserved_micro >= 0", name="reserved"),
        CheckConstraint("settled_micro >= 0", name="settled"),
    )
    budget_id: str = Field(primary_key=True)
    scope_type: str
    scope_id: str
    limit_micro: int = Field(sa_type=BigInteger)
    reserved_micro: int = Field(default=0, sa_type=BigInteger)
    settled_micro: int = Field(default=0, sa_type=BigInteger)
    created_at: datetime


class Reservation(Row, table=True):
    """What one exchange holds of its budget: `pending`, then `posted`, or `presumed` spent
    in full because its process died."""

    __tablename__ = "reservation"
    __table_args__ = KEYED
    exchange_id: str = Field(primary_key=True)
    budget_id: str
    amount_micro: int = Field(sa_type=BigInteger)
    spent_micro: int = Field(sa_type=BigInteger)
    state: str
    updated_at: datetime


class BudgetPost(Row, table=True):
    """A change of a budget, under the ledger entry that caused it.

    A budget's counters equal the sums of its posts.
    """

    __tablename__ = "budget_post"
    __table_args__ = (Index("ix_budget_post_budget_id", "budget_id"), KEYED)
    entry_id: str = Field(primary_key=True)
    exchange_id: str
    budget_id: str
    kind: str
    """hold, settle or presume."""
    reserved_micro: int = Field(sa_type=BigInteger)
    """Added to what is held; negative when a hold is released."""
    settled_micro: int = Field(sa_type=BigInteger)
    """Added to what is spent."""
    ts: datetime


class ApiKey(Row, table=True):
    """An API key: never its secret, only a keyed hash of it."""

    __tablename__ = "api_key"
    key_id: str = Field(primary_key=True)
    env: str
    team: str
    app: str
    secret_mac: bytes
    previous_mac: bytes | None = None
    """The secret before the last rotation, good until `previous_until`."""
    previous_until: datetime | None = None
    scopes: list[str] = Field(sa_type=JSON)
    models: list[str] = Field(sa_type=JSON)
    tags: list[str] = Field(sa_type=JSON)
    roles: list[str] = Field(sa_type=JSON)
    requests_per_minute: int | None = Field(default=None, sa_type=BigInteger)
    tokens_per_minute: int | None = Field(default=None, sa_type=BigInteger)
    budget_id: str | None = None
    created_at: datetime
    expires_at: datetime | None = None
    rotated_at: datetime | None = None
    revoked_at: datetime | None = None


class ProviderCredential(Row, table=True):
    """A provider's key, encrypted under the keyring for this organisation and name alone."""

    __tablename__ = "provider_credential"
    org_id: str = Field(default="default", primary_key=True)
    name: str = Field(primary_key=True)
    kek_id: str
    wrapped: bytes
    created_at: datetime
    changed_at: datetime


class IdempotencyKey(Row, table=True):
    """What a caller calls a request, and the exchange that it stands for."""

    __tablename__ = "idempotency_key"
    __table_args__ = (Index("ix_idempotency_key_expires_at", "expires_at"),)
    key_id: str = Field(primary_key=True)
    """The caller's own key or identity."""
    name_mac: bytes = Field(primary_key=True)
    """A keyed hash of the name, as of what was asked: neither is kept as text."""
    content_mac: bytes
    exchange_id: str
    media: str | None = None
    """The content type of the answer, where that is no JSON."""
    expires_at: datetime


class KeptDocument(Row, table=True):
    """A document that is kept for an app, encrypted under a key of its own."""

    __tablename__ = "kept_document"
    __table_args__ = (
        Index("ix_kept_document_owner", "org_id", "app", "kind", "kept_id"),
        Index("ix_kept_document_subject", "org_id", "subject_mac"),
        Index("ix_kept_document_exchange_id", "exchange_id"),
        Index("ix_kept_document_work", "kind", "claimed_until", sqlite_where=text("working"),
              postgresql_where=text("working")),
    )  # fmt: skip
    kept_id: str = Field(primary_key=True)
    """Of a response it is the provider's, so it is unique within an app only."""
    org_id: str = Field(default="default", primary_key=True)
    app: str = Field(primary_key=True)
    kind: str
    key_id: str
    created_at: datetime
    expires_at: datetime | None = None
    working: bool
    version: int = Field(sa_type=BigInteger)
    claimed_by: str | None = None
    claimed_until: datetime | None = None
    kek_id: str
    wrapped: bytes
    document: bytes
    """A sealed part, as `shelf` packs it."""
    content: bytes | None = None
    """The same of a file's content."""
    subject_mac: bytes | None = None
    """A keyed hash of who made it, so that it goes when they are erased."""
    exchange_id: str | None = None
    """The exchange that it came of, so that it goes when that is erased, or a value in it."""


class KeptLine(Row, table=True):
    """A line of a batch that was begun, and its result once it has one."""

    __tablename__ = "kept_line"
    kept_id: str = Field(primary_key=True)
    line: int = Field(primary_key=True, sa_type=BigInteger)
    result: bytes | None = None


class KeptItem(Row, table=True):
    """Which kept document an item came in, so that it can be found by its id alone."""

    __tablename__ = "kept_item"
    __table_args__ = (Index("ix_kept_item_kept_id", "kept_id"), KEYED)
    item_mac: bytes = Field(primary_key=True)
    """A keyed hash of its id, which a caller may have written."""
    org_id: str = Field(default="default", primary_key=True)
    app: str = Field(primary_key=True)
    kept_id: str


def table(model: type[Row]) -> Table:
    """The table of a model, for SQLAlchemy Core."""
    return Row.metadata.tables[str(model.__tablename__)]
