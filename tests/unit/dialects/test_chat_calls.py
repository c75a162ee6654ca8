"""What a chat answer says of its calls."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.calls import Piece, Place
from gateway.dialects.chat import Chat
from tests.exchanges import chunk, whole

CHAT = Chat()
FUNCTION = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("said", "place", "name", "text"),
    [
        ({"tool_calls": [FUNCTION]}, "tool_calls/0/function", "f", "{}"),
        ({"tool_calls": [FUNCTION | {"index": 4}]}, "tool_calls/4/function", "f", "{}"),
        (
            {"tool_calls": [{"custom": {"name": "g", "input": "x"}}]},
            "tool_calls/0/custom",
            "g",
            "x",
        ),
        ({"tool_calls": [{"function": {"arguments": None}}]}, "tool_calls/0/function", "", ""),
        ({"tool_calls": [{"id": "t", "type": "later"}]}, "tool_calls/0", "", ""),
        ({"function_call": {"name": "h"}}, "function_call", "h", ""),
    ],
)
def test_a_call_in_each_form(said: dict[str, Any], place: str, name: str, text: str) -> None:
    piece = Piece(Place(2, place), name, text)
    assert list(CHAT.calls(chunk(2, said))) == [piece]
    event = whole(None, **said)
    assert list(CHAT.calls(event)) == [piece._replace(place=Place(0, place))]


def test_a_message_in_a_stream_is_read_too() -> None:
    event = chunk(0, {})
    event.data["choices"][0]["message"] = {"tool_calls": [FUNCTION]}
    assert [piece.name for piece in CHAT.calls(event)] == ["f"]


def test_text_is_no_call() -> None:
    assert list(CHAT.calls(chunk(0, {"content": "tool_calls"}))) == []


def test_what_is_beside_a_call_is_said_by_itself() -> None:
    said = {"content": "a", "refusal": "b", "tool_calls": [FUNCTION], "later": "f"}
    events = list(CHAT.beside_calls(chunk(1, said, "tool_calls")))
    deltas = [event.data["choices"][0] for event in events]
    assert [choice["delta"] for choice in deltas] == [{"content": "a"}, {"refusal": "b"}]
    assert {(choice["index"], choice["finish_reason"]) for choice in deltas} == {(1, None)}
