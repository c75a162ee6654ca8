"""Answers that call tools, in every dialect and cut anywhere, and a policy that judges them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from gateway.adapters.packs import question_of
from gateway.core.answer import Event
from gateway.core.dialect import Dialect
from gateway.core.errors import GatewayError
from gateway.core.exchange import Exchange
from gateway.core.policy import Question
from gateway.core.ports import Inspector
from gateway.dialects.chat import Chat
from gateway.dialects.messages import Messages
from gateway.dialects.responses import Responses
from gateway.stages.tool_calls import JudgeCalls
from tests.exchanges import answering, chat_request, chunk, decided, spoken
from tests.fakes.policy import ALLOW, FakePolicy
from tests.unit.dialects import test_messages_answer as messages
from tests.unit.dialects import test_responses_answer as responses

CALL: TypeAlias = tuple[str, str]
"""The name of a tool, and the arguments as the model writes them."""
Cut: TypeAlias = Callable[[str], Sequence[str]]
Answer: TypeAlias = Callable[[str, Sequence[CALL], Cut], list[Event]]


class CallPolicy(FakePolicy):
    """Allows requests; of calls, all but those whose names stand in `verdicts`."""

    def __init__(self, verdicts: Mapping[str, str]) -> None:
        super().__init__({}, "sha256:calls")
        self._verdicts = verdicts

    def answer(self, question: Question) -> object:
        call = question["context"]["tool_call"]
        effect = "allow" if call is None else self._verdicts.get(call["name"], "allow")
        if not self._well_formed(question):
            effect = "deny"
        reason = {
            "rule": "tools.judged",
            "code": "tool",
            "message": {"en": "This tool may not be used."},
            "severity": "high",
            "facts": {},
        }
        return {**ALLOW, "effect": effect, "reasons": [] if effect == "allow" else [reason]}

    @property
    def calls(self) -> list[tuple[str, Any]]:
        """The names and arguments that were asked about."""
        told = [question["context"]["tool_call"] for question in self.asked]
        return [(call["name"], call["arguments"]) for call in told]


def asking(dialect: Dialect, **request: Any) -> Exchange:
    """An exchange of a dialect that the policy has allowed."""
    exchange = decided(chat_request(**request))
    exchange.dialect = dialect
    exchange.question = question_of({"model": "m"})
    return exchange


async def judged(
    exchange: Exchange,
    policy: FakePolicy,
    events: Sequence[Event],
    inspectors: Sequence[Inspector] = (),
) -> tuple[list[Event], GatewayError | None]:
    """What is released of an answer, and what stops it, if anything does."""
    seen: list[Event] = []
    try:
        async for event in await JudgeCalls(policy, inspectors)(exchange, answering(events)):
            seen.append(event)
    except GatewayError as error:
        return seen, error
    return seen, None


def chat(text: str, calls: Sequence[CALL], cut: Cut) -> list[Event]:
    """Names in pieces too; the calls' arguments follow each other."""
    events = spoken(cut(text))[:-1]
    for index, (name, arguments) in enumerate(calls):
        head = {"index": index, "id": f"t{index}", "type": "function"}
        function = {"name": "", "arguments": ""}
        events.append(chunk(0, {"tool_calls": [head | {"function": function}]}))
        told = [{"name": piece} for piece in cut(name)]
        told += [{"arguments": piece} for piece in cut(arguments)]
        for function in told:
            events.append(chunk(0, {"tool_calls": [{"index": index, "function": function}]}))
    return [*events, chunk(0, {}, "tool_calls")]


def legacy(text: str, calls: Sequence[CALL], cut: Cut) -> list[Event]:
    """The deprecated form, which knows one call."""
    events = spoken(cut(text))[:-1]
    for name, arguments in calls[-1:]:
        events.append(chunk(0, {"function_call": {"name": name, "arguments": ""}}))
        events += [chunk(0, {"function_call": {"arguments": piece}}) for piece in cut(arguments)]
    return [*events, chunk(0, {}, "function_call")]


def custom(text: str, calls: Sequence[CALL], cut: Cut) -> list[Event]:
    """Custom tools, whose input is text."""
    events = spoken(cut(text))[:-1]
    for index, (name, said) in enumerate(calls):
        first = {"index": index, "id": "t", "type": "custom", "custom": {"name": name}}
        events.append(chunk(0, {"tool_calls": [first]}))
        for piece in cut(said):
            events.append(chunk(0, {"tool_calls": [{"index": index, "custom": {"input": piece}}]}))
    return [*events, chunk(0, {}, "tool_calls")]


def anthropic(text: str, calls: Sequence[CALL], cut: Cut) -> list[Event]:
    blocks = [messages.spoken(cut(text))]
    for index, (name, arguments) in enumerate(calls, 1):
        block = {"type": "tool_use", "id": f"t{index}", "name": name, "input": {}}
        deltas = [messages.delta("input_json_delta", index, partial_json=p) for p in cut(arguments)]
        blocks.append([messages.start(block, index), *deltas, messages.stop(index)])
    return messages.answer(*blocks)


def openai(text: str, calls: Sequence[CALL], cut: Cut) -> list[Event]:
    items = [responses.called(said, name=name, id=f"fc_{name}") for name, said in calls]
    whole = responses.response(responses.message(responses.said(text)), *items)
    return responses.streamed(whole, cut)


ANSWERS: dict[str, tuple[Dialect, Answer]] = {
    "chat": (Chat(), chat),
    "legacy": (Chat(), legacy),
    "custom": (Chat(), custom),
    "messages": (Messages(), anthropic),
    "responses": (Responses(), openai),
}
"""By name: a dialect, and how an answer of it says a text and then calls tools."""


def words(dialect: Dialect, events: Sequence[Event]) -> str:
    """What was said that is of no call."""
    return "".join(
        run.text
        for event in events
        for run in dialect.runs(event)
        if run.lane.name == "content" and not run.lane.json
    )
