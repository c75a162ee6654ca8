"""How records are written for others: each format turns the view of one record into one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.governance.formats import cef, csv, jsonl, ocsf, otel, parquet
from gateway.governance.formats.view import View


@dataclass(frozen=True, slots=True)
class Format:
    """A format. `head` stands once before all records; `line` has no line end."""

    name: str
    media: str
    line: Callable[[View], bytes]
    head: bytes = b""
    end: bytes = b"\n"


_NDJSON = "application/x-ndjson"
FORMATS: Mapping[str, Format] = {
    each.name: each
    for each in (
        Format("jsonl", _NDJSON, jsonl.line),
        Format("csv", "text/csv; charset=utf-8", csv.line, csv.HEAD, b"\r\n"),
        Format("ocsf", _NDJSON, ocsf.line),
        Format("cef", "text/plain; charset=utf-8", cef.line),
        Format("otel", _NDJSON, otel.line),
    )
}
"""Every format of lines, by name."""
FILES: Mapping[str, Format] = {
    "parquet": Format("parquet", "application/vnd.apache.parquet", parquet.line),
}
"""Formats of which a file is made at once, out of all its rows: `line` is one of them, as JSON."""
WITH_CONTENT = "jsonl"
"""The format that has what was said too, where somebody gets that."""
