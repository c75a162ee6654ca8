"""Everything that was answered, as it went over the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from gateway.server.paths import deployed
from tests.shapes.answers import check_answer
from tests.shapes.errors import check_error
from tests.shapes.members import OutOfShape, require
from tests.shapes.streams import check_stream

JSON, STREAM = "application/json", "text/event-stream"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked: the method, the path with its query, and the headers, lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


def check_traffic(asked: Asked, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raise `OutOfShape` unless an answer is what a caller of `asked` can read.

    `headers` are lower case. Of paths that are not below `/v1`, nothing is known.
    """
    path = _plain(asked.path)
    if not path.startswith("/v1/"):
        return
    require("x-request-id" in headers, "every answer has an id", dict(headers))
    if asked.method in ("HEAD", "OPTIONS") or status == 204:
        require(body == b"", "no body", body)
        return
    anthropic = "anthropic-version" in asked.headers and path.startswith("/v1/models")
    kind = headers.get("content-type", "").partition(";")[0]
    if status >= 400:
        require(kind == JSON, "an error is JSON", dict(headers))
        check_error(path, orjson.loads(body), anthropic=anthropic)
    elif kind == JSON:
        check_answer(path, _parsed(body), method=asked.method, anthropic=anthropic)
    elif kind == STREAM:
        stored = asked.method == "GET" and path.startswith("/v1/responses/")
        check_stream("/v1/responses" if stored else path, body)
    else:
        require(bool(kind), "a body has a type", dict(headers))


def _plain(path: str) -> str:
    """The path below `/v1` that is meant, without its query."""
    bare = path.partition("?")[0]
    found = deployed(bare)
    return found[0] if found else bare


def _parsed(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise OutOfShape(f"it is not JSON: {body!r}") from None
