"""What a dialect has when it overrides nothing: JSON in and out, and nothing to govern."""

from __future__ import annotations

import json

import pytest

from gateway.core.answer import Event, Lane
from gateway.core.errors import Code, Denied, Malformed
from gateway.dialects.lens import Lens

LENS = Lens()


def test_it_reads_and_writes_json() -> None:
    request = {"model": "m", "of a kind we do not know": [1, {"é": None}]}
    kind, body = LENS.encode(request)
    assert kind in LENS.accepts
    assert LENS.parse(body, kind) == request


def test_it_refuses_what_is_no_json() -> None:
    with pytest.raises(Malformed) as refused:
        LENS.parse(b"{", "application/json")
    assert refused.value.code is Code.INVALID_JSON


def test_an_error_in_place_of_an_answer_is_seen() -> None:
    assert LENS.broken({"error": {"message": "no"}})
    assert not LENS.broken({"error": None})
    assert not LENS.broken({"data": []})


def test_it_has_no_stream_to_add_to() -> None:
    assert not LENS.streams({"stream": True})
    with pytest.raises(NotImplementedError):
        LENS.say(Lane(0, "content"), "text", None)


def test_a_whole_answer_stays_what_it_is() -> None:
    event = Event({"data": [1]}, whole=True)
    assert LENS.fold([event]) is event.data
    assert [again.data for again in LENS.unfold(event.data, {})] == [event.data]
    assert not LENS.hollow(event)


def test_it_says_no_as_openai_does() -> None:
    body = LENS.error(Denied(Code.CONTENT_FILTER, "no", param="input"), {"decision_id": "dec_1"})
    assert body["error"]["code"] == "content_filter"
    assert body["error"]["governance"] == {"decision_id": "dec_1"}
    assert json.loads(LENS.frame_error(body, finished=False).removeprefix(b"data: ")) == body
