"""What an answer of the Messages API says of its calls."""

from __future__ import annotations

from gateway.core.answer import EVERY, Event
from gateway.core.calls import Piece, Place
from gateway.dialects.messages import Messages
from tests.unit.dialects.test_messages_answer import (
    called,
    delta,
    finished,
    message,
    start,
    started,
    stop,
)

MESSAGES = Messages()
USE = {"type": "tool_use", "id": "t", "name": "send", "input": {"a": 1}}
FIRST = Place(0)


def test_a_call_in_pieces() -> None:
    events = called(['{"a"', ":1}"])
    told = [list(MESSAGES.calls(event)) for event in events]
    assert told == [
        [Piece(FIRST, "send", "")],
        [Piece(FIRST, "", '{"a"')],
        [Piece(FIRST, "", ":1}")],
        [],
    ]
    assert 0 in MESSAGES.calls_ended(events[-1])
    assert not {0, EVERY} & set(MESSAGES.calls_ended(events[1]))
    assert EVERY in MESSAGES.calls_ended(finished()[0])


def test_a_call_at_once() -> None:
    whole = Event(message({"type": "text", "text": ""}, USE), whole=True)
    assert list(MESSAGES.calls(whole)) == [
        Piece(Place(0), remote=True),
        Piece(Place(1), "send", '{"a":1}', whole=True),
    ]
    assert list(MESSAGES.calls(start(USE, 3))) == [Piece(Place(3), "send", '{"a":1}')]
    first = started()
    first.data["message"]["content"] = [USE]
    assert list(MESSAGES.calls(first)) == [Piece(FIRST, "send", '{"a":1}', whole=True)]


def test_what_the_provider_runs_is_marked() -> None:
    [piece] = MESSAGES.calls(start(USE | {"type": "server_tool_use"}))
    assert piece.remote


def test_text_is_no_call() -> None:
    assert list(MESSAGES.calls(delta("text_delta", text="tool_use"))) == []
    assert list(MESSAGES.calls(stop())) == []
    [nameless] = MESSAGES.calls(start({"type": "tool_use", "name": 5}))
    assert (nameless.name, nameless.arguments) == ("", "")
