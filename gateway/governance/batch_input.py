"""A batch's input file: a request a line, each with an id of the caller's own.

Source: OpenAI's API reference, "Batch" (the request input object).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.core.errors import Malformed
from gateway.core.json_body import parse

MOST_LINES = 50_000
MOST_FAULTS = 100
"""Faults that are told of one file."""
LONGEST_ID = 512


@dataclass(frozen=True, slots=True)
class Line:
    """One request. `index` counts lines from 0."""

    index: int
    custom_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a file cannot be run: what OpenAI's `errors.data` holds. `line` counts from 1."""

    code: str
    message: str
    line: int | None = None

    def shown(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "param": None, "line": self.line}


def read_lines(content: bytes, endpoint: str) -> tuple[Sequence[Line], Sequence[Fault]]:
    """The requests of an input file, and what is wrong with it; where anything is, none runs."""
    lines: list[Line] = []
    faults: list[Fault] = []
    seen: set[str] = set()
    for number, written in _written(content):
        if len(lines) >= MOST_LINES:
            faults.append(Fault("too_many_tasks", f"A batch has at most {MOST_LINES} requests."))
            break
        try:
            custom_id, body = _read(written, endpoint, seen)
        except Malformed as error:
            faults.append(Fault("invalid_request", error.message, number))
            if len(faults) >= MOST_FAULTS:
                break
        else:
            seen.add(custom_id)
            lines.append(Line(number - 1, custom_id, body))
    if not lines and not faults:
        faults.append(Fault("empty_file", "The input file holds no requests."))
    return lines, faults


def _written(content: bytes) -> Iterator[tuple[int, bytes]]:
    for number, written in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if written.strip():
            yield number, written


def _read(written: bytes, endpoint: str, seen: set[str]) -> tuple[str, bytes]:
    """The id and the body of one line. Raises `Malformed`."""
    match parse(written):
        case {"custom_id": str() as custom_id, "url": str() as url, "body": dict() as body, **rest}:
            if not 0 < len(custom_id) <= LONGEST_ID:
                raise Malformed(f"'custom_id' has 1 to {LONGEST_ID} characters.")
            if custom_id in seen:
                raise Malformed("'custom_id' is used twice in this file.")
            if rest.get("method", "POST") != "POST":
                raise Malformed("'method' must be POST.")
            if url != endpoint:
                raise Malformed(f"'url' must be the batch's endpoint, {endpoint}.")
            if body.get("stream"):
                raise Malformed("A request of a batch cannot be streamed.")
            if body.get("background"):
                raise Malformed("A request of a batch cannot run in the background.")
            return custom_id, orjson.dumps(body)
        case _:
            raise Malformed("A line is an object with 'custom_id', 'method', 'url' and 'body'.")
