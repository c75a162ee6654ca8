"""A chat completion as a message, whole and streamed, over a scripted transport.

Both wires were written after the public API references; they were never recorded live.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.adapters.providers.translation.messages_to_chat import MessagesToChat
from gateway.core.errors import Code, UpstreamError
from gateway.core.money import Usage
from tests.unit.adapters.providers.two_apis import (
    GPT,
    MESSAGES,
    SSE,
    Upstream,
    chunks,
    exchange,
    said,
)

BODY: dict[str, Any] = {
    "model": "ours",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "hi"}],
}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


USAGE = {
    "prompt_tokens": 125,
    "completion_tokens": 7,
    "total_tokens": 132,
    "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 100},
    "completion_tokens_details": {"reasoning_tokens": 4},
}
COUNTED = {
    "input_tokens": 5,
    "output_tokens": 7,
    "cache_read_input_tokens": 20,
    "cache_creation_input_tokens": 100,
    "output_tokens_details": {"thinking_tokens": 4},
}


def completion(reason: str = "stop", usage: Any = USAGE, **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    return {"id": "c1", "model": "gpt", "choices": [choice], "usage": usage}


def call(id: str, arguments: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}, **more}


def whole(*arguments: Any, **message: Any) -> dict[str, Any]:
    return MessagesToChat(BODY, GPT).whole(completion(*arguments, **message))


def test_a_whole_answer() -> None:
    calls = [call("t1", '{"a":1}'), call("t2", "")]
    assert whole("tool_calls", reasoning_content="hm", content="so", tool_calls=calls) == {
        "id": "c1",
        "type": "message",
        "role": "assistant",
        "model": "gpt",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "text", "text": "so"},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
            {"type": "tool_use", "id": "t2", "name": "f", "input": {}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": COUNTED,
    }


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ({"content": ""}, []),
        ({"content": None, "refusal": "no"}, [text("no")]),
        (
            {"reasoning": "hm", "reasoning_content": "hm"},
            [{"type": "thinking", "thinking": "hm", "signature": ""}],
        ),
        (
            {"content": [{"type": "thinking", "thinking": [text("hm")]}, text("so"), text("")]},
            [{"type": "thinking", "thinking": "hm", "signature": ""}, text("so")],
        ),
    ],
)
def test_what_is_said(message: dict[str, Any], content: list[Any]) -> None:
    assert whole(**message)["content"] == content


@pytest.mark.parametrize(
    ("reason", "ending"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
        ("a_new_reason", "end_turn"),
    ],
)
def test_endings(reason: str, ending: str) -> None:
    assert whole(reason, content="x")["stop_reason"] == ending


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": 1}, "x"])
def test_usage_that_was_not_told_is_not_known(usage: Any) -> None:
    counts = whole("stop", usage, content="x")["usage"]
    assert counts == {"input_tokens": None, "output_tokens": None}


def test_a_call_that_the_limit_cut_short_is_left_out() -> None:
    calls = [call("t1", "{}"), call("t2", '{"a":')]
    content = whole("length", tool_calls=calls)["content"]
    assert [block["id"] for block in content] == ["t1"]


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": []},
        {"choices": "x"},
        {"choices": [1]},
        {"choices": [{}, {}]},
        completion() | {"choices": [{"index": 1, "message": {}, "finish_reason": "stop"}]},
        {"choices": [{"message": {"content": "x"}}]},
        {"choices": [{"message": "x", "finish_reason": "stop"}]},
        completion(content=1),
        completion(content=[{"type": "image_url"}]),
        completion(tool_calls=[call("t", "nonsense")]),
        completion(tool_calls=[call("t", "[]")]),
        completion(tool_calls=[{"id": "t", "type": "custom", "custom": {}}]),
        completion(tool_calls="x"),
        completion(audio={"data": "x"}),
        completion(function_call={"name": "f", "arguments": "{}"}),
    ],
)
async def test_an_answer_that_cannot_be_carried_is_an_error(answer: dict[str, Any]) -> None:
    error, _ = await failing(Upstream(orjson.dumps(answer)), BODY)
    assert error.code is Code.UPSTREAM_ERROR


async def failing(up: Upstream, body: dict[str, Any]) -> tuple[UpstreamError, list[Any]]:
    """The error, and what was said before it."""
    told: list[Any] = []

    async def ask() -> None:
        async with exchange(MESSAGES) as ours:
            async for event in await up.openai().send(ours, GPT, body):
                told.append(event.data)

    with pytest.raises(UpstreamError) as caught:
        await ask()
    assert up.closed
    return caught.value, told


def piece(reason: str | None = None, **delta: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "c1", "model": "gpt", "choices": [choice]}


COUNT = {"id": "c1", "model": "gpt", "choices": [], "usage": USAGE}
STREAM = [
    piece(role="assistant", content=""),
    piece(reasoning_content="h"),
    piece(reasoning_content="m"),
    piece(content="so "),
    piece(content="be it"),
    piece(tool_calls=[call("t1", "", index=0)]),
    piece(tool_calls=[{"index": 0, "function": {"arguments": '{"a":1}'}}]),
    piece(tool_calls=[call("t2", "{}", index=1)]),
    piece("tool_calls"),
    COUNT,
]


def begin(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **words: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **words}}


def leave(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


async def test_a_stream_of_everything() -> None:
    up = Upstream(chunks(*STREAM), headers=SSE)
    async with exchange(MESSAGES, anthropic_beta="x") as ours:
        events = await up.openai().send(ours, GPT, {**BODY, "stream": True})
        told = await said(events)
    (request,) = up.requests
    assert str(request.url) == "https://up.example/v1/chat/completions"
    assert "anthropic-beta" not in request.headers
    start = {
        "id": "c1",
        "type": "message",
        "role": "assistant",
        "model": "gpt",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }
    ending = {"stop_reason": "tool_use", "stop_sequence": None}
    assert told == [
        {"type": "message_start", "message": start},
        begin(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="h"),
        delta(0, "thinking_delta", thinking="m"),
        leave(0),
        begin(1, type="text", text=""),
        delta(1, "text_delta", text="so "),
        delta(1, "text_delta", text="be it"),
        leave(1),
        begin(2, type="tool_use", id="t1", name="f", input={}),
        delta(2, "input_json_delta", partial_json='{"a":1}'),
        leave(2),
        begin(3, type="tool_use", id="t2", name="f", input={}),
        delta(3, "input_json_delta", partial_json="{}"),
        leave(3),
        {"type": "message_delta", "delta": ending, "usage": COUNTED},
        {"type": "message_stop"},
    ]


async def test_either_form_of_an_answer_will_do() -> None:
    async with exchange(MESSAGES) as ours:
        up = Upstream(chunks(*STREAM), headers=SSE)
        (folded,) = await said(await up.openai().send(ours, GPT, BODY))
        assert [block["type"] for block in folded["content"]] == ["thinking", "text", *CALLED]
        assert folded["usage"] == COUNTED
        up = Upstream(orjson.dumps(completion(content="x")))
        events = await up.openai().send(ours, GPT, {**BODY, "stream": True})
        assert MESSAGES.fold([event async for event in events]) == whole(content="x")


CALLED = ("tool_use", "tool_use")


async def test_usage_that_was_not_told_is_not_known_once_folded() -> None:
    up = Upstream(chunks(*STREAM[:9]), headers=SSE)
    async with exchange(MESSAGES) as ours:
        (event,) = [event async for event in await up.openai().send(ours, GPT, BODY)]
    assert event.whole
    assert MESSAGES.usage(event) is None


async def test_usage_is_exact_only_once_it_is_told() -> None:
    up = Upstream(chunks(*STREAM), headers=SSE)
    async with exchange(MESSAGES) as ours:
        sent = await up.openai().send(ours, GPT, {**BODY, "stream": True})
        events = [event async for event in sent]
    exact = [usage for event in events if (usage := MESSAGES.usage(event)) and usage.exact]
    assert exact == [Usage(125, 7, exact=True)]


async def test_a_stream_may_end_without_done_once_it_is_finished() -> None:
    for length in (9, 10):
        up = Upstream(chunks(*STREAM[:length]).removesuffix(b"data: [DONE]\n\n"), headers=SSE)
        async with exchange(MESSAGES) as ours:
            told = await said(await up.openai().send(ours, GPT, {**BODY, "stream": True}))
        assert told[-1] == {"type": "message_stop"}
        known = {"input_tokens": None, "output_tokens": None} if length == 9 else COUNTED
        assert told[-2]["usage"] == known


@pytest.mark.parametrize("length", range(9))
@pytest.mark.parametrize("done", [True, False])
async def test_a_stream_that_stops_short_is_an_error(length: int, done: bool) -> None:
    wire = chunks(*STREAM[:length])
    wire = wire if done else wire.removesuffix(b"data: [DONE]\n\n")
    up = Upstream(wire, headers=SSE)
    error, told = await failing(up, {**BODY, "stream": True})
    assert error.code is Code.UPSTREAM_ERROR
    assert {"type": "message_stop"} not in told


@pytest.mark.parametrize(
    "events",
    [
        [piece(tool_calls=[call("t1", "{", index=0), call("t2", "{", index=1)]), STREAM[6]],
        [
            piece(tool_calls=[call("t1", "{}", index=0)]),
            piece(tool_calls=[call("t2", "", index=0)]),
        ],
        [piece(tool_calls=[call("t1", "{}", index="0")])],
        [piece(tool_calls=[{"index": 0, "function": {"arguments": 1}}])],
        [piece(tool_calls=[{"index": 0, "type": "custom"}])],
        [piece(content=1)],
        [piece(audio={"data": "x"})],
        [{"choices": [{"index": 1, "delta": {"content": "x"}}]}],
    ],
)
async def test_an_event_that_cannot_be_carried_is_an_error(events: list[dict[str, Any]]) -> None:
    up = Upstream(chunks(*events, *STREAM[8:]), headers=SSE)
    error, _ = await failing(up, {**BODY, "stream": True})
    assert error.code is Code.UPSTREAM_ERROR


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "overloaded_error"),
    ],
)
async def test_an_error_speaks_as_messages_does(status: int, kind: str) -> None:
    raw = orjson.dumps({"error": {"message": "m", "type": "t", "param": "p", "code": "c"}})
    error, _ = await failing(Upstream(raw, status=status), BODY)
    assert error.body == {"type": kind, "message": "m", "code": "c"}
    assert error.status == status


async def test_an_error_inside_a_stream() -> None:
    for length in (0, 5):
        wire = chunks(*STREAM[:length], {"error": {"message": "m", "type": "t"}})
        error, _ = await failing(Upstream(wire, headers=SSE), {**BODY, "stream": True})
        assert error.body == {"type": "api_error", "message": "m"}
