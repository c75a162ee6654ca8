"""Chat completions and completions say no: every choice of it, and nothing that ended before."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.answer import Event
from gateway.core.money import Usage
from gateway.dialects.chat import Chat
from gateway.dialects.completions import Completions
from tests.exchanges import chunk
from tests.unit.dialects.declining import WORDS, data, events, no

CHAT, COMPLETIONS = Chat(), Completions()
USAGE = Usage(3, 4, exact=True)


@pytest.mark.parametrize(
    ("how", "message", "reason"),
    [
        ("content_filter", {"content": None, "refusal": None}, "content_filter"),
        ("refusal", {"content": None, "refusal": WORDS}, "stop"),
        ("message", {"content": WORDS, "refusal": None}, "stop"),
    ],
)
def test_a_whole_chat_completion(how: str, message: dict[str, Any], reason: str) -> None:
    assert CHAT.decline({"n": 2}, no(how, USAGE)) == {
        "id": "exc_1",
        "object": "chat.completion",
        "created": 7,
        "model": "gpt-x",
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", **message},
                "logprobs": None,
                "finish_reason": reason,
            }
            for index in (0, 1)
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    }


@pytest.mark.parametrize(
    ("how", "text", "reason"),
    [
        ("content_filter", "", "content_filter"),
        ("refusal", WORDS, "stop"),
        ("message", WORDS, "stop"),
    ],
)
def test_a_whole_completion(how: str, text: str, reason: str) -> None:
    """One choice for each prompt and each of `n`; there is no refusal but in words."""
    choice = {"text": text, "logprobs": None, "finish_reason": reason}
    told = COMPLETIONS.decline({"prompt": ["a", "b"], "n": 2}, no(how))
    assert told == {
        "id": "exc_1",
        "object": "text_completion",
        "created": 7,
        "model": "gpt-x",
        "choices": [{"index": index, **choice} for index in range(4)],
    }, "what was used is not known"


def ending(said: list[Event], how: str, **asked: Any) -> list[dict[str, Any]]:
    return data(CHAT.break_off(asked, no(how, USAGE), said))


def choices(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [choice for each in told for choice in each["choices"]]


def test_the_head_is_that_of_the_pieces_before() -> None:
    said = [chunk(0, {"content": "x"}, created=5, system_fingerprint="fp")]
    [told] = ending(said, "content_filter")
    assert told == {
        "id": "c", "object": "chat.completion.chunk", "created": 5, "model": "m",
        "system_fingerprint": "fp",
        "choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter"}],
    }  # fmt: skip


def test_what_has_no_head_gets_one() -> None:
    """Azure begins with a piece of no choices and an empty id."""
    said = events({"id": "", "model": "", "object": "", "choices": []})
    told = ending(said, "refusal")
    assert {(each["id"], each["model"], each["object"]) for each in told} == {
        ("exc_1", "gpt-x", "chat.completion.chunk")
    }
    assert choices(told)[0]["delta"] == {"role": "assistant", "refusal": WORDS}


def test_only_what_has_not_ended_is_ended() -> None:
    said = [chunk(0, {"content": "x"}, "stop"), chunk(2, {"content": "y"})]
    told = ending(said, "message", n=3)
    assert [(c["index"], c["delta"], c["finish_reason"]) for c in choices(told)] == [
        (1, {"role": "assistant", "content": WORDS}, None),
        (1, {}, "stop"),
        (2, {"content": f"\n\n{WORDS}"}, None),
        (2, {}, "stop"),
    ]


def test_where_all_had_ended_the_first_is_ended_again() -> None:
    told = ending([chunk(0, {"content": "x"}, "stop")], "content_filter")
    assert [(c["index"], c["finish_reason"]) for c in choices(told)] == [(0, "content_filter")]


@pytest.mark.parametrize(
    "delta",
    [
        {"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{"}}]},
        {"function_call": {"name": "f", "arguments": "{"}},
    ],
)
def test_a_choice_that_calls_a_tool_does_not_end_well(delta: dict[str, Any]) -> None:
    assert ending([chunk(0, delta)], "content_filter") == []
    ended = [chunk(0, delta), chunk(0, {}, "tool_calls"), chunk(1, {"content": "x"})]
    assert [c["index"] for c in choices(ending(ended, "content_filter", n=2))] == [1]


def test_usage_comes_last_where_it_is_asked_for_and_known() -> None:
    said = [chunk(0, {"content": "x"})]
    wanted = {"stream_options": {"include_usage": True}}
    *_, last = ending(said, "content_filter", **wanted)
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert all("usage" not in each for each in ending(said, "content_filter"))
    for usage in (None, Usage(3, 4, exact=False)):
        told = CHAT.break_off(wanted, no("content_filter", usage), said)
        assert all("usage" not in each for each in data(told))


def test_completions_end_in_text() -> None:
    said = events({"id": "c", "choices": [{"index": 0, "text": "Hm.", "finish_reason": None}]})
    asked = {"prompt": ["a", "b"]}
    for how in ("refusal", "message"):
        told = choices(data(COMPLETIONS.break_off(asked, no(how), said)))
        assert [(c["index"], c["text"], c["finish_reason"]) for c in told] == [
            (0, f"\n\n{WORDS}", None), (0, "", "stop"), (1, WORDS, None), (1, "", "stop"),
        ]  # fmt: skip
    told = choices(data(COMPLETIONS.break_off(asked, no("content_filter"), said)))
    assert [(c["text"], c["finish_reason"]) for c in told] == [("", "content_filter")] * 2
