"""An exchange as searches know it: made from all its entries, the same however often."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.adapters.store.index_reading import Entries, Logged
from gateway.adapters.store.masked_parts import Masked
from gateway.adapters.store.words import MOST_WORDS, words
from gateway.core.audit import ID_TAG, LONGEST_VALUE, Contents, Payloads, Said

DISCOVERY = frozenset({"messages.count_tokens"})
"""Actions that only discover what there is. Nothing that a caller says hides an exchange."""
OTHER_PRIVATE = frozenset({"secret"})
"""Kinds of findings that no record cuts out, and no index may hold."""
_LABEL = re.compile(r" [A-Z][A-Z0-9_]* ")
"""What stands where a value was cut out."""
_FOR_SESSIONS = "ses_"
_MARK = re.compile(rf"{_FOR_SESSIONS}[0-9a-f]{{32}}")
_CALLED = ("after_request_id", "upstream_request_id")
"""Facts that hold what providers call the requests that were sent to them."""
MOST_TAGS = 200
"""Values of one kind of tag that are kept."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """A row of the index, and the words that stand for it; None while it has none to show."""

    row: dict[str, Any]
    words: Sequence[str] | None = None


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


def indexed(entries: Entries, parts: Masked, contents: Contents | None, marks: Marks) -> Indexed:
    """What stands in the index for an exchange; without `contents`, none of its payloads.

    Raises `ValueError` for payloads that cannot be read.
    """
    opened, last = entries.rows[0], entries.rows[-1]
    facts: Mapping[str, Any] = opened.header.facts
    told: dict[str, Any] = {}
    for each in entries.rows:
        told |= each.header.facts
    said: Said | None = None
    if contents is not None and parts:
        said = contents.read(payloads(facts, told, parts))
    decision, usage = told.get("decision") or {}, told.get("usage") or {}
    row = {
        "org_id": opened.org_id,
        "number": entries.number,
        "exchange_id": opened.exchange_id,
        "ts": aware(opened.ts),
        "ended_at": aware(last.ts) if entries.ended else None,
        "team": opened.team,
        "app": opened.app,
        "key_id": opened.key_id,
        "subject": opened.header.subject,
        "session": _session(opened, parts, said, marks),
        "action": _column(facts.get("action")),
        "model": _column(facts.get("model")),
        "upstream": _column(told.get("upstream")),
        "upstream_model": _column(told.get("upstream_model")),
        "outcome": _column(told.get("outcome")),
        "code": _column(told.get("code")),
        "effect": _column(decision.get("effect")),
        "decision_id": _column(decision.get("id")),
        "revision": _column(decision.get("revision")),
        "purpose": _column(said.purpose) if said else None,
        "hidden": facts.get("action") in DISCOVERY,
        "cost_micro": told.get("cost_micro_usd") or 0,
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        "elapsed_us": told.get("elapsed_us"),
        "tags": _tags(entries, told, said or Said(), marks),
    }
    return Indexed(row, None if said is None else _words_of(said))


def _words_of(said: Said) -> Sequence[str]:
    text: list[str] = []
    for each in said.texts:
        if len(text) < MOST_WORDS:
            text += words(each)
    return text[:MOST_WORDS]


def aware(moment: datetime) -> datetime:
    """A time as a database gave it, in UTC: SQLite's has lost its zone."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _session(opened: Logged, parts: Masked, said: Said | None, marks: Marks) -> str | None:
    """What stands for the session: by its name, or where a value was cut out of that, by the
    header's own word for it."""
    name = said.session if said is not None else None
    if name and not (parts.cut("attributes") and _LABEL.search(name)):
        return marks.session(opened.org_id, name)
    known = opened.header.facts.get("session")
    return None if known is None else _FOR_SESSIONS + str(known)


def payloads(opened: Mapping[str, Any], told: Mapping[str, Any], parts: Masked) -> Payloads:
    """What is read: what was sent, or where it equals what was received, or none was sent, that.

    Then what was found and not cut out must still be taken out, and all of it must be known.
    """
    found = list(told.get("findings") or ())
    request = parts.get("request_sent")
    sent = request is not None
    if sent:
        found = []
    elif len(found) == told.get("findings_count", 0) and not told.get("unavailable"):
        request = parts.get("request_received")
    if found and parts.cut("request_received"):
        moved = any(one["kind"] in OTHER_PRIVATE for one in found)
        request, found = (None if moved else request), []
    return Payloads(
        action=str(opened.get("action")),
        streamed=bool(opened.get("stream")),
        request=request,
        sent=sent,
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
    called = [row.header.facts.get(name) for row in entries.rows for name in _CALLED]
    ids += [id for id in called if isinstance(id, str)]
    every: dict[str, Iterable[Any]] = {
        "rule": decision.get("rules") or (),
        "obligation": decision.get("obligations") or (),
        "label": told.get("labels") or (),
        "finding": [f"{one['kind']}:{one['label']}" for one in found],
        "unavailable": told.get("unavailable") or (),
        "cache": (cache,) if cache in ("hit", "repeat") else (),
        "tool": (*said.tools, *said.called),
        "called": said.called,
        "tag": said.tags,
        ID_TAG: [marks.id(org, id) for id in ids],
    }
    return {
        kind: sorted({_word(value) for value in some})[:MOST_TAGS]
        for kind, some in every.items()
        if some
    }


def _column(value: object) -> str | None:
    return None if value is None else _word(value)


def _word(value: object) -> str:
    return str(value)[:LONGEST_VALUE].replace("\x00", "\ufffd")
