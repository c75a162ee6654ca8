"""The statements of figures, as SQLite and PostgreSQL spell them.

`{fact:a.b}` is a fact of an entry's header as text; `{each:a}` goes through a list of facts,
whose elements are then `{of:name}`, or `{element}` where they are texts; `{filled:a}` is whether
a list of facts has any.
"""

# ruff: noqa: S608 - nothing in these statements is anybody's input
from __future__ import annotations

import re
from collections.abc import Callable

_WINDOW = "e.org_id = :org AND e.ts >= :since AND e.ts < :until"
_CALLS = f"FROM audit_entry e WHERE {_WINDOW} AND e.kind = 'opened'"
_OF_CALL = "FROM audit_entry x WHERE x.exchange_id = e.exchange_id AND"
_SENT = f"SELECT count(*) {_CALLS} AND EXISTS (SELECT 1 {_OF_CALL} x.kind = 'attempt')"
_ENDS = (
    "FROM audit_entry e JOIN audit_entry x ON x.exchange_id = e.exchange_id "
    f"AND x.kind = 'closed' WHERE {_WINDOW} AND e.kind = 'opened'"
)
_PRUNED = (
    "FROM pruned_entry p JOIN audit_entry e ON e.entry_id = p.entry_id "
    "JOIN audit_entry b ON b.entry_id = p.pruned_by WHERE e.org_id = :org"
)
_KEYS = "SELECT count(*) FROM api_key WHERE org_id = :org"
_VALID = "AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :until)"
_DECIDED = (
    "FROM audit_entry e JOIN audit_entry x ON x.exchange_id = e.exchange_id "
    f"WHERE {_WINDOW} AND e.kind = 'opened'"
)
_INDEX = "FROM exchange_index e WHERE e.org_id = :org AND e.ts >= :since AND e.ts < :until"

_FINDINGS = ("findings", "answer_findings")

COUNTS = {
    "calls": f"SELECT count(*) {_CALLS}",
    "calls_ended": f"SELECT count(*) {_ENDS}",
    "calls_sent": _SENT,
    "sent_with_model": f"SELECT count(*) {_CALLS} AND EXISTS (SELECT 1 {_OF_CALL} "
    "x.kind = 'attempt' AND {fact:upstream_model} IS NOT NULL)",
    "sent_with_revision": f"{_SENT} AND EXISTS "
    f"(SELECT 1 {_OF_CALL} {{fact:decision.revision}} IS NOT NULL)",
    "sent_without_region": f"SELECT count(*) {_CALLS} AND EXISTS (SELECT 1 {_OF_CALL} "
    "x.kind = 'attempt' AND {fact:region} IS NULL)",
    "calls_labelled": f"SELECT count(*) {_ENDS} AND {{filled:labels}}",
    "calls_uninspected": f"SELECT count(*) {_CALLS} AND EXISTS "
    f"(SELECT 1 {_OF_CALL} {{filled:unavailable}})",
    "log_size": "SELECT size FROM log_head WHERE id = 1",
    "waiting": "SELECT count(*) FROM audit_entry e WHERE NOT EXISTS "
    "(SELECT 1 FROM log_leaf l WHERE l.entry_id = e.entry_id)",
    "signed": "SELECT max(size) FROM checkpoint",
    "cosigned": "SELECT max(size) FROM cosignature",
    "anchored": "SELECT max(size) FROM anchor",
    "pruned_entries": f"SELECT count(*) {_PRUNED}",
    "youngest_pruned_days": f"SELECT min({{days:e.ts:b.ts}}) {_PRUNED}",
    "holds": "SELECT count(*) FROM legal_hold WHERE org_id = :org AND lifted_at IS NULL",
    "keys_valid": f"{_KEYS} {_VALID}",
    "keys_without_end": f"{_KEYS} {_VALID} AND expires_at IS NULL",
    "keys_revoked": f"{_KEYS} AND revoked_at IS NOT NULL",
    "keys_destroyed": "SELECT (SELECT count(*) FROM subject_key WHERE org_id = :org AND "
    "destroyed_at IS NOT NULL) + (SELECT count(*) FROM value_key WHERE org_id = :org AND "
    "destroyed_at IS NOT NULL)",
    "purpose_unsaid": f"SELECT count(*) {_INDEX} AND e.purpose IS NULL",
    "index_behind": "SELECT h.size - coalesce((SELECT position FROM follower "
    "WHERE name = 'index'), 0) FROM log_head h WHERE h.id = 1",
}
"""Figures that are one number."""

TIMES = {"oldest": "SELECT min(e.ts) FROM audit_entry e WHERE e.org_id = :org"}
"""Figures that are a time."""

