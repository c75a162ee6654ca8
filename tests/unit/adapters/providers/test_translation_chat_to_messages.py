"""A chat request as Messages is asked it, after both public API references."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.providers.translation.chat_to_messages import (
    CARRIED,
    DROPPED,
    NEUTRAL,
    ChatToMessages,
)
from gateway.core.errors import Malformed
from tests.unit.adapters.providers.two_apis import CHAT, CLAUDE

HI = {"role": "user", "content": "hi"}
FUNCTION = {"name": "find", "description": "finds", "parameters": {"type": "object"}}
TOOLS = [{"type": "function", "function": FUNCTION}]
CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"a":[1]}'}}
PDF = "data:application/pdf;base64,JVBERi0="


def asked(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = CHAT.check({"model": "ours", "messages": list(messages) or [HI], **more})
    return ChatToMessages(body, CLAUDE, 0).request()


def turns(*messages: dict[str, Any]) -> Any:
    return asked(*messages)["messages"]


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


PAGE = Path(__file__).parents[4] / "docs" / "reference" / "translation.md"


@pytest.mark.parametrize("member", sorted({*CARRIED, *DROPPED, *NEUTRAL}))
def test_every_member_is_documented(member: str) -> None:
    _, section, _ = PAGE.read_text().split("\n## ")
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")]
    assert any(f"`{member}`" in first for first in rows)


def test_the_least_that_can_be_asked() -> None:
    assert asked() == {"model": "claude", "max_tokens": 4096, "messages": [HI]}


def test_everything_at_once() -> None:
    assert asked(
        {"role": "system", "content": "be brief"},
        HI,
        {"role": "developer", "content": [{"type": "text", "text": "be kind"}]},
        tools=TOOLS,
        tool_choice="required",
        parallel_tool_calls=False,
        stop="END",
        max_tokens=100,
        max_completion_tokens=50,
        temperature=0.5,
        top_p=1,
        reasoning_effort="minimal",
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}}},
        user="u",
        stream=True,
        stream_options={"include_usage": True},
    ) == {
        "model": "claude",
        "max_tokens": 50,
        "messages": [HI],
        "system": [{"type": "text", "text": "be brief"}, {"type": "text", "text": "be kind"}],
        "tools": [
            {"name": "find", "description": "finds", "input_schema": {"type": "object"}},
        ],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "stop_sequences": ["END"],
        "temperature": 0.5,
        "top_p": 1,
        "metadata": {"user_id": "u"},
        "stream": True,
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"a": 1}}},
    }


def test_the_output_limit_where_the_caller_set_none() -> None:
    body = {"model": "ours", "messages": [HI]}
    limited = replace(CLAUDE, max_output_tokens=7)
    assert ChatToMessages(body, limited, 0).request()["max_tokens"] == 7


@pytest.mark.parametrize(
    "dropped",
    [
        {"seed": 7},
        {"metadata": {"a": "b"}},
        {"prompt_cache_key": "k", "prompt_cache_retention": "24h", "prompt_cache_options": {}},
        {"n": 1, "logprobs": False, "top_logprobs": 0, "store": False, "modalities": ["text"]},
        {"service_tier": "auto"},
        {"service_tier": "default"},
        {"frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "verbosity": "medium"},
        {"response_format": {"type": "text"}},
        {"unheard_of": None, "audio": None, "tools": None, "stop": None, "temperature": None},
        {"stream": False, "tools": [], "tool_choice": "none", "parallel_tool_calls": True},
    ],
)
def test_what_makes_no_difference_is_left_out(dropped: dict[str, Any]) -> None:
    assert asked(**dropped) == asked()


@pytest.mark.parametrize(
    ("refused", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"store": True}, "store"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "alloy"}}, "audio"),
        ({"frequency_penalty": 0.1}, "frequency_penalty"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"verbosity": "low"}, "verbosity"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"moderation": {"model": "m"}}, "moderation"),
        ({"functions": [FUNCTION]}, "functions"),
        ({"unheard_of": False}, "unheard_of"),
        ({"temperature": 1.1}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": "1"}, "top_p"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"reasoning_effort": ["low"]}, "reasoning_effort"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"tools": TOOLS, "parallel_tool_calls": 0}, "parallel_tool_calls"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": "some"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "allowed_tools"}}, "tool_choice.type"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"tools": [{**TOOLS[0], "more": 1}]}, "tools[0].more"),
        (
            {"tools": [{"type": "function", "function": {**FUNCTION, "more": 1}}]},
            "tools[0].function.more",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": 1}}]},
            "tools[0].function.name",
        ),
        (
            {"tools": [{"type": "function", "function": {**FUNCTION, "parameters": "x"}}]},
            "tools[0].function.parameters",
        ),
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
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "find"}}, {"type": "tool", "name": "find"}),
    ],
)
def test_tool_choices(choice: Any, carried: dict[str, Any]) -> None:
    assert asked(tools=TOOLS, tool_choice=choice)["tool_choice"] == carried
    single = {} if carried["type"] == "none" else {"disable_parallel_tool_use": True}
    both = asked(tools=TOOLS, tool_choice=choice, parallel_tool_calls=False)
    assert both["tool_choice"] == carried | single


def test_one_tool_at_a_time_is_said_with_a_choice() -> None:
    single = {"type": "auto", "disable_parallel_tool_use": True}
    assert asked(tools=TOOLS, parallel_tool_calls=False)["tool_choice"] == single
    assert "tool_choice" not in asked(tools=TOOLS, parallel_tool_calls=True)


def test_a_strict_tool_without_parameters() -> None:
    function = {"name": "go", "strict": True}
    assert asked(tools=[{"type": "function", "function": function}])["tools"] == [
        {"name": "go", "input_schema": {"type": "object", "properties": {}}, "strict": True}
    ]


def test_the_description_of_a_schema_is_carried_inside_it() -> None:
    def wanted(schema: dict[str, Any]) -> Any:
        stated = {"name": "n", "description": "d", "strict": True, "schema": schema}
        form = {"type": "json_schema", "json_schema": stated}
        return asked(response_format=form)["output_config"]["format"]["schema"]

    assert wanted({"type": "object"}) == {"description": "d", "type": "object"}
    with pytest.raises(Malformed, match=r"json_schema\.description"):
        wanted({"description": "its own"})


def test_no_reasoning_at_all() -> None:
    assert asked(reasoning_effort="none")["thinking"] == {"type": "disabled"}


def test_a_safety_identifier_comes_before_a_user() -> None:
    assert asked(user="u", safety_identifier="s")["metadata"] == {"user_id": "s"}


def test_a_conversation_with_tools() -> None:
    assert turns(
        HI,
        {"role": "assistant", "content": "wait", "tool_calls": [CALL, {**CALL, "id": "c2"}]},
        {"role": "tool", "tool_call_id": "c1", "content": "one", "name": "find"},
        {"role": "system", "content": "between"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "two"}]},
        HI,
        {"role": "tool", "tool_call_id": "c3", "content": ""},
    ) == [
        HI,
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "wait"},
                {"type": "tool_use", "id": "c1", "name": "find", "input": {"a": [1]}},
                {"type": "tool_use", "id": "c2", "name": "find", "input": {"a": [1]}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "one"},
                {
                    "type": "tool_result",
                    "tool_use_id": "c2",
                    "content": [{"type": "text", "text": "two"}],
                },
            ],
        },
        HI,
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "c3", "content": ""}],
        },
    ]


def test_parts() -> None:
    text = {"type": "text", "text": "see"}
    breakpoint_ = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    (turn,) = turns(
        user(
            text | breakpoint_,
            {"type": "text", "text": ""},
            {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "data:image/PNG;base64,iVBO"}},
            {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}},
            {"type": "file", "file": {"file_data": PDF}},
        )
    )
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    png = {"type": "base64", "media_type": "image/png", "data": "iVBO"}
    assert turn["content"] == [
        text,
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {"type": "image", "source": png},
        {"type": "document", "source": pdf, "title": "a.pdf"},
        {"type": "document", "source": pdf},
    ]


def test_what_says_nothing_is_left_out() -> None:
    empty = [user(), {"role": "user", "content": ""}, {"role": "assistant", "content": None}]
    assert turns(*empty, HI) == [HI]
    with pytest.raises(Malformed) as caught:
        turns(*empty, {"role": "system", "content": "alone"})
    assert caught.value.param == "messages"


def test_an_assistants_refusal_is_what_it_said_and_its_reasoning_is_not() -> None:
    said = {"role": "assistant", "content": None, "refusal": "no", "annotations": []}
    assert turns(HI, said)[1] == {"role": "assistant", "content": "no"}
    parts = [{"type": "refusal", "refusal": "no"}]
    assert turns(HI, {"role": "assistant", "content": parts})[1]["content"] == "no"
    thought = {"role": "assistant", "content": "x", "reasoning_content": "y", "reasoning": "z"}
    assert turns(HI, thought)[1] == {"role": "assistant", "content": "x"}


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "function", "name": "f", "content": "x"}, "role"),
        ({**HI, "name": "ann"}, "name"),
        ({"role": "system", "content": "x", "name": "ann"}, "name"),
        ({"role": "assistant", "content": "x", "audio": {"id": "a"}}, "audio"),
        ({"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}, "function_call"),
        (user({"type": "input_audio", "input_audio": {}}), "content[0].type"),
        (user({"type": "text", "text": "x", "cache_control": {}}), "content[0].cache_control"),
        (user({"type": "image_url", "image_url": "x"}), "content[0].image_url"),
        (user({"type": "image_url", "image_url": {"url": "ftp://x"}}), "content[0].image_url.url"),
        (
            user({"type": "image_url", "image_url": {"url": "data:image/png,abc"}}),
            "content[0].image_url.url",
        ),
        (user({"type": "file", "file": {"file_id": "f"}}), "content[0].file.file_id"),
        (
            user({"type": "file", "file": {"file_data": "data:text/plain;base64,eA=="}}),
            "content[0].file.file_data",
        ),
        (
            {
                "role": "assistant",
                "content": [{"type": "image_url", "image_url": {"url": "https://x"}}],
            },
            "content[0].type",
        ),
        ({"role": "tool", "content": "x"}, "tool_call_id"),
        (
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {}}]},
            "tool_calls[0].custom",
        ),
        ({"role": "assistant", "tool_calls": [{**CALL, "id": None}]}, "tool_calls[0].id"),
    ],
)
def test_a_message_that_cannot_be_carried(message: dict[str, Any], param: str) -> None:
    with pytest.raises(Malformed) as caught:
        turns(message)
    assert caught.value.param == f"messages[0].{param}"


@pytest.mark.parametrize("arguments", ["nonsense", "[]", "1", '{"a":1,"a":2}', '{"a":'])
def test_arguments_that_are_no_object(arguments: str) -> None:
    call = {**CALL, "function": {"name": "find", "arguments": arguments}}
    with pytest.raises(Malformed) as caught:
        turns(HI, {"role": "assistant", "tool_calls": [call]})
    assert caught.value.param == "messages[1].tool_calls[0].function.arguments"


def test_a_call_without_arguments() -> None:
    call = {**CALL, "function": {"name": "find", "arguments": ""}}
    assert turns({"role": "assistant", "tool_calls": [call]})[0]["content"][0]["input"] == {}
