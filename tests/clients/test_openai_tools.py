"""Tools, as applications use them: offered, called, answered; with masked values inside."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from tests.clients.callers import (
    LOOK,
    MODEL,
    PRICED,
    SEND,
    Caller,
    async_caller,
    calls_of,
    ended,
    read,
    released,
    seen_by,
    user,
)
from tests.houses import House

ANN = "ann.lee@example.org"
FORCED: Any = {"type": "function", "function": {"name": "send"}}


def test_c06_forced_call(house: House, client: Caller) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=user(f"to {ANN}"), tools=[LOOK, SEND], tool_choice=FORCED
    )
    [choice] = answer.choices
    assert choice.finish_reason == "tool_calls"
    [call] = choice.message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "send"
    assert json.loads(call.function.arguments) == {"to": f"to {ANN}"}
    [asked] = seen_by(house)
    assert asked["tools"] == [LOOK, SEND]
    assert asked["tool_choice"] == FORCED
    assert asked["messages"] == user("to [[EMAIL_ADDRESS_1]]")


@pytest.mark.parametrize("stream", [False, True])
def test_c06_parallel_calls(stream: bool, client: Caller) -> None:
    asked: Any = {"model": MODEL, "messages": user(f"use tools: {ANN}"), "tools": [SEND, LOOK]}
    if stream:
        pieces = calls_of(client.chat.completions.create(**asked, stream=True))
        calls = [(name, "".join(said)) for _, (name, said) in sorted(pieces.items())]
    else:
        message = client.chat.completions.create(**asked).choices[0].message
        calls = [
            (call.function.name, call.function.arguments)
            for call in message.tool_calls or []
            if call.type == "function"
        ]
    said = f"use tools: {ANN}"
    assert [name for name, _ in calls] == ["send", "look"]
    assert [json.loads(text) for _, text in calls] == [{"to": said}, {"place": said}]


def test_c06_one_call_when_parallel_calls_are_not_wanted(client: Caller) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=user("use tools"),
        tools=[SEND, LOOK],
        parallel_tool_calls=False,
    )
    assert len(answer.choices[0].message.tool_calls or []) == 1


def test_c06_arguments_stream_in_pieces_where_no_rule_looks_at_them(open_client: Caller) -> None:
    pieces = calls_of(
        open_client.chat.completions.create(
            model=PRICED, messages=user("@replay chunk 4\ncall send"), tools=[SEND], stream=True
        )
    )
    name, said = pieces[0]
    assert name == "send"
    assert len(said) > 3
    assert json.loads("".join(said)) == {"to": "call send"}


NASTY = f'"quoted" {ANN}\nhttps://ann:pa\\ss@shop.example/'


@pytest.mark.parametrize("size", [1, 3, 1_000])
def test_c06_masked_values_are_restored_inside_streamed_arguments(
    size: int, house: House, client: Caller
) -> None:
    """Escaped as JSON wants it, however a placeholder is cut."""
    asked: Any = {
        "model": MODEL,
        "messages": user(f"@replay chunk {size}\ncall send {NASTY}"),
        "tools": [SEND],
    }
    with client.chat.completions.stream(**asked) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        final = stream.get_final_completion()
    [event] = done
    assert event.name == "send"
    assert json.loads(event.arguments) == {"to": f"call send {NASTY}"}
    [call] = final.choices[0].message.tool_calls or []
    assert call.function.arguments == event.arguments
    whole = client.chat.completions.create(**asked).choices[0].message.tool_calls or []
    assert whole[0].type == "function"
    assert json.loads(whole[0].function.arguments) == json.loads(event.arguments)
    assert all("ann" not in json.dumps(body) for body in seen_by(house))


async def test_c06_round_trip(house: House, key: str) -> None:
    """A call, its result, and the answer that rests on it; the model sees placeholders only."""
    client, _ = async_caller(house, key)
    messages = user(f"call look {ANN}")
    async with client:
        first = await client.chat.completions.create(model=MODEL, messages=messages, tools=[LOOK])
        message = first.choices[0].message
        [call] = message.tool_calls or []
        result = json.dumps({"found": [f'"{ANN}"', "bob@example.org"]})
        messages += [
            message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.id, "content": result},
        ]
        last = await client.chat.completions.create(model=MODEL, messages=messages, tools=[LOOK])
    assert last.choices[0].message.content == f"The tool says: {result}"
    asked = json.dumps(seen_by(house)[-1])
    assert ANN not in asked
    assert "bob@" not in asked
    assert "[[EMAIL_ADDRESS_2]]" in asked


@pytest.mark.parametrize("stream", [False, True])
def test_c06_a_blocked_call_is_not_half_delivered(
    stream: bool, house: House, client: Caller
) -> None:
    banned = '@replay chunk 5\n@replay tool send {"to": "x", "text": "build a pi\\u0070e bomb"}'
    asked: Any = {"model": MODEL, "messages": user(banned), "tools": [SEND]}
    chunks: list[Any] = []

    def ask() -> None:
        answer = client.chat.completions.create(**asked, stream=stream)
        read(answer if stream else [answer], chunks)

    with pytest.raises(openai.APIError) as caught:
        ask()
    error: Any = caught.value
    assert error.code == "content_filter"
    assert all(not "".join(said) for _, said in calls_of(chunks).values())
    ends = [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    assert set(ends) <= {None}
    exchange_id = error.body["governance"]["exchange_id"]
    assert ended(house, exchange_id)["outcome"] == "filtered"
    assert "bomb" not in json.dumps(released(house, exchange_id))
