"""What passes the sieve holds no value, in whatever way its texts are written or split."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.adapters.store.cutting import Cutter
from gateway.adapters.store.sieve import MOST_NEEDLES, Sieve
from gateway.adapters.store.spelled import Texts, documents
from gateway.core.records import Entry, Kind
from gateway.core.values import Value

ANN = "ann@example.org"
VALUES = (ANN, "+44 20 7946", 'Zoë "Z" Ötz', "https://a.org/b", "a\\b\\c", "two\nlines", "straße")
written = st.sampled_from([lambda text: text, str.upper, str.title, orjson.dumps, str.casefold])


def literals(*values: str) -> list[tuple[bytes, ...]]:
    """As a cutter looks for them."""
    cutter = Cutter(lambda value: value.text.encode())
    cutter.cut(Entry(Kind.OPENED, {}, {}, tuple(Value("PERSON", value) for value in values)))
    return cutter._literals


@st.composite
def spelled(draw: st.DrawFn) -> bytes:
    """JSON in which values stand split, nested, between other texts."""
    value = draw(st.sampled_from(VALUES))
    way: Callable[[str], Any] = draw(written)
    text = way(value)
    text = text.decode()[1:-1] if isinstance(text, bytes) else text
    cuts = sorted(draw(st.sets(st.integers(1, len(text) - 1), max_size=4)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    before, after = draw(st.text(max_size=4)), draw(st.text(max_size=4))
    pieces = [before + pieces[0], *pieces[1:]]
    pieces[-1] += after
    made: Any = [{"type": "text", "text": piece} for piece in pieces]
    if draw(st.booleans()):
        made = {piece: 1 for piece in pieces}
    for _ in range(draw(st.integers(0, 3))):
        made = {"org": draw(st.sampled_from(["x", "org", ""])), "said": orjson.dumps(made).decode()}
    return orjson.dumps({"content": made, "bytes": list(draw(st.sampled_from([b"", b"ann"])))})


def holding(payload: bytes, looked_for: list[tuple[bytes, ...]]) -> set[int]:
    told = documents(payload)
    assert told is not None
    return Texts.of(told).holding(looked_for)


@given(spelled(), st.sets(st.sampled_from(VALUES), min_size=1))
def test_no_value_slips_through(payload: bytes, values: set[str]) -> None:
    looked_for = literals(*sorted(values))
    assume(holding(payload, looked_for))
    assert Sieve(looked_for).may_hold(payload)


@given(st.sets(st.integers(0, len(ANN)), max_size=6), st.text(max_size=3), st.text(max_size=3))
def test_no_value_slips_through_between_events(cuts: set[int], before: str, after: str) -> None:
    ends = [0, *sorted(cuts), len(ANN)]
    pieces = [before, *(ANN[start:end] for start, end in pairwise(ends)), after]
    payload = b"\n".join(orjson.dumps({"delta": {"text": piece}}) for piece in pieces)
    assert holding(payload, literals(ANN)) == {0}
    assert Sieve(literals(ANN)).may_hold(payload)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"messages":[{"role":"user","content":"I am \\"[[EMAIL_ADDRESS_1]]\\",\\nyours."}]}',
        b'{"org":"default","name":"Eve","content":["plain","words"]}',
        b'{"a":""}\n{"a":"b"}\n',
    ],
)
def test_most_payloads_need_not_be_read(payload: bytes) -> None:
    assert not Sieve(literals(ANN, "+44 20 7946")).may_hold(payload)


@pytest.mark.parametrize(
    "payload",
    [
        rb'{"a":"\u0061nn@example.org"}',
        rb'{"a":"https:\/\/a.org"}',
        b'{"bytes":[97,110,110]}',
        b'{"a":["ann@exa","mple.org"]}',
        b'{"a":["an","n@e","xample.org"]}',
        b'{"a":"ANN@EXAMPLE.ORG"}',
    ],
)
def test_what_may_hold_a_value_is_read(payload: bytes) -> None:
    assert Sieve(literals(ANN)).may_hold(payload)


def test_many_values_are_looked_for_by_reading() -> None:
    few = [f"person number {number}" for number in range(MOST_NEEDLES)]
    assert not Sieve(literals(*few)).may_hold(b'"x"')
    assert Sieve(literals(*few, "one more")).may_hold(b'"x"')


def test_folding_a_text_loses_no_match() -> None:
    """Texts are compared in lower case and folded; here folded alone."""
    every = [chr(code) for code in range(sys.maxunicode + 1)]
    assert all(each.lower().casefold() == each.casefold() for each in every)
    assert not any(sign in each.casefold() for each in every for sign in '"\\' if each != sign)
