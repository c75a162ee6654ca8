"""Words as searches know them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.store.words import LONGEST, MOST_TERMS, Term, terms, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Write to Ann, now!", ["write", "to", "ann", "now"]),
        ("snake_case self-hosted 3.14", ["snake", "case", "self", "hosted", "3", "14"]),
        ("Straße ﬁle ＡＢ", ["strasse", "file", "ab"]),
        ("東京 tower", ["東", "京", "tower"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("[[EMAIL_ADDRESS_1]]", ["email", "address", "1"]),
        ("\x00 \ufffd …", []),
        ("x" * 100, ["x" * LONGEST]),
    ],
)
def test_the_words_of_a_text(text: str, found: list[str]) -> None:
    assert list(words(text)) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Red roses", [Term(("red",)), Term(("roses",))]),
        ('"red roses" -thorns', [Term(("red", "roses")), Term(("thorns",), unwanted=True)]),
        ("ros* -thor*", [Term(("ros",), True), Term(("thor",), True, True)]),
        ("self-hosted", [Term(("self", "hosted"))]),
        ('-"two words" "open', [Term(("two", "words"), unwanted=True), Term(("open",))]),
        ('"" - * AND( NEAR/3 ^', [Term(("and",)), Term(("near", "3"))]),
        ("", []),
    ],
)
def test_what_a_query_asks(query: str, found: list[Term]) -> None:
    assert list(terms(query)) == found


@given(st.text())
def test_anything_may_be_asked(query: str) -> None:
    for term in terms(query):
        assert term.words
        assert all(word and not word.isspace() for word in term.words)


@given(st.text())
def test_words_stay_words(text: str) -> None:
    found = [word for word in words(text) if len(word) < LONGEST]
    assert list(words(" ".join(found))) == found


def test_terms_have_an_end() -> None:
    assert len(terms("a " * 1_000)) == MOST_TERMS
