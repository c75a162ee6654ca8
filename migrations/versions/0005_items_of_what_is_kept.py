"""Which kept document holds an item, so that a later request may name the item alone."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kept_item",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("item_mac", sa.LargeBinary(), nullable=False),
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("kept_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("item_mac", "org_id", "app", name=op.f("pk_kept_item")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_kept_item_kept_id", "kept_item", ["kept_id"])


def downgrade() -> None:
    op.drop_table("kept_item")
