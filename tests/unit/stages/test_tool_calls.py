"""Each tool that a model calls is put to the policy, with facts, before anybody sees it."""

from __future__ import annotations

import orjson
import pytest

from gateway.core.answer import Event
from gateway.core.errors import Code, Filtered, Unavailable
from gateway.core.ports import Model
from gateway.dialects.chat import Chat
from gateway.dialects.messages import Messages
from gateway.dialects.responses import Responses
from tests.calling import ANSWERS, CallPolicy, asking, chat, judged, openai, words
from tests.exchanges import CHAT, chunk, spoken, whole
from tests.fakes.inspector import FakeInspector
from tests.fakes.policy import ALLOW, FixedPolicy
from tests.unit.dialects import test_messages_answer as messages
from tests.unit.dialects import test_responses_answer as responses


def one(name: str, arguments: str) -> Event:
    function = {"name": name, "arguments": arguments}
    return whole(None, tool_calls=[{"id": "t", "type": "function", "function": function}])


async def test_the_question_is_the_requests_about_the_call_and_who_answered() -> None:
    exchange = asking(CHAT)
    exchange.turn_to(Model("other", "fake", "o", hosting="internal", region="eu"))
    policy = CallPolicy({})
    await judged(exchange, policy, [one("look", '{"n": 3, "where": {"x": ["here"]}}')])
    [asked] = policy.asked
    assert asked["action"]["properties"]["stage"] == "tool_call"
    assert asked["subject"] == exchange.question["subject"]
    assert asked["resource"]["properties"]["hosting"] == "internal"
    assert asked["context"]["tool_call"] == {
        "name": "look",
        "arguments": {"n": 3, "where": {"x": ["[text]"]}},
    }
    assert exchange.question["context"]["tool_call"] is None, "the request's own is as it was"
    [call] = exchange.calls
    assert call.question == asked
    assert call.decision.revision == "sha256:calls"


async def test_what_is_found_in_arguments_is_asked_about_and_no_value_is() -> None:
    exchange, policy = asking(CHAT), CallPolicy({})
    finder = FakeInspector({"ann@example.org": "EMAIL_ADDRESS", "4111111": "CARD"})
    said = '{"to": "ann@example.org", "ann@example.org": 4111111}'
    _, error = await judged(exchange, policy, [one("send", said)], [finder])
    assert error is None
    [asked] = policy.asked
    assert asked["context"]["tool_call"]["arguments"] == {"to": "[text]", "[name]": "[number]"}
    found = [(f["label"], f["direction"]) for f in asked["context"]["findings"]]
    assert found == [("EMAIL_ADDRESS", "output")] * 2 + [("CARD", "output")]
    assert b"ann" not in orjson.dumps(asked)
    assert {value.text for value in exchange.values} == {"ann@example.org", "4111111"}
    assert exchange.findings == []


async def test_what_was_found_in_a_refused_call_is_on_record() -> None:
    exchange = asking(CHAT)
    finder = FakeInspector({"ann@example.org": "EMAIL_ADDRESS"})
    events = [one("send", '{"to": "ann@example.org"}')]
    seen, error = await judged(exchange, CallPolicy({"send": "deny"}), events, [finder])
    assert (seen, type(error)) == ([], Filtered)
    assert [finding.label for finding in exchange.findings] == ["EMAIL_ADDRESS"]


async def test_an_inspector_that_fails_is_told_to_the_policy() -> None:
    exchange, policy = asking(CHAT), CallPolicy({})
    finder = FakeInspector({})
    finder.failing = RuntimeError("gone")
    await judged(exchange, policy, [one("send", '{"to": "ann"}')], [finder])
    assert policy.asked[0]["context"]["unavailable"] == ["fake"]


@pytest.mark.parametrize(
    ("effect", "code"),
    [("deny", Code.CONTENT_FILTER), ("review", Code.REVIEWS_UNAVAILABLE)],
)
async def test_why_it_was_stopped(effect: str, code: Code) -> None:
    exchange = asking(CHAT)
    _, error = await judged(exchange, CallPolicy({"send": effect}), [one("send", "{}")])
    assert isinstance(error, Filtered)
    assert (error.code, error.rules) == (code, ("tools.judged",))
    assert "dec_1" in error.message
    assert [str(call.decision.effect) for call in exchange.calls] == [effect]


async def test_without_a_decision_nothing_leaves() -> None:
    policy = CallPolicy({})
    policy.failing = Unavailable(Code.POLICY_UNAVAILABLE, "gone")
    seen, error = await judged(asking(CHAT), policy, chat("Hi.", [("a", "{}")], list))
    assert error is policy.failing
    assert words(CHAT, seen) == "Hi."
    assert b"tool_calls" not in b"".join(event.encode() for event in seen)


async def test_a_duty_cannot_be_done_of_a_call() -> None:
    duty = {"id": "label", "params": {"labels": ["x"]}, "rule": "r"}
    policy = FixedPolicy({**ALLOW, "obligations": [duty]})
    seen, error = await judged(asking(CHAT), policy, [one("send", "{}")])
    assert isinstance(error, Unavailable)
    assert (seen, error.code) == ([], Code.POLICY_ERROR)


