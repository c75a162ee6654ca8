"""The lens of counting: messages that are governed, and no answer to pay for."""

from __future__ import annotations

import copy

import pytest

from gateway.core.answer import Event
from gateway.core.errors import Malformed
from gateway.core.money import Usage
from gateway.dialects.count_tokens import CountTokens
from tests.unit.dialects.test_messages_request import CANARY, places, request_of

COUNT = CountTokens()


def test_it_needs_no_output_limit_and_sets_none() -> None:
    request = request_of()
    del request["max_tokens"]
    checked = COUNT.check(copy.deepcopy(request))
    COUNT.limit_output(checked, 5)
    assert checked == request
    assert COUNT.output_limit(checked) is None
    assert COUNT.choices(checked) == 0, "nothing is said, so nothing is held for it"
    assert not COUNT.streams(request_of(stream=True))


@pytest.mark.parametrize("place", places())
def test_every_text_is_governed_as_in_messages(place: str) -> None:
    slots = COUNT.slots(COUNT.check(places()[place]))
    assert len([slot for slot in slots if CANARY in slot.text]) == 1


def test_malformed_requests_name_the_field() -> None:
    with pytest.raises(Malformed) as refused:
        COUNT.check({"model": "m", "messages": [{"role": "user", "content": 1}]})
    assert refused.value.param == "messages[0].content"


def test_a_count_passes_and_costs_nothing() -> None:
    event = Event({"input_tokens": 2095}, whole=True)
    assert COUNT.well_formed(event.data)
    assert not COUNT.broken(event.data)
    assert not list(COUNT.runs(event))
    assert COUNT.usage(event) == Usage(0, 0, exact=True)
    assert COUNT.fold([event]) == {"input_tokens": 2095}


def test_text_that_comes_with_a_count_is_a_run() -> None:
    event = Event({"input_tokens": 1, "context_management": {"note": CANARY}}, whole=True)
    assert [run.text for run in COUNT.runs(event)] == [CANARY]


@pytest.mark.parametrize("answer", [{}, {"input_tokens": "9"}, {"type": "message", "content": []}])
def test_what_is_no_count_is_not_read(answer: dict[str, object]) -> None:
    assert not COUNT.well_formed(answer)
