"""What every gateway counted of a release that is asked beside what is in force."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "policy_shadow_count",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("release_id", sa.String(), nullable=False),
        sa.Column("node_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counted", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("samples", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint(
            "org_id", "release_id", "node_id", "kind", name=op.f("pk_policy_shadow_count")
        ),
        sqlite_with_rowid=False,
    )
