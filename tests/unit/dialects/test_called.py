"""The tools that are called are found in the shapes of every API."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects.called import called

CALLS: dict[str, Any] = {
    "chat": {"messages": [{"role": "assistant", "tool_calls": [
        {"id": "c", "type": "function", "function": {"name": "send", "arguments": "{}"}}]}]},
    "chat, custom": {"choices": [{"message": {"tool_calls": [
        {"type": "custom", "custom": {"name": "send", "input": "x"}}]}}]},
    "chat, of old": {"choices": [{"message": {"function_call": {"name": "send"}}}]},
    "chat, answered of old": {"messages": [{"role": "function", "name": "send", "content": "x"}]},
    "chat, streamed": {"choices": [{"delta": {"tool_calls": [
        {"index": 3, "function": {"name": "send", "arguments": ""}}]}}]},
    "messages": {"messages": [{"content": [{"type": "tool_use", "name": "send", "input": {}}]}]},
    "messages, streamed": {"type": "content_block_start", "index": 1,
                           "content_block": {"type": "tool_use", "name": "send", "input": {}}},
    "messages, of a server": {"content": [{"type": "server_tool_use", "name": "send"}]},
    "messages, of MCP": {"content": [
        {"type": "mcp_tool_use", "name": "other", "server_name": "send"}]},
    "responses": {"input": [{"type": "function_call", "name": "send", "arguments": "{}"}]},
    "responses, custom": {"output": [{"type": "custom_tool_call", "name": "send"}]},
    "responses, streamed": {"type": "response.output_item.added",
                            "item": {"type": "function_call", "name": "send"}},
    "responses, hosted": {"output": [{"type": "send_call", "id": "x"}]},
    "responses, to be approved": {"output": [{"type": "mcp_approval_request", "name": "send"}]},
}  # fmt: skip


@pytest.mark.parametrize("shape", CALLS)
def test_a_call_is_found(shape: str) -> None:
    assert "send" in {name for _, name in called(CALLS[shape])}


def test_what_a_tool_is_given_names_no_tool() -> None:
    inside = {"type": "tool_use", "name": "pay", "function": {"name": "pay"}}
    block = {"type": "tool_use", "name": "send", "input": inside}
    assert {name for _, name in called({"content": [block]})} == {"send"}


def test_a_hosted_tool_goes_by_the_name_under_which_it_is_offered_too() -> None:
    names = {name for _, name in called({"output": [{"type": "computer_call"}]})}
    assert "computer_use_preview" in names


def test_an_mcp_server_goes_by_its_label() -> None:
    item = {"type": "mcp_call", "name": "find", "server_label": "crm"}
    assert {name for _, name in called({"output": [item]})} == {"find", "crm", "mcp:crm"}


def test_the_pieces_of_one_call_have_one_place() -> None:
    def piece(name: str) -> dict[str, Any]:
        call = {"index": 0, "function": {"name": name}}
        return {"choices": [{"index": 1, "delta": {"tool_calls": [call]}}]}

    assert [place for place, _ in called(piece("se"))] == [
        place for place, _ in called(piece("nd"))
    ]


def test_words_are_no_calls() -> None:
    said = {"messages": [{"role": "user", "content": "call send", "name": "ann"}], "model": "m"}
    assert list(called(said)) == []
