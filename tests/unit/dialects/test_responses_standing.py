"""How far a streamed response has come, and how what is open is closed."""

from __future__ import annotations

from gateway.core.answer import Event
from gateway.dialects.responses_standing import Standing
from tests.unit.dialects.declining import events
from tests.unit.dialects.test_responses_declined import (
    AT,
    CREATED,
    PART,
    SAID,
    delta,
    message,
    opened,
    part,
)


def test_parts_and_items_that_are_done_stay_as_they_were() -> None:
    done = (
        {"type": "response.output_text.done", **AT, "text": "Hm. Well. "},
        {"type": "response.content_part.done", **AT, "part": part("Hm. Well. ")},
    )
    standing = Standing(events(*SAID, *done))
    [last] = standing.close("incomplete")
    assert last["item"] == message("incomplete", part("Hm. Well. "))
    ended = {"type": "response.output_item.done", "output_index": 0,
             "item": message("completed", part("Hm. Well. "))}  # fmt: skip
    standing = Standing(events(*SAID, *done, ended))
    assert list(standing.close("incomplete")) == []
    assert standing.output == [message("completed", part("Hm. Well. "))]
    assert (standing.spoken, standing.next_index) == (True, 1)


def test_a_text_that_is_done_is_not_ended_twice() -> None:
    done = {"type": "response.output_text.done", **AT, "text": "Hm. Well. "}
    kinds = [each["type"] for each in Standing(events(*SAID, done)).close("incomplete")]
    assert kinds == ["response.content_part.done", "response.output_item.done"]


def test_reasoning_is_closed_and_is_no_answer() -> None:
    at = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
    said = (
        opened({"id": "rs_1", "type": "reasoning", "summary": []}),
        {"type": "response.reasoning_summary_part.added", **at,
         "part": {"type": "summary_text", "text": ""}},
        {"type": "response.reasoning_summary_text.delta", **at, "delta": "hm"},
    )  # fmt: skip
    standing = Standing(events(*said))
    whole = {"type": "summary_text", "text": "hm"}
    assert list(standing.close("incomplete")) == [
        {"type": "response.reasoning_summary_text.done", **at, "text": "hm"},
        {"type": "response.reasoning_summary_part.done", **at, "part": whole},
        {"type": "response.output_item.done", "output_index": 0,
         "item": {"id": "rs_1", "type": "reasoning", "summary": [whole]}},
    ]  # fmt: skip
    assert not standing.spoken


def test_text_of_an_item_that_nobody_opened_is_left_alone() -> None:
    standing = Standing(events(CREATED, delta("x"), PART))
    assert (standing.output, list(standing.close("x")), standing.next_index) == ([], [], 0)


def test_a_part_that_nobody_opened_is_one_all_the_same() -> None:
    first, second, last = Standing(events(opened(message("in_progress")), delta("Hm."))).close(
        "incomplete"
    )
    assert (first["text"], second["part"]["text"]) == ("Hm.", "Hm.")
    assert last["item"]["content"] == [{"type": "output_text", "text": "Hm."}]


def test_what_was_heard_is_not_changed() -> None:
    said: list[Event] = events(*SAID)
    before = [str(event.data) for event in said]
    list(Standing(said).close("incomplete"))
    assert [str(event.data) for event in said] == before
