"""The Gemini adapter over a scripted transport: where it asks, and what it makes of answers.

The fixtures were written from Google's public API reference; none of it ran live.
"""

from __future__ import annotations

import base64
import struct
from itertools import pairwise
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway.adapters.providers.gemini import GeminiProvider
from gateway.core.errors import Code, UpstreamError
from gateway.core.money import Usage
from gateway.dialects.chat import Chat
from tests.unit.adapters.providers.scripted import Scripted, answers, fails, refuses, said

BASE = "https://generativelanguage.googleapis.com/v1beta"
SSE = {"content-type": "text/event-stream"}
ASKED: dict[str, Any] = {"model": "ours", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**ASKED, "stream": True, "stream_options": {"include_usage": True}}
USED = {
    "promptTokenCount": 10, "candidatesTokenCount": 4, "thoughtsTokenCount": 6,
    "toolUsePromptTokenCount": 2, "cachedContentTokenCount": 3, "totalTokenCount": 22,
}  # fmt: skip
COUNTED = {
    "prompt_tokens": 12, "completion_tokens": 10, "total_tokens": 22,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 6},
}  # fmt: skip


def gemini(transport: httpx.AsyncBaseTransport) -> GeminiProvider:
    headers = {"x-goog-user-project": "p"}
    return GeminiProvider("up", f"{BASE}/", SecretStr("g-1"), transport, headers=headers)


def response(*parts: dict[str, Any], ends: str | None = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if ends is not None:
        candidate["finishReason"] = ends
    return {"candidates": [candidate], "modelVersion": "gemini-3-pro", **more}


def text(said: str) -> dict[str, Any]:
    return {"text": said}


def wire(*responses: dict[str, Any]) -> bytes:
    return b"".join(b"data: %b\r\n\r\n" % orjson.dumps(one) for one in responses)


async def whole(answer: dict[str, Any], **more: Any) -> dict[str, Any]:
    (event,), _ = await answers(gemini, Scripted([orjson.dumps(answer)]), {**ASKED, **more})
    assert event.whole
    return event.data


async def test_what_goes_out() -> None:
    up = Scripted([orjson.dumps(response(text("hi"), ends="STOP"))])
    await answers(gemini, up, ASKED, model="gemini-3-pro")
    (request,) = up.requests
    assert str(request.url) == f"{BASE}/models/gemini-3-pro:generateContent"
    assert dict(request.headers) == {
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": "govgate",
        "x-goog-user-project": "p",
        "x-goog-api-key": "g-1",
    }
    assert await up.asked() == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("models/x", "models/x"),
        ("tunedModels/x", "tunedModels/x"),
        ("a/b c?key=1#", "models/a%2Fb%20c%3Fkey%3D1%23"),
    ],
)
async def test_where_a_stream_is_asked_for(model: str, path: str) -> None:
    up = Scripted([wire(response(text("hi"), ends="STOP"))], headers=SSE)
    await answers(gemini, up, STREAM, model=model)
    assert str(up.requests[0].url) == f"{BASE}/{path}:streamGenerateContent?alt=sse"
    assert up.requests[0].headers["accept"] == "text/event-stream"


@pytest.mark.parametrize("model", ["..", "models/..", "models/"])
async def test_a_model_that_would_leave_its_place(model: str) -> None:
    assert await refuses(gemini, ASKED, model=model) == "model"


async def test_a_whole_answer() -> None:
    data = await whole(response(text("Hel"), text("lo"), ends="STOP", usageMetadata=USED))
    assert data["object"] == "chat.completion"
    assert data["model"] == "gemini-3-pro"
    assert data["id"].startswith("chatcmpl-exc_")
    assert isinstance(data["created"], int)
    assert data["usage"] == COUNTED
    (choice,) = data["choices"]
    message = {"role": "assistant", "content": "Hello", "refusal": None}
    ending = {"logprobs": None, "finish_reason": "stop"}
    assert choice == {"index": 0, "message": message, **ending}


async def test_thoughts_calls_and_signatures() -> None:
    call = {"name": "weather", "args": {"city": "Kyiv"}}
    data = await whole(
        response(
            {"text": "hm", "thought": True},
            {"functionCall": {**call, "id": "g-7"}, "thoughtSignature": "c2ln"},
            {"functionCall": {"name": "now"}},
            {"text": "", "thoughtSignature": "YQ=="},
            ends="STOP",
        )
    )
    (choice,) = data["choices"]
    message = choice["message"]
    assert (choice["finish_reason"], message["content"]) == ("tool_calls", None)
    assert message["reasoning_content"] == "hm"
    assert message["extra_content"] == {"google": {"thought_signature": "YQ=="}}
    first, second = message["tool_calls"]
    assert first == {
        "id": "g-7",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city":"Kyiv"}'},
        "extra_content": {"google": {"thought_signature": "c2ln"}},
    }
    assert second["function"] == {"name": "now", "arguments": "{}"}
    assert 5 < len(second["id"]) <= 40


