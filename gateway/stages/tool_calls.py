"""Ask the policy about each tool that a model calls. Nobody sees a call that it does not allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.core.answer import Event, Events
from gateway.core.calls import TEXT, Calls, JudgedCall, ToolCall, facts_of
from gateway.core.errors import Code, Filtered, GatewayError, Malformed, Unavailable
from gateway.core.exchange import Exchange
from gateway.core.findings import Direction, Finding
from gateway.core.json_body import parse
from gateway.core.passages import Passage, Slot, slots_of
from gateway.core.pipeline import Proceed
from gateway.core.policy import Decision, Effect, Question
from gateway.core.ports import Inspector, Policy
from gateway.core.questions import facts_found, resource_of, stamp, words_of
from gateway.core.values import named


class JudgeCalls:
    """Holds an answer back from where it begins to call a tool until the call is whole and the
    policy allows it; then all of it leaves as it came.

    Just outside of what answers from memory or sends, so that it reads what the model said,
    before masked values are put back. A call that is not allowed stops the answer; what was
    released before it stands.
    """

    def __init__(
        self,
        policy: Policy,
        inspectors: Sequence[Inspector] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`inspectors` look at the arguments; none, where no rule asks what they hold."""
        self._policy = policy
        self._inspectors = inspectors
        self._now = now

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        return self._judged(exchange, await proceed(exchange))

    async def _judged(self, exchange: Exchange, events: Events) -> Events:
        dialect = exchange.dialect
        calls = Calls(dialect, dialect.tools(exchange.request))
        held: list[Event] = []
        async for event in events:
            held.append(event)
            stopped = await self._stopped(exchange, calls.hear(event))
            if stopped is not None:
                break
            if not calls.open:
                for ready in held:
                    yield ready
                held.clear()
        else:
            stopped = await self._stopped(exchange, calls.rest())
        for ready in held if stopped is None else _beside(exchange, held):
            yield ready
        if stopped is not None:
            raise stopped

    async def _stopped(self, exchange: Exchange, calls: Sequence[ToolCall]) -> GatewayError | None:
        """Why the answer stops at one of these calls; None where all are allowed."""
        try:
            for call in calls:
                await self._judge(exchange, call)
        except GatewayError as error:
            return error
        return None

    async def _judge(self, exchange: Exchange, call: ToolCall) -> None:
        """Raises `Filtered` for a call that is not allowed; `Unavailable` without a decision."""
        value, passages = _read(call)
        findings = await self._found(exchange, passages)
        places = {finding.where for finding in findings}
        within = {passage.text for passage in passages if passage.where in places}
        question = self._question(exchange, call.name, facts_of(value, within), findings)
        with exchange.timed("policy"):
            decision = await self._policy.decide(question)
        exchange.calls.append(JudgedCall(question, decision))
        if (refusal := _refused(exchange, decision)) is not None:
            exchange.found(findings)
            raise refusal

    async def _found(self, exchange: Exchange, passages: Sequence[Passage]) -> list[Finding]:
        """What the inspectors find. One that fails is noted, for the policy to decide."""
        found: list[Finding] = []
        with exchange.timed("inspect"):
            for inspector in self._inspectors if passages else ():
                try:
                    found += await inspector.inspect(passages)
                except Exception:  # noqa: BLE001 - whatever it is, the call was not inspected
                    if inspector.name not in exchange.unavailable:
                        exchange.unavailable.append(inspector.name)
        exchange.mention(named(found, passages))
        return found

    def _question(
        self, exchange: Exchange, name: str, arguments: Any, findings: Sequence[Finding]
    ) -> Question:
        """What was asked of the request, now of the call and of the target that answered."""
        asked = exchange.question
        context: Mapping[str, Any] = asked["context"]
        action: Mapping[str, Any] = asked["action"]
        return {
            **asked,
            "action": {**action, "properties": {**action["properties"], "stage": "tool_call"}},
            "resource": resource_of(exchange.model),
            "context": {
                **context,
                "time": stamp(self._now()),
                "findings": [*context["findings"], *facts_found(findings)],
                "unavailable": list(exchange.unavailable),
                "tool_call": {"name": name, "arguments": arguments},
            },
        }


def _read(call: ToolCall) -> tuple[Any, Sequence[Passage]]:
    """What the arguments of a call are, and the texts in them. What is no JSON is a text."""
    if call.arguments is None:
        return None, ()
    holder, where = {"text": call.arguments}, f"{call.place}/arguments"
    slots = slots_of(Slot(holder, "text", where, "assistant"), json=True)
    passages = [Passage(s.text, s.where, Direction.OUTPUT, s.role) for s in slots if s.text]
    try:
        return (parse(call.arguments.encode()) if call.arguments else {}), passages
    except Malformed:
        return TEXT, passages


def _beside(exchange: Exchange, held: Sequence[Event]) -> Iterator[Event]:
    """What was said besides the calls of events that are held back: it may be read, however
    an answer is cut into events."""
    for event in held:
        if not event.whole:
            yield from exchange.dialect.beside_calls(event)


def _refused(exchange: Exchange, decision: Decision) -> GatewayError | None:
    """Why the call may not be seen; None when it may. Raises nothing.

    There is nothing that could be done of a call but to allow it: a duty refuses it.
    """
    reasons = decision.verdict.reasons
    rules = tuple(dict.fromkeys(reason.rule for reason in reasons))
    if decision.effect is Effect.ALLOW:
        if not decision.obligations:
            return None
        duties = ", ".join(duty.id for duty in decision.obligations)
        return Unavailable(
            Code.POLICY_ERROR, f"The policy asks for {duties} of a tool call, which cannot be done."
        )
    if decision.effect is Effect.REVIEW:
        code, said = Code.REVIEWS_UNAVAILABLE, "It asks for a human review; there are no reviewers."
    else:
        words = reasons[0].message if reasons else {}
        code, said = Code.CONTENT_FILTER, words_of(words, "It does not allow this tool call.")
        if reasons and reasons[0].code == Code.INSPECTION_UNAVAILABLE:
            code = Code.INSPECTION_UNAVAILABLE
    stopped = "The answer was stopped by policy where it called a tool."
    filtered = Filtered(code, f"{stopped} {said} Reference {exchange.decision.id}.")
    filtered.rules = rules
    filtered.retry_after = 1.0 if code is Code.INSPECTION_UNAVAILABLE else None
    return filtered
