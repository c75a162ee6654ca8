"""Rows of a Parquet file, as JSON: the columns have types, and the members of `View` as names.

Times are in UTC; lists of texts and leaves are lists; findings and facts are JSON in a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from gateway.governance.formats.view import View

_TIME, _NUMBER, _YES, _TEXTS = "TIMESTAMPTZ", "BIGINT", "BOOLEAN", "VARCHAR[]"
_TYPES: Mapping[str, str] = {
    "leaf_index": _NUMBER, "leaves": "BIGINT[][]", "intact": _YES, "ts": _TIME, "ended_at": _TIME,
    "stream": _YES, "rules": _TEXTS, "obligations": _TEXTS, "findings_count": _NUMBER,
    "unavailable": _TEXTS, "labels": _TEXTS, "attempts": _NUMBER, "segments": _NUMBER,
    "input_tokens": _NUMBER, "output_tokens": _NUMBER, "usage_exact": _YES,
    "cost_micro_usd": _NUMBER, "cost_exact": _YES, "elapsed_us": _NUMBER,
}  # fmt: skip
COLUMNS: Mapping[str, str] = {name: _TYPES.get(name, "VARCHAR") for name in View.__struct_fields__}
"""Every column and its type, as DuckDB calls it."""
_JSON = frozenset({"findings", "answer_findings", "facts"})
_LARGEST = 2**63 - 1
_ENCODER = msgspec.json.Encoder()


def line(view: View) -> bytes:
    """The record as one row."""
    return _ENCODER.encode({name: _cell(name, getattr(view, name)) for name in COLUMNS})


def _cell(name: str, value: Any) -> Any:
    """A value as its column takes it; None for what an altered entry says that it cannot take."""
    if value is None:
        return None
    if name in _JSON:
        return _ENCODER.encode(value).decode()
    match COLUMNS[name]:
        case "TIMESTAMPTZ":
            return _time(value)
        case "BIGINT":
            return value if -_LARGEST <= value <= _LARGEST else None
        case "VARCHAR":
            return _plain(value)
        case "VARCHAR[]":
            return [_plain(each) for each in value]
        case _:
            return value


def _time(value: str) -> str | None:
    moment = datetime.fromisoformat(value)
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except OverflowError:
        return None


def _plain(text: str) -> str:
    """`text` without NUL, which no text of a Parquet reader can be trusted to hold."""
    return text.replace("\x00", "\ufffd")
