"""Laws of the translations between chat and Messages: nothing said is lost, added or moved."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.providers.translation.chat_to_messages import ChatToMessages
from gateway.adapters.providers.translation.messages_to_chat import MessagesToChat
from gateway.core.answer import Event
from tests.exchanges import pieces
from tests.unit.adapters.providers.two_apis import (
    CHAT,
    CLAUDE,
    GPT,
    MESSAGES,
    SSE,
    Upstream,
    chunks,
    exchange,
    said,
    sse,
)

WORDS = st.text(
    st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=12
)
INPUTS = st.dictionaries(WORDS, st.none() | st.booleans() | st.integers(-9, 9) | WORDS, max_size=3)
CUTS = st.lists(st.integers(0, 10_000), max_size=6)
USAGE = {
    "input_tokens": 5,
    "output_tokens": 7,
    "cache_read_input_tokens": 3,
    "cache_creation_input_tokens": 2,
}
BLOCKS = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, WORDS),
    st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": ""}, WORDS),
    st.builds(
        lambda id, input: {"type": "tool_use", "id": id, "name": "f", "input": input}, WORDS, INPUTS
    ),
)
CONTENT = st.lists(BLOCKS, max_size=5)
ENDINGS = st.sampled_from(["end_turn", "max_tokens", "tool_use"])


def message(content: list[dict[str, Any]], reason: str | None) -> dict[str, Any]:
    """A whole answer of Messages."""
    head = {"id": "m", "type": "message", "role": "assistant", "model": "x"}
    ending = {"stop_reason": reason, "stop_sequence": None}
    return {**head, "content": content, **ending, "usage": USAGE}


def streamed(content: list[dict[str, Any]], reason: str, cuts: Sequence[int]) -> list[Any]:
    """The same answer as the events of a stream, its texts cut anywhere."""
    events: list[Any] = [{"type": "message_start", "message": message([], None)}]
    for index, block in enumerate(content):
        name = {"text": "text", "thinking": "thinking", "tool_use": "input"}[block["type"]]
        kind, key = {
            "text": ("text_delta", "text"),
            "thinking": ("thinking_delta", "thinking"),
            "input": ("input_json_delta", "partial_json"),
        }[name]
        text = orjson.dumps(block["input"]).decode() if name == "input" else block[name]
        empty = {**block, name: {} if name == "input" else ""}
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events += [
            {"type": "content_block_delta", "index": index, "delta": {"type": kind, key: piece}}
            for piece in pieces(text, cuts)
        ]
        events.append({"type": "content_block_stop", "index": index})
    ending = {"stop_reason": reason, "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ending, "usage": USAGE})
    return [*events, {"type": "message_stop"}]


def gathered(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The message that a reader of Messages' stream ends up with; checks its grammar."""
    first, *rest = events
    assert first["type"] == "message_start"
    whole: dict[str, Any] = {**first["message"], "content": []}
    spelled: dict[int, str] = {}
    open_: int | None = None
    for event in rest[:-2]:
        if event["type"] == "content_block_start":
            assert open_ is None
            assert event["index"] == len(whole["content"])
            open_ = event["index"]
            whole["content"].append(dict(event["content_block"]))
            continue
        assert event["index"] == open_
        block = whole["content"][open_]
        match event:
            case {"type": "content_block_stop"}:
                if block["type"] == "tool_use":
                    block["input"] = orjson.loads(spelled.get(event["index"], "{}"))
                open_ = None
            case {"delta": {"type": "input_json_delta", "partial_json": piece}}:
                spelled[event["index"]] = spelled.get(event["index"], "") + piece
            case {"delta": {"type": "text_delta", "text": piece}}:
                block["text"] += piece
            case {"delta": {"type": "thinking_delta", "thinking": piece}}:
                block["thinking"] += piece
            case _:
                raise AssertionError(event)
    assert open_ is None
    assert [event["type"] for event in rest[-2:]] == ["message_delta", "message_stop"]
    return whole | rest[-2]["delta"] | {"usage": rest[-2]["usage"]}