async def test_ids_that_are_made_up_differ() -> None:
    call = {"functionCall": {"name": "now"}}
    both = [await whole(response(call, call, ends="STOP")) for _ in range(2)]
    calls = [call for data in both for call in data["choices"][0]["message"]["tool_calls"]]
    assert len({call["id"] for call in calls}) == 4


async def test_several_candidates() -> None:
    second = {"content": {"parts": [text("b")]}, "finishReason": "MAX_TOKENS", "index": 1}
    answer = response(text("a"), ends="STOP")
    answer["candidates"].append(second)
    data = await whole(answer, n=2)
    ends = [(c["message"]["content"], c["finish_reason"]) for c in data["choices"]]
    assert ends == [("a", "stop"), ("b", "length")]


async def test_one_candidate_too_few_is_no_answer() -> None:
    up = Scripted([orjson.dumps(response(text("a"), ends="STOP"))])
    assert "before it was complete" in (await fails(gemini, up, {**ASKED, "n": 2})).message


async def test_logprobs() -> None:
    chosen = [
        {"token": "é", "tokenId": 1, "logProbability": -0.5},
        {"token": "!", "logProbability": -1},
    ]
    top = [{"candidates": [chosen[0], {"token": "e", "logProbability": -2.0}]}]
    answer = response(text("é!"), ends="STOP")
    answer["candidates"][0]["logprobsResult"] = {"chosenCandidates": chosen, "topCandidates": top}
    data = await whole(answer, logprobs=True, top_logprobs=2)
    first, second = data["choices"][0]["logprobs"]["content"]
    assert (first["token"], first["logprob"], first["bytes"]) == ("é", -0.5, [195, 169])
    assert [other["token"] for other in first["top_logprobs"]] == ["é", "e"]
    assert (second["token"], second["top_logprobs"]) == ("!", [])


@pytest.mark.parametrize("chance", ["-1", None])
async def test_logprobs_that_are_no_numbers(chance: Any) -> None:
    answer = response(text("a"), ends="STOP")
    chosen = [{"token": "a", "logProbability": chance}]
    answer["candidates"][0]["logprobsResult"] = {"chosenCandidates": chosen}
    assert "not in shape" in (await fails(gemini, Scripted([orjson.dumps(answer)]), ASKED)).message


FILTERS = ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "LANGUAGE"]


@pytest.mark.parametrize("reason", FILTERS)
async def test_a_filtered_answer_says_nothing(reason: str) -> None:
    call = {"functionCall": {"name": "now"}}
    data = await whole(response(text("bad"), call, ends=reason, usageMetadata=USED))
    (choice,) = data["choices"]
    assert choice["finish_reason"] == "content_filter"
    assert choice["message"] == {"role": "assistant", "content": None, "refusal": None}
    assert data["usage"] == COUNTED


async def test_a_prompt_that_is_blocked() -> None:
    blocked = {
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {"promptTokenCount": 5},
    }
    data = await whole(blocked, n=2)
    assert [choice["finish_reason"] for choice in data["choices"]] == ["content_filter"] * 2
    assert [choice["message"]["content"] for choice in data["choices"]] == [None, None]
    assert data["usage"]["total_tokens"] == 5
    up = Scripted([wire(blocked)], headers=SSE)
    events, _ = await answers(gemini, up, STREAM)
    assert events[0].data["choices"][0]["finish_reason"] == "content_filter"
    assert Chat().usage(events[-1]) == Usage(5, 0, exact=True)


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "OTHER", "UNEXPECTED_TOOL_CALL"])
@pytest.mark.parametrize("body", [ASKED, STREAM])
async def test_an_answer_that_went_wrong_is_an_error(reason: str, body: dict[str, Any]) -> None:
    answer = response(text("a"), ends=reason)
    streamed = "stream" in body
    up = Scripted(
        [wire(answer) if streamed else orjson.dumps(answer)], headers=SSE if streamed else {}
    )
    error = await fails(gemini, up, body)
    assert reason in error.message
    assert not error.retryable


PARTS = [
    {"inlineData": {"mimeType": "image/png", "data": "x"}},
    {"executableCode": {"code": "print()"}},
    {"text": "a", "unheardOf": {"text": "b"}},
    {"functionCall": {"name": "f", "willContinue": True}},
    {"functionCall": {"args": {}}},
    {"functionCall": {"name": "f", "args": []}},
    {"functionCall": "f"},
    {"text": 7},
    {"text": "a", "thoughtSignature": 7},
    "a",
]


