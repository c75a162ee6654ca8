"""Policies: packs, versions, drafts, releases, approvals, rollouts, stops, nodes."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INSERT_ONLY = ("policy_version", "policy_release", "policy_approval", "policy_rollout")


def upgrade() -> None:
    _packs()
    _releases()
    _rollouts()
    _stops_and_nodes()
    if op.get_bind().dialect.name == "postgresql":
        for table in INSERT_ONLY:
            op.execute(
                f"CREATE TRIGGER {table}_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE "
                f"ON {table} FOR EACH STATEMENT EXECUTE FUNCTION govgate_insert_only()"
            )
        return
    for table in INSERT_ONLY:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is insert-only'); END"
            )


def _text(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _json(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON(), nullable=nullable)


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False)


def _packs() -> None:
    op.create_table(
        "policy_pack",
        _text("org_id"),
        _text("pack"),
        _text("owner"),
        sa.CheckConstraint("owner IN ('git', 'console')", name=op.f("ck_policy_pack_owner")),
        sa.PrimaryKeyConstraint("org_id", "pack", name=op.f("pk_policy_pack")),
    )
    op.create_table(
        "policy_version",
        _text("org_id"),
        _text("digest"),
        _text("pack"),
        _text("number"),
        _json("files"),
        _text("author"),
        _time("created_at"),
        _text("source", nullable=True),
        sa.PrimaryKeyConstraint("org_id", "digest", name=op.f("pk_policy_version")),
    )
    op.create_index("ix_policy_version_pack", "policy_version", ["org_id", "pack", "created_at"])
    op.create_table(
        "policy_draft",
        _text("org_id"),
        _text("draft_id"),
        _text("pack"),
        _text("base", nullable=True),
        _json("files"),
        _text("author"),
        _number("edition"),
        _time("updated_at"),
        _text("note"),
        _json("hands"),
        _json("replay", nullable=True),
        sa.PrimaryKeyConstraint("org_id", "draft_id", name=op.f("pk_policy_draft")),
    )


def _releases() -> None:
    op.create_table(
        "policy_release",
        _text("org_id"),
        _text("release_id"),
        _text("revision"),
        _json("packs"),
        _text("base", nullable=True),
        _text("author"),
        _text("author_user"),
        _time("created_at"),
        sa.Column("widening", sa.Boolean(), nullable=False),
        _text("note"),
        _json("evidence"),
        _json("hands"),
        sa.PrimaryKeyConstraint("org_id", "release_id", name=op.f("pk_policy_release")),
        sa.UniqueConstraint(
            "org_id",
            "release_id",
            "author",
            "author_user",
            name=op.f("uq_policy_release_author"),
        ),
    )
    op.create_table(
        "policy_approval",
        _text("org_id"),
        _text("release_id"),
        _text("person"),
        _text("person_user"),
        _text("author"),
        _text("author_user"),
        sa.Column("approved", sa.Boolean(), nullable=False),
        _text("comment"),
        _time("at"),
        sa.CheckConstraint("person <> author", name=op.f("ck_policy_approval_person")),
        sa.CheckConstraint(
            "person_user = '' OR person_user <> author_user",
            name=op.f("ck_policy_approval_user"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "release_id", "author", "author_user"],
            [
                "policy_release.org_id",
                "policy_release.release_id",
                "policy_release.author",
                "policy_release.author_user",
            ],
            name=op.f("fk_policy_approval_release"),
        ),
        sa.PrimaryKeyConstraint("org_id", "release_id", "person", name=op.f("pk_policy_approval")),
    )
    op.create_index(
        "uq_policy_approval_user",
        "policy_approval",
        ["org_id", "release_id", "person_user"],
        unique=True,
        sqlite_where=sa.text("person_user <> ''"),
        postgresql_where=sa.text("person_user <> ''"),
    )


def _rollouts() -> None:
    op.create_table(
        "policy_rollout",
        _text("org_id"),
        _number("number"),
        _text("active"),
        _text("previous", nullable=True),
        _text("trying", nullable=True),
        _json("canary", nullable=True),
        _text("shadow", nullable=True),
        _text("changed_by"),
        _time("changed_at", nullable=True),
        _text("why"),
        _text("step"),
        _text("record"),
        _text("changed_user", nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id", "active"],
            ["policy_release.org_id", "policy_release.release_id"],
            name=op.f("fk_policy_rollout_active"),
        ),
        sa.PrimaryKeyConstraint("org_id", "number", name=op.f("pk_policy_rollout")),
    )


def _stops_and_nodes() -> None:
    op.create_table(
        "policy_stop",
        _text("org_id"),
        _text("stop_id"),
        _text("what"),
        _text("name"),
        _text("reason"),
        _text("made_by"),
        _time("at"),
        _text("lifted_by", nullable=True),
        _time("lifted_at", nullable=True),
        sa.PrimaryKeyConstraint("org_id", "stop_id", name=op.f("pk_policy_stop")),
    )
    op.create_index(
        "ix_policy_stop_standing",
        "policy_stop",
        ["org_id"],
        sqlite_where=sa.text("lifted_at IS NULL"),
        postgresql_where=sa.text("lifted_at IS NULL"),
    )
    op.create_table(
        "policy_node",
        _text("org_id"),
        _text("node_id"),
        _text("host"),
        _text("revision", nullable=True),
        _number("number"),
        _number("stops"),
        _time("seen_at"),
        _text("problem", nullable=True),
        sa.PrimaryKeyConstraint("org_id", "node_id", name=op.f("pk_policy_node")),
    )
    op.create_table(
        "policy_deed",
        _text("org_id"),
        _text("deed"),
        _time("claimed_at"),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "deed", name=op.f("pk_policy_deed")),
        sqlite_with_rowid=False,
    )
