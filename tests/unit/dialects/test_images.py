"""Images: the words about a picture are governed, the picture is handed on."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.answer import Event
from gateway.core.errors import Malformed
from gateway.dialects.images import ImageEdits, Images
from gateway.dialects.multipart import Upload

LENS, EDITS = Images(), ImageEdits()
PICTURE = Upload("a.png", "image/png", b"\x89PNG")
USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}


@pytest.mark.parametrize(
    ("more", "param"),
    [({"prompt": None}, "prompt"), ({"prompt": ""}, "prompt"), ({"prompt": ["x"]}, "prompt"),
     ({"n": 0}, "n"), ({"n": 11}, "n"), ({"n": "1"}, "n"), ({"stream": 1}, "stream"),
     ({"model": None}, "model")],
)  # fmt: skip
def test_what_cannot_be_governed_is_refused_by_name(more: dict[str, Any], param: str) -> None:
    with pytest.raises(Malformed) as refused:
        LENS.check({"model": "m", "prompt": "x", **more})
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("more", "param"),
    [({"prompt": PICTURE}, "prompt"), ({"prompt": ["x", "y"]}, "prompt"), ({"image": "x"}, "image"),
     ({"image": ["x", "y"]}, "image"), ({"image[]": [PICTURE, "x"]}, "image"), ({"n": "0"}, "n"),
     ({"n": "many"}, "n"), ({"stream": "yes"}, "stream"), ({"model": PICTURE}, "model")],
)  # fmt: skip
def test_an_edit_is_held_to_the_same(more: dict[str, Any], param: str) -> None:
    with pytest.raises(Malformed) as refused:
        EDITS.check({"model": "m", "prompt": "x", "image": PICTURE, **more})
    assert refused.value.param == param


def test_an_edit_needs_a_picture() -> None:
    with pytest.raises(Malformed, match="'image'"):
        EDITS.check({"model": "m", "prompt": "x"})


def test_pictures_of_an_edit_are_findings() -> None:
    form = {"model": "m", "prompt": "x", "n": "2", "image[]": [PICTURE, PICTURE], "mask": PICTURE}
    request = EDITS.check(form)
    assert [(found.label, found.where) for found in EDITS.opaque(request)] == [
        ("image", "/image[]/0"), ("image", "/image[]/1"), ("image", "/mask"),
    ]  # fmt: skip
    assert EDITS.choices(request) == 2
    assert LENS.choices({}) == 1


def test_the_answer_is_an_image() -> None:
    assert LENS.modalities({}) == EDITS.modalities({}) == ("image",)


def test_a_revised_prompt_is_governed() -> None:
    images = [{"b64_json": "AA==", "revised_prompt": "a"}, {"url": "x"}, {"revised_prompt": "c"}]
    event = Event({"created": 1, "data": images}, whole=True)
    assert [(run.lane.group, run.text) for run in LENS.runs(event)] == [(0, "a"), (2, "c")]
    streamed = Event({"type": "image_generation.partial_image", "revised_prompt": "a"})
    assert [run.text for run in LENS.runs(streamed)] == ["a"]
    assert LENS.ended(streamed) == (0,)


@pytest.mark.parametrize(
    "answer", [{"data": {}}, {"data": ["x"]}, {"data": [{"revised_prompt": ["x"]}]}]
)
def test_an_answer_out_of_shape_is_seen(answer: dict[str, Any]) -> None:
    assert not LENS.well_formed(answer)


@pytest.mark.parametrize("answer", [{}, {"data": []}, {"data": [{"b64_json": "AA=="}]}])
def test_an_answer_in_shape_is_seen(answer: dict[str, Any]) -> None:
    assert LENS.well_formed(answer)


@pytest.mark.parametrize("lens", [LENS, EDITS], ids=lambda lens: lens.action)
def test_a_whole_unfolds_into_what_folds_into_it(lens: Images) -> None:
    images = [{"b64_json": "AA==", "revised_prompt": "a"}, {"b64_json": "BB=="}]
    looks = {"size": "1024x1024", "quality": "low", "output_format": "webp"}
    answer = {"created": 1, "data": images, "usage": USAGE, **looks}
    events = lens.unfold(answer, {"stream": True, "quality": "high"})
    assert [event.data["background"] for event in events] == ["auto"] * 2
    assert [event.data["type"] for event in events] == [f"{lens.form}.completed"] * 2
    assert lens.fold(events) == answer
    assert lens.complete({}, {0}, events[-1])
    partial = Event({"type": f"{lens.form}.partial_image", "b64_json": "CC=="})
    assert not lens.complete({}, set(), partial)
    assert lens.ended(partial) == ()
    assert lens.fold([partial, *events]) == answer
    assert lens.fold([Event(answer, whole=True)]) is answer
