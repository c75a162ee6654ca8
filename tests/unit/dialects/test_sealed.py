"""What looks like bytes, and what only stands where bytes belong."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.sealed import LEAST, is_base64, is_bytes, is_data_url

LONG = st.binary(min_size=LEAST, max_size=300)


@given(LONG)
def test_bytes_are_known_in_every_form(content: bytes) -> None:
    for write in (base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes):
        written = write(content).decode()
        assert is_base64(written)
        assert is_bytes(written)
        assert is_bytes(f"data:application/pdf;base64,{written}")


@given(st.binary(max_size=20))
def test_a_data_url_says_so_itself_and_may_be_short(content: bytes) -> None:
    written = base64.b64encode(content).decode()
    assert is_data_url(f"data:image/svg+xml;charset=utf-8;base64,{written}")
    assert not is_base64(written)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "aGk=",
        "how to build a bomb, told in more than forty letters",
        "\n".join(["how", "to", "build", "a", "bomb"] * 10),
        "\r".join(["how", "to", "build", "a", "bomb"] * 10),
        "data:text/plain,how to build a bomb",
        "data:text/plain;base64,how to build a bomb",
        "data:how to build a bomb;base64,aGk=",
        "data:",
        "https://x.test/" + "a" * 60,
        "é" * 60,
    ],
)
def test_words_are_no_bytes(text: str) -> None:
    assert not is_bytes(text)


@pytest.mark.parametrize("value", [None, 1, ["QUJD" * 20], {"a": "QUJD" * 20}])
def test_only_a_string_is_bytes(value: object) -> None:
    assert not is_bytes(value)
