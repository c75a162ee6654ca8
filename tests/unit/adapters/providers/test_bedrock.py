"""The Bedrock adapter over a scripted transport: how it asks, and what it makes of answers.

The fixtures were written from AWS's public API reference; none of it ran live.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway.adapters.providers.bedrock import BedrockProvider
from gateway.adapters.providers.sigv4 import Signer
from gateway.core.errors import Code, UpstreamError
from gateway.core.money import Usage
from gateway.dialects.chat import Chat
from tests.unit.adapters.providers import frames
from tests.unit.adapters.providers.scripted import Scripted, answers, fails, refuses, said

HOST = "https://bedrock-runtime.eu-west-3.amazonaws.com"
MODEL = "anthropic.claude-sonnet-5-20260401-v1:0"
EVENTS = {"content-type": "application/vnd.amazon.eventstream"}
ASKED: dict[str, Any] = {"model": "ours", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**ASKED, "stream": True, "stream_options": {"include_usage": True}}
USED = {
    "inputTokens": 10, "outputTokens": 4, "totalTokens": 19,
    "cacheReadInputTokens": 3, "cacheWriteInputTokens": 2,
}  # fmt: skip
COUNTED = {
    "prompt_tokens": 15, "completion_tokens": 4, "total_tokens": 19,
    "prompt_tokens_details": {"cached_tokens": 3},
}  # fmt: skip


def bedrock(transport: httpx.AsyncBaseTransport, **more: Any) -> BedrockProvider:
    token = SecretStr("TOKEN")
    keys = SecretStr("AK"), SecretStr("SK"), token
    return BedrockProvider("up", "eu-west-3", *keys, transport, **more)


def response(*blocks: dict[str, Any], ends: str = "end_turn", **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": list(blocks)}
    return {"output": {"message": message}, "stopReason": ends, "usage": USED, **more}


async def whole(answer: dict[str, Any]) -> dict[str, Any]:
    (event,), _ = await answers(bedrock, Scripted([orjson.dumps(answer)]), ASKED, model=MODEL)
    assert event.whole
    return event.data


async def test_what_goes_out_is_signed() -> None:
    up = Scripted([orjson.dumps(response({"text": "hi"}))])
    await answers(bedrock, up, ASKED, model=MODEL)
    (request,) = up.requests
    assert str(request.url) == f"{HOST}/model/anthropic.claude-sonnet-5-20260401-v1%3A0/converse"
    body = await request.aread()
    assert orjson.loads(body) == {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
    when = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    keys = SecretStr("AK"), SecretStr("SK"), SecretStr("TOKEN")
    signer = Signer(*keys, "eu-west-3", "bedrock")
    signed = signer.signed("POST", request.url, {"content-type": "application/json"}, body, when)
    assert dict(request.headers) == {
        **signed,
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": "govgate",
    }
    assert request.headers["x-amz-security-token"] == "TOKEN"


async def test_a_stream_is_asked_for_elsewhere() -> None:
    def private(transport: httpx.AsyncBaseTransport) -> BedrockProvider:
        return bedrock(transport, endpoint="https://vpce-1.example:8443/")

    up = Scripted([stream()], headers=EVENTS)
    await answers(private, up, STREAM, model="arn:aws:bedrock:eu-west-3:1:inference-profile/x")
    assert str(up.requests[0].url) == (
        "https://vpce-1.example:8443/model/"
        "arn%3Aaws%3Abedrock%3Aeu-west-3%3A1%3Ainference-profile%2Fx/converse-stream"
    )
    assert up.requests[0].headers["accept"] == "application/vnd.amazon.eventstream"


@pytest.mark.parametrize("region", ["", "eu west", "eu.evil.example/", None])
def test_a_region_that_is_none(region: Any) -> None:
    with pytest.raises(ValueError, match="region"):
        BedrockProvider("up", region, SecretStr("a"), SecretStr("b"), None, Scripted())


def test_an_endpoint_that_is_not_plain_http_is_refused() -> None:
    with pytest.raises(ValueError, match="base URL"):
        bedrock(Scripted(), endpoint="ftp://x")


async def test_a_model_that_would_leave_its_place() -> None:
    assert await refuses(bedrock, ASKED, model="..") == "model"


class Other(Chat):
    action = "embeddings.create"


async def test_other_actions_are_unknown() -> None:
    with pytest.raises(UpstreamError) as caught:
        await answers(bedrock, up := Scripted(), ASKED, dialect=Other())
    assert (caught.value.code, up.requests) == (Code.UNKNOWN_URL, [])


async def test_a_whole_answer() -> None:
    data = await whole(response({"text": "Hel"}, {"text": "lo"}))
    assert data["object"] == "chat.completion"
    assert data["model"] == MODEL
    assert data["usage"] == COUNTED
    (choice,) = data["choices"]
    message = {"role": "assistant", "content": "Hello", "refusal": None}
    ending = {"logprobs": None, "finish_reason": "stop"}
    assert choice == {"index": 0, "message": message, **ending}


async def test_reasoning_and_calls() -> None:
    made = {"toolUseId": "t-1", "name": "weather", "input": {"city": "Kyiv"}}
    data = await whole(
        response(
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
            {"toolUse": made},
            {"toolUse": {"toolUseId": "t-2", "name": "now", "input": {}}},
            ends="tool_use",
        )
    )
    (choice,) = data["choices"]
    message = choice["message"]
    assert (choice["finish_reason"], message["content"]) == ("tool_calls", None)
    assert message["reasoning_content"] == "hm"
    assert message["extra_content"] == {"bedrock": {"reasoning_signature": "c2ln"}}
    assert message["tool_calls"] == [
        {
            "id": "t-1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city":"Kyiv"}'},
        },
        {"id": "t-2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
    ]


async def test_hidden_reasoning() -> None:
    data = await whole(response({"reasoningContent": {"redactedContent": "YQ=="}}, {"text": "a"}))
    message = data["choices"][0]["message"]
    assert message["extra_content"] == {"bedrock": {"redacted_reasoning": "YQ=="}}
    assert "reasoning_content" not in message


async def test_signatures_of_several_thoughts_could_not_be_told_apart() -> None:
    thought = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}}
    message = (await whole(response(thought, thought, {"text": "a"})))["choices"][0]["message"]
    assert message["reasoning_content"] == "hmhm"
    assert "extra_content" not in message


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
    ],
)
async def test_why_it_ended(reason: str, told: str) -> None:
    data = await whole(response({"text": "a"}, ends=reason))
    assert data["choices"][0]["finish_reason"] == told


@pytest.mark.parametrize("reason", ["guardrail_intervened", "content_filtered"])
async def test_a_filtered_answer_says_nothing(reason: str) -> None:
    call = {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}
    data = await whole(response({"text": "Sorry, blocked."}, call, ends=reason))
    (choice,) = data["choices"]
    assert choice["finish_reason"] == "content_filter"
    assert choice["message"] == {"role": "assistant", "content": None, "refusal": None}
    assert data["usage"] == COUNTED


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use", "new_one"])
async def test_an_answer_that_went_wrong_is_an_error(reason: str) -> None:
    up = Scripted([orjson.dumps(response({"text": "a"}, ends=reason))])
    error = await fails(bedrock, up, ASKED)
    assert reason in error.message
    assert not error.retryable


@pytest.mark.parametrize(
    "block",
    [
        {"image": {"format": "png", "source": {"bytes": "x"}}},
        {"citationsContent": {"content": [{"text": "a"}]}},
        {"text": "a", "unheardOf": {"text": "b"}},
        {"text": 7},
        {"toolUse": {"toolUseId": "t", "name": "f", "input": []}},
        {"toolUse": {"toolUseId": "t", "input": {}}},
        {"toolUse": {"name": "f", "input": {}}},
        {"toolUse": {"toolUseId": "t", "name": "f", "input": {}, "type": "server_tool_use"}},
        {"reasoningContent": {"reasoningText": {"text": 7}}},
        {"reasoningContent": {"unheardOf": "x"}},
        {},
        "a",
    ],
)
async def test_a_block_that_cannot_be_carried(block: Any) -> None:
    error = await fails(bedrock, Scripted([orjson.dumps(response(block))]), ASKED)
    assert (error.code, error.retryable) == (Code.UPSTREAM_ERROR, False)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        {"output": []},
        {"stopReason": 7},
        {"output": {"message": {"content": {}}}, "stopReason": "end_turn"},
        {**response({"text": "a"}), "usage": {"inputTokens": -1, "outputTokens": 1}},
        {**response({"text": "a"}), "usage": 7},
    ],
)
async def test_an_answer_that_is_not_in_shape(answer: Any) -> None:
    error = await fails(bedrock, Scripted([orjson.dumps(answer)]), ASKED)
    assert (error.code, error.retryable) == (Code.UPSTREAM_ERROR, False)


def delta(index: int, **said: Any) -> bytes:
    return frames.event("contentBlockDelta", {"contentBlockIndex": index, "delta": said})


def started(index: int, **call: Any) -> bytes:
    start = {"toolUse": call} if call else {}
    return frames.event("contentBlockStart", {"contentBlockIndex": index, "start": start})


def stopped(index: int) -> bytes:
    return frames.event("contentBlockStop", {"contentBlockIndex": index})


BEGIN = frames.event("messageStart", {"role": "assistant", "p": "abcd"})
COUNTS = frames.event("metadata", {"usage": USED, "metrics": {"latencyMs": 5}})


def end(reason: str = "end_turn") -> bytes:
    return frames.event("messageStop", {"stopReason": reason})


def stream(*inside: bytes, reason: str = "end_turn") -> bytes:
    return b"".join([BEGIN, *inside, end(reason), COUNTS])


SAID = stream(
    delta(0, reasoningContent={"text": "h"}),
    delta(0, reasoningContent={"text": "m"}),
    delta(0, reasoningContent={"signature": "c2"}),
    delta(0, reasoningContent={"signature": "ln"}),
    stopped(0),
    delta(1, text="Hel"),
    delta(1, text="lo"),
    stopped(1),
    started(2, toolUseId="t-1", name="weather"),
    delta(2, toolUse={"input": '{"city"'}),
    delta(2, toolUse={"input": ': "Kyiv"}'}),
    stopped(2),
    started(3, toolUseId="t-2", name="now"),
    delta(3, toolUse={"input": ""}),
    stopped(3),
    frames.event("unheardOf", {"x": 1}),
    reason="tool_use",
)


async def test_a_stream() -> None:
    events, _ = await answers(bedrock, Scripted([SAID], headers=EVENTS), STREAM, model=MODEL)
    assert not any(event.whole for event in events)
    assert events[0].data["choices"][0]["delta"] == {"role": "assistant", "refusal": None}
    assert (said(events), said(events, "reasoning_content")) == ("Hello", "hm")
    assert Chat().ended(events[-2]) == [0]
    assert events[-1].data["choices"] == []
    assert Chat().usage(events[-1]) == Usage(15, 4, exact=True)
    (choice,) = Chat().fold(events)["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["extra_content"] == {"bedrock": {"reasoning_signature": "c2ln"}}
    calls = choice["message"]["tool_calls"]
    assert [(call["id"], call["function"]["arguments"]) for call in calls] == [
        ("t-1", '{"city": "Kyiv"}'),
        ("t-2", "{}"),
    ]


async def test_usage_is_told_only_where_it_is_asked_for() -> None:
    up = Scripted([SAID], headers=EVENTS)
    events, _ = await answers(bedrock, up, {**ASKED, "stream": True})
    assert not any("usage" in event.data for event in events)


async def test_a_stream_that_a_guardrail_ends() -> None:
    up = Scripted([stream(delta(0, text="a"), reason="guardrail_intervened")], headers=EVENTS)
    events, _ = await answers(bedrock, up, STREAM)
    assert events[-2].data["choices"][0]["finish_reason"] == "content_filter"


@given(st.lists(st.integers(0, len(SAID)), max_size=12))
async def test_how_a_stream_is_cut_changes_nothing(cuts: list[int]) -> None:
    edges = sorted({0, len(SAID), *cuts})
    pieces = [SAID[a:b] for a, b in pairwise(edges)]
    events, _ = await answers(bedrock, Scripted(pieces, headers=EVENTS), STREAM)
    again, _ = await answers(bedrock, Scripted([SAID], headers=EVENTS), STREAM)
    assert [_alike(event.data) for event in events] == [_alike(event.data) for event in again]


def _alike(data: dict[str, Any]) -> dict[str, Any]:
    """A chunk without what belongs to its exchange alone."""
    return {name: value for name, value in data.items() if name not in ("id", "created")}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        BEGIN,
        BEGIN + delta(0, text="a"),
        BEGIN + end()[:-1],
        SAID[:-1],
        BEGIN + b"\x00" * 16,
        b'{"message": "no stream"}',
        BEGIN + end() + end(),
        BEGIN + frames.event("messageStop", {}),
        BEGIN + delta(0, image={"format": "png"}) + end(),
        BEGIN + delta(0, toolUse={"input": "{}"}) + end(),
        BEGIN + frames.event("contentBlockDelta", {"contentBlockIndex": "0", "delta": {}}),
        BEGIN + started(0, toolUseId="t", name="f") + started(0, toolUseId="t", name="f"),
        BEGIN + frames.event("contentBlockStart", {"start": {"image": {"format": "png"}}}),
        BEGIN + frames.frame(frames.header(":message-type", "event"), b"no JSON"),
        BEGIN + frames.frame(frames.header(":message-type", "exception"), b"[]"),
    ],
)
async def test_a_stream_that_stops_short_or_is_malformed(raw: bytes) -> None:
    error = await fails(bedrock, Scripted([raw], headers=EVENTS), STREAM)
    assert (error.code, error.retryable) == (Code.UPSTREAM_ERROR, False)


async def test_an_event_has_a_limit() -> None:
    def narrow(transport: httpx.AsyncBaseTransport) -> BedrockProvider:
        return bedrock(transport, max_event=500)

    up = Scripted([stream(delta(0, text="a" * 600))], headers=EVENTS)
    assert "more than 500 bytes" in (await fails(narrow, up, STREAM)).message


EXCEPTIONS = [
    ("throttlingException", 429, True),
    ("serviceUnavailableException", 503, True),
    ("internalServerException", 500, False),
    ("modelStreamErrorException", 500, False),
    ("modelTimeoutException", 408, False),
    ("validationException", 400, False),
    ("newException", 500, False),
]


@pytest.mark.parametrize(("kind", "status", "again"), EXCEPTIONS)
async def test_an_exception_before_anything_was_said(kind: str, status: int, again: bool) -> None:
    up = Scripted([frames.exception(kind, {"message": "m"})], headers=EVENTS)
    error = await fails(bedrock, up, STREAM)
    assert (error.status, error.retryable) == (status, again)
    assert error.body == {"message": "m", "code": kind}


@pytest.mark.parametrize("kind", [kind for kind, _, _ in EXCEPTIONS])
async def test_an_exception_after_something_was_said(kind: str) -> None:
    raw = BEGIN + delta(0, text="a") + frames.exception(kind, {"message": "m"})
    assert not (await fails(bedrock, Scripted([raw], headers=EVENTS), STREAM)).retryable


async def test_an_error_that_the_model_of_the_service_does_not_know() -> None:
    up = Scripted([frames.error("InternalError", "An error.")], headers=EVENTS)
    error = await fails(bedrock, up, STREAM)
    assert (error.status, error.body) == (500, {"message": "An error.", "code": "InternalError"})


@pytest.mark.parametrize(
    ("status", "told", "again"),
    [(400, 400, False), (408, 408, False), (424, 500, False), (429, 429, True), (503, 503, True)],
)
async def test_a_refusal(status: int, told: int, again: bool) -> None:
    up = Scripted([b'{"message": "m"}'], status=status, headers={"x-amzn-requestid": "r-1"})
    error = await fails(bedrock, up, ASKED)
    assert (error.status, error.retryable, error.body) == (told, again, {"message": "m"})


async def test_words_about_our_own_keys_are_not_passed_on() -> None:
    said = {"message": "The Canonical String should have been ... x-amz-security-token:TOKEN"}
    error = await fails(bedrock, Scripted([orjson.dumps(said)], status=403), ASKED)
    assert (error.status, error.body, error.retryable) == (403, None, False)


async def test_the_request_id_is_noted() -> None:
    headers = {"x-amzn-requestid": "r-1"}
    up = Scripted([orjson.dumps(response({"text": "a"}))], headers=headers)
    _, exchange = await answers(bedrock, up, ASKED)
    assert exchange.headers["x-govgate-upstream-request-id"] == "r-1"


async def test_an_answer_without_counts_has_no_usage() -> None:
    up = Scripted([BEGIN + started(0) + delta(0, text="a") + end()], headers=EVENTS)
    events, _ = await answers(bedrock, up, STREAM)
    assert said(events) == "a"
    assert not any("usage" in event.data for event in events)
    assert "usage" not in await whole(response({"text": "a"}, usage={"inputTokens": 1}))
