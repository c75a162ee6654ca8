"""An exchange as searches know it: made from all its entries, the same however often."""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from gateway.adapters.store.words import MOST_WORDS, words
from gateway.core.audit import ID_TAG, LONGEST_VALUE, Contents, Payloads, Said
from gateway.core.records import Kind

DISCOVERY = frozenset({"messages.count_tokens"})
"""Actions that only discover what there is. Nothing that a caller says hides an exchange."""
INDEXED = (Kind.OPENED.value, Kind.ATTEMPT.value, Kind.CLOSED.value)
"""Kinds of entries that an index is made of; what segments hold, `closed` holds again."""
OTHER_PRIVATE = frozenset({"secret"})
"""Kinds of findings that no record cuts out, and no index may hold."""
_LABEL = re.compile(r" [A-Z][A-Z0-9_]* ")
"""What stands where a value was cut out."""
_FOR_SESSIONS = "ses_"
_MARK = re.compile(rf"{_FOR_SESSIONS}[0-9a-f]{{32}}")
MOST_TAGS = 200
"""Values of one kind of tag that are kept."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """A row of the index, and the words that stand for it; None while it has none to show."""

    row: dict[str, Any]
    words: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries of one exchange that are in the log, `opened` first.

    `number` is the leaf index of `opened`. Parts are by name; those that cannot be read, as
    their key is gone, are missing.
    """

    number: int
    rows: Sequence[Any]
    parts: Mapping[str, bytes] = field(default_factory=dict)
    cut: Collection[str] = ()

    @property
    def ended(self) -> bool:
        return any(row.kind == Kind.CLOSED.value for row in self.rows)


class Marks:
    """Keyed hashes, for what must be found and must not be read."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def id(self, org: str, id: str) -> str:
        """What stands for an id, which a caller may have made up."""
        return self._mac("id", org, id)

    def session(self, org: str, name: str) -> str:
        """What stands for a caller's name of a session."""
        return _FOR_SESSIONS + self._mac("session", org, name)

    def asked(self, org: str, session: str) -> str:
        """The mark of a session that is asked for by its name, or by its mark itself.

        One that a caller named like a mark is found by its own mark alone.
        """
        return session if _MARK.fullmatch(session) else self.session(org, session)

    def _mac(self, what: str, org: str, text: str) -> str:
        said = "\n".join([f"search {what}", org, text]).encode(errors="replace")
        return hmac.digest(self._key, said, "sha256")[:16].hex()


def indexed(entries: Entries, contents: Contents | None, marks: Marks) -> Indexed:
    """What stands in the index for an exchange; without `contents`, none of its payloads.

    Raises `ValueError` for payloads that cannot be read.
    """
    opened = entries.rows[0]
    facts = [orjson.loads(row.header)["facts"] for row in entries.rows]
    told: dict[str, Any] = {}
    for each in facts:
        told |= each
    said: Said | None = None
    if contents is not None and entries.parts:
        said = contents.read(_payloads(facts[0], told, entries))
    decision, usage = told.get("decision") or {}, told.get("usage") or {}
    row = {
        "org_id": opened.org_id,
        "number": entries.number,
        "exchange_id": opened.exchange_id,
        "ts": aware(opened.ts),
        "ended_at": aware(entries.rows[-1].ts) if entries.ended else None,
        "team": opened.team,
        "app": opened.app,
        "key_id": opened.key_id,
        "subject": orjson.loads(opened.header).get("subject"),
        "session": _session(entries, facts[0], said, marks),
        "action": _column(facts[0].get("action")),
        "model": _column(facts[0].get("model")),
        "upstream": _column(told.get("upstream")),
        "upstream_model": _column(told.get("upstream_model")),
        "outcome": _column(told.get("outcome")),
        "code": _column(told.get("code")),
        "effect": _column(decision.get("effect")),
        "decision_id": _column(decision.get("id")),
        "revision": _column(decision.get("revision")),
        "purpose": _column(said.purpose) if said else None,
        "hidden": facts[0].get("action") in DISCOVERY,
        "cost_micro": told.get("cost_micro_usd") or 0,
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        "elapsed_us": told.get("elapsed_us"),
        "tags": _tags(entries, told, said or Said(), marks),
    }
    if said is None:
        return Indexed(row)
    text: list[str] = []
    for each in said.texts:
        if len(text) < MOST_WORDS:
            text += words(each)
    return Indexed(row, text[:MOST_WORDS])


def aware(moment: datetime) -> datetime:
    """A time as a database gave it, in UTC: SQLite's has lost its zone."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _session(
    entries: Entries, opened: Mapping[str, Any], said: Said | None, marks: Marks
) -> str | None:
    """What stands for the session: by its name, or where a value was cut out of that, by the
    header's own word for it."""
    name = said.session if said is not None else None
    if name and not ("attributes" in entries.cut and _LABEL.search(name)):
        return marks.session(entries.rows[0].org_id, name)
    known = opened.get("session")
    return None if known is None else _FOR_SESSIONS + str(known)


def _payloads(opened: Mapping[str, Any], told: Mapping[str, Any], entries: Entries) -> Payloads:
    """What is read: what was sent, or where it equals what was received, or none was sent, that.

    Then what was found and not cut out must still be taken out, and all of it must be known.
    """
    parts, found = entries.parts, list(told.get("findings") or ())
    request = parts.get("request_sent")
    if request is not None:
        found = []
    elif len(found) == told.get("findings_count", 0) and not told.get("unavailable"):
        request = parts.get("request_received")
    if "request_received" in entries.cut and found:
        moved = any(one["kind"] in OTHER_PRIVATE for one in found)
        request, found = (None if moved else request), []
    return Payloads(
        action=str(opened.get("action")),
        streamed=bool(opened.get("stream")),
        request=request,
        answer=parts.get("answer_received"),
        attributes=parts.get("attributes"),
        found=found,
    )


def _tags(
    entries: Entries, told: Mapping[str, Any], said: Said, marks: Marks
) -> dict[str, list[str]]:
    org = entries.rows[0].org_id
    decision = told.get("decision") or {}
    found = [*(told.get("findings") or ()), *(told.get("answer_findings") or ())]
    cache = str(told.get("cache") or "off").partition(";")[0]
    ended = [entries.rows[0], *([entries.rows[-1]] if entries.ended else [])]
    ids = [*said.ids, *([decision["id"]] if "id" in decision else [])]
    ids += [row.leaf_hash.hex() for row in ended]
    every: dict[str, Iterable[Any]] = {
        "rule": decision.get("rules") or (),
        "obligation": decision.get("obligations") or (),
        "label": told.get("labels") or (),
        "finding": (f"{one['kind']}:{one['label']}" for one in found),
        "unavailable": told.get("unavailable") or (),
        "cache": (cache,) if cache in ("hit", "repeat") else (),
        "tool": (*said.tools, *said.called),
        "called": said.called,
        "tag": said.tags,
        ID_TAG: (marks.id(org, id) for id in ids),
    }
    values = {kind: sorted({_word(value) for value in some}) for kind, some in every.items()}
    return {kind: some[:MOST_TAGS] for kind, some in values.items() if some}


def _column(value: object) -> str | None:
    return None if value is None else _word(value)


def _word(value: object) -> str:
    return str(value)[:LONGEST_VALUE].replace("\x00", "\ufffd")
