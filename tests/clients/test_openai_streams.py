"""Streams, as the official `openai` package reads them, and how they end before their end."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import openai
import pytest

from tests.clients.callers import (
    BLOCKED,
    MODEL,
    Caller,
    async_caller,
    caller,
    ended,
    eventually,
    read,
    released,
    seen_by,
    text_of,
    user,
)
from tests.houses import House

STORY = "One day. Two men. Three words. Four winds. Five o'clock. Six of ann@example.org's cats."


def test_c02_server_sent_events(house: House, key: str) -> None:
    """What stands on the wire, line by line."""
    answer = httpx.post(
        f"{house.base_url}/chat/completions",
        json={"model": MODEL, "messages": user(STORY), "stream": True},
        headers={"authorization": f"Bearer {key}"},
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    *events, done, rest = answer.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    assert all(event.startswith("data: {") and "\n" not in event for event in events)
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({(chunk["id"], chunk["model"], chunk["created"]) for chunk in chunks}) == 1
    choices = [chunk["choices"][0] for chunk in chunks]
    assert choices[0]["delta"]["role"] == "assistant"
    said = [choice["delta"].get("content") for choice in choices]
    assert said[0] == ""
    assert said[-1] is None
    assert all(said[1:-1]), "no chunk that says nothing"
    assert "".join(text or "" for text in said) == f"You said: {STORY}"
    assert {choice["finish_reason"] for choice in choices[:-1]} == {None}
    assert choices[-1]["finish_reason"] == "stop"


def test_c02_iterated(client: Caller) -> None:
    chunks = list(client.chat.completions.create(model=MODEL, messages=user(STORY), stream=True))
    assert text_of(chunks) == f"You said: {STORY}"
    assert len(chunks) > 5, "a sentence at a time"
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_c02_the_stream_helper(client: Caller) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=user(STORY))
    with client.chat.completions.stream(model=MODEL, messages=user(STORY)) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    assert "".join(event.delta for event in events if event.type == "content.delta") == (
        f"You said: {STORY}"
    )
    assert [event.type for event in events].count("content.done") == 1
    assert final.choices[0].message.content == whole.choices[0].message.content
    assert final.choices[0].finish_reason == "stop"


async def test_c02_async(house: House, key: str) -> None:
    client, _ = async_caller(house, key)
    async with client:
        stream = await client.chat.completions.create(
            model=MODEL, messages=user(STORY), stream=True
        )
        chunks = [chunk async for chunk in stream]
        async with client.chat.completions.stream(model=MODEL, messages=user(STORY)) as helper:
            final = await helper.get_final_completion()
    assert text_of(chunks) == f"You said: {STORY}" == final.choices[0].message.content


def test_c03_usage_when_asked_for(house: House, client: Caller) -> None:
    chunks = list(
        client.chat.completions.create(
            model=MODEL,
            messages=user(STORY),
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    *before, last = chunks
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens > 0
    assert all(chunk.choices and chunk.usage is None for chunk in before)
    assert seen_by(house)[0]["stream_options"] == {"include_usage": True}


def test_c03_no_usage_when_not_asked_for(house: House, client: Caller) -> None:
    """The gateway asks for it, counts by it, and keeps it to itself."""
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=user(STORY), stream=True
    )
    chunks = list(raw.parse())
    assert all(chunk.choices for chunk in chunks)
    assert all("usage" not in chunk.to_dict() for chunk in chunks)
    assert seen_by(house)[0]["stream_options"] == {"include_usage": True}
    usage = ended(house, raw.headers["x-request-id"])["usage"]
    assert usage["exact"]
    assert usage["output_tokens"] > 0


CLEARED = "Sure. First some history. "


def test_c19_a_block_midway_raises(house: House, client: Caller) -> None:
    """What was cleared before is delivered, nothing after; the decision is named."""
    chunks: list[Any] = []
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=user(BLOCKED), stream=True
    )
    with pytest.raises(openai.APIError) as caught:
        read(raw.parse(), chunks)
    error: Any = caught.value
    assert text_of(chunks) == CLEARED
    assert error.code == "content_filter"
    governance = error.body["governance"]
    assert governance["decision_id"] == raw.headers["x-govgate-decision"]
    assert governance["exchange_id"] == raw.headers["x-request-id"]
    assert governance["rules"] == ["phrases.weapons.filter"]
    assert (governance["action"], governance["stage"]) == ("filter", "answer")
    facts = ended(house, raw.headers["x-request-id"])
    assert (facts["outcome"], facts["code"]) == ("filtered", "content_filter")
    stored = [chunk.to_dict() for chunk in chunks]
    assert released(house, raw.headers["x-request-id"]) == stored
    assert len(client.attempts) == 1


def test_c19_a_block_midway_raises_from_the_helper(client: Caller) -> None:
    events: list[Any] = []
    with (
        pytest.raises(openai.APIError) as caught,
        client.chat.completions.stream(model=MODEL, messages=user(BLOCKED)) as stream,
    ):
        read(stream, events)
    assert caught.value.code == "content_filter"
    assert "".join(event.delta for event in events if event.type == "content.delta") == CLEARED


async def test_c19_a_block_midway_raises_async(house: House, key: str) -> None:
    client, attempts = async_caller(house, key)
    heard: list[Any] = []
    async with client:
        stream = await client.chat.completions.create(
            model=MODEL, messages=user(BLOCKED), stream=True
        )

        async def listen() -> None:
            async for chunk in stream:
                heard.append(chunk)

        with pytest.raises(openai.APIError) as caught:
            await listen()
    error: Any = caught.value
    assert text_of(heard) == CLEARED
    assert error.body["governance"]["decision_id"].startswith("dec_")
    assert len(attempts) == 1


@pytest.mark.parametrize("fault", ["die", "malformed", "error"])
def test_c25_the_upstream_breaks_midway(fault: str, house: House, client: Caller) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=user(f"@replay {fault}-after 9\n{STORY}"), stream=True
    )
    chunks: list[Any] = []
    with pytest.raises(openai.APIError) as caught:
        read(raw.parse(), chunks)
    error: Any = caught.value
    said = text_of(chunks)
    assert said.startswith("You said: One day. ")
    assert f"You said: {STORY}".startswith(said)
    assert error.body["message"]
    assert "governance" not in error.body, "no rule ended it"
    facts = ended(house, raw.headers["x-request-id"])
    assert (facts["outcome"], facts["code"]) == ("failed", "upstream_error")
    assert released(house, raw.headers["x-request-id"]) == [chunk.to_dict() for chunk in chunks]


def test_c25_an_upstream_without_done_is_tolerated(house: House, client: Caller) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=user(f"@replay no-done\n{STORY}"), stream=True
    )
    assert text_of(raw.parse()) == f"You said: {STORY}"
    assert ended(house, raw.headers["x-request-id"])["outcome"] == "completed"


def test_c24_the_caller_hangs_up_midway(house: House, client: Caller) -> None:
    """The upstream would go on for ever; only the hang-up can end the call."""
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=user(f"@replay hang-after 9\n{STORY}"), stream=True
    )
    stream = raw.parse()
    received = [next(stream).to_dict() for _ in range(2)]
    stream.close()
    gone = time.monotonic()
    assert house.upstream is not None
    log = house.upstream.log
    seen = eventually(lambda: [each for each in log()["requests"] if each["ended"]])[0]
    assert seen["ended"] == "hung up"
    assert seen["ended_at"] - gone < 5, "within a second, says the contract; CI may be slow"
    exchange_id = raw.headers["x-request-id"]
    assert ended(house, exchange_id)["outcome"] == "cancelled"
    stored = released(house, exchange_id)
    assert stored[:2] == received
    text = "".join(event["choices"][0]["delta"].get("content") or "" for event in stored)
    assert text
    assert f"You said: {STORY}".startswith(text)


def test_c24_the_caller_gives_up_on_a_whole_answer(house: House, key: str) -> None:
    assert house.upstream is not None
    house.upstream.forget()
    asked = user("@replay hang\nhello")
    with (
        caller(house, key, timeout=0.5, max_retries=0) as client,
        pytest.raises(openai.APITimeoutError),
    ):
        client.chat.completions.create(model=MODEL, messages=asked)
    log = house.upstream.log
    seen = eventually(lambda: [each for each in log()["requests"] if each["ended"]])[0]
    assert seen["ended"] == "hung up"
