"""Where the text of a transcript is, and what says it again."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import Event
from gateway.dialects import transcript

SRT = (
    "1\r\n00:00:00,000 --> 00:00:01,000\r\nHello\r\n\r\n"
    "2\r\n00:00:01,000 --> 00:00:02,000\r\nyou\r\n"
)
VTT = "WEBVTT\n\nintro\n00:00.000 --> 00:01.000 align:start line:0\nHello\n\nNOTE odd\n"
VERBOSE: dict[str, Any] = {
    "task": "transcribe",
    "text": "Hello you",
    "segments": [
        {"id": 0, "text": "Hello", "tokens": [1], "words": [{"word": "Hello"}]},
        {"id": 1, "text": " you", "tokens": [2]},
    ],
    "words": [{"word": "Hello", "start": 0.0}, {"word": "you", "start": 0.5}],
}


def verbose() -> Event:
    return Event(copy.deepcopy(VERBOSE), whole=True)


def subtitles(text: str) -> Event:
    return Event({"text": text}, whole=True, media="text/plain")


def test_every_place_is_a_run() -> None:
    runs = transcript.runs(verbose())
    assert {run.lane.name: run.text for run in runs} == {
        "text": "Hello you", "segments/0": "Hello", "segments/0/words/0": "Hello",
        "segments/1": " you", "words/0": "Hello", "words/1": "you",
    }  # fmt: skip
    untold = {"segments": [{"text": "a", "speaker": "b"}], "words": [{"word": "c"}]}
    runs = transcript.runs(Event(untold, whole=True))
    assert [run.text for run in runs] == ["a", "b", "c"]


def test_pieces_go_with_a_text_that_is_changed_and_stay_with_one_that_is_not() -> None:
    event = verbose()
    whole, *pieces = transcript.runs(event)
    whole.put("")
    assert event.data == {"task": "transcribe", "text": ""}
    pieces[0].put("[X]")
    whole.put("Hello you")
    assert event.data["segments"][0]["text"] == "[X]"
    assert event.data["words"] == VERBOSE["words"]
    assert [segment["tokens"] for segment in event.data["segments"]] == [[], []]
    whole.put("Hello")
    assert event.data == {"task": "transcribe", "text": "Hello"}


@pytest.mark.parametrize(
    ("text", "spoken"), [(SRT, "Hello\r\nyou\r"), (VTT, "intro\nHello\nNOTE odd")]
)
def test_cues_are_read_without_their_times(text: str, spoken: str) -> None:
    event = subtitles(text)
    [run] = transcript.runs(event)
    assert run.text == spoken
    run.put("")
    run.put(spoken)
    assert event.data["text"] == text


def test_what_is_no_time_is_read() -> None:
    hidden = "0 --> ann@example.org\n1\n00:01 --> 00:02 call 112\n123456\n"
    [run] = transcript.runs(subtitles(hidden))
    assert run.text == hidden.rstrip("\n")


def test_cues_that_become_fewer_stand_in_the_first() -> None:
    event = subtitles(SRT.replace("\r", ""))
    [run] = transcript.runs(event)
    run.put("[X]")
    assert "[X]" in event.data["text"]
    assert "Hello" not in event.data["text"]
    assert "you" not in event.data["text"]
    assert run.text == "[X]"
    assert event.data["text"].count("-->") == 2


@given(st.text(alphabet="a1\n:,-> ", max_size=60), st.text(alphabet="xy\n", max_size=20))
def test_no_text_is_left_where_it_was_rewritten(text: str, put: str) -> None:
    event = subtitles(text)
    [run] = transcript.runs(event)
    assert ("a" in run.text) == ("a" in text)
    run.put(put)
    assert "a" not in event.data["text"]
    assert run.text == put
    letters = put.replace("\n", "")
    assert "".join(c for c in event.data["text"] if c in "xy") == letters


def test_what_a_stream_says_again() -> None:
    delta = Event({"type": transcript.DELTA, "delta": "a"})
    spoken = {"id": "s", "text": "a", "start": 0, "end": 1, "speaker": "b"}
    segment = Event({"type": transcript.SEGMENT, **spoken})
    done = Event({"type": transcript.DONE, "text": "a"})
    assert [run.lane.name for run in transcript.runs(delta)] == ["text"]
    assert [run.lane.name for run in transcript.runs(segment)] == ["segments"]
    assert transcript.runs(done) == []
    assert [run.lane.name for run in transcript.echoes(done)] == ["text"]
    assert [run.lane.name for run in transcript.echoes(segment)] == ["segments/s/0/1/speaker"]
    assert list(transcript.echoes(delta)) == []


def test_the_pieces_at_the_end_of_a_stream_go_with_a_text_that_is_changed() -> None:
    for put, left in (("Hello you", 2), ("[X]", 0)):
        done = Event({"type": transcript.DONE, **copy.deepcopy(VERBOSE)})
        echoes = transcript.echoes(done)
        next(echoes).put(put)
        pieces = list(echoes)
        assert [run.text for run in pieces].count("Hello") == (3 if left else 0)
        assert len(done.data.get("segments", ())) == left


@pytest.mark.parametrize(
    ("said", "read", "put", "left", "speaker"),
    [("Hi.", " Hi.", " Hi.", "Hi.", "A"), (" Hi.", " Hi.", " Hi.", " Hi.", "A"),
     ("", "", "", "", "A"), ("Hi.", " Hi.", "", "", ""), ("Hi.", " Hi.", " Yo. Hi.", "Yo. Hi.", ""),
     (" Hi.", " Hi.", " Yo.", " Yo.", ""), ("", "", " Yo.", " Yo.", "")],
)  # fmt: skip
def test_a_segment_follows_the_one_before_and_names_who_said_all_of_it(
    said: str, read: str, put: str, left: str, speaker: str
) -> None:
    event = Event({"type": transcript.SEGMENT, "text": said, "speaker": "A"})
    [run] = transcript.runs(event)
    assert run.text == read
    run.put(put)
    assert (event.data["text"], event.data["speaker"]) == (left, speaker)


def test_what_was_held_back_of_segments_is_said_by_one() -> None:
    event = transcript.say(transcript.SEGMENTS, "a")
    assert event.data == {"type": transcript.SEGMENT, "text": "a", "speaker": ""}
    assert [run.lane for run in transcript.runs(event)] == [transcript.SEGMENTS]


def test_what_spells_the_text_out_goes() -> None:
    event = verbose()
    event.data["logprobs"] = [{"token": "Hello"}]
    assert transcript.unspell(event.data)
    assert "logprobs" not in event.data
    assert [segment["tokens"] for segment in event.data["segments"]] == [[], []]
    assert not transcript.unspell(event.data)


@pytest.mark.parametrize(
    ("data", "nothing"),
    [({"delta": ""}, True), ({"delta": "", "logprobs": None, "segment_id": "s"}, True),
     ({"delta": "a"}, False), ({"delta": "", "odd": 1}, False)],
)  # fmt: skip
def test_only_an_emptied_piece_says_nothing(data: dict[str, Any], nothing: bool) -> None:
    assert transcript.says_nothing({"type": transcript.DELTA, **data}) is nothing
    assert not transcript.says_nothing({"type": transcript.DONE, **data})


@pytest.mark.parametrize(
    "answer",
    [{"text": ["a"]}, {"delta": {}}, {"segments": {}}, {"segments": ["a"]}, {"words": [1]},
     {"speaker": 1}, {"segments": [{"speaker": []}]},
     {"segments": [{"text": ["a"]}]}, {"words": [{"word": {}}]},
     {"segments": [{"words": [{"word": 1}]}]}],
)  # fmt: skip
def test_an_answer_out_of_shape_is_seen(answer: dict[str, Any]) -> None:
    assert not transcript.well_formed(answer)


def test_an_answer_in_shape_is_seen() -> None:
    assert transcript.well_formed(VERBOSE)
    assert transcript.well_formed({})
    assert transcript.well_formed({"text": None, "segments": None})


def test_a_whole_unfolds_into_what_folds_into_it() -> None:
    segments = [{"type": transcript.SEGMENT, "id": "s", "text": "a", "speaker": "A"}]
    answer = {"text": "ab", "usage": {"type": "tokens"}, "segments": segments}
    events = transcript.unfold(answer)
    assert [event.data["type"] for event in events] == [
        transcript.DELTA, transcript.SEGMENT, transcript.DONE,
    ]  # fmt: skip
    assert transcript.fold(events) == answer
    assert transcript.fold(events[:1]) == {"text": "ab"}
    whole = Event(answer, whole=True)
    assert transcript.fold([whole]) is answer
