"""What of a response can be read here, and what is refused as out of shape."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.dialects.test_responses_answer import RESPONSES, STREAMS, response

MISSHAPEN: list[dict[str, Any]] = [
    {"type": 7},
    {"type": "a\ndata: x"},
    {"type": "response.output_text.delta", "output_index": "0"},
    {"type": "response.output_text.delta", "output_index": -1},
    {"type": "response.output_text.delta", "output_index": True},
    {"type": "response.output_text.delta", "content_index": 1 << 16},
    {"type": "response.output_item.added", "item": []},
    {"type": "response.content_part.added", "part": "x"},
    {"type": "response.output_item.added", "item": {"type": ["x"]}},
    {"type": "response.content_part.added", "part": {"type": {}}},
    {"object": "response", "output": [{"type": 1}]},
    {"type": "response.completed"},
    {"type": "response.completed", "response": {"output": "x"}},
    {"type": "response.completed", "response": {"output": ["x"]}},
    {"object": "response"},
    {"object": "response", "output": {}},
    {"object": "response", "output": [1]},
    {"output": [], "item": True},
    {"output": [], "part": "x"},
    {"output": [], "response": "x"},
    {"output": [], "output_index": "0"},
]


@pytest.mark.parametrize("answer", MISSHAPEN)
def test_what_cannot_be_read_is_not_well_formed(answer: dict[str, Any]) -> None:
    assert not RESPONSES.well_formed(answer)


@pytest.mark.parametrize("place", STREAMS)
def test_what_can_be_read_is(place: str) -> None:
    assert all(RESPONSES.well_formed(event.data) for event in STREAMS[place])
    assert RESPONSES.well_formed(response())
