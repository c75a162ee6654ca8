"""Payloads that are in object storage: which object has each, and which objects may go."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL statement_timeout = 0")
    op.add_column("audit_part", sa.Column("object_sha256", sa.LargeBinary(), nullable=True))
    op.create_index(
        "ix_audit_part_object_sha256",
        "audit_part",
        ["object_sha256"],
        sqlite_where=sa.text("object_sha256 IS NOT NULL"),
        postgresql_where=sa.text("object_sha256 IS NOT NULL"),
    )
    op.create_table(
        "object_gone",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("object_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("object_sha256", name=op.f("pk_object_gone")),
        sqlite_with_rowid=False,
    )
