"""Bodies that two parsers might read differently are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Code, Malformed
from gateway.core.json_body import DEEPEST, MOST_NODES, parse

REFUSED = {
    "nothing": b"",
    "truncated": b'{"a": [1',
    "trailing": b"{} {}",
    "NaN": b'{"a": NaN}',
    "not UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "lone surrogate": b'{"a": "\\ud800"}',
    "NUL": b'{"a": "\\u0000"}',
    "NUL in a name": b'{"\\u0000": 1}',
    "a raw NUL": b'{"a": "\x00"}',
    "doubled": b'{"a": 1, "a": 2}',
    "doubled, escaped": b'{"a": 1, "\\u0061": 2}',
    "doubled, deep": b'[{"b": {"a": 1, "c": ":", "a": 2}}]',
    "deep": b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1),
    "very deep": b"[" * 10_000 + b"]" * 10_000,
    "very deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "many values": b"[" + b"1," * MOST_NODES + b"1]",
    "a long string": b'"' + b"x " * (1 << 19) + b'x"',
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse(REFUSED[case])
    assert refused.value.code in (Code.INVALID_JSON, Code.REQUEST_TOO_LARGE)


@pytest.mark.parametrize("scheme", ["", "data:image/png;base64,"])
def test_large_bytes_are_read(scheme: str) -> None:
    picture = scheme + "iVBOR+/0" * (1 << 18) + "=="
    assert parse(json.dumps([picture]).encode()) == [picture]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.text('":\\{}a', max_size=4), inner, max_size=4
    ),
    max_leaves=20,
)  # fmt: skip


@given(JSON, st.booleans())
def test_other_json_is_read(value: Any, ascii_only: bool) -> None:
    assert parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.lists(st.text('":\\{}ab', max_size=3), min_size=1, max_size=4))
def test_a_doubled_name_is_always_found(names: list[str]) -> None:
    pairs = [f"{json.dumps(name)}: 1" for name in [*names, names[0]]]
    with pytest.raises(Malformed):
        parse(("{" + ", ".join(pairs) + "}").encode())
