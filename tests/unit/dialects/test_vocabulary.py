"""The words of the APIs: plain words, none of them with room for anybody's text."""

from __future__ import annotations

import pytest

from gateway.adapters.packs import load_pack, read_folder
from gateway.core.passages import Passage
from gateway.dialects.vocabulary import KEYWORDS, NUMBERS, TYPES, VOCABULARY, is_token
from gateway.inspectors.phrases import PhraseInspector
from gateway.inspectors.pii import PiiInspector
from gateway.settings import baseline_pack

WORDS = VOCABULARY | KEYWORDS | TYPES


def test_what_stands_for_numbers_is_known() -> None:
    assert NUMBERS <= VOCABULARY


@pytest.mark.parametrize("word", ["customer", "email", "ssn", "secret", "note"])
def test_words_of_callers_are_not_of_the_apis(word: str) -> None:
    assert word not in VOCABULARY | KEYWORDS


async def test_nothing_is_found_in_the_words_that_are_not_looked_at() -> None:
    passages = [Passage(word, word) for word in sorted(WORDS)]
    assert await PiiInspector().inspect(passages) == []
    assert (
        await PhraseInspector(load_pack(read_folder(baseline_pack())).phrases).inspect(passages)
        == []
    )


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("call_1", True), ("#/$defs/a", True), ("a.b:c", True), ("x" * 256, True),
        ("", False), ("4111", False), ("a b", False), ("ann@example.org", False),
        ("x" * 257, False), ("zoé", False), ("[[A_1]]", False),
    ],
)  # fmt: skip
def test_what_looks_like_a_name_or_an_id(text: str, token: bool) -> None:
    assert is_token(text) is token
