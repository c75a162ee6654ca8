"""One exchange's money and memory: what is held, what is written, how it is closed.

The `account` stage makes it and closes it; whoever sends, releases or answers writes through
it, so that nothing leaves before its record is durable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.core.call_records import asked_of_calls, calls_judged
from gateway.core.exchange import Exchange, Outcome
from gateway.core.findings import Direction
from gateway.core.money import ZERO, Money
from gateway.core.ports import Record
from gateway.core.records import Entry, Kind, Receipt

_SAME = {"request_sent": "request_received", "answer_released": "answer_received"}
"""Parts that are not stored twice when no rule changed them."""

_REQUEST_ID = "x-govgate-upstream-request-id"
_ID = re.compile(r"[A-Za-z0-9_.:=+/-]{1,128}")
"""What may stand in a header of the record as a provider's id; others' words may not."""

MOST_FINDINGS = 100
"""Findings in a header, which has a size limit; the question's part holds them all."""


class Account:
    """The open account of one exchange. Its methods are not called at the same time."""

    def __init__(self, exchange: Exchange, record: Record) -> None:
        self._exchange = exchange
        self._record = record
        self._segments = 0
        self._decision_written = False
        self.attempts = 0
        self.held = ZERO
        """The most it may cost, as far as it was held."""
        self.sunk = ZERO
        """The most that earlier attempts, whose answers were lost, may have cost."""
        self.passed_over: list[dict[str, Any]] = []
        """Targets that were not asked, and why; written with the next entry."""
        self._at_risk = ZERO
        self.closed: Receipt | None = None

    @property
    def upstream(self) -> str | None:
        """The provider that was asked last; None when none was."""
        return self._exchange.model.upstream if self.attempts else None

    async def open(self) -> None:
        """Make the `opened` entry durable before anything else is done. Raises `Unavailable`."""
        await self._record.open(tuple(self._exchange.values))

    async def attempt(
        self,
        body: bytes,
        hold: Money,
        *,
        most: Money | None = None,
        why: Mapping[str, Any] | None = None,
    ) -> None:
        """Record that `body` is about to be sent, and hold `hold` more. Durable on return.

        `most` is what this attempt alone may cost, where that is not all that is held; `why`
        is what more is to be said of it. Raises `OverBudget` (nothing was written or held),
        `Unavailable`.
        """
        exchange = self._exchange
        facts = {
            "attempt": self.attempts + 1,
            "model": exchange.model.id,
            "upstream": exchange.model.upstream,
            "upstream_model": exchange.model.upstream_model,
            "region": exchange.model.region,
            "hold_micro_usd": hold,
            "price_version": exchange.model.price.version if exchange.model.price else None,
            **(why or {}),
            **self._request_id("after_request_id"),
            **self._passed_over(),
        }
        entry = self._entry(Kind.ATTEMPT, facts, {"request_sent": body})
        await self._record.append(entry, hold)
        self._decision_written = True
        self.attempts += 1
        exchange.headers.pop(_REQUEST_ID, None)  # it was of the attempt before
        self.held = Money(self.held + hold)
        self.passed_over.clear()
        self._at_risk = self.held if most is None else most
        if exchange.streamed and self._record.opened is not None:
            exchange.headers["x-govgate-leaf"] = self._record.opened.leaf.hex()

    async def release(self, events: bytes) -> None:
        """Record `events` of a stream, so that they may be released. Durable on return."""
        facts = {"segment": self._segments + 1}
        parts, values = {"answer_released": events}, tuple(self._exchange.values)
        await self._record.append(Entry(Kind.SEGMENT, facts, parts, values))
        self._segments += 1

    async def close(self, outcome: Outcome, code: str | None, released: bytes | None) -> None:
        """Write how it ended, settle what it cost. Durable on return; once is enough.

        `released` is what is released with the ending: the whole answer, or the last
        events of a stream; None when nothing is.
        """
        if self.closed is not None:
            return
        exchange = self._exchange
        spent = self.spent()
        facts: dict[str, Any] = {
            "outcome": str(outcome),
            "code": code,
            "attempts": self.attempts,
            **self._request_id("upstream_request_id"),
            "segments": self._segments,
            "usage": self._usage(),
            "cost_micro_usd": spent,
            "cost_exact": not self.attempts or (self._exact() and not self.sunk),
            "answer_findings": _found(exchange, Direction.OUTPUT),
            "cache": exchange.headers.get("x-govgate-cache"),
            "labels": list(exchange.labels),
            "elapsed_us": exchange.elapsed // 1_000,
            "timings_us": {name: ns // 1_000 for name, ns in exchange.timings.items()},
            **self._passed_over(),
            **({"respond_with": str(exchange.declined.how)} if exchange.declined else {}),
            **({"stopped_by": exchange.stopped_by} if exchange.stopped_by else {}),
            **calls_judged(exchange.calls),
        }
        parts: dict[str, bytes] = {}
        if exchange.calls:
            parts["tool_calls"] = asked_of_calls(exchange.calls)
        if exchange.heard:
            parts["answer_received"] = b"\n".join(exchange.heard)
        if exchange.failures:
            parts["errors_received"] = b"\n".join(exchange.failures)
        if released is not None:
            parts["answer_released"] = released
        self.closed = await self._record.close(self._entry(Kind.CLOSED, facts, parts), spent)

    def spent(self) -> Money:
        """What it cost: exactly where the provider said, else the most it may have used."""
        exchange = self._exchange
        if not self.attempts:
            return ZERO
        price, usage = exchange.model.price, exchange.usage
        if not self._exact() or usage is None:
            return Money(min(self.held, self.sunk + self._at_risk))
        used = price.cost(usage.input_tokens, usage.output_tokens) if price else ZERO
        return Money(self.sunk + used)

    def _exact(self) -> bool:
        """Whether what the last attempt cost is known: counted and priced, or nothing at all."""
        usage = self._exchange.usage
        if usage is None or not usage.exact:
            return False
        nothing = not usage.input_tokens and not usage.output_tokens
        return nothing or self._exchange.model.price is not None

    def _request_id(self, name: str) -> dict[str, str]:
        """The id that the provider gave the last attempt, as the fact `name`; none without one."""
        id = self._exchange.headers.get(_REQUEST_ID, "") if self.attempts else ""
        return {name: id} if _ID.fullmatch(id) else {}

    def _passed_over(self) -> dict[str, Any]:
        return {"passed_over": list(self.passed_over)} if self.passed_over else {}

    def _usage(self) -> dict[str, Any] | None:
        usage = self._exchange.usage
        if usage is None:
            return None
        return {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "exact": usage.exact,
        }

    def _entry(self, kind: Kind, facts: dict[str, Any], parts: Mapping[str, bytes]) -> Entry:
        """An entry with the parts that are not stored yet; with the decision, the first time."""
        stored = dict(parts)
        exchange = self._exchange
        if exchange.knows("received"):
            stored.setdefault("request_received", exchange.received)
        for part, original in _SAME.items():
            if part in parts and stored.get(part) == stored.get(original):
                del stored[part]
                facts[part] = f"same as {original}"
        if "request_received" not in parts:
            stored.pop("request_received", None)
        if not self._decision_written:
            facts |= _decided(exchange)
            stored |= _decision_parts(exchange)
        return Entry(kind, facts, stored, tuple(exchange.values))


def _found(exchange: Exchange, direction: Direction) -> list[dict[str, Any]]:
    found = [finding for finding in exchange.findings if finding.direction is direction]
    return [
        {
            "kind": finding.kind,
            "label": finding.label,
            "where": finding.where,
            "start": finding.start,
            "end": finding.end,
            "score_milli": round(finding.score * 1_000),
        }
        for finding in found[:MOST_FINDINGS]
    ]


def _decided(exchange: Exchange) -> dict[str, Any]:
    """What was found and decided, for a header: labels, places and scores, never text."""
    facts: dict[str, Any] = {
        "findings": _found(exchange, Direction.INPUT),
        "findings_count": len(exchange.findings),
        "unavailable": list(exchange.unavailable),
    }
    if exchange.knows("decision"):
        decision = exchange.decision
        facts["decision"] = {
            "id": decision.id,
            "revision": decision.revision,
            "effect": str(decision.effect),
            "rules": sorted({reason.rule for reason in decision.verdict.reasons}),
            "obligations": [duty.id for duty in decision.obligations],
        }
    return facts


def _decision_parts(exchange: Exchange) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    if exchange.knows("question"):
        parts["question"] = msgspec.json.encode(exchange.question)
    if exchange.knows("decision"):
        parts["decision"] = msgspec.json.encode(exchange.decision.verdict)
    return parts
