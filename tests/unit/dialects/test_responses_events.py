"""A response as the events of a stream, and back; as OpenAI's own client reads them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._models import construct_type
from openai._types import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent

from gateway.core.answer import Event
from gateway.dialects.responses import Responses
from tests.unit.dialects.test_responses_answer import (
    OUTPUT,
    called,
    message,
    response,
    said,
    streamed,
)

RESPONSES = Responses()
TEXTS = st.text(max_size=6)
UNKNOWN = st.dictionaries(st.sampled_from(["x_a", "x_b"]), st.none() | TEXTS | st.lists(TEXTS))
ITEMS = st.one_of(
    st.builds(
        lambda texts, more: message(*[said(text) for text in texts], **more),
        st.lists(TEXTS, max_size=3),
        UNKNOWN,
    ),
    st.builds(lambda text, more: called(json.dumps({"a": text}), **more), TEXTS, UNKNOWN),
    st.sampled_from(list(OUTPUT.values())),
)
RESPONSE = st.builds(
    lambda items, status, more: response(
        *[{**item, "id": f"{item['id']}_{n}", **({"call_id": f"c{n}"} if "call_id" in item else {})}
          for n, item in enumerate(items)],
        status=status, **more,
    ),
    st.lists(ITEMS, max_size=4),
    st.sampled_from(["completed", "incomplete", "failed"]),
    UNKNOWN,
)  # fmt: skip


@given(RESPONSE)
def test_a_whole_response_unfolds_and_folds_to_itself(whole: dict[str, Any]) -> None:
    before = copy.deepcopy(whole)
    events = RESPONSES.unfold(whole, {"stream": True})
    assert RESPONSES.fold(events) == whole == before
    assert [event.data["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1].data["type"] == f"response.{whole['status']}"
    assert all(RESPONSES.well_formed(event.data) for event in events)


@given(RESPONSE)
def test_no_two_events_share_what_can_be_rewritten(whole: dict[str, Any]) -> None:
    events = RESPONSES.unfold(whole, {"stream": True})
    kept = [copy.deepcopy(event.data) for event in events]
    for place, event in enumerate(events):
        for run in [*RESPONSES.runs(event), *RESPONSES.echoes(event)]:
            run.put("rewritten")
        assert [other.data for other in events[place + 1 :]] == kept[place + 1 :]


@pytest.mark.filterwarnings("ignore:Pydantic serializer")
@given(RESPONSE)
def test_openais_client_reads_it(whole: dict[str, Any]) -> None:
    """Its accumulator is strict about what comes before what."""
    whole = {**whole, "status": "completed"}
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    for event in RESPONSES.unfold(whole, {"stream": True}):
        state.handle_event(construct_type(type_=ResponseStreamEvent, value=event.data))  # type: ignore[arg-type]
    final = state._completed_response
    assert final is not None
    assert final.id == whole["id"]
    assert len(final.output) == len(whole["output"])


def test_items_stand_in_for_an_output_that_is_left_out() -> None:
    whole = response(message(said("one")), message(said("two"), id="msg_2"))
    events = streamed(whole)
    events[-1].data["response"] = {**whole, "output": []}
    assert RESPONSES.fold(events) == whole
    del events[-1].data["response"]["output"]
    assert RESPONSES.fold(events) == whole


def test_a_whole_answer_stays_what_it_is() -> None:
    event = Event(response(), whole=True)
    assert RESPONSES.fold([event]) is event.data


def test_usage_comes_with_the_end() -> None:
    events = streamed(response(message(said("x"))))
    used = [RESPONSES.usage(event) for event in events]
    assert used[:-1] == [None] * (len(events) - 1)
    last = used[-1]
    assert last is not None
    assert (last.input_tokens, last.output_tokens, last.exact) == (3, 5, True)
    whole = RESPONSES.usage(Event(response(), whole=True))
    assert whole == last


@pytest.mark.parametrize("usage", [None, {}, {"input_tokens": "1", "output_tokens": 1}])
def test_usage_that_is_none_is_not_counted(usage: Any) -> None:
    assert RESPONSES.usage(Event(response(usage=usage), whole=True)) is None
