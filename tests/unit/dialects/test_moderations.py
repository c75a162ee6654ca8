"""Moderations: every text is governed, every image is a finding."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.errors import Malformed
from gateway.dialects.moderations import Moderations

LENS = Moderations()
BYTES = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
TEXT = {"type": "text", "text": "x"}


@pytest.mark.parametrize("model", [{}, {"model": None}])
def test_the_model_may_be_left_out(model: dict[str, Any]) -> None:
    assert LENS.check({"input": "x", **model})["model"] == "omni-moderation-latest"
    assert LENS.check({"input": "x", "model": "m"})["model"] == "m"


@pytest.mark.parametrize(
    ("value", "param"),
    [(None, "input"), (1, "input"), ([1], "input"), ([], "input"), ([TEXT, "x"], "input[1]"),
     ([{"type": "text"}], "input[0].text"), ([{"text": "x"}], "input[0].type"),
     ([{"type": "ann@example.org"}], "input[0].type"), ({"type": "text"}, "input")],
)  # fmt: skip
def test_what_cannot_be_governed_is_refused_by_name(value: Any, param: str) -> None:
    with pytest.raises(Malformed) as refused:
        LENS.check({"input": value})
    assert refused.value.param == param


def test_the_body_is_an_object() -> None:
    with pytest.raises(Malformed):
        LENS.check(["x"])


def test_what_cannot_be_read_is_found() -> None:
    parts = [TEXT, IMAGE, {"type": "video"}, {**TEXT, "image_url": "x"}]
    request = LENS.check({"input": parts})
    assert [(found.label, found.where) for found in LENS.opaque(request)] == [
        ("image", "/input/1"), ("part", "/input/2"), ("image", "/input/3"),
    ]  # fmt: skip
    slots = LENS.slots(request)
    assert {slot.where: slot.text for slot in slots if not slot.fixed} == {
        "/input/0/text": "x",
        "/input/1/image_url/url": "https://example.org/a.png",
        "/input/3/text": "x",
        "/input/3/image_url": "x",
    }
    assert [(slot.where, slot.text) for slot in slots if slot.fixed] == [("/input/2/type", "video")]
    assert LENS.opaque(LENS.check({"input": ["x"]})) == []


def test_bytes_are_no_text() -> None:
    request = LENS.check({"input": [BYTES, {**TEXT, "image_url": "data:image/png;base64,aGk="}]})
    assert [slot.text for slot in LENS.slots(request)] == ["x"]
    assert [found.label for found in LENS.opaque(request)] == ["image", "image"]
