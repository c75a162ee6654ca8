"""The index of exchanges that searches read, made from the log."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TEXTS = (
    "subject",
    "session",
    "action",
    "model",
    "upstream",
    "upstream_model",
    "outcome",
    "code",
    "effect",
    "decision_id",
    "revision",
    "purpose",
)
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


def upgrade() -> None:
    op.create_table(
        "exchange_index",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("exchange_id", sa.String(), nullable=False),
        sa.Column("ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=True) for name in TEXTS),
        sa.Column("hidden", sa.Boolean(), nullable=False),
        sa.Column("cost_micro", sa.BigInteger(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("elapsed_us", sa.BigInteger(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_exchange_index")),
        sa.UniqueConstraint("exchange_id", name=op.f("uq_exchange_index_exchange_id")),
    )
    op.create_index("ix_exchange_index_ts", "exchange_index", ["org_id", "ts", "number"])
    for name in SEARCHED:
        op.create_index(
            f"ix_exchange_index_{name}", "exchange_index", ["org_id", name, "ts", "number"]
        )
    op.create_table(
        "exchange_tag",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "org_id", "kind", "value", "ts", "number", name=op.f("pk_exchange_tag")
        ),
        sqlite_with_rowid=False,
    )
    _full_text()
    op.create_table(
        "saved_query",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("filters", sa.JSON(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "name", name=op.f("pk_saved_query")),
    )


def _full_text() -> None:
    """The words of exchanges. They are cut before they come here, so nothing else cuts them."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE exchange_text USING fts5(words, columnsize = 0, tokenize = "
            "\"unicode61 remove_diacritics 0 categories 'L* M* N* P* S* Co Cn'\")"
        )
        return
    op.execute(
        "CREATE TABLE exchange_text (org_id varchar NOT NULL, number bigint NOT NULL, "
        "words tsvector NOT NULL, CONSTRAINT pk_exchange_text PRIMARY KEY (number))"
    )
    op.execute("CREATE INDEX ix_exchange_text_words ON exchange_text USING gin (words)")
