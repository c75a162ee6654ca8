"""The tables of policies: packs, their versions, what is approved, what is in force."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    text,
)
from sqlmodel import Field

from gateway.adapters.store.tables import KEYED, Row

POLICY_INSERT_ONLY = ("policy_version", "policy_release", "policy_approval", "policy_rollout")
"""Triggers refuse to change or delete their rows."""


class PolicyPack(Row, table=True):
    """A pack, and where it is changed: `git` or `console`."""

    __tablename__ = "policy_pack"
    __table_args__ = (CheckConstraint("owner IN ('git', 'console')", name="owner"),)
    org_id: str = Field(default="default", primary_key=True)
    pack: str = Field(primary_key=True)
    owner: str


class PolicyVersion(Row, table=True):
    """A pack as it was at one moment."""

    __tablename__ = "policy_version"
    __table_args__ = (Index("ix_policy_version_pack", "org_id", "pack", "created_at"),)
    org_id: str = Field(default="default", primary_key=True)
    digest: str = Field(primary_key=True)
    pack: str
    number: str
    files: dict[str, str] = Field(sa_type=JSON)
    author: str
    created_at: datetime
    source: str | None = None


class PolicyDraft(Row, table=True):
    """A pack that somebody is changing."""

    __tablename__ = "policy_draft"
    org_id: str = Field(default="default", primary_key=True)
    draft_id: str = Field(primary_key=True)
    pack: str
    base: str | None = None
    files: dict[str, str] = Field(sa_type=JSON)
    author: str
    edition: int = Field(sa_type=BigInteger)
    updated_at: datetime
    note: str
    hands: list[list[str | None]] = Field(sa_type=JSON)
    """Who saved it: pairs of the id of a key and of a user, or null."""
    replay: dict[str, Any] | None = Field(default=None, sa_type=JSON)


class PolicyRelease(Row, table=True):
    """A version of each pack, which is approved and brought into force as one."""

    __tablename__ = "policy_release"
    __table_args__ = (
        UniqueConstraint(
            "org_id", "release_id", "author", "author_user", name="uq_policy_release_author"
        ),
    )
    org_id: str = Field(default="default", primary_key=True)
    release_id: str = Field(primary_key=True)
    revision: str
    packs: dict[str, str] = Field(sa_type=JSON)
    base: str | None = None
    author: str
    author_user: str
    """Empty where no user is verified, so that approvals can refer to it."""
    created_at: datetime
    widening: bool
    note: str
    evidence: dict[str, Any] = Field(sa_type=JSON)
    hands: list[list[str | None]] = Field(sa_type=JSON)


class PolicyApproval(Row, table=True):
    """What somebody said of a release. The author is copied, so that the database can refuse
    what they say of their own."""

    __tablename__ = "policy_approval"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "release_id", "author", "author_user"],
            [
                "policy_release.org_id",
                "policy_release.release_id",
                "policy_release.author",
                "policy_release.author_user",
            ],
            name="fk_policy_approval_release",
        ),
        CheckConstraint("person <> author", name="person"),
        CheckConstraint("person_user = '' OR person_user <> author_user", name="user"),
        Index("uq_policy_approval_user", "org_id", "release_id", "person_user", unique=True,
              sqlite_where=text("person_user <> ''"), postgresql_where=text("person_user <> ''")),
    )  # fmt: skip
    org_id: str = Field(default="default", primary_key=True)
    release_id: str = Field(primary_key=True)
    person: str = Field(primary_key=True)
    person_user: str
    author: str
    author_user: str
    approved: bool
    comment: str
    at: datetime


class PolicyRollout(Row, table=True):
    """What came into force. The newest number is; each number stands once."""

    __tablename__ = "policy_rollout"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "active"],
            ["policy_release.org_id", "policy_release.release_id"],
            name="fk_policy_rollout_active",
        ),
    )
    org_id: str = Field(default="default", primary_key=True)
    number: int = Field(primary_key=True, sa_type=BigInteger)
    active: str
    previous: str | None = None
    trying: str | None = None
    canary: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    shadow: str | None = None
    changed_by: str
    changed_at: datetime | None = None
    why: str
    step: str
    record: str
    changed_user: str | None = None


class PolicyStop(Row, table=True):
    """What is refused at once, until it is lifted."""

    __tablename__ = "policy_stop"
    __table_args__ = (
        Index("ix_policy_stop_standing", "org_id", sqlite_where=text("lifted_at IS NULL"),
              postgresql_where=text("lifted_at IS NULL")),
    )  # fmt: skip
    org_id: str = Field(default="default", primary_key=True)
    stop_id: str = Field(primary_key=True)
    what: str
    name: str
    reason: str
    made_by: str
    at: datetime
    lifted_by: str | None = None
    lifted_at: datetime | None = None


class PolicyNode(Row, table=True):
    """A gateway process, and what it says that it runs."""

    __tablename__ = "policy_node"
    org_id: str = Field(default="default", primary_key=True)
    node_id: str = Field(primary_key=True)
    host: str
    revision: str | None = None
    number: int = Field(sa_type=BigInteger)
    stops: int = Field(sa_type=BigInteger)
    seen_at: datetime
    problem: str | None = None


class PolicyDeed(Row, table=True):
    """What one of many nodes does once, such as to record that an exception expired."""

    __tablename__ = "policy_deed"
    __table_args__ = KEYED
    org_id: str = Field(default="default", primary_key=True)
    deed: str = Field(primary_key=True)
    claimed_at: datetime
    done: bool


class PolicyShadowCount(Row, table=True):
    """What a gateway process counted of a release that is asked beside what is in force."""

    __tablename__ = "policy_shadow_count"
    __table_args__ = KEYED
    org_id: str = Field(default="default", primary_key=True)
    release_id: str = Field(primary_key=True)
    node_id: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    """How the two differ, or `dropped`: it was not asked about."""
    since: datetime
    counted: int = Field(sa_type=BigInteger)
    samples: list[str] = Field(sa_type=JSON)
    """Ids of exchanges."""
