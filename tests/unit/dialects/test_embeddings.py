"""Embeddings: text is governed, vectors are handed on."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.answer import Event
from gateway.core.errors import Malformed
from gateway.core.money import Usage
from gateway.dialects.embeddings import Embeddings

LENS = Embeddings()


@pytest.mark.parametrize(
    ("more", "param"),
    [({"input": [1, 2]}, "input"), ({"input": [[1]]}, "input"), ({"input": None}, "input"),
     ({"input": [{"image": "x"}]}, "input"), ({"dimensions": "1"}, "dimensions"),
     ({"encoding_format": 1}, "encoding_format")],
)  # fmt: skip
def test_what_cannot_be_governed_is_refused_by_name(more: dict[str, Any], param: str) -> None:
    with pytest.raises(Malformed) as refused:
        LENS.check({"model": "m", "input": "x", **more})
    assert refused.value.param == param


def test_the_answer_is_a_vector_and_only_what_was_read_is_billed() -> None:
    assert LENS.modalities({}) == ("vector",)
    answer = Event({"data": [], "usage": {"prompt_tokens": 7, "total_tokens": 7}}, whole=True)
    assert LENS.usage(answer) == Usage(7, 0, exact=True)
    assert LENS.usage(Event({"data": []}, whole=True)) is None
    assert not LENS.says_text(answer)
    assert not LENS.streams({"stream": True})