async def test_an_answer_without_calls_passes_event_by_event_and_asks_nothing() -> None:
    policy, events = CallPolicy({}), spoken(["a", "b"])
    seen, error = await judged(asking(CHAT), policy, events)
    assert (len(seen), error, policy.asked) == (len(events), None, [])


async def test_words_beside_a_call_in_one_chunk_are_read_and_the_call_is_not() -> None:
    call = {"index": 0, "function": {"name": "drop", "arguments": "{}"}}
    event = chunk(0, {"content": "Hi.", "tool_calls": [call]}, "tool_calls")
    seen, error = await judged(asking(CHAT), CallPolicy({"drop": "deny"}), [event])
    assert error is not None
    assert words(CHAT, seen) == "Hi."
    assert b"drop" not in b"".join(event.encode() for event in seen)


@pytest.mark.parametrize("named", [{}, {"name": ""}, {"name": None}, {"name": 1}])
async def test_a_call_without_a_name_is_refused(named: dict[str, object]) -> None:
    event = whole(None, tool_calls=[{"type": "function", "function": {"arguments": "{}", **named}}])
    seen, error = await judged(asking(CHAT), CallPolicy({}), [event])
    assert (seen, type(error)) == ([], Filtered)


async def test_a_call_without_arguments_is_asked_about() -> None:
    policy = CallPolicy({})
    await judged(asking(CHAT), policy, [whole(None, function_call={"name": "go"})])
    await judged(asking(Messages()), policy, messages.answer(messages.called([], 0)))
    assert policy.calls == [("go", {}), ("send", {})]


async def test_a_response_that_says_another_call_at_its_end_is_asked_about_that_too() -> None:
    events = openai("Hi.", [("look", "{}")], lambda text: [text])
    events[-1].data["response"]["output"][1]["name"] = "drop"
    policy = CallPolicy({"drop": "deny"})
    seen, error = await judged(asking(Responses()), policy, events)
    assert isinstance(error, Filtered)
    assert policy.calls == [("look", {}), ("drop", {})]
    assert len(seen) == len(events) - 1


SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
MCP = {"type": "mcp_call", "id": "m", "server_label": "git", "name": "push", "arguments": "{}"}


@pytest.mark.parametrize(
    ("item", "offered", "name"),
    [
        (SEARCH, {"type": "web_search_preview"}, "web_search_preview"),
        (SEARCH, {"type": "web_search_2025_08_26"}, "web_search_2025_08_26"),
        (SEARCH, {"type": "function", "name": "f", "parameters": {}}, "web_search_call"),
        (MCP, {"type": "mcp", "server_label": "git"}, "mcp:git"),
        (MCP, {"type": "function", "name": "f", "parameters": {}}, "push"),
    ],
)
@pytest.mark.parametrize("streamed", [True, False])
async def test_what_a_provider_runs_is_asked_about_once_as_it_was_offered(
    item: dict[str, object], offered: dict[str, object], name: str, streamed: bool
) -> None:
    answer = responses.response(item, responses.message(responses.said("Found.")))
    events = responses.streamed(answer) if streamed else [Event(answer, whole=True)]
    policy = CallPolicy({})
    exchange = asking(Responses(), tools=[offered])
    seen, error = await judged(exchange, policy, events)
    assert (len(seen), error) == (len(events), None)
    assert policy.calls == [(name, None)]
    exchange = asking(Responses(), tools=[offered])
    seen, error = await judged(exchange, CallPolicy({name: "deny"}), events)
    assert isinstance(error, Filtered)
    assert not [event for event in seen if "item" in event.data]


async def test_a_server_tool_of_messages_is_broken_off_where_it_begins() -> None:
    events = messages.answer(messages.called(['{"q": 1}'], kind="server_tool_use"))
    policy = CallPolicy({})
    seen, error = await judged(asking(Messages()), policy, events)
    assert (len(seen), error, policy.calls) == (len(events), None, [("send", None)])
    seen, error = await judged(asking(Messages()), CallPolicy({"send": "deny"}), events)
    assert isinstance(error, Filtered)
    assert [event.data["type"] for event in seen] == ["message_start", "ping"]


async def test_a_call_in_a_member_that_nobody_knows_is_asked_about() -> None:
    event = spoken(["a"])[1]
    event.data["later"] = {"steps": [{"type": "shell_call", "name": "drop"}]}
    seen, error = await judged(asking(Chat()), CallPolicy({"drop": "deny"}), [event])
    assert isinstance(error, Filtered)
    assert words(CHAT, seen) == "a"
    assert b"drop" not in b"".join(event.encode() for event in seen)


@pytest.mark.parametrize("name", ANSWERS)
async def test_two_calls_alike_are_two(name: str) -> None:
    dialect, answer = ANSWERS[name]
    policy = CallPolicy({})
    await judged(asking(dialect), policy, answer("Hi.", [("look", "{}")] * 2, lambda t: [t]))
    expected = {"legacy": 1}.get(name, 2)
    assert [call for call, _ in policy.calls] == ["look"] * expected
