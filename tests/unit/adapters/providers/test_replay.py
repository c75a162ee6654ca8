from __future__ import annotations

from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.providers.replay import ReplayProvider, answer, chunks
from gateway.core.answer import Event
from gateway.core.errors import UpstreamError
from gateway.core.exchange import Exchange
from gateway.core.ports import Model
from gateway.dialects.chat import Chat

SEARCH = {
    "type": "function",
    "function": {
        "name": "search",
        "parameters": {"properties": {"q": {"type": "string"}}, "required": ["q"]},
    },
}
CLOCK = {"type": "function", "function": {"name": "clock"}}


def asking(content: Any, *more: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content}, *more], **options}


def message(request: dict[str, Any], index: int = 0) -> dict[str, Any]:
    said: dict[str, Any] = answer(request)["choices"][index]["message"]
    return said


def called(request: dict[str, Any]) -> list[tuple[str, Any]]:
    calls = message(request).get("tool_calls", ())
    return [(c["function"]["name"], orjson.loads(c["function"]["arguments"])) for c in calls]


def folded(request: dict[str, Any]) -> dict[str, Any]:
    return Chat().fold([Event(chunk) for chunk in chunks({**request, "stream": True})])


def test_it_says_back_what_it_was_told() -> None:
    assert message(asking("Mail <EMAIL_1> today")) == {
        "role": "assistant",
        "content": "You said: Mail <EMAIL_1> today",
        "refusal": None,
    }


def test_the_same_request_has_the_same_answer_and_another_has_another_id() -> None:
    assert answer(asking("a")) == answer(asking("a"))
    assert answer(asking("a"))["id"] != answer(asking("b"))["id"]


def test_content_in_parts_and_parts_that_are_no_text() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}}]
    assert message(asking(parts))["content"] == "You said: a\n[image_url]"


def test_seed_and_choice_pick_the_opening() -> None:
    assert message(asking("a", seed=1))["content"] == "I heard: a"
    three = [message(asking("a", n=3), index)["content"] for index in range(3)]
    assert three == ["You said: a", "I heard: a", "You wrote: a"]


def test_directions_are_not_said() -> None:
    assert message(asking('@replay say "b"\na'))["content"] == "b"
    assert message(asking("@replay chunk 2\na"))["content"] == "You said: a"
    refused = message(asking('@replay refuse "no"'))
    assert (refused["content"], refused["refusal"]) == (None, "no")


@pytest.mark.parametrize(
    ("request_", "calls"),
    [
        (asking("What is it?", tools=[SEARCH]), []),
        (asking("Call the tool, <NAME_1>", tools=[SEARCH, CLOCK]),
         [("search", {"q": "Call the tool, <NAME_1>"})]),
        (asking("use search", tools=[CLOCK, SEARCH]), [("search", {"q": "use search"})]),
        (asking("call all tools", tools=[CLOCK, SEARCH]),
         [("clock", {}), ("search", {"q": "call all tools"})]),
        (asking("call all tools", tools=[SEARCH, CLOCK], parallel_tool_calls=False),
         [("search", {"q": "call all tools"})]),
        (asking("hi", tools=[SEARCH], tool_choice="required"), [("search", {"q": "hi"})]),
        (asking("hi", tools=[CLOCK, SEARCH],
                tool_choice={"type": "function", "function": {"name": "search"}}),
         [("search", {"q": "hi"})]),
        (asking("call the tool", tools=[SEARCH], tool_choice="none"), []),
        (asking("call the tool"), []),
        (asking('@replay tool x {"a": 1}\n@replay tool y {}'), [("x", {"a": 1}), ("y", {})]),
    ],
)  # fmt: skip
def test_tool_calls(request_: dict[str, Any], calls: list[tuple[str, Any]]) -> None:
    assert called(request_) == calls
    assert answer(request_)["choices"][0]["finish_reason"] == ("tool_calls" if calls else "stop")


def test_it_answers_from_the_results_of_its_tools() -> None:
    results = [
        {"role": "tool", "tool_call_id": i, "content": c} for i, c in (("1", "a"), ("2", "b"))
    ]
    request = asking("call the tools", {"role": "assistant"}, *results, tools=[SEARCH])
    assert message(request)["content"] == "The tool says: a b"
    scripted = asking('@replay tool x {}\n@replay say "done"', {"role": "assistant"}, *results)
    assert message(scripted)["content"] == "done"


