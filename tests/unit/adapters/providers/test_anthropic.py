"""The Anthropic adapter over a scripted transport: native calls, and a chat caller's.

The wire was written after Anthropic's API reference; it was never recorded live.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from gateway.adapters.providers.anthropic import AnthropicProvider
from gateway.core.errors import Code, Malformed, UpstreamError
from gateway.core.exchange import Exchange
from gateway.core.money import Usage
from gateway.dialects.count_tokens import CountTokens
from gateway.dialects.embeddings import Embeddings
from tests.unit.adapters.providers.two_apis import (
    CHAT,
    CLAUDE,
    MESSAGES,
    SSE,
    Upstream,
    exchange,
    said,
    sse,
)

NATIVE: dict[str, Any] = {"model": "ours", "messages": [], "max_tokens": 9, "unknown": [1, None]}
ASKED: dict[str, Any] = {"model": "ours", "messages": [{"role": "user", "content": "hi"}]}
USAGE = {"input_tokens": 3, "output_tokens": 2}
WHOLE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": USAGE,
}
STARTED = {**WHOLE, "content": [], "stop_reason": None}
STREAM = [
    {"type": "message_start", "message": STARTED},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


async def native(up: Upstream, body: dict[str, Any], **forwarded: str) -> list[Any]:
    async with exchange(MESSAGES, **forwarded) as ours:
        events = await up.anthropic().send(ours, CLAUDE, body)
        return [event async for event in events]


async def failing(ours: Exchange, up: Upstream, body: dict[str, Any]) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        async with ours:
            await said(await up.anthropic().send(ours, CLAUDE, body))
    assert up.closed
    return caught.value


async def test_what_goes_out() -> None:
    up = Upstream(orjson.dumps(WHOLE))
    await native(up, NATIVE)
    (request,) = up.requests
    assert str(request.url) == "https://api.anthropic.com/v1/messages"
    assert dict(request.headers) == {
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": "govgate",
        "anthropic-version": "2023-06-01",
        "x-api-key": "sk-1",
    }
    assert up.sent() == {**NATIVE, "model": "claude"}


async def test_a_callers_version_and_betas_are_forwarded() -> None:
    up = Upstream(orjson.dumps(WHOLE))
    await native(up, NATIVE, anthropic_version="2099-01-01", anthropic_beta="a,b")
    (request,) = up.requests
    assert request.headers["anthropic-version"] == "2099-01-01"
    assert request.headers["anthropic-beta"] == "a,b"


async def test_a_chat_callers_headers_are_not_forwarded() -> None:
    up = Upstream(orjson.dumps(WHOLE))
    async with exchange(CHAT, anthropic_version="2099-01-01", openai_beta="x") as ours:
        await up.anthropic().send(ours, CLAUDE, ASKED)
    (request,) = up.requests
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert "openai-beta" not in request.headers


async def test_the_operators_headers_and_base_go_out_and_no_key_where_there_is_none() -> None:
    up = Upstream(orjson.dumps(WHOLE))
    more = {"anthropic-beta": "operator"}
    provider = AnthropicProvider("up", "http://127.0.0.1:1/", None, up.transport(), headers=more)
    async with exchange(MESSAGES) as ours:
        await provider.send(ours, CLAUDE, NATIVE)
    (request,) = up.requests
    assert str(request.url) == "http://127.0.0.1:1/v1/messages"
    assert request.headers["anthropic-beta"] == "operator"
    assert "x-api-key" not in request.headers


@pytest.mark.parametrize("base", ["ftp://x", "https://u:p@x", "https://x/?q=1", "x"])
def test_a_base_url_that_is_none(base: str) -> None:
    with pytest.raises(ValueError, match="a base URL"):
        AnthropicProvider("up", base, SecretStr("k"), Upstream().transport())


async def test_a_whole_answer_leaves_as_it_came() -> None:
    raw = b'{ "type" : "message", "odd":1.50, "content":[] }'
    (event,) = await native(Upstream(raw), NATIVE)
    assert event.whole
    assert event.encode() == raw


async def test_a_stream_leaves_as_it_came() -> None:
    padded = b'event: message_stop\ndata: {"type":"message_stop"      }\n\n'
    up = Upstream(sse(*STREAM[:-1]), padded, headers=SSE)
    events = await native(up, {**NATIVE, "stream": True})
    assert [event.data for event in events] == STREAM
    assert events[-1].encode() == b'{"type":"message_stop"      }'
    assert up.requests[0].headers["accept"] == "text/event-stream"


async def test_what_comes_after_the_end_of_a_stream_is_not_handed_on() -> None:
    up = Upstream(sse(*STREAM, STREAM[3]), headers=SSE)
    events = await native(up, {**NATIVE, "stream": True})
    assert [event.data for event in events] == STREAM


@pytest.mark.parametrize("length", range(len(STREAM)))
async def test_a_stream_that_stops_short_is_an_error(length: int) -> None:
    for dialect, body in ((MESSAGES, NATIVE), (CHAT, ASKED)):
        up = Upstream(sse(*STREAM[:length]), headers=SSE)
        error = await failing(exchange(dialect), up, {**body, "stream": True})
        assert error.code is Code.UPSTREAM_ERROR
        assert not error.retryable


async def test_a_stream_that_is_torn_off_is_an_error() -> None:
    for dialect, body in ((MESSAGES, NATIVE), (CHAT, ASKED)):
        up = Upstream(sse(*STREAM)[:-2], headers=SSE)
        error = await failing(exchange(dialect), up, {**body, "stream": True})
        assert "before it was complete" in error.message


@pytest.mark.parametrize("field", [b"data", b"data:", b"data: "])
@pytest.mark.parametrize("whole", range(len(STREAM)))
async def test_a_stream_that_is_torn_before_its_data_is_an_error(whole: int, field: bytes) -> None:
    """No data is no ending: of these streams none says by its data that it is over."""
    kind = STREAM[whole]["type"].encode()
    torn = sse(*STREAM[:whole]) + b"event: %b\n%b" % (kind, field)
    for wire in (torn, torn + b"\n\n"):
        for dialect, body in ((MESSAGES, NATIVE), (CHAT, ASKED)):
            for stream in (False, True):
                up = Upstream(wire, headers=SSE)
                error = await failing(exchange(dialect), up, {**body, "stream": stream})
                assert error.code is Code.UPSTREAM_ERROR


async def test_either_form_of_an_answer_will_do() -> None:
    (event,) = await native(Upstream(sse(*STREAM), headers=SSE), NATIVE)
    assert event.whole
    assert event.data == WHOLE
    events = await native(Upstream(orjson.dumps(WHOLE)), {**NATIVE, "stream": True})
    assert MESSAGES.fold(events) == WHOLE


async def test_tokens_are_counted() -> None:
    up = Upstream(b'{"input_tokens":7}')
    async with exchange(CountTokens()) as ours:
        events = await up.anthropic().send(ours, CLAUDE, {"model": "ours", "messages": []})
        assert await said(events) == [{"input_tokens": 7}]
    (request,) = up.requests
    assert str(request.url) == "https://api.anthropic.com/v1/messages/count_tokens"


async def test_an_action_it_does_not_serve_is_refused_unsent() -> None:
    up = Upstream()
    with pytest.raises(UpstreamError) as caught:
        async with exchange(Embeddings()) as ours:
            await up.anthropic().send(ours, CLAUDE, NATIVE)
    assert caught.value.code is Code.UNKNOWN_URL
    assert not up.requests
    assert ours.usage == Usage(0, 0, exact=True)


async def test_what_cannot_be_translated_is_refused_unsent_and_costs_nothing() -> None:
    up = Upstream()
    with pytest.raises(Malformed) as caught:
        async with exchange(CHAT) as ours:
            await up.anthropic().send(ours, CLAUDE, {**ASKED, "n": 2})
    assert caught.value.param == "n"
    assert not up.requests
    assert ours.usage == Usage(0, 0, exact=True)


async def test_a_chat_caller_gets_a_chat_completion() -> None:
    up = Upstream(orjson.dumps(WHOLE))
    async with exchange(CHAT) as ours:
        (event,) = [event async for event in await up.anthropic().send(ours, CLAUDE, ASKED)]
    assert event.whole
    assert event.data["object"] == "chat.completion"
    assert event.data["created"] == int(ours.started.timestamp())
    assert event.data["choices"][0]["message"]["content"] == "hello"
    assert CHAT.usage(event) == Usage(3, 2, exact=True)
    assert up.sent() == {"model": "claude", "max_tokens": 4096, "messages": ASKED["messages"]}


async def test_a_chat_caller_gets_chunks() -> None:
    up = Upstream(sse(*STREAM), headers=SSE)
    async with exchange(CHAT) as ours:
        body = {**ASKED, "stream": True, "stream_options": {"include_usage": True}}
        events = [event async for event in await up.anthropic().send(ours, CLAUDE, body)]
    assert [list(event.data["choices"][0]["delta"].items()) for event in events[:-1]] == [
        [("role", "assistant"), ("content", "")],
        [("content", "hello")],
        [],
    ]
    assert CHAT.ended(events[-2]) == [0]
    assert CHAT.only_usage(events[-1])
    assert CHAT.usage(events[-1]) == Usage(3, 2, exact=True)


async def test_a_chat_caller_gets_either_form_of_an_answer() -> None:
    async with exchange(CHAT) as ours:
        up = Upstream(sse(*STREAM), headers=SSE)
        (event,) = [event async for event in await up.anthropic().send(ours, CLAUDE, ASKED)]
        assert event.data["choices"][0]["message"]["content"] == "hello"
        assert CHAT.usage(event) == Usage(3, 2, exact=True)
        up = Upstream(orjson.dumps(WHOLE))
        body = {**ASKED, "stream": True}
        events = [event async for event in await up.anthropic().send(ours, CLAUDE, body)]
        assert CHAT.fold(events)["choices"][0]["message"]["content"] == "hello"


@pytest.mark.parametrize(("status", "retryable"), [(429, True), (529, True), (500, False)])
async def test_an_error_keeps_its_words(status: int, retryable: bool) -> None:
    raw = orjson.dumps({**OVERLOADED, "request_id": "req_1"})
    error = await failing(exchange(MESSAGES), Upstream(raw, status=status), NATIVE)
    assert (error.status, error.retryable) == (status, retryable)
    assert error.body == OVERLOADED["error"]
    error = await failing(exchange(CHAT), Upstream(raw, status=status), ASKED)
    assert (error.status, error.retryable) == (status, retryable)
    assert error.body == {
        "type": "server_error",
        "message": "Overloaded",
        "param": None,
        "code": "overloaded_error",
    }


async def test_an_error_inside_a_stream() -> None:
    for length in (0, 4):
        pieces = sse(*STREAM[:length], OVERLOADED)
        up = Upstream(pieces, headers=SSE)
        error = await failing(exchange(MESSAGES), up, {**NATIVE, "stream": True})
        assert error.body == OVERLOADED["error"]
        up = Upstream(pieces, headers=SSE)
        error = await failing(exchange(CHAT), up, {**ASKED, "stream": True})
        assert error.body is not None
        assert (error.body["type"], error.body["code"]) == ("server_error", "overloaded_error")


async def test_an_error_where_a_whole_answer_should_be() -> None:
    error = await failing(exchange(CHAT), Upstream(orjson.dumps(OVERLOADED)), ASKED)
    assert error.body is not None
    assert error.body["code"] == "overloaded_error"


async def test_words_about_our_own_key_are_not_passed_on() -> None:
    raw = orjson.dumps({"type": "error", "error": {"type": "a", "message": "bad key sk-1"}})
    for dialect, body in ((MESSAGES, NATIVE), (CHAT, ASKED)):
        error = await failing(exchange(dialect), Upstream(raw, status=401), body)
        assert error.body is None


@pytest.mark.parametrize(
    "answer",
    [
        {**WHOLE, "content": "hello"},
        {**WHOLE, "content": None},
        {**WHOLE, "stop_reason": None},
        {**WHOLE, "content": ["hello"]},
        {**WHOLE, "content": [{"type": "text", "text": 1}]},
        {**WHOLE, "content": [{"type": "tool_use", "id": "t", "name": "f", "input": "x"}]},
        {**WHOLE, "content": [{"type": "server_tool_use", "id": "s", "name": "w", "input": {}}]},
    ],
)
async def test_an_answer_that_cannot_be_carried_is_an_error(answer: dict[str, Any]) -> None:
    error = await failing(exchange(CHAT), Upstream(orjson.dumps(answer)), ASKED)
    assert error.code is Code.UPSTREAM_ERROR


@pytest.mark.parametrize(
    "event",
    [
        {"type": "message_start", "message": None},
        {"type": "content_block_start", "index": 1},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "web_search_x"}},
        {"type": "content_block_delta", "index": 7, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "content_block_delta", "index": [], "delta": {"type": "text_delta", "text": "x"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 1}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "other_delta", "text": "x"}},
        {"type": "content_block_delta", "index": 0, "delta": None},
        {"type": "message_delta", "delta": None},
    ],
)
async def test_an_event_that_cannot_be_carried_is_an_error(event: dict[str, Any]) -> None:
    up = Upstream(sse(*STREAM[:2], event, *STREAM[2:]), headers=SSE)
    error = await failing(exchange(CHAT), up, {**ASKED, "stream": True})
    assert error.code is Code.UPSTREAM_ERROR
