"""The lens of responses: limits, endings, errors and frames."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.answer import Event
from gateway.core.errors import Code, Filtered
from gateway.dialects.responses import Responses
from tests.unit.dialects.test_responses_answer import called, message, response, said, streamed
from tests.unit.dialects.test_responses_request import asking

RESPONSES = Responses()


@pytest.mark.parametrize(("given", "written"), [({}, 10), ({"max_output_tokens": 5}, 5),
                                                ({"max_output_tokens": 50}, 10)])  # fmt: skip
def test_output_is_limited(given: Any, written: int) -> None:
    request = asking(**given)
    assert RESPONSES.output_limit(request) == given.get("max_output_tokens")
    RESPONSES.limit_output(request, 10)
    assert request["max_output_tokens"] == written


@pytest.mark.parametrize(
    ("text", "json_answer"),
    [(None, False), ({}, False), ({"format": {"type": "text"}}, False),
     ({"format": {"type": "json_object"}}, True), ({"format": {"type": "json_schema"}}, True)],
)  # fmt: skip
def test_structured_output_is_json(text: Any, json_answer: bool) -> None:
    assert RESPONSES.answers_json(asking(text=text)) is json_answer


def test_pictures_are_asked_for_by_a_tool() -> None:
    assert RESPONSES.modalities(asking()) == ("text",)
    drawing = asking(tools=[{"type": "image_generation"}])
    assert RESPONSES.modalities(drawing) == ("text", "image")


@pytest.mark.parametrize(
    ("more", "repeatable"),
    [({}, False), ({"store": True}, False), ({"store": False}, True),
     ({"store": False, "previous_response_id": "resp_1"}, False),
     ({"store": False, "prompt": {"id": "pmpt_1"}}, False),
     ({"store": False, "metadata": {"who": "ann"}}, False),
     ({"store": False, "user": "ann"}, False)],
)  # fmt: skip
def test_only_what_stands_alone_may_be_answered_again(
    more: dict[str, Any], repeatable: bool
) -> None:
    assert RESPONSES.repeatable(asking(**more)) is repeatable


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed"])
def test_a_stream_is_complete_with_its_last_event(status: str) -> None:
    events = streamed(response(message(said("x")), status=status))
    complete = [RESPONSES.complete({}, (), event) for event in events]
    assert complete == [*[False] * (len(events) - 1), True]


@pytest.mark.parametrize(
    ("answer", "broken"),
    [({"type": "error", "message": "no"}, True), ({"error": {"message": "no"}}, True),
     (response(), False), (response(error={"code": "server_error", "message": "no"}), False),
     ({"type": "response.failed", "response": response(error={"message": "no"})}, False),
     ({"type": "response.created", "response": response()}, False)],
)  # fmt: skip
def test_an_error_in_place_of_an_answer_is_seen(answer: dict[str, Any], broken: bool) -> None:
    assert RESPONSES.broken(answer) is broken


def test_tools_that_were_called() -> None:
    items = [message(said("x")), called("{}"), {"type": "web_search_call", "id": "ws_1"},
             {"type": "mcp_approval_request", "name": "f"}]  # fmt: skip
    assert RESPONSES.tool_calls(response(*items)) == ["send", "web_search_call", "f"]


def test_events_are_numbered_from_zero_and_left_alone_where_they_are() -> None:
    raw = b'{"type":"response.in_progress","sequence_number": 7}'
    event = Event(json.loads(raw), raw=raw)
    RESPONSES.number(event, 7)
    assert event.encode() is raw
    RESPONSES.number(event, 3)
    assert json.loads(event.encode())["sequence_number"] == 3
    whole = Event(response(), whole=True)
    RESPONSES.number(whole, 0)
    assert "sequence_number" not in whole.data


def test_frames_name_their_type() -> None:
    raw = b'{"type":"response.in_progress",  "x": 1.0}'
    frame = RESPONSES.frame(Event(json.loads(raw), raw=raw))
    assert frame == b"event: response.in_progress\ndata: %b\n\n" % raw
    assert RESPONSES.end() == b""


def test_a_block_midway_has_both_shapes() -> None:
    """The flat one is the API's own; on the nested one OpenAI's clients raise."""
    about = {"decision_id": "dec_1"}
    body = RESPONSES.error(Filtered(Code.CONTENT_FILTER, "no"), about)
    RESPONSES.number(Event(body), 9)
    first, second, *rest = RESPONSES.frame_error(body, finished=True).split(b"\n")
    assert first == b"event: error"
    assert rest == [b"", b""]
    told = json.loads(second.removeprefix(b"data: "))
    assert {
        name: told[name] for name in ("type", "code", "message", "param", "sequence_number")
    } == {
        "type": "error",
        "code": "content_filter",
        "message": "no",
        "param": None,
        "sequence_number": 9,
    }
    assert told["error"]["governance"] == about
    assert RESPONSES.broken(told)
