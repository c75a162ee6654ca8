"""Ask the policy. Nothing passes without a decision that allows it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias

import msgspec

from gateway.core.answer import Events
from gateway.core.errors import Code, Denied, Unavailable
from gateway.core.exchange import Exchange, Judgement
from gateway.core.money import dollars
from gateway.core.pipeline import Proceed
from gateway.core.policy import SCHEMA_VERSION, Decision, Effect, Question
from gateway.core.ports import Catalogue, Journal, Model, Policy
from gateway.core.questions import facts_found, resource_of, stamp, words_of

Duty: TypeAlias = Callable[[Exchange, Mapping[str, Any]], Awaitable[object]]
"""What carries a duty out. Raises `msgspec.ValidationError` for params that it does not take."""

Order: TypeAlias = Callable[[Model, str | None], Sequence[Model]]
"""The targets of a model, best first, for a session."""

REROUTE = "reroute"
"""The duty that narrows the targets. It may speak of the first of them alone."""


def as_listed(model: Model, session: str | None) -> Sequence[Model]:
    """The targets of `model` in the order of its group."""
    return [choice.model for choice in model.group.choices] if model.group else [model]


class Decide:
    """One question for each exchange; refuses unless the answer is `allow`.

    The question is about the target that is asked first. Before another one is asked whose
    facts differ, it is put again about that one: see `_judge`.
    """

    def __init__(
        self,
        policy: Policy,
        catalogue: Catalogue,
        journal: Journal,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        order: Order = as_listed,
        refusing: Mapping[str, Duty] | None = None,
    ) -> None:
        """`refusing` are the duties that hold where a decision refuses, by name; it may carry
        no others that are carried out."""
        self._policy = policy
        self._catalogue = catalogue
        self._journal = journal
        self._now = now
        self._order = order
        self._refusing = refusing or {}

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        wanted = exchange.request["model"]
        if not exchange.principal.may_use(wanted):
            raise Denied(Code.MODEL_NOT_ALLOWED, f"This key may not use {wanted!r}.", param="model")
        model = self._catalogue.find(wanted)
        if model is None:
            raise Denied(
                Code.MODEL_NOT_FOUND,
                f"There is no model {wanted!r}: see GET /v1/models.",
                param="model",
            )
        session = exchange.call.attributes.get("x-govgate-session-id")
        exchange.targets = list(self._order(model, session))
        exchange.model = exchange.targets[0]
        with exchange.timed("policy"):
            exchange.question = self._question(exchange)
            decision = exchange.decision = await self._policy.decide(exchange.question)
        exchange.headers["x-govgate-decision"] = decision.id
        exchange.headers["x-govgate-policy-revision"] = decision.revision
        if (refusal := _refused(exchange, decision)) is not None:
            await self._discharge(exchange, decision)
            raise refusal
        exchange.judge = partial(self._judge, exchange, exchange.model)
        return await proceed(exchange)

    async def _discharge(self, exchange: Exchange, decision: Decision) -> None:
        """Carry out what a decision that refuses still asks for."""
        for duty in decision.obligations:
            if duty.id in self._refusing:
                try:
                    await self._refusing[duty.id](exchange, duty.params)
                except msgspec.ValidationError as error:
                    raise Unavailable(
                        Code.POLICY_ERROR, f"The duty {duty.id!r} is not well formed ({error})."
                    ) from error

    async def _judge(self, exchange: Exchange, decided: Model, target: Model) -> Judgement:
        """What the policy says of `target`, in the light of what was `decided` and done.

        The decision stands where the policy sees no difference. Otherwise the same question is
        asked about `target`, which may be used only if it is allowed with the same duties.
        """
        first = exchange.decision
        if resource_of(target) == resource_of(decided):
            return Judgement(first)
        with exchange.timed("policy"):
            again = await self._policy.decide(
                {**exchange.question, "resource": resource_of(target)}
            )
        refusal = _refused(exchange, again)
        if refusal is None and not _same_duties(first, again):
            said = "The policy asks for other duties at the only targets that are left."
            refusal = Denied(Code.CONTENT_FILTER, f"Blocked by policy: {said}", param="model")
        return Judgement(again, refusal)

    def _question(self, exchange: Exchange) -> Question:
        """The facts, in the shape of `policies/schemas/question.json`."""
        dialect, request, who = exchange.dialect, exchange.request, exchange.principal
        attributes = exchange.call.attributes
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
                    "user": who.user or attributes.get("x-govgate-user"),
                },
            },
            "action": {
                "name": dialect.action,
                "properties": {"stage": "request", "stream": exchange.streamed},
            },
            "resource": resource_of(exchange.model),
            "context": {
                "time": stamp(self._now()),
                "findings": facts_found(exchange.findings),
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


def _same_duties(first: Decision, again: Decision) -> bool:
    """Whether `again` asks for what was done under `first`, and for nothing else.

    A reroute that was done leads to targets of which it need not be asked again.
    """
    done = [(duty.id, duty.params) for duty in first.obligations]
    wanted = [(duty.id, duty.params) for duty in again.obligations]
    kept = [duty for duty in done if duty[0] != REROUTE or duty in wanted]
    return all(duty in kept for duty in wanted) and all(duty in wanted for duty in kept)


def _rules(decision: Decision) -> list[str]:
    return list(dict.fromkeys(reason.rule for reason in decision.verdict.reasons))


def _refused(exchange: Exchange, decision: Decision) -> Denied | Unavailable | None:
    """The refusal that `decision` is; None when it allows."""
    match decision.effect:
        case Effect.ALLOW:
            return None
        case Effect.REVIEW:
            return Unavailable(
                Code.REVIEWS_UNAVAILABLE,
                "The policy asks for a human review, and this gateway has no reviewers.",
                rules=_rules(decision),
            )
        case Effect.DENY:
            return _refusal(exchange, decision)


def _refusal(exchange: Exchange, decision: Decision) -> Denied | Unavailable:
    """The refusal, in the words of the first reason."""
    reasons = decision.verdict.reasons
    words = reasons[0].message if reasons else {}
    said = words_of(words, "The policy does not allow this request.")
    if reasons and reasons[0].code == Code.INSPECTION_UNAVAILABLE:
        return Unavailable(
            Code.INSPECTION_UNAVAILABLE, said, rules=_rules(decision), retry_after=1.0
        )
    return Denied(
        Code.CONTENT_FILTER,
        f"Blocked by policy: {said} Reference {decision.id}.",
        param=exchange.dialect.asks,
        rules=_rules(decision),
    )
