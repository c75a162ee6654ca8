"""Comma-separated values (RFC 4180), safe to open in a spreadsheet.

A cell that a spreadsheet would take for a formula begins with an apostrophe, and so does one
that begins with an apostrophe itself: whoever takes one away has the value again. Lists are
joined by spaces, lists of objects are JSON.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.governance.formats.view import View

COLUMNS = tuple(field.name for field in msgspec.structs.fields(View))
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
_JSON = frozenset({"leaves", "findings", "answer_findings", "facts"})
_QUOTED = frozenset(',"\r\n')

HEAD = ",".join(COLUMNS).encode() + b"\r\n"


def line(view: View) -> bytes:
    """The record as one row, without the line end."""
    return ",".join(_cell(name, getattr(view, name)) for name in COLUMNS).encode()


def _cell(name: str, value: Any) -> str:
    text = safe(_text(name, value))
    quoted = not _QUOTED.isdisjoint(text)
    return '"' + text.replace('"', '""') + '"' if quoted else text


def safe(text: str) -> str:
    """`text`, such that no spreadsheet computes it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _text(name: str, value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _ if name in _JSON:
            return msgspec.json.encode(value).decode()
        case list():
            return " ".join(value)
        case _:
            return str(value)
