"""What a response says of its calls, and says again."""

from __future__ import annotations

import pytest

from gateway.core.answer import EVERY, Event
from gateway.core.calls import Piece, Place
from gateway.dialects.responses import Responses
from tests.unit.dialects.test_responses_answer import called, message, response, said, streamed

RESPONSES = Responses()
CUSTOM = {"type": "custom_tool_call", "id": "c", "call_id": "c", "name": "run", "input": "ls"}


@pytest.mark.parametrize(
    ("item", "name", "text"), [(called('{"a":1}'), "send", '{"a":1}'), (CUSTOM, "run", "ls")]
)
def test_a_call_is_said_and_said_again(item: dict[str, str], name: str, text: str) -> None:
    events = streamed(response(message(said("Hi.")), item), lambda text: [text[:1], text[1:]])
    told = [piece for event in events for piece in RESPONSES.calls(event)]
    at, again = Place(1), Piece(Place(1), name, text, whole=True)
    assert told == [
        Piece(at, name, ""),
        Piece(at, "", text[:1]),
        Piece(at, "", text[1:]),
        Piece(at, "", text, whole=True),
        again,
        again,
    ]
    done = {event.data["type"]: RESPONSES.calls_ended(event) for event in events}
    assert done["response.output_item.done"] == (1,)
    assert done["response.completed"] == (EVERY,)
    assert sum(map(bool, done.values())) == 2


def test_a_whole_answer_and_what_is_no_call() -> None:
    whole = Event(response(message(said("Hi.")), called("{}"), {"type": "mcp_call"}), whole=True)
    assert list(RESPONSES.calls(whole)) == [Piece(Place(1), "send", "{}", whole=True)]
    for data in ({"type": "response.output_item.added", "item": None}, {"type": "error"}):
        assert list(RESPONSES.calls(Event(data))) == []
