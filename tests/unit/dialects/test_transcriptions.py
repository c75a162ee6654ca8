"""Transcriptions: a recording cannot be read, what it was heard to say can."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.answer import Event, Lane
from gateway.core.errors import Code, Malformed
from gateway.dialects.multipart import Upload
from gateway.dialects.transcriptions import LARGEST_FILE, Transcriptions, Translations

LENS = Transcriptions()
FILE = Upload("a.wav", "audio/wav", b"RIFF")


@pytest.mark.parametrize(
    ("more", "param"),
    [({"file": None}, "file"), ({"file": "x"}, "file"), ({"file": [FILE, FILE]}, "file"),
     ({"prompt": FILE}, "prompt"), ({"prompt": ["x", "y"]}, "prompt"), ({"stream": "1"}, "stream"),
     ({"response_format": ["text", "json"]}, "response_format"), ({"model": None}, "model")],
)  # fmt: skip
def test_what_cannot_be_governed_is_refused_by_name(more: dict[str, Any], param: str) -> None:
    with pytest.raises(Malformed) as refused:
        LENS.check({"model": "m", "file": FILE, **more})
    assert refused.value.param == param


def test_a_recording_has_a_largest_size() -> None:
    most = Upload("a.wav", None, b"\0" * LARGEST_FILE)
    assert LENS.check({"model": "m", "file": most})
    most.content += b"\0"
    with pytest.raises(Malformed) as refused:
        LENS.check({"model": "m", "file": most})
    assert (refused.value.code, refused.value.param) == (Code.REQUEST_TOO_LARGE, "file")


def test_recordings_are_findings_and_no_text() -> None:
    references = ["data:audio/wav;base64,AA==", "data:audio/wav;base64,BB=="]
    form = {"model": "m", "file": FILE, "known_speaker_references[]": references, "x": FILE}
    request = LENS.check(form)
    assert [(found.label, found.where) for found in LENS.opaque(request)] == [
        ("audio", "/file"), ("file", "/#3"), ("audio", "/known_speaker_references[]"),
    ]  # fmt: skip
    assert {slot.where for slot in LENS.slots(request)} == {"/file/filename", "/#3/filename", "/#"}


@pytest.mark.parametrize(
    ("wanted", "media", "taken"),
    [("srt", "text/plain; charset=utf-8", True), ("vtt", "text/vtt", True), ("text", "text/plain",
     True), ("json", "text/plain", False), (None, "text/plain", False),
     ("text", "text/plain; charset=latin-1", False), ("srt", "application/x-subrip", False),
     ("text", "TEXT/plain", False)],
)  # fmt: skip
def test_only_text_that_can_be_governed_is_taken(wanted: Any, media: str, taken: bool) -> None:
    assert LENS.takes_media({"response_format": wanted}, media) is taken


def test_a_stream_ends_with_its_last_event() -> None:
    done = Event({"type": "transcript.text.done", "text": "a"})
    delta = LENS.say(Lane(0, "text"), "a", done)
    assert delta.data == {"type": "transcript.text.delta", "delta": "a"}
    assert LENS.complete({}, (), done)
    assert not LENS.complete({}, (), delta)
    assert (LENS.ended(done), LENS.ended(delta)) == ((0,), ())
    assert not LENS.hollow(delta)
    assert LENS.hollow(LENS.say(Lane(0, "text"), "", None))


def test_translations_are_transcripts_of_their_own_name() -> None:
    assert Translations().action == "audio.translations.create"
    assert Translations().check({"model": "m", "file": FILE})


def test_translations_do_not_stream() -> None:
    """The API gives them no `stream`; one that is sent goes on to the provider."""
    asked = {"model": "m", "file": FILE, "stream": "true"}
    form = Translations().check(dict(asked))
    assert not Translations().streams(form)
    assert LENS.streams(form)
    kind, body = Translations().encode(form)
    assert LENS.parse(body, kind) == asked
