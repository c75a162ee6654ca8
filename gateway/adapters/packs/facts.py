"""What a decision depends on: the facts that rules look at, their dates, their revision."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache

import orjson

from gateway.adapters.packs.schema import Json, definitions, engine, kind_of, moment

_ALWAYS_READ = frozenset({"action.properties.stage", "resource.id", "context.unavailable"})
"""What the library itself looks at, whatever the rules: see policies/lib/decision.rego."""


def reads(rules: Sequence[Json], exceptions: Sequence[Json]) -> frozenset[str]:
    """The facts that these depend on, as the schema declares them beside each kind.

    `rules` are as the engines take them.
    """
    selectors = definitions()["when"]["properties"]
    found = set(_ALWAYS_READ)
    places = [scope["when"] for scope in [*rules, *exceptions]]
    for rule in rules:
        found.update(kind_of(rule["kind"])["x-reads"])
        places += rule["attached"] or []
        if rule["on_match"] == "review":
            found.add("context.review.state")
    for place in places:
        for selector in place:
            found.update(selectors[selector]["x-reads"])
    return frozenset(found)


def instants(rules: Sequence[Json], exceptions: Sequence[Json]) -> tuple[str, ...]:
    """The moments at which one of these begins or ends to hold, ascending."""
    moments = {rule[end] for rule in rules for end in ("from", "until")}
    moments |= {moment(exception["until"]) for exception in exceptions}
    return tuple(sorted(time for time in moments if time is not None))


def revision(data: Json, phrases: Mapping[str, tuple[str, ...]]) -> str:
    """`sha256:…` over what is decided by."""
    whole = {"pack": data, "lists": dict(phrases), "library": _library()}
    digest = hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS))
    return f"sha256:{digest.hexdigest()}"


@cache
def _library() -> str:
    return hashlib.sha256(engine().read_bytes()).hexdigest()