@pytest.mark.parametrize("part", PARTS)
async def test_a_part_that_cannot_be_carried(part: Any) -> None:
    up = Scripted([orjson.dumps(response(part, ends="STOP"))])
    assert (await fails(gemini, up, ASKED)).code == Code.UPSTREAM_ERROR


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"candidates": 7},
        {"candidates": [7]},
        {"candidates": [{"content": []}]},
        {"candidates": [{"content": {"parts": {}}}]},
        {"candidates": [{"index": "0"}]},
        {"candidates": [{"index": -1}]},
        {"candidates": [{"index": True}]},
        {"candidates": [{"finishReason": 7}]},
        {"candidates": [{"finishReason": "STOP"}, {"index": 0, "finishReason": "STOP"}]},
        {**response(text("a"), ends="STOP"), "usageMetadata": {"promptTokenCount": "9"}},
        {**response(text("a"), ends="STOP"), "usageMetadata": 9},
        {**response(text("a"), ends="STOP"), "promptFeedback": "x"},
    ],
)
async def test_an_answer_that_is_not_in_shape(answer: dict[str, Any]) -> None:
    error = await fails(gemini, Scripted([orjson.dumps(answer)]), ASKED)
    assert (error.code, error.retryable) == (Code.UPSTREAM_ERROR, False)


async def test_an_answer_without_counts_has_no_usage() -> None:
    assert "usage" not in await whole(response(text("a"), ends="STOP"))
    assert "usage" not in await whole(response(text("a"), ends="STOP", usageMetadata={}))


SAID = [
    response({"text": "hm", "thought": True}),
    response(text("Hel"), usageMetadata={"promptTokenCount": 10}),
    response(text("lo")),
    response({"functionCall": {"name": "now", "id": "g-1"}, "thoughtSignature": "c2ln"}),
    response(text(""), ends="STOP", usageMetadata=USED),
]


async def test_a_stream() -> None:
    up = Scripted([wire(*SAID)], headers=SSE)
    events, _ = await answers(gemini, up, STREAM)
    assert not any(event.whole for event in events)
    assert events[0].data["choices"][0]["delta"]["role"] == "assistant"
    assert "role" not in events[1].data["choices"][0]["delta"]
    assert (said(events), said(events, "reasoning_content")) == ("Hello", "hm")
    assert Chat().ended(events[-2]) == [0]
    assert events[-1].data["choices"] == []
    assert events[-1].data["usage"] == COUNTED
    folded = Chat().fold(events)
    (choice,) = folded["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["extra_content"] == {
        "google": {"thought_signature": "c2ln"}
    }


async def test_usage_is_told_only_where_it_is_asked_for() -> None:
    up = Scripted([wire(*SAID)], headers=SSE)
    events, _ = await answers(gemini, up, {**ASKED, "stream": True})
    assert not any("usage" in event.data for event in events)


async def test_what_was_streamed_before_a_filter_was_said() -> None:
    up = Scripted([wire(response(text("a")), response(text("b"), ends="SAFETY"))], headers=SSE)
    events, _ = await answers(gemini, up, STREAM)
    assert said(events) == "a"
    assert events[-1].data["choices"][0]["finish_reason"] == "content_filter"


@given(st.lists(st.integers(0, 2000), max_size=12))
async def test_how_a_stream_is_cut_changes_nothing(cuts: list[int]) -> None:
    raw = wire(*SAID)
    edges = sorted({0, len(raw), *(cut % len(raw) for cut in cuts)})
    pieces = [raw[a:b] for a, b in pairwise(edges)]
    events, exchange = await answers(gemini, Scripted(pieces, headers=SSE), STREAM)
    again, other = await answers(gemini, Scripted([raw], headers=SSE), STREAM)
    assert [_alike(event.data, exchange) for event in events] == [
        _alike(event.data, other) for event in again
    ]


def _alike(data: dict[str, Any], exchange: Any) -> dict[str, Any]:
    """A chunk without what belongs to its exchange alone."""
    assert data["id"] == f"chatcmpl-{exchange.id}"
    return {name: value for name, value in data.items() if name not in ("id", "created")}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        wire(response(text("a"))),
        wire(response(text("a"), ends="STOP"), response(text("b"))),
        wire(response(text("a"), ends="STOP")) + b"data: {",
        wire(response(text("a"))) + b"data: [DONE]\n\n",
        wire(response(text("a"))) + b"data: []\n\n",
    ],
)
async def test_a_stream_that_stops_short_or_is_malformed(raw: bytes) -> None:
    error = await fails(gemini, Scripted([raw], headers=SSE), STREAM)
    assert (error.code, error.retryable) == (Code.UPSTREAM_ERROR, False)


