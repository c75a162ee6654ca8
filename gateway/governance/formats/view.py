"""What every format tells of a record: metadata, decision, findings, costs, places; no content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import msgspec

from gateway.core.exports import Leaf, Record
from gateway.core.records import Kind, canonical
from gateway.governance.explaining import Clean

EXCHANGE = "exchange"
"""The kind of a record that is an exchange; any other is the kind of its one entry."""
MISSING = "missing"
"""The kind of a record whose entry is gone, or cannot be read."""
_OF_EXCHANGES = frozenset({Kind.OPENED, Kind.ATTEMPT, Kind.SEGMENT, Kind.CLOSED})


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One record. Times are RFC 3339 in UTC, costs micro-USD, `elapsed_us` microseconds."""

    kind: str
    leaf_index: int
    """The leaf that the record stands at."""
    leaves: list[tuple[int, int]]
    """All leaves of the record, as runs: the first and the last of each."""
    leaf_hash: str
    entry_id: str
    exchange_id: str
    intact: bool
    """Whether every entry has the hash that the log has."""
    proof: str
    """Where the gateway proves that the log has the entry."""
    ts: str | None = None
    ended_at: str | None = None
    org: str | None = None
    team: str | None = None
    app: str | None = None
    key_id: str | None = None
    action: str | None = None
    model: str | None = None
    stream: bool | None = None
    provider: str | None = None
    served_model: str | None = None
    region: str | None = None
    upstream_request_id: str | None = None
    outcome: str | None = None
    code: str | None = None
    effect: str | None = None
    decision_id: str | None = None
    revision: str | None = None
    rules: list[str] = []
    obligations: list[str] = []
    findings: list[dict[str, Any]] = []
    findings_count: int = 0
    answer_findings: list[dict[str, Any]] = []
    unavailable: list[str] = []
    labels: list[str] = []
    cache: str | None = None
    attempts: int | None = None
    segments: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    usage_exact: bool | None = None
    cost_micro_usd: int | None = None
    cost_exact: bool | None = None
    price_version: str | None = None
    elapsed_us: int | None = None
    facts: dict[str, Any] | None = None
    """The facts of an act; of an exchange they stand above."""

    @property
    def time_ms(self) -> int:
        """When it began, in milliseconds since 1970; zero where that cannot be read."""
        return milliseconds(self.ts)


def milliseconds(time: str | None) -> int:
    """An RFC 3339 time in milliseconds since 1970; zero for none."""
    return 0 if time is None else round(datetime.fromisoformat(time).timestamp() * 1_000)


def view_of(record: Record, clean: Clean) -> View:
    """What is told of `record`; `clean` takes personal data out of names that callers chose.

    Of one that is not intact, and says what no record can, only its place is told.
    """
    try:
        view = _view(record, clean)
        if not view.intact:
            _check(view)
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError):
        view = msgspec.convert({**_place(record), "kind": MISSING}, View)
        if view.intact:
            raise
    return view


def _view(record: Record, clean: Clean) -> View:
    last = record.last
    if last.header is None:
        return msgspec.convert({**_place(record), "kind": MISSING}, View)
    told = {name: last.header.get(name) for name in ("org", "team", "app", "key_id")}
    if last.kind in _OF_EXCHANGES:
        told |= {**_told(record.leaves, clean), "kind": EXCHANGE}
    else:
        told |= {"ts": last.header["ts"], "facts": last.header["facts"], "kind": last.kind}
    return msgspec.convert({**told, **_place(record)}, View)


def _check(view: View) -> None:
    """Raise `ValueError`, `TypeError` for what no format can write."""
    milliseconds(view.ts)
    milliseconds(view.ended_at)
    canonical(msgspec.to_builtins(view))


def _place(record: Record) -> dict[str, Any]:
    last = record.last
    return {
        "leaf_index": last.index,
        "leaves": list(_runs(sorted(leaf.index for leaf in record.leaves))),
        "leaf_hash": last.leaf_hash.hex(),
        "entry_id": last.entry_id,
        "exchange_id": last.exchange_id,
        "intact": all(leaf.intact for leaf in record.leaves),
        "proof": f"/api/v1/log/proof/{last.entry_id}",
    }


def _runs(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = places[0]
    for one, other in pairwise(places):
        if other != one + 1:
            yield first, one
            first = other
    yield first, places[-1]


def _told(leaves: Sequence[Leaf], clean: Clean) -> dict[str, Any]:
    """What an exchange's headers say, from the beginning to the end."""
    facts: dict[str, Any] = {}
    told: dict[str, Any] = {}
    asked: Any = None
    for kind in (Kind.OPENED, Kind.ATTEMPT, Kind.SEGMENT, Kind.CLOSED):
        for leaf in (one for one in leaves if one.kind == kind and one.header is not None):
            header: Mapping[str, Any] = leaf.header or {}
            facts |= header["facts"]
            if kind == Kind.OPENED:
                told["ts"], asked = header["ts"], facts.get("model")
            if kind == Kind.CLOSED:
                told["ended_at"] = header["ts"]
    decision = facts.get("decision") or {}
    usage = facts.get("usage") or {}
    served = facts.get("upstream_model")
    same = ("action", "stream", "outcome", "code", "cache", "attempts", "segments",
            "cost_micro_usd", "cost_exact", "price_version", "elapsed_us", "region",
            "upstream_request_id")  # fmt: skip
    lists = ("findings", "answer_findings", "unavailable", "labels")
    return {
        **told,
        **{name: facts.get(name) for name in same},
        **{name: facts.get(name) or [] for name in lists},
        "findings_count": facts.get("findings_count") or 0,
        "model": asked and clean(asked),
        "provider": facts.get("upstream"),
        "served_model": served and clean(served),
        "effect": decision.get("effect"),
        "decision_id": decision.get("id"),
        "revision": decision.get("revision"),
        "rules": decision.get("rules") or [],
        "obligations": [_name(duty) for duty in decision.get("obligations") or []],
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        "usage_exact": usage.get("exact"),
    }


def _name(duty: Any) -> str:
    """The name of an obligation."""
    return str(duty.get("id", "")) if isinstance(duty, Mapping) else str(duty)
