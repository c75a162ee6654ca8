"""Requests of messages: where the text is, what cannot be read, which tools, how much."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.errors import Malformed
from gateway.dialects.messages import Messages

MESSAGES = Messages()
CANARY = "ann@example"
SEALED = "EqQBCkYIChgCKkBxY2x0" * 4
"""As a signature looks."""


def request_of(*content: Any, role: str = "user", **more: Any) -> dict[str, Any]:
    """A request with one message for each content."""
    messages = [{"role": role, "content": item} for item in content or ("hello",)]
    return {"model": "m", "max_tokens": 100, "messages": messages, **more}


def places() -> dict[str, dict[str, Any]]:
    """A request for each place where text stands."""
    text = {"type": "text", "text": CANARY}
    plain = {"type": "text", "media_type": "text/plain", "data": CANARY}
    schema = {"type": "object", "properties": {"name": {"type": "string", "description": CANARY}}}
    owned = {"type": "object", "properties": {CANARY: {"type": "string"}}, "required": [CANARY]}
    call = {"type": "tool_use", "id": "toolu_1", "name": "send"}

    def block(**members: Any) -> dict[str, Any]:
        return request_of([members])

    def result(content: Any, kind: str = "tool_result") -> dict[str, Any]:
        return request_of([{"type": kind, "tool_use_id": "toolu_1", "content": content}])

    def said(**members: Any) -> dict[str, Any]:
        return request_of([members], role="assistant")

    def tool(**members: Any) -> dict[str, Any]:
        return request_of(tools=[{"name": "send", "input_schema": {"type": "object"}, **members}])

    return {
        "system": request_of(system=CANARY),
        "system block": request_of(system=[text | {"cache_control": {"type": "ephemeral"}}]),
        "user": request_of(CANARY),
        "assistant": request_of(CANARY, role="assistant"),
        "a system message": request_of(CANARY, role="system"),
        "text block": request_of([text]),
        "citation": said(type="text", text="x", citations=[{"cited_text": CANARY}]),
        "thinking": said(type="thinking", thinking=CANARY, signature=SEALED),
        "a signature that is none": said(type="thinking", thinking="x", signature=CANARY),
        "sealed thinking that is not": said(type="redacted_thinking", data=CANARY),
        "input": said(**call, input={"to": [CANARY]}),
        "input, deeper": said(**call, input={"to": {"who": {"mail": CANARY}}}),
        "names in input": said(**call, input={CANARY: 1}),
        "input that is a string": said(**call, input=CANARY),
        "a name that is none": said(**call | {"name": CANARY}, input={}),
        "an id that is none": said(**call | {"id": CANARY}, input={}),
        "server tool": said(type="server_tool_use", id="s", name="x", input={"query": CANARY}),
        "mcp tool": said(type="mcp_tool_use", id="s", name="x", input={"query": CANARY}),
        "result": result(CANARY),
        "result blocks": result([text]),
        "result document": result([{"type": "document", "source": plain}]),
        "result search": result([{"type": "search_result", "title": CANARY, "content": []}]),
        "mcp result": result([text], "mcp_tool_result"),
        "web result": result([{"type": "x", "title": CANARY}], "web_search_tool_result"),
        "code result": result({"type": "x", "stdout": CANARY}, "bash_code_execution_tool_result"),
        "document text": block(type="document", source=plain),
        "document title": block(type="document", source={"type": "url"}, title=CANARY),
        "document context": block(type="document", source={"type": "url"}, context=CANARY),
        "document blocks": block(type="document", source={"type": "content", "content": [text]}),
        "document url": block(type="document", source={"type": "url", "url": CANARY}),
        "image url": block(type="image", source={"type": "url", "url": CANARY}),
        "image that is none": block(type="image", source={"type": "base64", "data": CANARY}),
        "search result": block(type="search_result", source="x", title="x", content=[text]),
        "search source": block(type="search_result", source=CANARY, title="x", content=[]),
        "compaction": said(type="compaction", content=CANARY),
        "an unknown block": block(type="hologram", frames=[{"name": CANARY}]),
        "an unknown member of a block": block(type="text", text="x", note=CANARY),
        "an unknown member of a message": {
            **request_of(),
            "messages": [{"role": "user", "content": "x", "notes": [CANARY]}],
        },
        "an unknown member": request_of(documents=[{"name": CANARY}]),
        "tool description": tool(description=CANARY),
        "tool schema": tool(input_schema=schema),
        "tool enum": tool(input_schema={"type": "object", "enum": [CANARY]}),
        "tool pattern": tool(input_schema={"type": "string", "pattern": f"^{CANARY} .*$"}),
        "tool example": tool(input_examples=[{"name": CANARY}]),
        "where the caller is": tool(type="web_search_20250305", user_location={"city": CANARY}),
        "tool choice": request_of(tool_choice={"type": "auto", "why": CANARY}),
        "mcp server": request_of(mcp_servers=[{"type": "url", "url": CANARY, "name": "x"}]),
        "output format": request_of(
            output_config={"format": {"type": "json_schema", "schema": schema}}
        ),
        "old output format": request_of(output_format={"type": "json_schema", "schema": schema}),
        "stop sequence": request_of(stop_sequences=["x", CANARY]),
        "a name in metadata": request_of(metadata={CANARY: "x"}),
        "a property": tool(input_schema=owned),
        "a property of the answer": request_of(
            output_config={"format": {"type": "json_schema", "schema": owned}}
        ),
        "an old property of the answer": request_of(
            output_format={"type": "json_schema", "schema": owned}
        ),
        "a name in an example": tool(input_examples=[{"x": {CANARY: 1}}]),
        "a name in a tool": tool(**{CANARY: 1}),
        "a name in a block": block(type="text", text="x", **{CANARY: 1}),
        "a name in an unknown block": block(type="hologram", frames=[{CANARY: 1}]),
        "a name in a result": result({"type": "x", "stdout": {CANARY: 1}}, "x_tool_result"),
        "a name in a message": {
            **request_of(),
            "messages": [{"role": "user", "content": "x", CANARY: 1}],
        },
        "a name in a request": request_of(**{CANARY: 1}),
        "a name in an unknown member": request_of(documents=[{CANARY: {"x": 1}}]),
        "user id": request_of(metadata={"user_id": CANARY}),
        "container": request_of(container={"id": CANARY}),
    }  # fmt: skip


@pytest.mark.parametrize("place", places())
def test_every_text_is_a_slot_and_can_be_rewritten(place: str) -> None:
    request = MESSAGES.check(places()[place])
    slots = [slot for slot in MESSAGES.slots(request) if CANARY in slot.text]
    assert len(slots) == 1
    slots[0].put('a "quoted"\nword')
    assert CANARY not in json.dumps(request)
    assert [slot.text for slot in MESSAGES.slots(request)].count('a "quoted"\nword') == 1


@pytest.mark.parametrize("place", places())
def test_places_are_apart_and_hold_no_text(place: str) -> None:
    where = [slot.where for slot in MESSAGES.slots(places()[place])]
    assert len(set(where)) == len(where)
    assert not any(CANARY in place for place in where)


def test_structure_and_sealed_content_are_no_text() -> None:
    blocks = [
        {"type": "thinking", "thinking": "", "signature": SEALED},
        {"type": "redacted_thinking", "data": SEALED},
        {"type": "tool_use", "id": "toolu_1", "name": "send", "input": {}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": SEALED}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [
            {"type": "web_search_result", "encrypted_content": SEALED}]},
    ]  # fmt: skip
    cached = {"type": "text", "text": "", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    request = request_of(
        blocks, [cached], tools=[{"name": "send", "input_schema": {"type": "object"}}]
    )
    slots = MESSAGES.slots(MESSAGES.check(request))
    assert [slot.text for slot in slots if not slot.fixed] == ["", ""]
    assert [slot.text for slot in slots if slot.fixed] == ["toolu_1", "send", "s", "send"]


def test_a_long_word_in_a_text_document_is_text() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": SEALED}
    request = request_of([{"type": "document", "source": source}])
    assert [slot.text for slot in MESSAGES.slots(request)] == [SEALED]


def test_numbers_in_input_are_text() -> None:
    call = {
        "type": "tool_use",
        "id": "t",
        "name": "pay",
        "input": {"card": 4111111111111111, "n": 1},
    }
    [slot] = [s for s in MESSAGES.slots(request_of([call])) if s.text == "4111111111111111"]
    slot.put("[[CREDIT_CARD_1]]")
    assert call["input"] == {"card": "[[CREDIT_CARD_1]]", "n": 1}


def test_who_says_a_text() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": "found"}
    request = request_of([{"type": "text", "text": "asked"}, result], system="ruled")
    told = {slot.text: slot.role for slot in MESSAGES.slots(request) if not slot.fixed}
    assert told == {"ruled": "system", "asked": "user", "found": "tool"}


@pytest.mark.parametrize(
    ("block", "labels"),
    [
        ({"type": "text", "text": "x"}, []),
        ({"type": "image", "source": {"type": "base64", "data": SEALED}}, ["image"]),
        ({"type": "document", "source": {"type": "base64", "data": SEALED}}, ["file"]),
        ({"type": "document", "source": {"type": "file", "file_id": "file_1"}}, ["file"]),
        ({"type": "document", "source": {"type": "url", "url": "x"}}, ["url"]),
        ({"type": "document", "source": {"type": "text", "data": "x"}}, []),
        ({"type": "document", "source": {"type": "content", "content": [
            {"type": "image", "source": {}}]}}, ["image"]),
        ({"type": "document"}, ["file"]),
        ({"type": "tool_result", "content": [{"type": "image", "source": {}}]}, ["image"]),
        ({"type": "tool_use", "input": {"type": "image"}}, []),
        ({"type": "container_upload", "file_id": "file_1"}, ["file"]),
        ({"type": "redacted_thinking", "data": SEALED}, ["reasoning"]),
        ({"type": "hologram"}, ["part"]),
    ],
)  # fmt: skip
def test_parts_that_cannot_be_read_are_opaque(block: dict[str, Any], labels: list[str]) -> None:
    request = MESSAGES.check(request_of([block]))
    found = MESSAGES.opaque(request)
    assert [finding.label for finding in found] == labels
    assert {finding.where for finding in found} <= {"/messages/0/content/0"}


@pytest.mark.parametrize(
    ("more", "labels"),
    [
        ({"tools": [{"name": "send", "input_schema": {}}]}, []),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, []),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, ["url"]),
        ({"tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]}, ["url"]),
        ({"tools": [{"type": "code_execution_20250825", "name": "run"}]}, ["part"]),
        ({"mcp_servers": [{"type": "url", "url": "x", "name": "x"}]}, ["url"]),
        ({"container": "container_1"}, ["part"]),
        ({"thread": {"type": "continue", "previous_message_id": "msg_1"}}, ["part"]),
        ({"thread": {"type": "create"}}, []),
    ],
)
def test_what_the_provider_brings_itself_is_opaque(more: Any, labels: list[str]) -> None:
    assert [finding.label for finding in MESSAGES.opaque(request_of(**more))] == labels


TOOLS = [
    {"name": "a", "input_schema": {}},
    {"type": "web_search_20250305", "name": "web_search"},
    {"type": "mcp_toolset", "mcp_server_name": "files"},
]
SERVERS = [{"type": "url", "name": "files", "url": "x"}, {"type": "url", "name": "b", "url": "x"}]


def test_tools_are_restricted() -> None:
    request = request_of(tools=TOOLS, mcp_servers=SERVERS, tool_choice={"type": "any"})
    assert MESSAGES.tools(request) == ["a", "web_search", "files", "b"]
    MESSAGES.restrict_tools(request, {"a", "b"})
    assert MESSAGES.tools(request) == ["a", "b"]
    MESSAGES.restrict_tools(request, ())
    assert not {"tools", "mcp_servers", "tool_choice"} & request.keys()


def test_a_forced_tool_that_is_not_allowed_is_refused() -> None:
    request = request_of(tools=TOOLS, tool_choice={"type": "tool", "name": "a"})
    with pytest.raises(Malformed) as refused:
        MESSAGES.restrict_tools(request, {"b"})
    assert refused.value.param == "tool_choice"


@pytest.mark.parametrize(
    ("given_limits", "most", "written"),
    [
        ({"max_tokens": 50}, 10, {"max_tokens": 10}),
        ({"max_tokens": 5}, 10, {"max_tokens": 5}),
        ({"max_tokens": 0}, 10, {"max_tokens": 0}),
        ({"max_tokens": 9_000, "thinking": {"type": "enabled", "budget_tokens": 8_000}}, 4_000,
         {"max_tokens": 4_000, "thinking": {"type": "enabled", "budget_tokens": 3_999}}),
        ({"max_tokens": 9_000, "thinking": {"type": "enabled", "budget_tokens": 2_000}}, 4_000,
         {"max_tokens": 4_000, "thinking": {"type": "enabled", "budget_tokens": 2_000}}),
        ({"max_tokens": 9_000, "thinking": {"type": "adaptive"}}, 400,
         {"max_tokens": 400, "thinking": {"type": "adaptive"}}),
    ],
)  # fmt: skip
def test_output_is_limited_and_thinking_stays_below(
    given_limits: Any, most: int, written: Any
) -> None:
    request = request_of(**given_limits)
    MESSAGES.limit_output(request, most)
    assert request == request_of(**written)


def test_thinking_that_does_not_fit_is_refused() -> None:
    thinking = {"type": "enabled", "budget_tokens": 2_000}
    request = request_of(max_tokens=4_000, thinking=thinking)
    with pytest.raises(Malformed) as refused:
        MESSAGES.limit_output(request, 1_024)
    assert refused.value.param == "thinking.budget_tokens"


@pytest.mark.parametrize("more", [
    {"container": "c"}, {"thread": {"type": "create"}},
    {"tools": [{"type": "code_execution_20250825", "name": "run"}]},
])  # fmt: skip
def test_what_the_provider_keeps_is_not_answered_from_memory(more: Any) -> None:
    assert MESSAGES.repeatable(request_of())
    assert not MESSAGES.repeatable(request_of(**more))
