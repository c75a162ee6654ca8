"""The texts of an answer outside its streamed members: which are read, which are structure."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import Event, Lane, Run
from gateway.dialects.answer_texts import unspell, with_loose, without_repeated
from gateway.dialects.json_values import APART

SEALED = "QUJD" * 20


@pytest.mark.parametrize(
    "data",
    [
        {"search_results": [{"title": "a text"}]},
        {"citations": ["a text"]},
        {"choices": [{"index": 0, "note": {"deep": [["a text"]]}}]},
        {"id": "a text"},
        {"type": "a text"},
        {"finish_reason": "a text"},
        {"signature": "a text"},
        {"url": "a text"},
        {"url": "data:text/plain,a text"},
        {"data": "a text"},
        {"logprobs": "a text"},
        {"arguments": "a text"},
    ],
)
def test_every_other_string_is_a_text(data: dict[str, Any]) -> None:
    [run] = with_loose(Event(data), [])
    value = run.text
    assert value in ("a text", "data:text/plain,a text")
    assert (run.lane.group, run.lane.json) == (APART, "arguments" in data)
    run.put("b")
    assert value not in str(data)


@pytest.mark.parametrize(
    "data",
    [
        {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "org/m:free"},
        {"choices": [{"index": 0, "finish_reason": "stop", "delta": {"role": "assistant"}}]},
        {"obfuscation": "aB3x", "service_tier": "default", "created": 1},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": SEALED}]},
        {"extra_content": {"google": {"thought_signature": SEALED}}},
        {"audio": {"id": "a", "data": "QUI="}},
        {"images": [{"image_url": {"url": "data:image/png;base64,QUI="}}]},
        {"logprobs": {"content": [{"token": "a text"}]}},
    ],
)
def test_structure_and_bytes_are_no_text(data: dict[str, Any]) -> None:
    assert with_loose(Event(data), []) == []


def test_known_runs_come_first_and_once() -> None:
    data = {"before": "x", "delta": {"content": "y"}}
    known = Run(Lane(0, "content"), data["delta"], "content")
    assert [run.text for run in with_loose(Event(data), [known])] == ["y", "x"]


SPELLED = ["logprobs", "prompt_logprobs", "token_ids", "prompt_token_ids"]
JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*SPELLED, "choices", "x"]), inner, max_size=4)
    ),
)


def spelling(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [found for item in value for found in spelling(item)]
    if isinstance(value, dict):
        mine = [item for name, item in value.items() if name in SPELLED and item]
        return mine + [found for item in value.values() for found in spelling(item)]
    return []


@given(JSON)
def test_nothing_is_left_that_spells_the_text_out(value: Any) -> None:
    before = copy.deepcopy(value)
    assert unspell(value) is bool(spelling(before))
    assert spelling(value) == []
    assert spelling(before) or value == before


def test_what_a_piece_repeats_goes() -> None:
    message = {"content": "all so far"}
    for said in ({"delta": {"content": "far"}}, {"text": "far"}):
        event = Event({"choices": [{"index": 0, **said, "message": message}]}, raw=b"{}")
        without_repeated(event)
        assert event.data == {"choices": [{"index": 0, **said}]}
        assert event.raw is None
    alone = Event({"choices": [{"index": 0, "delta": None, "message": message}]}, raw=b"{}")
    without_repeated(alone)
    assert alone.raw == b"{}"
