"""What an API key looks like."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.store.key_text import KeyText

SHAPE = re.compile(r"gg_[a-z0-9]+_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}")


@given(env=st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=16))
def test_a_key_is_read_back(env: str) -> None:
    key = KeyText.new(env)
    assert SHAPE.fullmatch(key.text)
    assert KeyText.parse(key.text) == key


@given(st.data())
def test_one_wrong_character_is_noticed(data: st.DataObject) -> None:
    text = KeyText.new("live").text
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters().filter(lambda c: c != text[place]))
    assert KeyText.parse(text[:place] + other + text[place + 1 :]) is None


@given(st.text())
def test_any_text_may_be_asked(text: str) -> None:
    assert KeyText.parse(text) is None


def test_an_id_may_be_kept() -> None:
    assert KeyText.new("live", "abcdEFGH").key_id == "abcdEFGH"


@pytest.mark.parametrize("env", ["", "Live", "a_b", "é", "x" * 17, "a b"])
def test_environments_have_plain_names(env: str) -> None:
    with pytest.raises(ValueError, match="environment"):
        KeyText.new(env)


def test_secrets_differ() -> None:
    assert len({KeyText.new("live").secret for _ in range(1_000)}) == 1_000
