"""What an index may know of what was said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auditing import personal
from gateway.core.audit import Payloads, Said
from gateway.governance.contents import DialectContents, Span, without
from gateway.wiring import DIALECTS
from tests.exchanges import called, chat_request, spoken, whole

CONTENTS = DialectContents(DIALECTS.values(), personal)
EMAIL = "ann@example.org"


def read(request: Any = None, events: Sequence[Any] = (), **more: Any) -> Said:
    """What is known of a chat completion."""
    answer = b"\n".join(event.encode() for event in events) or None
    body = None if request is None else orjson.dumps(request)
    return CONTENTS.read(Payloads("chat.completions.create", request=body, answer=answer, **more))


def test_what_was_asked_and_what_was_said() -> None:
    said = read(chat_request("one", "two"), [whole("three")])
    assert list(said.texts) == ["one", "two", "three"]
    assert list(said.ids) == ["c"]


def test_the_pieces_of_a_stream_are_one_text() -> None:
    said = read(chat_request("one"), spoken(["porcu", "pines"]), streamed=True)
    assert list(said.texts) == ["one", "porcupines"]


def test_tools_that_were_offered_and_called() -> None:
    tools = [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]
    said = read(chat_request("one", tools=tools), called(['{"a', '": 1}']), streamed=True)
    assert (list(said.tools), list(said.called)) == (["look_up"], ["send"])


def test_personal_data_that_no_rule_masked_is_not_known() -> None:
    tools = [{"type": "function", "function": {"name": EMAIL, "parameters": {}}}]
    attributes = {
        "x-govgate-tags": f"trial, {EMAIL}", "x-govgate-purpose": f"for {EMAIL}",
        "x-govgate-session-id": "s", "x-client-request-id": "mine",
        "traceparent": "00-abc-def-01",
    }  # fmt: skip
    said = read(
        chat_request(f"Write to {EMAIL}.", tools=tools), [whole(f"To {EMAIL}: hello")],
        attributes=orjson.dumps(attributes),
    )  # fmt: skip
    assert EMAIL not in str(said)
    assert [text.split() for text in said.texts][:2] == [
        ["Write", "to", "EMAIL_ADDRESS", "."], ["EMAIL_ADDRESS"],
    ]  # fmt: skip
    assert list(said.tags) == ["trial", " EMAIL_ADDRESS "]
    assert said.purpose == "for  EMAIL_ADDRESS "
    assert (said.session, set(said.ids)) == ("s", {"c", "mine", "00-abc-def-01", "abc"})


def finding(
    start: int, end: int, where: str = "/messages/0/content", **more: Any
) -> Mapping[str, Any]:
    told = {"kind": "pii", "label": "PERSON", "score_milli": 900, "where": where}
    return {**told, "start": start, "end": end, **more}


def test_what_was_found_and_left_is_taken_out() -> None:
    asked = chat_request("Ann and Ann-Marie met", "Ann")
    found = [
        finding(0, 3), finding(8, 11), finding(8, 17), finding(18, 21, kind="phrase"),
        finding(0, 3, where="/messages/1/content", score_milli=100),
    ]  # fmt: skip
    said = read(asked, found=found)
    assert [text.split() for text in said.texts] == [
        ["PERSON", "and", "PERSON", "PERSON", "met"],  # one for each finding
        ["Ann"],
    ]


def test_a_form_is_read_by_how_it_begins() -> None:
    form = (
        b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nporcupines\r\n'
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n'
        b"Content-Type: audio/mpeg\r\n\r\n\xff\xfe\r\n--b--\r\n"
    )
    told = Payloads("audio.transcriptions.create", request=form, answer=b"plain hedgehogs")
    said = CONTENTS.read(told)
    assert "porcupines" in list(said.texts)
    assert "plain hedgehogs" in list(said.texts)


def test_speech_says_nothing() -> None:
    told = Payloads("audio.speech.create", answer=b"\xff\xf3\x00\n\x01")
    assert list(CONTENTS.read(told).texts) == []


@pytest.mark.parametrize(
    "told",
    [
        Payloads("nothing.known"),
        Payloads("chat.completions.create", request=b"{"),
        Payloads("chat.completions.create", request=b"[]"),
        Payloads("chat.completions.create", answer=b'{"choices": 5}'),
        Payloads("chat.completions.create", attributes=b"[1]"),
    ],
    ids=lambda told: str(told)[:60],
)
def test_what_cannot_be_read_is_said(told: Payloads) -> None:
    with pytest.raises(ValueError, match="read"):
        CONTENTS.read(told)


@given(
    st.text(alphabet="abc", max_size=30),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6),
)
def test_nothing_that_was_found_is_left(text: str, places: list[tuple[int, int]]) -> None:
    spans = [Span("L", start, end) for start, end in places if start < end <= len(text)]
    covered = {place for span in spans for place in range(span.start, span.end)}
    left = "".join(letter for place, letter in enumerate(text) if place not in covered)
    assert "".join(without(text, spans).replace("L", "").split()) == left
