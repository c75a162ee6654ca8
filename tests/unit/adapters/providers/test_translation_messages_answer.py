"""Messages' answer as a chat completion, whole and streamed.

Both wires were written after the public API references; they were never recorded live.
"""

from __future__ import annotations

from typing import Any

import pytest

from gateway.adapters.providers.translation.chat_to_messages import ChatToMessages
from gateway.core.answer import Event
from tests.unit.adapters.providers.two_apis import CHAT, CLAUDE

USAGE = {
    "input_tokens": 5,
    "cache_read_input_tokens": 20,
    "cache_creation_input_tokens": 100,
    "output_tokens": 7,
    "output_tokens_details": {"thinking_tokens": 4},
}


def answer(*content: dict[str, Any], reason: str = "end_turn", **more: Any) -> dict[str, Any]:
    whole = {"id": "msg_1", "model": "claude", "content": list(content), "stop_reason": reason}
    return ChatToMessages({}, CLAUDE, 99).whole({**whole, "usage": USAGE, **more})


def test_a_whole_answer() -> None:
    assert answer(
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "zzz"},
        {"type": "text", "text": "one "},
        {"type": "text", "text": "two"},
        {"type": "tool_use", "id": "t1", "name": "find", "input": {"a": [1]}},
        reason="tool_use",
    ) == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 99,
        "model": "claude",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "one two",
                    "refusal": None,
                    "reasoning_content": "hm",
                    "tool_calls": [
                        {
                            "id": "t1",
                            "type": "function",
                            "function": {"name": "find", "arguments": '{"a":[1]}'},
                        }
                    ],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 125,
            "completion_tokens": 7,
            "total_tokens": 132,
            "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 100},
            "completion_tokens_details": {"reasoning_tokens": 4},
        },
    }


@pytest.mark.parametrize(
    ("reason", "ending"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("a_new_reason", "stop"),
    ],
)
def test_endings(reason: str, ending: str) -> None:
    (choice,) = answer(reason=reason)["choices"]
    assert choice["finish_reason"] == ending
    assert choice["message"]["content"] is None


def test_why_it_refused() -> None:
    details = {"type": "refusal", "category": None, "explanation": "not that"}
    (choice,) = answer(reason="refusal", stop_details=details)["choices"]
    assert choice["message"]["refusal"] == "not that"


def chunks_of(*events: dict[str, Any]) -> list[dict[str, Any]]:
    translation = ChatToMessages({"stream": True}, CLAUDE, 99)
    start = {"type": "message_start", "message": {"id": "m", "model": "c", "usage": USAGE}}
    said = [chunk for event in (start, *events) for chunk in translation.events(event)]
    return said + list(translation.end())


def end(reason: str, **more: Any) -> list[dict[str, Any]]:
    delta = {"stop_reason": reason, **more}
    return [{"type": "message_delta", "delta": delta, "usage": {"output_tokens": 7}}, STOP]


STOP = {"type": "message_stop"}


def begin(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **said: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **said}}


def leave(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def test_a_stream_of_everything() -> None:
    said = chunks_of(
        begin(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "signature_delta", signature="s"),
        leave(0),
        begin(1, type="redacted_thinking", data="zzz"),
        leave(1),
        begin(2, type="text", text="so "),
        delta(2, "text_delta", text="be it"),
        delta(2, "citations_delta", citation={}),
        leave(2),
        begin(3, type="tool_use", id="t1", name="find", input={}),
        delta(3, "input_json_delta", partial_json=""),
        delta(3, "input_json_delta", partial_json='{"a":'),
        delta(3, "input_json_delta", partial_json="1}"),
        leave(3),
        begin(4, type="tool_use", id="t2", name="go", input={}),
        leave(4),
        begin(5, type="tool_use", id="t3", name="go", input={"b": 2}),
        leave(5),
        {"type": "ping"},
        {"type": "an_event_to_come"},
        *end("tool_use"),
    )
    assert {(chunk["id"], chunk["object"], chunk["created"], chunk["model"]) for chunk in said} == {
        ("m", "chat.completion.chunk", 99, "c")
    }

    def call(index: int, arguments: str, **head: Any) -> dict[str, Any]:
        function = {"name": head.pop("name"), "arguments": arguments} if head else None
        more = head | {"type": "function"} if head else {}
        piece = {"index": index, **more, "function": function or {"arguments": arguments}}
        return {"tool_calls": [piece]}

    assert [chunk["choices"][0]["delta"] for chunk in said] == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm"},
        {"content": "so "},
        {"content": "be it"},
        call(0, "", id="t1", name="find"),
        call(0, '{"a":'),
        call(0, "1}"),
        call(1, "", id="t2", name="go"),
        call(1, "{}"),
        call(2, "", id="t3", name="go"),
        call(2, '{"b":2}'),
        {},
    ]
    endings = [chunk["choices"][0]["finish_reason"] for chunk in said]
    assert endings == [None] * 11 + ["tool_calls"]


def test_a_refusal_inside_a_stream() -> None:
    said = chunks_of(*end("refusal", stop_details={"type": "refusal", "explanation": "not that"}))
    assert [chunk["choices"][0]["delta"] for chunk in said[1:]] == [{"refusal": "not that"}, {}]
    assert said[-1]["choices"][0]["finish_reason"] == "content_filter"


def test_usage_is_told_when_asked_for_and_known() -> None:
    def told(options: Any, counted: Any) -> list[Any]:
        translation = ChatToMessages({"stream": True, "stream_options": options}, CLAUDE, 0)
        placeholder = {"input_tokens": 5, "output_tokens": 1}
        for event in (
            {"type": "message_start", "message": {"id": "m", "usage": placeholder}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": counted},
            STOP,
        ):
            list(translation.events(event))
        return [CHAT.usage(Event(chunk)) for chunk in translation.end()]

    (usage,) = told({"include_usage": True}, {"output_tokens": 7})
    assert (usage.input_tokens, usage.output_tokens) == (5, 7)
    (usage,) = told({"include_usage": True}, {"output_tokens": 7, "input_tokens": 6})
    assert usage.input_tokens == 6
    assert told({}, {"output_tokens": 7}) == []
    assert told(None, {"output_tokens": 7}) == []
    assert told({"include_usage": True}, None) == []  # the placeholder of the start is no count


def test_a_stop_without_a_reason_is_no_ending() -> None:
    with pytest.raises(ValueError, match="before it was complete"):
        chunks_of(STOP)
