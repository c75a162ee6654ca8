"""Payloads in partitions by month on PostgreSQL; they can go when their pruning is on record."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

PRUNED = (
    "EXISTS (SELECT 1 FROM {0}pruned_entry p JOIN {0}audit_entry e ON e.entry_id = p.pruned_by "
    "WHERE p.entry_id = OLD.entry_id AND e.kind = 'retention.pruned')"
)
"""Whether an entry of the ledger says that this payload's time was over."""

BOUND = (
    "'ent_' || lpad(to_hex((extract(epoch FROM {0}::timestamp AT TIME ZONE 'UTC') * 1000)"
    "::bigint), 12, '0') || repeat('0', 20)"
)
"""The lowest id of an entry of a month: ids begin with the milliseconds since 1970."""


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER audit_part_no_delete")
        op.execute(
            "CREATE TRIGGER audit_part_no_delete BEFORE DELETE ON audit_part "
            f"WHEN NOT {PRUNED.format('')} "
            "BEGIN SELECT RAISE(ABORT, 'audit_part is insert-only'); END"
        )
        return
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    op.execute("SET LOCAL statement_timeout = 0")
    _partitioned()
    _functions(f"{schema}.")
    _moved()
    op.execute(
        "CREATE TRIGGER audit_part_kept BEFORE UPDATE OR DELETE ON audit_part "
        "FOR EACH ROW EXECUTE FUNCTION govgate_part_kept()"
    )


def _partitioned() -> None:
    op.execute("DROP TRIGGER audit_part_insert_only ON audit_part")
    op.execute("ALTER TABLE audit_part RENAME CONSTRAINT pk_audit_part TO pk_audit_part_before")
    op.execute("ALTER TABLE audit_part RENAME TO audit_part_before")
    op.create_table(
        "audit_part",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.Column("part", sa.String(), nullable=False),
        sa.Column("alg", sa.String(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("sha256_ct", sa.LargeBinary(), nullable=False),
        sa.Column("key_commit", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", "part", name=op.f("pk_audit_part")),
        postgresql_partition_by="RANGE (entry_id)",
    )
    op.execute("CREATE TABLE audit_part_default PARTITION OF audit_part DEFAULT")
    for name in ("audit_part", "audit_part_default"):
        op.execute(
            f"CREATE TRIGGER {name}_insert_only BEFORE TRUNCATE ON {name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION govgate_insert_only()"
        )


def _functions(schema: str) -> None:
    """They run as whoever migrates, so that others may have partitions made and dropped."""
    op.execute(
        "CREATE FUNCTION govgate_part_kept() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN IF TG_OP = 'DELETE' AND {PRUNED.format(schema)} THEN RETURN OLD; END IF; "
        "RAISE EXCEPTION 'audit_part is insert-only'; END $$"
    )
    op.execute(MAKE.replace("{schema}", schema))
    op.execute(DROP.replace("{schema}", schema))
    for function in ("govgate_make_parts(date)", "govgate_drop_empty_parts()"):
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")


MAKE = f"""
CREATE FUNCTION govgate_make_parts(month date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  first date := date_trunc('month', month)::date;
  low text := {BOUND.format("first")};
  high text := {BOUND.format("(first + interval '1 month')")};
  name text := 'audit_part_' || to_char(first, 'YYYY_MM');
BEGIN
  IF first > now() + interval '1 year' THEN
    RAISE EXCEPTION 'no partition is made so far ahead';
  END IF;
  PERFORM pg_advisory_xact_lock(1735358055, 1);
  IF to_regclass('{{schema}}' || name) IS NOT NULL OR EXISTS (
    SELECT 1 FROM {{schema}}audit_part_default p WHERE p.entry_id >= low AND p.entry_id < high
  ) THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE TABLE {{schema}}%I PARTITION OF {{schema}}audit_part '
    'FOR VALUES FROM (%L) TO (%L)', name, low, high);
  EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON {{schema}}%I '
    'FOR EACH STATEMENT EXECUTE FUNCTION {{schema}}govgate_insert_only()',
    name || '_insert_only', name);
  RETURN true;
END $$
"""  # noqa: S608

DROP = """
CREATE FUNCTION govgate_drop_empty_parts() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  partition record;
  filled boolean;
  dropped integer := 0;
BEGIN
  FOR partition IN
    SELECT c.oid, c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = '{schema}audit_part'::regclass
      AND c.relname ~ '^audit_part_[0-9]{4}_[0-9]{2}$'
      AND to_date(right(c.relname, 7), 'YYYY_MM') < date_trunc('month', now()) - interval '1 month'
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %s)', partition.oid::regclass) INTO filled;
    CONTINUE WHEN filled;
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', partition.oid::regclass);
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %s)', partition.oid::regclass) INTO filled;
    CONTINUE WHEN filled;
    EXECUTE format('DROP TABLE %s', partition.oid::regclass);
    dropped := dropped + 1;
  END LOOP;
  RETURN dropped;
END $$
"""


def _moved() -> None:
    """Every row into the partition of its month."""
    op.execute(
        "SELECT govgate_make_parts(each.month::date) FROM (SELECT DISTINCT date_trunc('month', "
        "to_timestamp(('x' || substr(entry_id, 5, 12))::bit(48)::bigint / 1000.0) "
        "AT TIME ZONE 'UTC') AS month FROM audit_part_before "
        "WHERE entry_id ~ '^ent_[0-9a-f]{32}$') each WHERE each.month < now() + interval '1 year'"
    )
    op.execute("INSERT INTO audit_part SELECT * FROM audit_part_before")
    op.execute("DROP TABLE audit_part_before")
