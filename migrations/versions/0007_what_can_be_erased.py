"""Keys of subjects and of found values, their blind index, and legal holds."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ACTIVE = sa.text("destroyed_at IS NULL")
DESTROYED = sa.text("destroyed_at IS NOT NULL")


def upgrade() -> None:
    op.add_column(
        "deployment",
        sa.Column("erasures", sa.BigInteger(), nullable=False, server_default="0"),
    )
    for table, name in (("subject_key", "subject"), ("value_key", "value")):
        op.create_table(
            table,
            sa.Column("org_id", sa.String(), nullable=False),
            sa.Column("key_id", sa.String(), nullable=False),
            sa.Column(f"{name}_mac", sa.LargeBinary(), nullable=False),
            sa.Column("kek_id", sa.String(), nullable=False),
            sa.Column("wrapped", sa.LargeBinary(), nullable=True),
            sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("destroyed_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=True),
            sa.PrimaryKeyConstraint("key_id", name=op.f(f"pk_{table}")),
        )
        op.create_index(
            f"uq_{table}_{name}",
            table,
            ["org_id", f"{name}_mac"],
            unique=True,
            sqlite_where=ACTIVE,
            postgresql_where=ACTIVE,
        )
        op.create_index(
            f"ix_{table}_destroyed",
            table,
            ["key_id"],
            sqlite_where=DESTROYED,
            postgresql_where=DESTROYED,
        )
    op.create_table(
        "value_index",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("value_mac", sa.LargeBinary(), nullable=False),
        sa.Column("exchange_id", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "value_mac", "exchange_id", name=op.f("pk_value_index")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_value_index_exchange_id", "value_index", ["exchange_id"])
    op.create_index("ix_record_key_kek_id", "record_key", ["kek_id"])
    op.add_column("kept_document", sa.Column("subject_mac", sa.LargeBinary(), nullable=True))
    op.add_column("kept_document", sa.Column("exchange_id", sa.String(), nullable=True))
    op.create_index("ix_kept_document_exchange_id", "kept_document", ["exchange_id"])
    op.create_index("ix_kept_document_subject", "kept_document", ["org_id", "subject_mac"])
    op.create_table(
        "legal_hold",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("hold_id", sa.String(), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("placed_by", sa.String(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lift_asked_by", sa.String(), nullable=True),
        sa.Column("lift_asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.String(), nullable=True),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("hold_id", name=op.f("pk_legal_hold")),
    )
