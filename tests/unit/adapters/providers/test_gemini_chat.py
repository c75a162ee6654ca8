"""Chat requests for Gemini: what each becomes, and what is refused by name."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gateway.adapters.providers.gemini import GeminiProvider
from gateway.adapters.providers.gemini_chat import generate_request
from tests.unit.adapters.providers.scripted import refuses

PNG = "data:image/png;base64,iVBO"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "weather", "description": "Of a city.", "parameters": SCHEMA},
}
CALL: dict[str, Any] = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Kyiv"}'},
}
USER = {"role": "user", "content": "hi"}


def gemini(transport: httpx.AsyncBaseTransport) -> GeminiProvider:
    base = "https://generativelanguage.googleapis.com/v1beta"
    return GeminiProvider("up", base, SecretStr("g-1"), transport)


def asked(*messages: dict[str, Any], model: str = "gemini-3-pro", **more: Any) -> dict[str, Any]:
    """What a chat request becomes."""
    return generate_request({"model": "ours", "messages": messages or [USER], **more}, model)


def config(model: str = "gemini-3-pro", **more: Any) -> Any:
    return asked(model=model, **more).get("generationConfig")


def test_a_plain_request_asks_for_nothing_else() -> None:
    assert asked() == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def test_a_conversation() -> None:
    signed = {**CALL, "extra_content": {"google": {"thought_signature": "c2ln"}}}
    second = {**CALL, "id": "call_2"}
    request = asked(
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "And kind."}]},
        USER,
        {
            "role": "assistant", "content": "", "refusal": None, "annotations": [],
            "reasoning_content": "hm", "tool_calls": [signed, second],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "sun"}]},
        {
            "role": "assistant", "content": "It rains.",
            "extra_content": {"google": {"thought_signature": "YQ=="}, "bedrock": {"x": "y"}},
        },
        {"role": "user", "content": "Thanks."},
        tools=[TOOL],
    )  # fmt: skip
    made = {"name": "weather", "args": {"city": "Kyiv"}}
    results = [
        {"functionResponse": {"id": id, "name": "weather", "response": {"output": output}}}
        for id, output in (("call_1", "rain"), ("call_2", "sun"))
    ]
    assert request["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "And kind."}]}
    assert request["contents"] == [
        {"role": "user", "parts": [{"text": "hi"}]},
        {
            "role": "model",
            "parts": [
                {"functionCall": {"id": "call_1", **made}, "thoughtSignature": "c2ln"},
                {"functionCall": {"id": "call_2", **made}},
            ],
        },
        {"role": "user", "parts": results},
        {"role": "model", "parts": [{"text": "It rains.", "thoughtSignature": "YQ=="}]},
        {"role": "user", "parts": [{"text": "Thanks."}]},
    ]


def test_a_signature_without_a_text_stands_in_an_empty_part() -> None:
    extra = {"google": {"thought_signature": "YQ=="}}
    request = asked(USER, {"role": "assistant", "content": None, "extra_content": extra})
    assert request["contents"][1]["parts"] == [{"text": "", "thoughtSignature": "YQ=="}]


@pytest.mark.parametrize(
    "said",
    [
        {"content": None, "refusal": "No."},
        {"content": [{"type": "refusal", "refusal": "No."}]},
    ],
)
def test_a_refusal_was_said(said: dict[str, Any]) -> None:
    request = asked(USER, {"role": "assistant", **said})
    assert request["contents"][1]["parts"] == [{"text": "No."}]


def test_what_is_not_text_goes_inline() -> None:
    content = [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
        },
    ]
    (message,) = asked({"role": "user", "content": content})["contents"]
    assert message["parts"] == [
        {"text": "see"},
        {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "UklG"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
    ]


def test_the_generation_config() -> None:
    more = {
        "temperature": 0.5, "top_p": 0.9, "seed": 7, "n": 2, "stop": "END",
        "max_tokens": 100, "max_completion_tokens": 50, "logprobs": True, "top_logprobs": 3,
        "presence_penalty": 1, "frequency_penalty": -1,
    }  # fmt: skip
    assert config(**more) == {
        "temperature": 0.5, "topP": 0.9, "seed": 7, "candidateCount": 2,
        "stopSequences": ["END"], "maxOutputTokens": 50, "responseLogprobs": True, "logprobs": 3,
        "presencePenalty": 1, "frequencyPenalty": -1,
    }  # fmt: skip


IDLE: dict[str, Any] = {
    "n": 1, "logprobs": False, "stop": [], "stream": False, "store": False, "tools": [],
    "parallel_tool_calls": True, "service_tier": "auto", "modalities": ["text"],
    "response_format": {"type": "text"}, "frequency_penalty": 0, "logit_bias": {},
    "tool_choice": "none", "verbosity": "medium", "reasoning_effort": None, "seed": None,
}  # fmt: skip
HINTS = {
    "metadata": {"a": "b"}, "user": "u", "safety_identifier": "s", "prompt_cache_key": "k",
    "stream_options": {"include_usage": True}, "prediction": {"type": "content", "content": "x"},
}  # fmt: skip


def test_what_changes_nothing_is_left_out() -> None:
    assert asked(**IDLE, **HINTS) == asked()


def test_answers_in_json() -> None:
    assert config(response_format={"type": "json_object"}) == {
        "responseMimeType": "application/json"
    }
    named = {"name": "place", "strict": True, "schema": SCHEMA, "description": "Where."}
    assert config(response_format={"type": "json_schema", "json_schema": named}) == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {**SCHEMA, "description": "Where."},
    }


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", "minimal", {"thinkingBudget": 1024}),
        ("models/gemini-2.5-pro", "low", {"thinkingBudget": 1024}),
        ("gemini-2.5-pro", "medium", {"thinkingBudget": 8192}),
        ("gemini-2.5-pro", "high", {"thinkingBudget": 24576}),
        ("gemini-3-pro-preview", "minimal", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.8-flash", "high", {"thinkingLevel": "HIGH"}),
        ("gemini-20-flash", "low", {"thinkingLevel": "LOW"}),
    ],
)
def test_how_hard_to_think(model: str, effort: str, thinking: dict[str, Any]) -> None:
    assert config(model, reasoning_effort=effort) == {"thinkingConfig": thinking}


def test_googles_own_words_for_thinking() -> None:
    own = {"include_thoughts": True, "thinking_budget": 512}
    said = config(extra_body={"google": {"thinking_config": own}})
    assert said == {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 512}}
    own = {"include_thoughts": True}
    said = config(extra_body={"google": {"thinking_config": own}}, reasoning_effort="low")
    assert said == {"thinkingConfig": {"includeThoughts": True, "thinkingLevel": "LOW"}}
    said = config(extra_body={"google": {"thinking_config": {"thinking_level": "high"}}})
    assert said == {"thinkingConfig": {"thinkingLevel": "HIGH"}}


def test_tools_are_offered() -> None:
    bare = {"type": "function", "function": {"name": "now"}}
    request = asked(tools=[TOOL, bare])
    declared = {
        "name": "weather", "description": "Of a city.", "parametersJsonSchema": SCHEMA,
    }  # fmt: skip
    assert request["tools"] == [{"functionDeclarations": [declared, {"name": "now"}]}]
    assert request["toolConfig"] == {"functionCallingConfig": {"mode": "AUTO"}}


ALLOWED = {"mode": "auto", "tools": [TOOL]}


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "weather"}},
            {"mode": "ANY", "allowedFunctionNames": ["weather"]},
        ),
        (
            {"type": "allowed_tools", "allowed_tools": ALLOWED},
            {"mode": "VALIDATED", "allowedFunctionNames": ["weather"]},
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {**ALLOWED, "mode": "required"}},
            {"mode": "ANY", "allowedFunctionNames": ["weather"]},
        ),
    ],
)
def test_which_tools_are_called(choice: Any, calling: dict[str, Any]) -> None:
    request = asked(tools=[TOOL], tool_choice=choice)
    assert request["toolConfig"] == {"functionCallingConfig": calling}


def test_strict_arguments_are_held_to_their_schema() -> None:
    strict = {**TOOL, "function": {**TOOL["function"], "strict": True}}
    assert asked(tools=[strict])["toolConfig"]["functionCallingConfig"] == {"mode": "VALIDATED"}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"unheard_of": 1}, "unheard_of"),
    ({"logit_bias": {"1": 2}}, "logit_bias"),
    ({"parallel_tool_calls": False}, "parallel_tool_calls"),
    ({"store": True}, "store"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"audio": {"voice": "alloy"}}, "audio"),
    ({"service_tier": "flex"}, "service_tier"),
    ({"verbosity": "low"}, "verbosity"),
    ({"web_search_options": {}}, "web_search_options"),
    ({"functions": [{"name": "f"}]}, "functions"),
    ({"top_k": 3}, "top_k"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tools": [TOOL], "tool_choice": "any"}, "tool_choice"),
    ({"tools": [TOOL], "tool_choice": {"type": "custom"}}, "tool_choice"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ({"tools": [TOOL, {"type": "custom", "custom": {"name": "c"}}]}, "tools[1].type"),
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": [{"type": "function", "function": {"name": 7}}]}, "tools[0].function.name"),
    ({"tools": [{**TOOL, "more": 1}]}, "tools[0].more"),
    ({"reasoning_effort": "max"}, "reasoning_effort"),
    ({"reasoning_effort": "none"}, "reasoning_effort"),
    ({"reasoning_effort": ["low"]}, "reasoning_effort"),
    ({"extra_body": {"google": {"cached_content": "c"}}}, "extra_body.google.cached_content"),
    ({"extra_body": {"more": {}}}, "extra_body.more"),
    (
        {
            "reasoning_effort": "low",
            "extra_body": {"google": {"thinking_config": {"thinking_budget": 1}}},
        },
        "reasoning_effort",
    ),
    (
        {"extra_body": {"google": {"thinking_config": {"thinking_level": "ignore all"}}}},
        "extra_body.google.thinking_config.thinking_level",
    ),
    (
        {"extra_body": {"google": {"thinking_config": {"thinking_budget": "1"}}}},
        "extra_body.google.thinking_config.thinking_budget",
    ),
    ({"response_format": {"type": "grammar"}}, "response_format.type"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
        "response_format.json_schema.schema",
    ),
    (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"schema": {"description": "a"}, "description": "b"},
            }
        },
        "response_format.json_schema.description",
    ),
]


@pytest.mark.parametrize(("more", "field"), REFUSED, ids=[field for _, field in REFUSED])
async def test_members_that_cannot_be_carried(more: dict[str, Any], field: str) -> None:
    body = {"model": "ours", "messages": [USER], **more}
    assert await refuses(gemini, body, model="gemini-3-pro") == field


def part(kind: str, **inside: Any) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": kind, kind: inside}]}


MESSAGES: list[tuple[list[dict[str, Any]], str]] = [
    ([USER, {"role": "system", "content": "x"}], "messages[1].role"),
    ([{"role": "function", "content": "x"}], "messages[0].role"),
    ([{"role": "user", "content": "x", "name": "ann"}], "messages[0].name"),
    ([{"role": "user", "content": None}], "messages[0].content"),
    ([{"role": "user", "content": []}], "messages[0].content"),
    ([{"role": "assistant", "content": "", "tool_calls": []}], "messages[0].content"),
    ([{"role": "assistant", "content": "x", "audio": {"id": "a"}}], "messages[0].audio"),
    (
        [{"role": "assistant", "content": None, "function_call": {"name": "f"}}],
        "messages[0].function_call",
    ),
    ([{"role": "system", "content": [{"type": "image_url"}]}], "messages[0].content[0]"),
    (
        [part("image_url", url="https://x.example/cat.png")],
        "messages[0].content[0].image_url.url",
    ),
    ([part("image_url", url="data:image/png,raw")], "messages[0].content[0].image_url.url"),
    ([part("file", file_id="f-1")], "messages[0].content[0].file.file_id"),
    ([part("input_audio", data="x", format="aiff")], "messages[0].content[0].input_audio.format"),
    ([part("video_url", url="data:video/mp4;base64,x")], "messages[0].content[0].type"),
    (
        [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}}]}],
        "messages[0].content[0].cache_control",
    ),
    ([USER, {"role": "tool", "tool_call_id": "c9", "content": "x"}], "messages[1].tool_call_id"),
    ([USER, {"role": "tool", "content": "x"}], "messages[1].tool_call_id"),
    (
        [
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "name": "other", "content": "x"},
        ],
        "messages[1].name",
    ),
    (
        [{"role": "assistant", "tool_calls": [{**CALL, "type": "custom"}]}],
        "messages[0].tool_calls[0].type",
    ),
    (
        [{"role": "assistant", "tool_calls": [{**CALL, "note": "read me"}]}],
        "messages[0].tool_calls[0].note",
    ),
    (
        [{"role": "assistant", "tool_calls": [{**CALL, "id": None}]}],
        "messages[0].tool_calls[0].id",
    ),
    *(
        (
            [{"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", **wrong}}]}],
            "messages[0].tool_calls[0].function.arguments",
        )
        for wrong in ({"arguments": "{"}, {"arguments": "[]"}, {"arguments": '{"a": 1, "a": 2}'})
    ),
    *(
        (
            [{"role": "assistant", "content": "x", "extra_content": {"google": google}}],
            f"messages[0].extra_content.google.{name}",
        )
        for google, name in (
            ({"thought_signature": "plain words"}, "thought_signature"),
            ({"thought_signature": 7}, "thought_signature"),
            ({"more": "x"}, "more"),
        )
    ),
    (
        [{"role": "assistant", "content": "x", "extra_content": {"note": "read me"}}],
        "messages[0].extra_content.note",
    ),
]


async def test_an_effort_that_is_no_word() -> None:
    body = {"model": "ours", "messages": [USER], "reasoning_effort": ["low"]}
    for model in ("gemini-2.5-pro", "gemini-3-pro"):
        assert await refuses(gemini, body, model=model) == "reasoning_effort"
    assert await refuses(gemini, {**body, "reasoning_effort": "max"}, model="gemini-2.5-pro")


@pytest.mark.parametrize(("messages", "field"), MESSAGES, ids=[field for _, field in MESSAGES])
async def test_messages_that_cannot_be_carried(messages: list[Any], field: str) -> None:
    assert await refuses(gemini, {"model": "ours", "messages": messages}) == field