NAMED = {
    "kinds": f"SELECT e.kind, count(*) FROM audit_entry e WHERE {_WINDOW} GROUP BY 1",
    "outcomes": f"SELECT x.outcome, count(*) {_ENDS} GROUP BY 1",
    "codes": f"SELECT {{fact:code}}, count(*) {_ENDS} AND {{fact:code}} IS NOT NULL GROUP BY 1",
    "effects": f"SELECT {{fact:decision.effect}}, count(DISTINCT x.exchange_id) {_DECIDED} "
    "AND {fact:decision.effect} IS NOT NULL GROUP BY 1",
    "revisions": f"SELECT {{fact:decision.revision}}, count(DISTINCT x.exchange_id) {_DECIDED} "
    "AND {fact:decision.revision} IS NOT NULL GROUP BY 1",
    "apps": f"SELECT e.team || '/' || e.app, count(*) {_CALLS} GROUP BY 1",
    "providers": f"SELECT {{fact:upstream}}, count(DISTINCT x.exchange_id) {_DECIDED} "
    "AND x.kind = 'attempt' AND {fact:upstream} IS NOT NULL GROUP BY 1",
    "regions": f"SELECT {{fact:region}}, count(DISTINCT x.exchange_id) {_DECIDED} "
    "AND x.kind = 'attempt' AND {fact:region} IS NOT NULL GROUP BY 1",
    "labels": "SELECT {element}, count(*) FROM audit_entry e JOIN audit_entry x "
    "ON x.exchange_id = e.exchange_id AND x.kind = 'closed', {each:labels} "
    f"WHERE {_WINDOW} AND e.kind = 'opened' GROUP BY 1",
    "findings": "SELECT {of:kind} || ':' || {of:label}, count(DISTINCT x.exchange_id) "
    "FROM audit_entry e JOIN audit_entry x ON x.exchange_id = e.exchange_id, {every_finding} "
    f"WHERE {_WINDOW} AND e.kind = 'opened' GROUP BY 1",
    "purposes": f"SELECT e.purpose, count(*) {_INDEX} AND e.purpose IS NOT NULL GROUP BY 1",
    "parts": "SELECT alg, count(*) FROM audit_part WHERE org_id = :org GROUP BY 1",
}
"""Figures that are counts by name."""


def spelled(name: str, dialect: str) -> str:
    """The statement of a figure. Raises `KeyError`."""
    ways = _POSTGRESQL if dialect == "postgresql" else _SQLITE
    template = ({**COUNTS, **TIMES, **NAMED})[name]
    return re.sub(r"\{([a-z_]+)(?::([a-z_.:]+))?\}", lambda m: ways[m[1]](m[2] or ""), template)


def _sqlite_each(name: str) -> str:
    return f"json_each(CAST(x.header AS TEXT), '$.facts.{name}') f"


def _sqlite_findings(_: str) -> str:
    lists = ", ".join(
        f"json_extract(CAST(x.header AS TEXT), '$.facts.{name}')" for name in _FINDINGS
    )
    return f"json_each(json_array({lists})) g, json_each(g.value) f"


def _sqlite_filled(name: str) -> str:
    place = f"'$.facts.{name}'"
    return f"coalesce(json_array_length(CAST(x.header AS TEXT), {place}), 0) > 0"


_JSON = "convert_from(x.header, 'UTF8')::json"


def _postgresql_each(*names: str) -> str:
    lists = " UNION ALL ".join(
        f"SELECT value FROM json_array_elements(coalesce({_JSON} #> '{{facts,{name}}}', '[]'))"
        for name in names
    )
    return f"LATERAL ({lists}) f"


_SQLITE: dict[str, Callable[[str], str]] = {
    "fact": lambda path: f"json_extract(CAST(x.header AS TEXT), '$.facts.{path}')",
    "each": _sqlite_each,
    "every_finding": _sqlite_findings,
    "element": lambda _: "f.value",
    "of": lambda name: f"json_extract(f.value, '$.{name}')",
    "filled": _sqlite_filled,
    "days": lambda pair: "CAST(julianday({1}) - julianday({0}) AS INTEGER)".format(
        *pair.split(":")
    ),
}
_POSTGRESQL: dict[str, Callable[[str], str]] = {
    "fact": lambda path: f"({_JSON} #>> '{{facts,{path.replace('.', ',')}}}')",
    "each": lambda name: _postgresql_each(name),
    "every_finding": lambda _: _postgresql_each(*_FINDINGS),
    "element": lambda _: "(f.value #>> '{}')",
    "of": lambda name: f"(f.value ->> '{name}')",
    "filled": lambda name: (
        f"json_array_length(coalesce({_JSON} #> '{{facts,{name}}}', '[]'::json)) > 0"
    ),
    "days": lambda pair: "floor(extract(epoch FROM {1} - {0}) / 86400)".format(*pair.split(":")),
}
