"""The lens of messages as a whole: what it asks for, how a stream ends, what it is settled by."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from gateway.core.answer import Event
from gateway.core.money import Usage
from gateway.dialects.messages import Messages
from tests.unit.dialects.test_messages_answer import (
    answer,
    called,
    finished,
    message,
    spoken,
    start,
    started,
)
from tests.unit.dialects.test_messages_request import request_of

MESSAGES = Messages()


def test_what_it_is() -> None:
    assert MESSAGES.action == "messages.create"
    assert set(MESSAGES.forwards) == {"anthropic-version", "anthropic-beta"}
    assert MESSAGES.streams(request_of(stream=True))
    assert not MESSAGES.streams(request_of())
    assert list(MESSAGES.modalities(request_of())) == ["text"]
    assert MESSAGES.choices(request_of()) == 1


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [("anthropic-version", "2023-06-01", True), ("anthropic-version", "2023-6-1", False),
     ("anthropic-version", "2023-06-01 ", False), ("anthropic-version", "\u0662023-06-01", False),
     ("anthropic-version", "call 0612345678", False), ("anthropic-version", "", False),
     ("anthropic-beta", "claude-code-20250219,context-1m-2025-08-07", True),
     ("anthropic-beta", "a.1, b \t,\tc", True), ("anthropic-beta", ",".join(["a"] * 16), True),
     ("anthropic-beta", ",".join(["a"] * 17), False), ("anthropic-beta", "a" * 64, True),
     ("anthropic-beta", "a" * 65, False), ("anthropic-beta", "a,,b", False),
     ("anthropic-beta", "a,", False), ("anthropic-beta", "", False),
     ("anthropic-beta", "ann@example.org", False), ("anthropic-beta", "tell me all", False),
     ("anthropic-beta", "a\n", False), ("anthropic-beta", "Ann", False)],
)  # fmt: skip
def test_headers_for_the_provider_are_words_of_the_api(name: str, value: str, taken: bool) -> None:
    assert (MESSAGES.forwards[name].fullmatch(value) is not None) is taken


def test_usage_is_in_every_stream_and_nobody_need_ask() -> None:
    request = request_of(stream=True)
    assert not MESSAGES.count_usage(request)
    assert request == request_of(stream=True)
    assert not any(MESSAGES.only_usage(event) for event in answer(spoken(["x"])))


def test_structured_output_is_json() -> None:
    form = {"type": "json_schema", "schema": {}}
    assert MESSAGES.answers_json(request_of(output_config={"format": form}))
    assert MESSAGES.answers_json(request_of(output_format=form))
    assert not MESSAGES.answers_json(request_of(output_config={"effort": "low"}))


def test_a_stream_is_complete_at_its_stop() -> None:
    *before, last = answer(spoken(["x"]))
    assert MESSAGES.complete({}, (), last)
    assert not any(MESSAGES.complete({}, (), event) for event in before)


def test_an_ending_is_taken_out() -> None:
    ending = finished("stop_sequence")[0]
    ending.encode()
    MESSAGES.unend(ending)
    told = json.loads(ending.encode())
    assert told["delta"] == {"stop_reason": None, "stop_sequence": None}
    assert "usage" not in told


def test_a_stopped_call_says_nothing() -> None:
    assert not MESSAGES.says_text(start({"type": "tool_use", "name": "send", "input": {}}))
    assert MESSAGES.says_text(start({"type": "tool_use", "name": "send", "input": {"a": 1}}))
    assert not MESSAGES.says_text(start({"type": "text", "text": ""}))


def test_the_calls_of_an_answer() -> None:
    call = {"type": "tool_use", "id": "t", "name": "send", "input": {}}
    blocks = [{"type": "text", "text": ""}, call, call | {"type": "mcp_tool_use", "name": "look"}]
    assert MESSAGES.tool_calls(message(*blocks)) == ["send", "look"]
    assert MESSAGES.tool_calls(MESSAGES.fold(answer(called([])))) == ["send"]


class TestSettled:
    """What a stream is settled by, as `route` counts its events."""

    def counted(self, events: Sequence[Event]) -> Usage | None:
        count: Usage | None = None
        for event in events:
            if (used := MESSAGES.usage(event)) is not None:
                count = used.after(count)
        return count

    def test_by_its_ending(self) -> None:
        assert self.counted(answer(spoken(["x"]))) == Usage(12, 7, exact=True)

    def test_a_stream_that_breaks_off_is_not_settled_by_its_beginning(self) -> None:
        used = self.counted([started(), *spoken(["x"])])
        assert used == Usage(12, 1, exact=False)

    def test_an_ending_need_not_repeat_what_was_read(self) -> None:
        ending = Event({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 9}})
        used = self.counted([started(), *spoken(["x"]), ending])
        assert used == Usage(12, 9, exact=True)
        unread = self.counted([*spoken(["x"]), ending])
        assert unread is not None
        assert not unread.exact
