"""Reading a request body: JSON that two parsers could not read differently.

A name that occurs twice in one object is refused: the provider might read the other one.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from gateway.core.errors import Code, Malformed

DEEPEST = 64
MOST_NODES = 100_000
LONGEST_STRING = 1 << 20  # characters

_BYTES = re.compile(r"(?:data:[\w.+-]+/[\w.+-]+(?:;[\w.+-]+=[\w.+-]+)*;base64,)?[A-Za-z0-9+/_-]*=*")
"""Bytes in base64, such as a picture's: a body may be full of them."""
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def parse(body: bytes) -> Any:
    """The JSON value that `body` is.

    Raises `Malformed` for what is no JSON (RFC 8259), is no UTF-8, holds lone surrogates, a
    NUL character or a doubled name, nests deeper than 64, has over 100,000 values or a
    string over 1,048,576 characters that is not base64.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Malformed(
            f"The body is not valid JSON ({where}: {error.msg}).", code=Code.INVALID_JSON
        ) from error
    names = _Measure().names(value)
    if names != _STRING.sub(b"", body).count(b":"):
        raise Malformed("A name occurs twice in one JSON object.", code=Code.INVALID_JSON)
    return value


class _Measure:
    """Walks a value once: counts names, holds it to the limits."""

    def __init__(self) -> None:
        self._nodes = 0

    def names(self, value: Any, depth: int = 0) -> int:
        """How many names the objects of `value` have."""
        kind = type(value)
        if kind is str:
            _check_string(value)
            return 0
        if kind is not dict and kind is not list:
            return 0
        if depth >= DEEPEST:
            raise Malformed(f"The JSON nests deeper than {DEEPEST}.", code=Code.INVALID_JSON)
        self._nodes += len(value)
        if self._nodes > MOST_NODES:
            raise Malformed(f"The JSON has over {MOST_NODES} values.", code=Code.INVALID_JSON)
        if kind is list:
            return sum(self.names(item, depth + 1) for item in value)
        for name in value:
            _check_string(name)
        return len(value) + sum(self.names(item, depth + 1) for item in value.values())


def _check_string(text: str) -> None:
    if len(text) > LONGEST_STRING and not _BYTES.fullmatch(text):
        raise Malformed(
            f"A string is longer than {LONGEST_STRING} characters.", code=Code.REQUEST_TOO_LARGE
        )
    if "\x00" in text:
        raise Malformed("A string holds a NUL character.", code=Code.INVALID_JSON)
