"""A message says no: as the API's own refusal, with the words beside it, or in plain text."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.answer import Event
from gateway.core.money import Usage
from gateway.dialects.count_tokens import CountTokens
from gateway.dialects.messages import Messages
from tests.unit.dialects.declining import WORDS, data, events, no

MESSAGES = Messages()
USAGE = Usage(3, 4, exact=True)
START = {"type": "message_start", "message": {"id": "msg_1", "content": [], "usage": {}}}
STOP = {"type": "message_stop"}


def refused(words: str | None) -> dict[str, Any]:
    details = {"type": "refusal", "category": None, "explanation": words}
    return {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}


ENDED = {"stop_reason": "end_turn", "stop_sequence": None}


def block(index: int, kind: str = "text", **more: Any) -> dict[str, Any]:
    told = {"type": kind, **({"text": ""} if kind == "text" else {}), **more}
    return {"type": "content_block_start", "index": index, "content_block": told}


def says(index: int, text: str) -> dict[str, Any]:
    delta = {"type": "text_delta", "text": text}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def ends(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


@pytest.mark.parametrize(
    ("how", "content", "ending"),
    [
        ("content_filter", [], refused(None)),
        ("refusal", [], refused(WORDS)),
        ("message", [{"type": "text", "text": WORDS}], ENDED),
    ],
)
def test_a_whole_message(how: str, content: list[Any], ending: dict[str, Any]) -> None:
    assert MESSAGES.decline({}, no(how, USAGE)) == {
        "id": "exc_1",
        "type": "message",
        "role": "assistant",
        "model": "gpt-x",
        "content": content,
        "usage": {"input_tokens": 3, "output_tokens": 4},
        **ending,
    }


def test_it_has_a_count_also_where_none_is_known() -> None:
    """Clients rely on there being one."""
    told = MESSAGES.decline({}, no("content_filter"))
    assert told is not None
    assert told["usage"] == {"input_tokens": 0, "output_tokens": 0}


def rest(how: str, *said: dict[str, Any]) -> list[dict[str, Any]]:
    return data(MESSAGES.break_off({}, no(how, USAGE), events(*said)))


def delta(ending: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message_delta", "delta": ending, "usage": {"output_tokens": 4}}


@pytest.mark.parametrize(("how", "words"), [("content_filter", None), ("refusal", WORDS)])
def test_a_stream_closes_what_is_open_and_adds_no_text(how: str, words: str | None) -> None:
    said = (START, block(0, "thinking", thinking=""), ends(0), block(1), says(1, "Hm."))
    assert rest(how, *said) == [ends(1), delta(refused(words)), STOP]
    assert rest(how, START) == [delta(refused(words)), STOP]


def test_a_message_is_a_block_of_its_own() -> None:
    said = (START, block(0), says(0, "Hm."))
    assert rest("message", *said) == [
        ends(0), block(1), says(1, f"\n\n{WORDS}"), ends(1), delta(ENDED), STOP,
    ]  # fmt: skip
    assert rest("message", START, block(0)) == [
        ends(0), block(1), says(1, WORDS), ends(1), delta(ENDED), STOP,
    ]  # fmt: skip


def test_what_has_not_begun_is_told_whole() -> None:
    told = rest("refusal", {"type": "ping"})
    assert [each["type"] for each in told] == ["message_start", "message_delta", "message_stop"]
    assert MESSAGES.fold([Event(each) for each in told])["stop_details"]["explanation"] == WORDS


def test_a_message_that_calls_a_tool_does_not_end_well() -> None:
    call = block(0, "tool_use", id="t", name="f", input={})
    assert rest("content_filter", START, call) == []
    assert rest("message", START, call, ends(0)) == []
    hosted = block(0, "server_tool_use", id="t", name="web_search", input={})
    assert rest("content_filter", START, hosted)[0] == ends(0)


def test_a_count_says_nothing() -> None:
    for how in ("content_filter", "refusal", "message"):
        assert CountTokens().decline({}, no(how)) is None
