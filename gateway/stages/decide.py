"""Ask the policy. Nothing passes without a decision that allows it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from gateway.core.answer import Events
from gateway.core.errors import Code, Denied, Unavailable
from gateway.core.exchange import Exchange
from gateway.core.money import dollars
from gateway.core.pipeline import Proceed
from gateway.core.policy import SCHEMA_VERSION, Decision, Effect, Question
from gateway.core.ports import Catalogue, Journal, Policy


class Decide:
    """One question for each exchange; refuses unless the answer is `allow`."""

    def __init__(
        self,
        policy: Policy,
        catalogue: Catalogue,
        journal: Journal,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._policy = policy
        self._catalogue = catalogue
        self._journal = journal
        self._now = now

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        wanted = exchange.request["model"]
        if not exchange.principal.may_use(wanted):
            raise Denied(Code.MODEL_NOT_ALLOWED, f"This key may not use {wanted!r}.", param="model")
        model = self._catalogue.find(wanted)
        if model is None:
            raise Denied(Code.MODEL_NOT_FOUND, f"There is no model {wanted!r}.", param="model")
        exchange.model = model
        with exchange.timed("policy"):
            exchange.question = self._question(exchange)
            decision = exchange.decision = await self._policy.decide(exchange.question)
        exchange.headers["x-govgate-decision"] = decision.id
        exchange.headers["x-govgate-policy-revision"] = decision.revision
        if decision.effect is Effect.DENY:
            raise _refusal(exchange, decision)
        if decision.effect is Effect.REVIEW:
            raise Unavailable(
                Code.REVIEWS_UNAVAILABLE,
                "The policy asks for a human review, and this gateway has no reviewers.",
                rules=_rules(decision),
            )
        return await proceed(exchange)

    def _question(self, exchange: Exchange) -> Question:
        """The facts, in the shape of `policies/schemas/question.json`."""
        dialect, request, who = exchange.dialect, exchange.request, exchange.principal
        model, attributes = exchange.model, exchange.call.attributes
        tags = [tag for tag in attributes.get("x-govgate-tags", "").split(",") if tag]
        return {
            "schema_version": SCHEMA_VERSION,
            "subject": {
                "type": "app",
                "id": who.app,
                "properties": {
                    "org": who.org,
                    "team": who.team,
                    "tags": list(who.tags),
                    "roles": list(who.roles),
                    "user": attributes.get("x-govgate-user"),
                },
            },
            "action": {
                "name": dialect.action,
                "properties": {"stage": "request", "stream": exchange.streamed},
            },
            "resource": {
                "type": "model",
                "id": model.id,
                "properties": {
                    "provider": model.upstream,
                    "hosting": model.hosting,
                    "region": model.region,
                    "tags": list(model.tags),
                },
            },
            "context": {
                "time": self._now().isoformat(timespec="seconds").replace("+00:00", "Z"),
                "findings": [
                    {
                        "kind": finding.kind,
                        "label": finding.label,
                        "where": finding.where,
                        "direction": str(finding.direction),
                        "score": finding.score,
                    }
                    for finding in exchange.findings
                ],
                "unavailable": list(exchange.unavailable),
                "request": {
                    "max_tokens": dialect.output_limit(request),
                    "tools": list(dialect.tools(request)),
                    "modalities": list(dialect.modalities(request)),
                    "answers": list(dialect.modalities(request)),
                    "tokens": len(exchange.received) // 4,
                    "purpose": attributes.get("x-govgate-purpose"),
                    "tags": tags,
                },
                "tool_call": None,
                "budget": self._budget(who.budget_id),
                "estimate_usd": None,
                "review": None,
                "labels": list(exchange.labels),
                "session": {"id": attributes.get("x-govgate-session-id"), "turn": 0},
            },
        }

    def _budget(self, budget_id: str | None) -> dict[str, Any] | None:
        seen = self._journal.remaining(budget_id) if budget_id else None
        if seen is None:
            return None
        remaining, limit = seen
        used = (limit - remaining) / limit if limit else 1.0
        return {"remaining_usd": dollars(remaining), "utilisation": round(used, 4)}


def _rules(decision: Decision) -> list[str]:
    return list(dict.fromkeys(reason.rule for reason in decision.verdict.reasons))


def _refusal(exchange: Exchange, decision: Decision) -> Denied | Unavailable:
    """The refusal, in the words of the first reason."""
    reasons = decision.verdict.reasons
    words = reasons[0].message if reasons else {}
    said = words.get("en") or next(iter(words.values()), "The policy does not allow this request.")
    if reasons and reasons[0].code == Code.INSPECTION_UNAVAILABLE:
        return Unavailable(
            Code.INSPECTION_UNAVAILABLE, said, rules=_rules(decision), retry_after=1.0
        )
    return Denied(
        Code.CONTENT_FILTER,
        f"Blocked by policy: {said} Reference {decision.id}.",
        param="messages",
        rules=_rules(decision),
    )
