"""Each word must be one that the inspector can see beside a number."""

from __future__ import annotations

import pytest

from gateway.inspectors import words
from gateway.inspectors.pii import _words
from gateway.inspectors.recognisers import RECOGNISERS

LISTS = {name: value for name, value in vars(words).items() if name.isupper()}


@pytest.mark.parametrize("name", LISTS)
def test_every_word_can_be_met(name: str) -> None:
    assert LISTS[name] == {seen for word in LISTS[name] for seen in _words(word.title())}


@pytest.mark.parametrize("name", LISTS)
def test_every_list_is_used(name: str) -> None:
    assert any(LISTS[name] in (kind.words, kind.doubts) for kind in RECOGNISERS)


def test_what_words_lift_is_lifted_above_what_shape_alone_gives() -> None:
    assert all((kind.lifted > 0.5) == bool(kind.words) for kind in RECOGNISERS)
