"""A Messages request as a chat completion is asked it, after both public API references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.providers.translation.messages_to_chat import (
    CARRIED,
    NEUTRAL,
    MessagesToChat,
)
from gateway.core.errors import Code, Malformed, UpstreamError
from gateway.core.money import Usage
from gateway.dialects.count_tokens import CountTokens
from tests.unit.adapters.providers.two_apis import (
    GPT,
    MESSAGES,
    Upstream,
    exchange,
)

HI = {"role": "user", "content": "hi"}
TOOL = {"name": "find", "description": "finds", "input_schema": {"type": "object"}}
BODY: dict[str, Any] = {"model": "ours", "max_tokens": 9, "messages": [HI]}
CACHE = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def asked(*turns: dict[str, Any], **more: Any) -> dict[str, Any]:
    return MessagesToChat({**BODY, "messages": list(turns) or [HI], **more}, GPT).request()


def messages(*turns: dict[str, Any]) -> Any:
    return asked(*turns)["messages"]


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


PAGE = Path(__file__).parents[4] / "docs" / "reference" / "translation.md"


@pytest.mark.parametrize("member", sorted({*CARRIED, *NEUTRAL}))
def test_every_member_is_documented(member: str) -> None:
    _, _, section = PAGE.read_text().split("\n## ")
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")]
    assert any(f"`{member}`" in first for first in rows)


def test_the_least_that_can_be_asked() -> None:
    assert asked() == {"model": "gpt", "max_completion_tokens": 9, "messages": [HI]}


def test_everything_at_once() -> None:
    assert asked(
        system=[text("be brief", **CACHE), text("be kind")],
        tools=[{**TOOL, **CACHE, "type": "custom", "strict": True, "eager_input_streaming": True}],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        stop_sequences=["END"],
        temperature=0.5,
        top_p=1,
        metadata={"user_id": "u"},
        thinking={"type": "adaptive"},
        output_config={"effort": "max", "format": {"type": "json_schema", "schema": {"a": 1}}},
        service_tier="auto",
        stream=True,
    ) == {
        "model": "gpt",
        "max_completion_tokens": 9,
        "messages": [{"role": "system", "content": [text("be brief"), text("be kind")]}, HI],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "find",
                    "description": "finds",
                    "parameters": {"type": "object"},
                    "strict": True,
                },
            }
        ],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "stop": ["END"],
        "temperature": 0.5,
        "top_p": 1,
        "user": "u",
        "reasoning_effort": "max",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": {"a": 1}},
        },
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    "dropped",
    [
        {"cache_control": {"type": "ephemeral"}, "service_tier": "standard_only"},
        {"speed": "standard", "top_k": None, "unheard_of": None, "metadata": {}},
        {"metadata": {"user_id": None}, "tools": [], "tool_choice": None, "stream": False},
        {"system": "", "stop_sequences": [], "output_config": {}},
        {"thinking": {"type": "disabled"}},
    ],
)
def test_what_makes_no_difference_is_left_out(dropped: dict[str, Any]) -> None:
    assert asked(**dropped) == asked()


@pytest.mark.parametrize(
    ("refused", "param"),
    [
        ({"top_k": 5}, "top_k"),
        ({"container": "c"}, "container"),
        ({"mcp_servers": []}, "mcp_servers"),
        ({"inference_geo": "eu"}, "inference_geo"),
        ({"speed": "fast"}, "speed"),
        ({"temperature": 2}, "temperature"),
        ({"metadata": {"user_id": "u", "more": 1}}, "metadata.more"),
        ({"metadata": "u"}, "metadata"),
        ({"system": 1}, "system"),
        ({"system": [{"type": "image", "source": {}}]}, "system[0].type"),
        ({"system": [text("x", citations=[{}])]}, "system[0].citations"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0].type"),
        ({"tools": [{**TOOL, "input_examples": [{}]}]}, "tools[0].input_examples"),
        ({"tools": [{**TOOL, "defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tools": [{"name": "x"}]}, "tools[0].input_schema"),
        ({"tools": "x"}, "tools"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": ["x"]}}, "thinking.type"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort"),
        ({"output_config": {"task_budget": {}}}, "output_config.task_budget"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        ({"messages": None}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": []}, "messages"),
    ],
)
def test_what_cannot_be_carried_is_refused_by_name(refused: dict[str, Any], param: str) -> None:
    with pytest.raises(Malformed) as caught:
        asked(**refused)
    assert caught.value.param == param
    assert param in caught.value.message


@pytest.mark.parametrize(
    ("choice", "carried"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "none"}, "none"),
        ({"type": "any"}, "required"),
        ({"type": "tool", "name": "find"}, {"type": "function", "function": {"name": "find"}}),
    ],
)
def test_tool_choices(choice: dict[str, Any], carried: Any) -> None:
    assert asked(tools=[TOOL], tool_choice=choice)["tool_choice"] == carried


@pytest.mark.parametrize(
    ("budget", "effort"),
    [(1_024, "low"), (4_096, "low"), (4_097, "medium"), (16_384, "medium"), (16_385, "high")],
)
def test_a_budget_of_thinking_is_an_effort(budget: int, effort: str) -> None:
    thinking = {"type": "enabled", "budget_tokens": budget}
    assert asked(thinking=thinking)["reasoning_effort"] == effort
    both = asked(thinking=thinking, output_config={"effort": "xhigh"})
    assert both["reasoning_effort"] == "xhigh"


def test_a_conversation_with_tools() -> None:
    assert messages(
        HI,
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "redacted_thinking", "data": "z"},
                text("wait", **CACHE),
                {"type": "tool_use", "id": "t1", "name": "find", "input": {"a": 1}, **CACHE},
                {"type": "tool_use", "id": "t2", "name": "go", "input": {}},
            ],
        },
        user(
            {"type": "tool_result", "tool_use_id": "t1", "content": "one", **CACHE},
            {"type": "tool_result", "tool_use_id": "t2", "content": [text("two"), text("three")]},
            {"type": "tool_result", "tool_use_id": "t3", "content": "bad", "is_error": True},
            {"type": "tool_result", "tool_use_id": "t4", "is_error": True},
            {
                "type": "tool_result",
                "tool_use_id": "t5",
                "content": [text("x"), text("y")],
                "is_error": True,
            },
            text("go on"),
        ),
        {"role": "system", "content": "carefully"},
    ) == [
        HI,
        {
            "role": "assistant",
            "content": "wait",
            "tool_calls": [
                {
                    "id": "t1",
                    "type": "function",
                    "function": {"name": "find", "arguments": '{"a":1}'},
                },
                {"id": "t2", "type": "function", "function": {"name": "go", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "one"},
        {"role": "tool", "tool_call_id": "t2", "content": [text("two"), text("three")]},
        {"role": "tool", "tool_call_id": "t3", "content": "Error: bad"},
        {"role": "tool", "tool_call_id": "t4", "content": "Error: "},
        {"role": "tool", "tool_call_id": "t5", "content": [text("Error: "), text("x"), text("y")]},
        {"role": "user", "content": "go on"},
        {"role": "system", "content": "carefully"},
    ]


def test_blocks() -> None:
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    png = {"type": "base64", "media_type": "image/png", "data": "iVBO"}
    plain = {"type": "text", "media_type": "text/plain", "data": "long"}
    (message,) = messages(
        user(
            text("see"),
            text(""),
            {"type": "image", "source": png, **CACHE},
            {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
            {"type": "document", "source": pdf, "title": "a.pdf", "citations": {"enabled": False}},
            {"type": "document", "source": pdf},
            {"type": "document", "source": plain, "title": "Book"},
            {"type": "document", "source": plain},
        )
    )
    data = "data:application/pdf;base64,JVBERi0="
    assert message["content"] == [
        text("see"),
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": data}},
        {"type": "file", "file": {"filename": "file.pdf", "file_data": data}},
        text("Book\nlong"),
        text("long"),
    ]


@pytest.mark.parametrize(
    ("turn", "param"),
    [
        ({"role": "tool", "content": "x"}, "role"),
        ({"content": "x"}, "role"),
        ({**HI, "name": "ann"}, "name"),
        ({"role": "assistant", "content": "The answer is ("}, "role"),
        ({"role": "user", "content": None}, "content"),
        (user({"type": "search_result", "content": []}), "content[0].type"),
        (user({"type": "tool_use", "id": "t", "name": "n", "input": {}}), "content[0].type"),
        (user({"type": "image", "source": {"type": "file"}}), "content[0].source.type"),
        (
            user({"type": "document", "source": {"type": "url", "url": "x"}}),
            "content[0].source.type",
        ),
        (
            user({"type": "document", "source": {"type": "text"}, "context": "c"}),
            "content[0].context",
        ),
        (
            user({"type": "document", "source": {}, "citations": {"enabled": True}}),
            "content[0].citations",
        ),
        (
            user({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image"}]}),
            "content[0].content[0].type",
        ),
        (user({"type": "tool_result", "content": "x"}), "content[0].tool_use_id"),
        (user({"type": "text"}), "content[0].text"),
        (
            {"role": "assistant", "content": [{"type": "server_tool_use", "id": "s"}]},
            "content[0].type",
        ),
        (
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "n"}]},
            "content[0].input",
        ),
    ],
)
def test_a_turn_that_cannot_be_carried(turn: dict[str, Any], param: str) -> None:
    with pytest.raises(Malformed) as caught:
        messages(turn)
    assert caught.value.param == f"messages[0].{param}"


def test_what_says_nothing_is_left_out() -> None:
    silent = [user(), user(text("")), {"role": "system", "content": ""}]
    assert messages(*silent, user(text("hi", citations=[]))) == [HI]
    only_thought = {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}]}
    assert messages(HI, only_thought, HI) == [HI, HI]


def test_who_called_a_tool_directly_goes_without_saying() -> None:
    block = {"type": "tool_use", "id": "t", "name": "n", "input": {}, "caller": {"type": "direct"}}
    turn = {"role": "assistant", "content": [block]}
    assert messages(HI, turn, HI)[1]["content"] is None


async def test_what_cannot_be_translated_is_refused_unsent_and_costs_nothing() -> None:
    up = Upstream()
    with pytest.raises(Malformed):
        async with exchange(MESSAGES) as ours:
            await up.openai().send(ours, GPT, {**BODY, "top_k": 3})
    assert not up.requests
    assert ours.usage == Usage(0, 0, exact=True)


async def test_counting_tokens_is_refused_unsent_and_costs_nothing() -> None:
    up = Upstream()
    with pytest.raises(UpstreamError) as caught:
        async with exchange(CountTokens()) as ours:
            await up.openai().send(ours, GPT, BODY)
    assert caught.value.code is Code.UNKNOWN_URL
    assert "messages.count_tokens" in caught.value.message
    assert not up.requests
    assert ours.usage == Usage(0, 0, exact=True)
