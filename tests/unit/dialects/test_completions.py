"""Text completions: what is asked, what is billed, how an answer folds and ends."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import Event, Lane
from gateway.core.errors import Malformed
from gateway.core.money import Usage
from gateway.dialects.completions import Completions

LENS = Completions()
USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
HEAD = {"id": "c", "object": "text_completion", "created": 1, "model": "m"}


def request(**more: Any) -> dict[str, Any]:
    return {"model": "m", "prompt": "x", **more}


def chunk(text: str, index: int = 0, end: str | None = None, **more: Any) -> Event:
    choice = {"index": index, "text": text, "logprobs": None, "finish_reason": end, **more}
    return Event({**HEAD, "choices": [choice]})


def whole(*texts: str, **more: Any) -> dict[str, Any]:
    choices = [
        {"index": index, "text": text, "logprobs": None, "finish_reason": "stop"}
        for index, text in enumerate(texts)
    ]
    return {**HEAD, "choices": choices, "usage": USAGE, **more}


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"prompt": [1, 2]}, "prompt"), ({"prompt": [[1]]}, "prompt"), ({"prompt": {}}, "prompt"),
        ({"prompt": []}, "prompt"), ({"suffix": 1}, "suffix"), ({"stop": {}}, "stop"),
        ({"stream": "yes"}, "stream"), ({"n": 0}, "n"), ({"n": True}, "n"),
        ({"best_of": 129}, "best_of"), ({"max_tokens": -1}, "max_tokens"), ({"echo": 1}, "echo"),
        ({"prompt_embeds": "AA=="}, "prompt_embeds"), ({"prompt_token_ids": [1]},
                                                       "prompt_token_ids"),
        ({"stream_options": []}, "stream_options"), ({"model": ""}, "model"),
        ({"models": ["x"]}, "models"), ({"fallbacks": ["x"]}, "fallbacks"),
        ({"route": "fallback"}, "route"),
    ],
)  # fmt: skip
def test_what_cannot_be_governed_is_refused_by_name(more: dict[str, Any], param: str) -> None:
    with pytest.raises(Malformed) as refused:
        LENS.check(request(**more))
    assert refused.value.param == param


@pytest.mark.parametrize("prompt", [None, "", "x", ["x", "y"]])
def test_a_prompt_is_text_or_missing(prompt: Any) -> None:
    assert LENS.check(request(prompt=prompt))["prompt"] == prompt


def test_the_limit_is_the_callers_or_the_apis_own() -> None:
    assert LENS.output_limit(request()) == 16
    assert LENS.output_limit(request(max_tokens=0)) == 0
    for given_limit, most, written in ((None, 8, 8), (None, 500, 16), (100, 50, 50), (10, 50, 10)):
        asked = request(max_tokens=given_limit)
        LENS.limit_output(asked, most)
        assert asked["max_tokens"] == written


def test_all_that_is_written_is_billed() -> None:
    assert LENS.choices(request()) == 1
    assert LENS.choices(request(n=2, best_of=5)) == 5
    assert LENS.choices(request(n=2, prompt=["x", "y", "z"])) == 6


def test_usage_is_asked_for_and_hidden_again() -> None:
    asked = request(stream=True, stream_options={"x": 1})
    assert LENS.count_usage(asked)
    assert asked["stream_options"] == {"x": 1, "include_usage": True}
    assert not LENS.count_usage(asked)
    assert not LENS.count_usage(request())
    last = Event({**HEAD, "choices": [], "usage": USAGE})
    assert LENS.only_usage(last)
    assert LENS.usage(last) == Usage(3, 5, exact=True)
    piece = Event({**chunk("x").data, "usage": None}, raw=b"{}")
    assert not LENS.only_usage(piece)
    assert LENS.usage(piece) is None
    assert LENS.hide_usage(piece)
    assert piece.raw is None
    assert "usage" not in piece.data
    assert not LENS.hide_usage(piece)


def test_where_the_text_is() -> None:
    event = Event(whole("a", "b"), whole=True)
    assert [(run.lane, run.text) for run in LENS.runs(event)] == [
        (Lane(0, "text"), "a"), (Lane(1, "text"), "b"),
    ]  # fmt: skip
    thought = chunk("a", reasoning="b", reasoning_content="c")
    assert {run.text for run in LENS.runs(thought)} == {"a", "b", "c"}


def test_what_spells_the_text_out_goes() -> None:
    spelled = {"tokens": ["a"], "token_logprobs": [0.0]}
    event = chunk("a", logprobs=spelled, token_ids=[1], prompt_logprobs=[{}])
    assert LENS.unspell(event)
    [choice] = event.data["choices"]
    assert choice["logprobs"] is choice["token_ids"] is choice["prompt_logprobs"] is None
    assert not LENS.unspell(event)


def test_text_outside_the_streamed_members_is_read() -> None:
    event = chunk("a", note={"of": "b c"})
    event.data |= {"citations": ["d e"], "prompt_logprobs": [{}]}
    assert [run.text for run in LENS.runs(event)] == ["a", "b c", "d e"]
    [apart] = LENS.ended(event)
    assert [run.lane.group for run in LENS.runs(event)] == [0, apart, apart]
    assert LENS.unspell(event)
    assert event.data["prompt_logprobs"] is None


def test_a_message_is_read_in_a_whole_and_goes_from_a_piece() -> None:
    answer = whole("a")
    answer["choices"][0]["message"] = {"content": "b c"}
    assert [run.text for run in LENS.runs(Event(answer, whole=True))] == ["a", "b c"]
    piece = chunk("a", message={"content": "b c"})
    assert [run.text for run in LENS.runs(piece)] == ["a"]
    assert "message" not in piece.data["choices"][0]


def test_an_ending_can_be_taken_out() -> None:
    event = Event({**chunk("a", end="stop").data, "usage": USAGE}, raw=b"{}")
    assert LENS.ended(event) == [0]
    LENS.unend(event)
    assert LENS.ended(event) == []
    assert "usage" not in event.data
    assert event.raw is None


def test_a_stream_is_complete_when_every_choice_has_ended() -> None:
    last = chunk("", end="stop")
    asked = request(n=2, best_of=4, prompt=["x", "y"])
    assert LENS.complete(asked, {0, 1, 2, 3}, last)
    assert not LENS.complete(asked, {0, 1, 3}, last)
    assert LENS.complete(request(), {0}, last)


@pytest.mark.parametrize(
    ("event", "hollow"),
    [
        (chunk(""), True),
        (chunk("a"), False),
        (chunk("", end="stop"), False),
        (chunk("", odd=1), False),
        (chunk("", reasoning="b"), False),
        (Event({**chunk("").data, "odd": 1}), False),
        (Event({**chunk("").data, "usage": USAGE}), False),
        (Event({**HEAD, "choices": []}), False),
        (Event(chunk("").data, raw=b"{}"), False),
        (Event(whole(""), whole=True), False),
    ],
)
def test_only_an_emptied_event_is_hollow(event: Event, hollow: bool) -> None:
    assert LENS.hollow(event) is hollow


@pytest.mark.parametrize(
    "answer",
    [{"choices": {}}, {"choices": [1]}, {"choices": [{"text": ["a"]}]},
     {"choices": [{"reasoning": {}}]}, {"choices": [{"index": "0"}]}],
)  # fmt: skip
def test_an_answer_out_of_shape_is_seen(answer: dict[str, Any]) -> None:
    assert not LENS.well_formed(answer)


def test_an_answer_in_shape_is_seen() -> None:
    assert LENS.well_formed(whole("a"))
    assert LENS.well_formed({})
    assert LENS.well_formed(chunk("a").data)


@given(st.lists(st.text(max_size=5), min_size=1, max_size=4))
def test_a_whole_unfolds_into_what_folds_into_it(texts: list[str]) -> None:
    answer = whole(*texts, system_fingerprint="f")
    asked = request(stream=True, stream_options={"include_usage": True})
    events = LENS.unfold(copy.deepcopy(answer), asked)
    assert LENS.fold(events) == answer
    assert all(LENS.well_formed(event.data) for event in events)
    assert LENS.only_usage(events[-1])
    assert LENS.complete(
        request(n=len(texts)), {i for e in events for i in LENS.ended(e)}, events[-1]
    )


def test_logprobs_of_pieces_follow_each_other() -> None:
    pieces = [
        chunk(text, logprobs={"tokens": [text], "text_offset": [place]})
        for place, text in enumerate("ab")
    ]
    [choice] = LENS.fold(pieces)["choices"]
    assert choice["logprobs"] == {"tokens": ["a", "b"], "text_offset": [0, 1]}
    assert choice["text"] == "ab"


def test_what_was_held_back_can_be_said() -> None:
    event = LENS.say(Lane(1, "text"), "a", chunk("b"))
    assert event.data["id"] == "c"
    assert [(run.lane.group, run.text) for run in LENS.runs(event)] == [(1, "a")]
    thought = LENS.say(Lane(0, "reasoning"), "a", None)
    assert "a" in [run.text for run in LENS.runs(thought)]
