"""A call that the policy does not allow never leaves, however an answer is cut; one that it
allows leaves as it came."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import Event
from gateway.core.errors import Code, Filtered
from tests.calling import ANSWERS, CallPolicy, Cut, asking, judged, words
from tests.exchanges import pieces

TEXT = "First a word on tools."
CANARY = '{"table": "zebra", "n": 1}'
CUTS = st.lists(st.integers(0, 200), max_size=8)
ANSWER = pytest.mark.parametrize("name", ANSWERS)


def cut_at(cuts: Sequence[int]) -> Cut:
    return lambda text: pieces(text, cuts)


def encoded(events: Sequence[Event]) -> list[bytes]:
    return [event.encode() for event in copy.deepcopy(list(events))]


@ANSWER
@given(cuts=CUTS)
def test_a_denied_call_never_leaves_however_it_is_cut(name: str, cuts: list[int]) -> None:
    dialect, answer = ANSWERS[name]
    events = answer(TEXT, [("drop", CANARY)], cut_at(cuts))
    policy = CallPolicy({"drop": "deny"})
    seen, error = asyncio.run(judged(asking(dialect), policy, events))
    assert isinstance(error, Filtered)
    assert (error.code, error.rules) == (Code.CONTENT_FILTER, ("tools.judged",))
    assert words(dialect, seen) == TEXT
    assert not [raw for raw in encoded(seen) if b"zebra" in raw or b"drop" in raw]
    assert b"drop" not in error.message.encode()
    assert len(policy.asked) == 1


@ANSWER
@given(cuts=CUTS)
def test_an_allowed_call_leaves_byte_for_byte(name: str, cuts: list[int]) -> None:
    dialect, answer = ANSWERS[name]
    events = answer(TEXT, [("look", CANARY)], cut_at(cuts))
    for event in events:
        event.encode()  # as received: with bytes
    policy = CallPolicy({})
    seen, error = asyncio.run(judged(asking(dialect), policy, events))
    assert error is None
    assert [event.raw for event in seen] == [event.raw for event in events]
    assert policy.calls == [("look", {"table": "[text]", "n": 1})]


@ANSWER
@given(cuts=CUTS)
def test_of_several_calls_one_that_is_denied_never_leaves(name: str, cuts: list[int]) -> None:
    """Where each ends by itself, those before it stand; where all end at once, none leaves."""
    dialect, answer = ANSWERS[name]
    called = [("look", '{"at": "lion"}'), ("drop", CANARY)]
    seen, error = asyncio.run(
        judged(asking(dialect), CallPolicy({"drop": "deny"}), answer(TEXT, called, cut_at(cuts)))
    )
    assert isinstance(error, Filtered)
    told = b"".join(encoded(seen))
    assert b"zebra" not in told
    assert b"drop" not in told
    shown = {"name": b'"look"' in told, "alone": dialect.action != "chat.completions.create"}
    assert shown["name"] is shown["alone"]
    assert words(dialect, seen) == TEXT


@ANSWER
def test_a_whole_answer_is_refused_whole_or_passes_as_it_is(name: str) -> None:
    dialect, answer = ANSWERS[name]
    events = answer(TEXT, [("drop", CANARY)], lambda text: [text])
    whole = Event(dialect.fold(events), whole=True)
    seen, error = asyncio.run(judged(asking(dialect), CallPolicy({"drop": "deny"}), [whole]))
    assert (seen, isinstance(error, Filtered)) == ([], True)
    policy = CallPolicy({})
    seen, error = asyncio.run(judged(asking(dialect), policy, [whole]))
    assert error is None
    assert encoded(seen) == encoded([whole])
    assert policy.calls == [("drop", {"table": "[text]", "n": 1})]


@ANSWER
@given(cuts=CUTS, end=st.integers(1, 40))
def test_an_answer_that_breaks_off_is_judged_by_what_came(
    name: str, cuts: list[int], end: int
) -> None:
    dialect, answer = ANSWERS[name]
    events = answer(TEXT, [("drop", CANARY)], cut_at(cuts))[:-end]
    seen, error = asyncio.run(judged(asking(dialect), CallPolicy({"drop": "deny"}), events))
    told = b"".join(encoded(seen))
    assert b"zebra" not in told
    assert b'"drop"' not in told
    assert error is not None or len(seen) == len(events)
