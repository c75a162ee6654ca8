"""The bytes of a record: canonical JSON, so that a hash means one thing only."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.records import Entry, Kind, canonical, leaf_hash

SAFE = 2**53 - 1
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KEYS = st.text(st.characters(max_codepoint=127), max_size=10)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-SAFE, SAFE) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
HEADERS = st.dictionaries(KEYS, VALUES, max_size=6)


@given(HEADERS)
def test_a_header_is_canonical_json(header: dict[str, Any]) -> None:
    assert canonical(header) == rfc8785.dumps(header)


@given(HEADERS)
def test_the_order_of_members_changes_nothing(header: dict[str, Any]) -> None:
    assert canonical(dict(reversed(header.items()))) == canonical(header)


def test_tuples_are_lists() -> None:
    assert canonical({"b": (1, (2,))}) == b'{"b":[1,[2]]}'


@pytest.mark.parametrize("deep", [False, True], ids=["at the top", "inside"])
@pytest.mark.parametrize(
    "value",
    [1.5, 2.0, float("nan"), 2**53, -(2**53), b"bytes", {1, 2}, object(), {"é": 1}],
    ids=["half", "two", "nan", "large", "small", "bytes", "set", "object", "key"],
)
def test_what_has_no_one_form_is_refused(value: Any, deep: bool) -> None:
    with pytest.raises(TypeError):
        canonical({"x": [{"y": value}] if deep else value})


def test_the_largest_whole_numbers_pass() -> None:
    assert canonical({"x": [SAFE, -SAFE]}) == b'{"x":[9007199254740991,-9007199254740991]}'


def test_a_leaf_hash_is_that_of_rfc_6962() -> None:
    # the leaf hash of the empty leaf, as in the test vectors of RFC 6962 implementations
    empty = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert leaf_hash(b"").hex() == empty
    assert leaf_hash(b"{}") == hashlib.sha256(b"\0{}").digest()


def test_an_entry_has_no_parts_unless_told() -> None:
    assert Entry(Kind.OPENED, {}).parts == {}
    assert Entry(Kind.OPENED, {}).parts is not Entry(Kind.OPENED, {}).parts