def test_structured_answers() -> None:
    schema = {
        "type": "object",
        "properties": {"text": {"type": "string"}, "count": {"type": "integer"}},
        "required": ["text", "count"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    said = orjson.loads(message(asking("hi <NAME_1>", response_format=wanted))["content"])
    jsonschema_rs.validate(schema, said)
    assert said["text"] == "You said: hi <NAME_1>"
    any_json = message(asking("hi", response_format={"type": "json_object"}))["content"]
    assert orjson.loads(any_json) == {"answer": "You said: hi"}


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_output_limit(name: str) -> None:
    limited = answer(asking("é" * 100, **{name: 5}))
    assert limited["choices"][0]["finish_reason"] == "length"
    assert limited["choices"][0]["message"]["content"] == "You said: " + "é" * 5
    assert limited["usage"]["completion_tokens"] == 5
    enough = answer(asking("abcdef", **{name: 4}))
    assert enough["choices"][0]["finish_reason"] == "stop"
    assert enough["usage"]["completion_tokens"] == 4


def test_the_output_limit_holds_for_tool_calls_and_each_choice() -> None:
    request = asking("call the tool " + "x" * 99, tools=[SEARCH], max_tokens=3, n=2)
    limited = answer(request)
    assert [c["finish_reason"] for c in limited["choices"]] == ["length", "length"]
    assert limited["usage"]["completion_tokens"] == 6


@pytest.mark.parametrize("stop", ["c", ["x", "c"], ["", "c"]])
def test_stop_sequences(stop: object) -> None:
    assert message(asking("abcd", stop=stop))["content"] == "You said: ab"


def test_usage_is_four_bytes_a_token() -> None:
    usage = answer(asking("abc"))["usage"]
    assert usage["completion_tokens"] == 4  # "You said: abc" is 13 bytes
    assert usage["total_tokens"] == usage["prompt_tokens"] + 4
    more = answer(asking("abc", tools=[SEARCH]))["usage"]
    assert more["prompt_tokens"] > usage["prompt_tokens"]


def test_logprobs_spell_the_answer() -> None:
    spelled = answer(asking("a b", logprobs=True))["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in spelled) == "You said: a b"
    assert all(token["logprob"] <= 0 for token in spelled)
    assert answer(asking("a b"))["choices"][0]["logprobs"] is None


def test_the_shape_of_a_stream() -> None:
    made = chunks(asking("a b", stream_options={"include_usage": True}))
    assert made[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert made[1]["choices"][0]["delta"] == {"content": "You"}
    assert made[-2]["choices"][0] == {
        "index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop",
    }  # fmt: skip
    assert made[-1]["choices"] == []
    assert made[-1]["usage"] == answer(asking("a b"))["usage"]
    assert all(chunk["usage"] is None for chunk in made[:-1])
    assert all("usage" not in chunk for chunk in chunks(asking("a b")))


def test_choices_take_turns_in_a_stream() -> None:
    turns = [chunk["choices"][0]["index"] for chunk in chunks(asking("a", n=2))]
    assert turns[:4] == [0, 1, 0, 1]


def test_chunks_of_characters() -> None:
    made = chunks(asking('@replay say "abcde"\n@replay chunk 2'))
    assert [c["choices"][0]["delta"].get("content") for c in made] == ["", "ab", "cd", "e", None]


@pytest.mark.parametrize(
    "request_", [{}, {"messages": 7}, {"messages": ["hi"]}, asking("@replay jump")]
)
def test_what_cannot_be_answered(request_: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"messages|direction"):
        answer(request_)


@given(
    st.text(max_size=60),
    st.integers(1, 3),
    st.sampled_from([[], [SEARCH]]),
    st.booleans(),
    st.none() | st.integers(1, 20),
    st.none() | st.integers(1, 9),
)
def test_a_stream_folds_into_the_whole_answer(
    text: str, n: int, tools: list[Any], spelled: bool, most: int | None, size: int | None
) -> None:
    chunked = f"@replay chunk {size}\n" if size else ""
    asked = f"{chunked}call {'search' if tools else ''} {text}"
    request = asking(asked, n=n, tools=tools, logprobs=spelled, max_tokens=most)
    request["stream_options"] = {"include_usage": True}
    whole, streamed = answer(request), folded(request)
    assert streamed["usage"] == whole["usage"]
    assert [told(choice) for choice in streamed["choices"]] == [told(c) for c in whole["choices"]]
    if most is not None:
        assert whole["usage"]["completion_tokens"] <= most * n


async def test_the_provider_refuses_what_cannot_be_answered() -> None:
    with pytest.raises(UpstreamError) as caught:
        await sent(ReplayProvider(), asking("@replay jump"))
    assert (caught.value.status, caught.value.retryable) == (400, False)
    assert caught.value.body is not None
    assert "jump" in caught.value.body["message"]


@pytest.mark.parametrize(("directions", "waits"), [("", 0.25), ("@replay slow 0.5\n", 0.5)])
async def test_the_provider_waits_before_each_chunk(
    directions: str, waits: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    events = await sent(ReplayProvider(0.25), asking(f"{directions}a b", stream=True))
    assert waited == [waits] * len(events)


async def sent(provider: ReplayProvider, request: dict[str, Any]) -> list[Event]:
    async def read() -> bytes:
        raise AssertionError("a provider is handed the body")

    async with Exchange(Chat(), read) as ours:
        events = await provider.send(ours, Model("m", "replay", "m"), request)
        return [event async for event in events]


def told(choice: dict[str, Any]) -> tuple[Any, ...]:
    """What a choice says, without what it does not say."""
    said = {key: value for key, value in choice["message"].items() if value is not None}
    spelled = (choice["logprobs"] or {}).get("content") or []
    return choice["index"], said, spelled, choice["finish_reason"]
