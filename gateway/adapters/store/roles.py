"""PostgreSQL roles for each duty, and which rows a reader may see.

Roles cannot log in: logins are made members of them. None but the owner of the tables can
change or delete a record, and no role can but by dropping what guards it, which only the owner
can. Source: PostgreSQL's manual, "GRANT" and "Row Security Policies" (§5.8).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, text

from gateway.adapters.store import full_text
from gateway.adapters.store.policy_tables import POLICY_INSERT_ONLY
from gateway.adapters.store.schema import Row
from gateway.adapters.store.tables import INSERT_ONLY

WRITER, SEQUENCER, READER, RETENTION, MIGRATOR = ROLES = (
    "govgate_writer",
    "govgate_sequencer",
    "govgate_reader",
    "govgate_retention",
    "govgate_migrator",
)
LOG = ("log_leaf", "log_node", "checkpoint", "cosignature", "anchor")
"""Insert-only, by whoever sequences and signs."""
PRUNED = "pruned_entry"
_PLACES = ("log_head", "log_cursor")
_VERSION = "alembic_version"
OF_ORGS = (
    "audit_entry",
    "audit_part",
    "budget_post",
    PRUNED,
    "exchange_index",
    "exchange_tag",
    full_text.NAME,
    *POLICY_INSERT_ONLY,
    "policy_stop",
    "policy_shadow_count",
)
"""Tables of which a reader sees one organisation's rows."""
_SETTING = "govgate.org"


def statements(schema: str = "public") -> Sequence[str]:
    """What makes the roles and gives them their rights; safe to repeat."""
    names = sorted({*Row.metadata.tables, full_text.NAME, _VERSION})
    return [
        *_roles(),
        f"GRANT USAGE ON SCHEMA {schema} TO {', '.join(ROLES)}",
        f"GRANT CREATE ON SCHEMA {schema} TO {MIGRATOR}",
        f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC, {', '.join(ROLES[:-1])}",
        _owned(schema, names),
        *(f"REVOKE ALL ON {schema}.{name} FROM PUBLIC, {', '.join(ROLES[:-1])}" for name in names),
        *(f"GRANT {right} ON {schema}.{name} TO {role}" for role, right, name in _rights(names)),
        *_functions(schema),
        *_policies(schema),
    ]


def apply(connection: Connection) -> None:
    """Run `statements` in the caller's transaction. Raises SQLAlchemy's errors."""
    schema = connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    for statement in statements(str(schema)):
        connection.exec_driver_sql(statement.replace("%", "%%"))


def _roles() -> Iterator[str]:
    for role in ROLES:
        yield (
            f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN; "
            "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
    yield (
        f"DO $$ BEGIN IF NOT pg_has_role(current_user, '{MIGRATOR}', 'MEMBER') THEN "
        f"EXECUTE format('GRANT {MIGRATOR} TO %I', current_user); END IF; END $$"
    )


def _owned(schema: str, names: Sequence[str]) -> str:
    """Everything of ours belongs to whoever migrates, partitions and functions too."""
    listed = ", ".join(f"'{name}'" for name in names)
    return (
        "DO $$ DECLARE one record; BEGIN FOR one IN "  # noqa: S608
        f"SELECT c.oid FROM pg_class c WHERE c.relnamespace = '{schema}'::regnamespace "
        f"AND c.relkind IN ('r', 'p') AND (c.relname IN ({listed}) "
        "OR c.relname ~ '^audit_part_([0-9]{4}_[0-9]{2}|default)$') LOOP "
        f"EXECUTE format('ALTER TABLE %s OWNER TO {MIGRATOR}', one.oid::regclass); END LOOP; "
        "FOR one IN SELECT p.oid FROM pg_proc p "
        f"WHERE p.pronamespace = '{schema}'::regnamespace AND p.proname ~ '^govgate_' LOOP "
        f"EXECUTE format('ALTER FUNCTION %s OWNER TO {MIGRATOR}', one.oid::regprocedure); "
        "END LOOP; END $$"
    )


def _rights(names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Role, rights and table."""
    guarded = {*INSERT_ONLY, *POLICY_INSERT_ONLY, *LOG, PRUNED, *_PLACES, _VERSION}
    for name in names:
        yield WRITER, "SELECT", name
        yield RETENTION, "SELECT", name
        if name not in guarded:
            yield WRITER, "INSERT, UPDATE, DELETE", name
    for name in (*INSERT_ONLY, *POLICY_INSERT_ONLY):
        yield WRITER, "INSERT", name
    for name in (*INSERT_ONLY, "writer", *LOG, PRUNED, *_PLACES, _VERSION):
        yield SEQUENCER, "SELECT", name
    for name in LOG:
        yield SEQUENCER, "INSERT", name
    yield SEQUENCER, "UPDATE", "log_head"
    yield SEQUENCER, "INSERT, UPDATE", "log_cursor"
    yield RETENTION, "INSERT", "audit_entry"
    yield RETENTION, "INSERT", PRUNED
    for name in ("audit_part", "record_key", "value_index", full_text.NAME, "object_gone"):
        yield RETENTION, "DELETE", name
    yield RETENTION, "INSERT", "object_gone"
    for name in ("writer", "follower"):
        yield RETENTION, "INSERT, UPDATE", name
    yield RETENTION, "UPDATE", "deployment"
    for name in (*OF_ORGS, *LOG, "log_head"):
        yield READER, "SELECT", name


def _functions(schema: str) -> Iterator[str]:
    yield f"GRANT EXECUTE ON FUNCTION {schema}.govgate_make_parts(date) TO {WRITER}, {RETENTION}"
    yield f"GRANT EXECUTE ON FUNCTION {schema}.govgate_drop_empty_parts() TO {RETENTION}"


def _policies(schema: str) -> Iterator[str]:
    """A reader sees the rows of the organisation that it has set; none without."""
    for name in OF_ORGS:
        table = f"{schema}.{name}"
        yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
        yield f"DROP POLICY IF EXISTS govgate_org ON {table}"
        yield (
            f"CREATE POLICY govgate_org ON {table} FOR SELECT TO {READER} "
            f"USING (org_id = current_setting('{_SETTING}', true))"
        )
        yield f"DROP POLICY IF EXISTS govgate_all ON {table}"
        yield (
            f"CREATE POLICY govgate_all ON {table} TO {WRITER}, {SEQUENCER}, {RETENTION} "
            "USING (true) WITH CHECK (true)"
        )