async def test_an_error_inside_a_stream() -> None:
    fault = {"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}}
    up = Scripted([wire(response(text("a")), fault)], headers=SSE)
    error = await fails(gemini, up, STREAM)
    assert error.body == {"message": "Overloaded.", "code": "UNAVAILABLE"}
    assert not error.retryable


def google(status: int, word: str, *details: dict[str, Any]) -> Scripted:
    error = {"code": status, "message": "m", "status": word, "details": list(details)}
    return Scripted([orjson.dumps([{"error": error}])], status=status)


async def test_a_refusal_in_googles_words() -> None:
    error = await fails(gemini, google(400, "INVALID_ARGUMENT"), ASKED)
    assert (error.status, error.retryable) == (400, False)
    assert error.body is not None
    assert (error.body["message"], error.body["code"]) == ("m", "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("delay", "seconds"), [("34s", 34.0), ("0.5s", 0.5), ("soon", None), (7, None)]
)
async def test_how_long_to_wait_stands_in_the_details(delay: Any, seconds: float | None) -> None:
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    error = await fails(gemini, google(429, "RESOURCE_EXHAUSTED", detail), ASKED)
    assert (error.status, error.retryable, error.retry_after) == (429, True, seconds)


async def test_words_about_our_own_key_are_not_passed_on() -> None:
    detail = {"reason": "API_KEY_INVALID", "domain": "googleapis.com"}
    error = await fails(gemini, google(400, "INVALID_ARGUMENT", detail), ASKED)
    assert (error.status, error.body, error.retryable) == (401, None, False)


class Embeddings(Chat):
    """Embeddings' action, over shapes that the provider does not ask about."""

    action = "embeddings.create"


async def embedded(body: dict[str, Any], answer: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    up = Scripted([orjson.dumps(answer)])
    (event,), _ = await answers(gemini, up, body, model="embed-1", dialect=Embeddings())
    assert str(up.requests[0].url) == f"{BASE}/models/embed-1:batchEmbedContents"
    assert event.whole
    return event.data, await up.asked()


VECTORS = {"embeddings": [{"values": [0.5, -1]}, {"values": [0.25, 2]}]}


async def test_embeddings() -> None:
    body = {"model": "ours", "input": ["a", "b"], "dimensions": 2, "user": "u"}
    data, asked = await embedded(body, {**VECTORS, "usageMetadata": {"promptTokenCount": 4}})
    assert asked == {
        "requests": [
            {
                "model": "models/embed-1",
                "content": {"parts": [{"text": said}]},
                "outputDimensionality": 2,
            }
            for said in ("a", "b")
        ]
    }
    assert data == {
        "object": "list",
        "model": "embed-1",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -1]},
            {"object": "embedding", "index": 1, "embedding": [0.25, 2]},
        ],
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }


async def test_embeddings_in_base64_and_without_counts() -> None:
    body = {"model": "ours", "input": "a", "encoding_format": "base64"}
    data, _ = await embedded(body, {"embeddings": VECTORS["embeddings"][:1]})
    packed = base64.b64decode(data["data"][0]["embedding"])
    assert struct.unpack("<2f", packed) == (0.5, -1.0)
    assert "usage" not in data


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"input": [1, 2]}, "input[0]"),
        ({"input": [[1]]}, "input[0]"),
        ({"input": []}, "input"),
        ({}, "input"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
        ({"input": "a", "task": "x"}, "task"),
    ],
)
async def test_embeddings_that_cannot_be_asked_for(more: dict[str, Any], field: str) -> None:
    assert await refuses(gemini, {"model": "ours", **more}, dialect=Embeddings()) == field


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"embeddings": [{"values": [1]}, {"values": [1]}]},
        {"embeddings": [{}]},
        {"embeddings": [{"values": []}]},
        {"embeddings": [{"values": ["1"]}]},
        {"embeddings": [{"values": [1e300]}]},
    ],
)
async def test_embeddings_that_are_not_in_shape(answer: dict[str, Any]) -> None:
    body = {"model": "ours", "input": "a", "encoding_format": "base64"}
    await fails(gemini, Scripted([orjson.dumps(answer)]), body, dialect=Embeddings())


async def test_embeddings_are_neither_streamed_nor_refused_in_other_words() -> None:
    body = {"model": "ours", "input": "a"}
    up = Scripted([wire({"embeddings": []})], headers=SSE)
    assert "not in shape" in (await fails(gemini, up, body, dialect=Embeddings())).message
    error = await fails(gemini, google(404, "NOT_FOUND"), body, dialect=Embeddings())
    assert error.body is not None
    assert (error.status, error.body["code"]) == (404, "NOT_FOUND")


class Other(Chat):
    action = "responses.create"


async def test_other_actions_are_unknown() -> None:
    with pytest.raises(UpstreamError) as caught:
        await answers(gemini, up := Scripted(), ASKED, dialect=Other())
    assert (caught.value.code, up.requests) == (Code.UNKNOWN_URL, [])