def of_messages(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages' events as chunks, usage and all."""
    body = {"stream": True, "stream_options": {"include_usage": True}}
    translation = ChatToMessages(body, CLAUDE, 9)
    told = [chunk for event in events for chunk in translation.events(event)]
    return told + list(translation.end())


def of_chat(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Chunks as Messages' events."""
    translation = MessagesToChat({"stream": True}, GPT)
    told = [event for chunk in events for event in translation.events(chunk)]
    return told + list(translation.end())


def folded(chunks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The completion of chunks, without what only one of its two forms has."""
    return plain(CHAT.fold([Event(chunk) for chunk in chunks]))


def plain(completion: dict[str, Any]) -> dict[str, Any]:
    (choice,) = completion["choices"]
    said = {name: value for name, value in choice["message"].items() if value not in (None, "")}
    return {**completion, "choices": [{**choice, "message": said}]}


@given(CONTENT, ENDINGS, CUTS)
def test_a_stream_of_messages_says_what_the_whole_says(
    content: list[dict[str, Any]], reason: str, cuts: list[int]
) -> None:
    whole = ChatToMessages({}, CLAUDE, 9).whole(message(content, reason))
    assert folded(of_messages(streamed(content, reason, cuts))) == plain(whole)


CALLS = st.lists(
    st.builds(
        lambda id, input: {
            "id": id,
            "type": "function",
            "function": {"name": "f", "arguments": orjson.dumps(input).decode()},
        },
        WORDS,
        INPUTS,
    ),
    max_size=3,
)
SPOKEN = st.fixed_dictionaries(
    {"role": st.just("assistant")},
    optional={"content": WORDS, "reasoning_content": WORDS, "tool_calls": CALLS},
)


def completion(said: dict[str, Any], reason: str) -> dict[str, Any]:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 7,
        "total_tokens": 17,
        "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
    }
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": reason}
    head = {"id": "m", "object": "chat.completion", "created": 9, "model": "x"}
    return {**head, "choices": [choice], "usage": usage}


def chunked(said: dict[str, Any], reason: str, cuts: Sequence[int]) -> list[dict[str, Any]]:
    """A completion as chunks, its texts cut anywhere."""
    deltas: list[Any] = [{"role": "assistant", "content": ""}]
    for name in ("reasoning_content", "content"):
        deltas += [{name: piece} for piece in pieces(said.get(name, ""), cuts)]
    for index, call in enumerate(said.get("tool_calls", ())):
        head = {**call, "index": index, "function": {"name": "f", "arguments": ""}}
        deltas.append({"tool_calls": [head]})
        for piece in pieces(call["function"]["arguments"], cuts):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    events = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    events.append({"index": 0, "delta": {}, "finish_reason": reason})
    whole = completion(said, reason)
    head = {"id": "m", "object": "chat.completion.chunk", "model": "x"}
    counted = {**head, "choices": [], "usage": whole["usage"]}
    return [*({**head, "choices": [event]} for event in events), counted]


REASONS = st.sampled_from(["stop", "length", "tool_calls"])


@given(SPOKEN, REASONS, CUTS)
def test_a_stream_of_chat_says_what_the_whole_says(
    said: dict[str, Any], reason: str, cuts: list[int]
) -> None:
    whole = MessagesToChat({}, GPT).whole(completion(said, reason))
    assert gathered(of_chat(chunked(said, reason, cuts))) == whole


@given(CONTENT, ENDINGS, CUTS)
def test_governance_sees_all_that_messages_says(
    content: list[dict[str, Any]], reason: str, cuts: list[int]
) -> None:
    events = [Event(chunk) for chunk in of_messages(streamed(content, reason, cuts))]
    assert all(CHAT.well_formed(event.data) for event in events)
    told = [run for event in events for run in CHAT.runs(event)]
    streamed_text = "".join(run.text for run in told if run.lane.group >= 0)
    assert streamed_text == "".join(said_in(block) for block in content)
    odd = [run.text for run in told if run.lane.group < 0]
    assert set(odd) <= {block["id"] for block in content if "id" in block}, "ids that are no word"


def said_in(block: dict[str, Any]) -> str:
    if block["type"] == "tool_use":
        return orjson.dumps(block["input"]).decode()
    return str(block[block["type"]])


@given(SPOKEN, REASONS, CUTS)
def test_governance_sees_all_that_chat_says(
    said: dict[str, Any], reason: str, cuts: list[int]
) -> None:
    events = [Event(data) for data in of_chat(chunked(said, reason, cuts))]
    assert all(MESSAGES.well_formed(event.data) for event in events)
    lanes: dict[str, str] = {}
    for event in events:
        for run in MESSAGES.runs(event):  # ids may count as text too
            if run.lane.name in ("content", "thinking", "input"):
                lanes[str(run.lane)] = lanes.get(str(run.lane), "") + run.text
    calls = [call["function"]["arguments"] for call in said.get("tool_calls", ())]
    spoken = [said.get("reasoning_content"), said.get("content"), *calls]
    assert [text for text in lanes.values() if text] == [text for text in spoken if text]


@given(SPOKEN, REASONS)
def test_an_answer_comes_back_as_it_was(said: dict[str, Any], reason: str) -> None:
    asked = completion(said, reason)
    there = MessagesToChat({}, GPT).whole(asked)
    assert plain(ChatToMessages({}, CLAUDE, 9).whole(there)) == plain(asked) | {
        "choices": [{**plain(asked)["choices"][0], "message": without_empty_calls(said)}]
    }


def without_empty_calls(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value != []}


@given(SPOKEN, REASONS, CUTS)
def test_a_streamed_answer_comes_back_as_it_was(
    said: dict[str, Any], reason: str, cuts: list[int]
) -> None:
    back = folded(of_messages(of_chat(chunked(said, reason, cuts))))
    assert back["choices"][0]["message"] == without_empty_calls(said)
    assert back["choices"][0]["finish_reason"] == reason
    assert back["usage"] == completion(said, reason)["usage"]


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Turns in an order that both APIs know, each said as shortly as it can be."""
    system = draw(st.lists(WORDS, min_size=1, max_size=1))
    turns: list[dict[str, Any]] = [{"role": "system", "content": text} for text in system]
    for _ in range(draw(st.integers(1, 4))):
        turns.append({"role": "user", "content": draw(WORDS)})
        calls = draw(CALLS)
        if calls:
            said = draw(st.none() | WORDS)
            turns.append({"role": "assistant", "content": said, "tool_calls": calls})
            turns += [
                {"role": "tool", "tool_call_id": call["id"], "content": draw(WORDS)}
                for call in calls
            ]
        else:
            turns.append({"role": "assistant", "content": draw(WORDS)})
    return [*turns, {"role": "user", "content": draw(WORDS)}]


@given(conversations())
def test_a_conversation_comes_back_as_it_was(turns: list[dict[str, Any]]) -> None:
    body = CHAT.check({"model": "ours", "messages": turns})
    there = ChatToMessages(body, CLAUDE, 0).request()
    back = MessagesToChat(there, GPT).request()
    assert back["messages"] == turns
    again = ChatToMessages({**body, "messages": back["messages"]}, CLAUDE, 0).request()
    assert again == there


@given(CONTENT, ENDINGS, CUTS)
def test_however_the_bytes_of_messages_are_cut_the_chunks_are_the_same(
    content: list[dict[str, Any]], reason: str, cuts: list[int]
) -> None:
    events = streamed(content, reason, [])

    async def heard() -> list[dict[str, Any]]:
        up = Upstream(*cut(sse(*events), cuts), headers=SSE)
        async with exchange(CHAT) as ours:
            body = {"messages": [{"role": "user", "content": "x"}], "stream": True}
            counted = {**body, "stream_options": {"include_usage": True}}
            return await said(await up.anthropic().send(ours, CLAUDE, counted))

    when = {"created": 9}
    assert [chunk | when for chunk in asyncio.run(heard())] == of_messages(events)


@given(SPOKEN, REASONS, CUTS)
def test_however_the_bytes_of_chat_are_cut_the_events_are_the_same(
    spoken: dict[str, Any], reason: str, cuts: list[int]
) -> None:
    wire = chunked(spoken, reason, [])

    async def heard() -> list[dict[str, Any]]:
        up = Upstream(*cut(chunks(*wire), cuts), headers=SSE)
        async with exchange(MESSAGES) as ours:
            body = {"messages": [{"role": "user", "content": "x"}], "stream": True}
            return await said(await up.openai().send(ours, GPT, body))

    assert asyncio.run(heard()) == of_chat(wire)


def cut(wire: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = sorted({0, len(wire), *(at % (len(wire) + 1) for at in cuts)})
    return [wire[a:b] for a, b in pairwise(edges)]
