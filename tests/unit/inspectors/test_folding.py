"""A folding leads back to the place it came from."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.inspectors.folding import Folded, rewritten

TEXT = st.text("abcXYZ .", max_size=30)
FORMS = {"X": "", "Y": "yy", "Z": "z", "XX": "x"}


@given(TEXT)
def test_what_was_not_rewritten_stands_where_it_stood(text: str) -> None:
    folded = rewritten(text, re.compile("XX|[XYZ]"), FORMS.__getitem__)
    for place, character in enumerate(folded.text):
        start, end = folded.span(place, place + 1)
        assert text[start:end] in {character, "Y", "Z", "XX", "X"}
        if character in "abc .":
            assert text[start] == character


@given(TEXT)
def test_the_way_back_keeps_the_order(text: str) -> None:
    folded = rewritten(text, re.compile("XX|[XYZ]"), FORMS.__getitem__)
    starts = [folded.span(place, place + 1)[0] for place in range(len(folded.text))]
    assert starts == sorted(starts)


@given(TEXT)
def test_two_foldings_lead_back_through_both(text: str) -> None:
    inner = rewritten(text, re.compile("X"), lambda _: "")
    both = rewritten(inner.text, re.compile("Y"), lambda _: "yy").onto(inner)
    for place, character in enumerate(both.text):
        start, _ = both.span(place, place + 1)
        assert text[start].lower() == character or character not in "abc .y"


def test_a_span_takes_the_marks_of_its_last_character_along() -> None:
    text = "a\u200bbe\u0301\u200b!"
    folded = Folded("abé!", text, [(1, 2), (3, 6)])
    assert folded.span(0, 3) == (0, 6)
    assert folded.span(3, 4) == (6, 7)


def test_text_in_step_is_its_own_way_back() -> None:
    assert Folded("ABC", "abc").span(1, 2) == (1, 2)
