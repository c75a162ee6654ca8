"""A response says no: incomplete, in a refusal, or in plain text; a stream of it is whole."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.money import Usage
from gateway.dialects.responses import Responses
from tests.unit.dialects.declining import WORDS, data, events, no

RESPONSES = Responses()
USAGE = Usage(3, 4, exact=True)
ASKED = {"input": "hi", "instructions": "Be kind.", "metadata": {"a": "b"},
         "previous_response_id": "resp_0"}  # fmt: skip
BEGUN = {"id": "resp_1", "object": "response", "status": "in_progress", "output": [],
         "model": "gpt-x-1", "usage": None, "error": None}  # fmt: skip
COUNTED = {
    "input_tokens": 3, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 4, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 7,
}  # fmt: skip


def part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def message(status: str, *content: dict[str, Any], id: str = "msg_1") -> dict[str, Any]:
    about = {"id": id, "type": "message", "role": "assistant", "status": status}
    return {**about, "content": list(content)}


def opened(item: dict[str, Any], index: int = 0) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


AT = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
CREATED = {"type": "response.created", "response": BEGUN}
PART = {"type": "response.content_part.added", **AT, "part": part("")}


def delta(text: str) -> dict[str, Any]:
    return {"type": "response.output_text.delta", **AT, "delta": text, "logprobs": []}


SAID = (CREATED, opened(message("in_progress")), PART, delta("Hm. "), delta("Well. "))


@pytest.mark.parametrize(
    ("how", "status", "details", "content"),
    [
        ("content_filter", "incomplete", {"reason": "content_filter"}, None),
        ("refusal", "completed", None, {"type": "refusal", "refusal": WORDS}),
        ("message", "completed", None, part(WORDS)),
    ],
)
def test_a_whole_response(how: str, status: str, details: Any, content: Any) -> None:
    told = RESPONSES.decline(ASKED, no(how, USAGE))
    said = [] if content is None else [message("completed", content, id="msg_exc_1")]
    assert told == {
        "id": "exc_1", "object": "response", "created_at": 7, "model": "gpt-x",
        "status": status, "error": None, "incomplete_details": details, "output": said,
        "instructions": "Be kind.", "metadata": {"a": "b"}, "previous_response_id": "resp_0",
        "max_output_tokens": None, "parallel_tool_calls": True, "temperature": None,
        "tool_choice": "auto", "tools": [], "top_p": None, "store": False, "usage": COUNTED,
    }  # fmt: skip
    assert RESPONSES.decline(ASKED, no(how))["usage"] is None


def rest(how: str, *said: dict[str, Any], usage: Usage | None = None) -> list[dict[str, Any]]:
    return data(RESPONSES.break_off(ASKED, no(how, usage), events(*said)))


def test_a_filter_closes_what_is_open_and_adds_nothing() -> None:
    item = message("incomplete", part("Hm. Well. "))
    assert rest("content_filter", *SAID) == [
        {"type": "response.output_text.done", **AT, "text": "Hm. Well. ", "logprobs": []},
        {"type": "response.content_part.done", **AT, "part": part("Hm. Well. ")},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.incomplete", "response": {
            **BEGUN, "status": "incomplete", "incomplete_details": {"reason": "content_filter"},
            "output": [item]}},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("how", "content", "family"),
    [
        ("refusal", {"type": "refusal", "refusal": WORDS}, "refusal"),
        ("message", part(f"\n\n{WORDS}"), "output_text"),
    ],
)
def test_words_are_an_item_of_their_own(how: str, content: Any, family: str) -> None:
    told = rest(how, *SAID, usage=USAGE)
    kinds = [each["type"].removeprefix("response.") for each in told]
    assert kinds == [
        "output_text.done", "content_part.done", "output_item.done",
        "output_item.added", "content_part.added", f"{family}.delta", f"{family}.done",
        "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert {each["output_index"] for each in told[3:9]} == {1}
    first, second = told[-1]["response"]["output"]
    assert first == message("completed", part("Hm. Well. "))
    assert second == message("completed", content, id="msg_exc_1")
    assert told[-1]["response"]["usage"] == COUNTED


def test_where_nothing_was_said_there_is_no_blank_line() -> None:
    told = rest("message", CREATED)
    assert told[-1]["response"]["output"][0]["content"] == [part(WORDS)]


def test_what_has_not_begun_is_told_whole() -> None:
    told = rest("content_filter", {"type": "keepalive"})
    kinds = [each["type"] for each in told]
    assert kinds == ["response.created", "response.in_progress", "response.incomplete"]


@pytest.mark.parametrize(
    "kind", ["function_call", "custom_tool_call", "local_shell_call", "x_call"]
)
def test_a_response_that_asks_for_a_tool_does_not_end_well(kind: str) -> None:
    call = {"id": "fc_1", "type": kind, "call_id": "c", "name": "f", "arguments": ""}
    for how in ("content_filter", "refusal", "message"):
        assert rest(how, CREATED, opened(call)) == []


def test_a_call_of_the_providers_is_closed() -> None:
    call = {"id": "ci_1", "type": "code_interpreter_call", "status": "in_progress", "code": ""}
    more = {"type": "response.code_interpreter_call_code.delta", "output_index": 0, "delta": "1+"}
    first, _ = rest("content_filter", CREATED, opened(call), more)
    assert first["item"] == {**call, "code": "1+", "status": "incomplete"}


def test_no_two_events_share_what_a_rewriter_may_change() -> None:
    told = rest("refusal", *SAID)
    told[2]["item"]["content"][0]["text"] = "changed"
    assert told[-1]["response"]["output"][0]["content"][0]["text"] == "Hm. Well. "
