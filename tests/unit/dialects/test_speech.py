"""Speech: what is to be said is governed, the sound is handed on."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.answer import Event
from gateway.core.errors import Malformed
from gateway.dialects.speech import Speech

LENS = Speech()


@pytest.mark.parametrize(
    ("more", "param"),
    [({"input": None}, "input"), ({"input": ""}, "input"), ({"input": ["x"]}, "input"),
     ({"instructions": 1}, "instructions"), ({"voice": 1}, "voice"),
     ({"stream_format": "x"}, "stream_format"), ({"response_format": 1}, "response_format")],
)  # fmt: skip
def test_what_cannot_be_governed_is_refused_by_name(more: dict[str, Any], param: str) -> None:
    with pytest.raises(Malformed) as refused:
        LENS.check({"model": "m", "input": "x", "voice": "alloy", **more})
    assert refused.value.param == param


def test_events_are_a_stream_and_sound_is_not() -> None:
    assert LENS.streams({"stream_format": "sse"})
    assert not LENS.streams({"stream_format": "audio"})
    assert not LENS.streams({})
    assert LENS.modalities({}) == ("audio",)


@pytest.mark.parametrize(
    ("media", "taken"),
    [("audio/mpeg", True), ("Audio/WAV; rate=1", True), ("application/octet-stream", True),
     ("text/plain", False), ("text/html", False), ("video/mp4", False)],
)  # fmt: skip
def test_sound_is_taken_and_text_is_not(media: str, taken: bool) -> None:
    assert LENS.takes_media({}, media) is taken


def test_a_whole_unfolds_into_what_folds_into_it() -> None:
    usage = {"input_tokens": 1, "output_tokens": 2}
    pieces = [{"type": "speech.audio.delta", "audio": piece} for piece in ("YQ==", "YmM=")]
    events = [*map(Event, pieces), Event({"type": "speech.audio.done", "usage": usage})]
    whole = LENS.fold(events)
    assert whole == {"type": "speech.audio.done", "audio": "YWJj", "usage": usage}
    again = LENS.unfold(whole, {})
    assert LENS.fold(again) == whole
    assert LENS.complete({}, (), again[-1])
    assert not LENS.complete({}, (), again[0])
    assert [list(LENS.ended(event)) for event in again] == [[], [0]]
    assert LENS.well_formed(whole)
    assert not LENS.well_formed({"audio": [1]})
    assert LENS.fold([Event(whole, whole=True)]) is whole
