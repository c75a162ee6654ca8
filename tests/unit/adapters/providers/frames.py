"""Writes AWS's event stream encoding, for tests of what reads it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any
from zlib import crc32

import orjson


def header(name: str, value: str) -> bytes:
    """A header whose value is a string."""
    return _named(name, 7) + struct.pack(">H", len(value.encode())) + value.encode()


def odd_header(name: str, kind: int, value: bytes) -> bytes:
    """A header of another type, with its value as it stands on the wire."""
    return _named(name, kind) + value


def _named(name: str, kind: int) -> bytes:
    return bytes([len(name.encode())]) + name.encode() + bytes([kind])


def frame(headers: bytes, payload: bytes) -> bytes:
    """One message around encoded `headers` and `payload`."""
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return body + struct.pack(">I", crc32(body))


def event(kind: str, payload: Mapping[str, Any]) -> bytes:
    """One event of a service, with a JSON payload."""
    named = header(":event-type", kind) + header(":content-type", "application/json")
    return frame(named + header(":message-type", "event"), orjson.dumps(payload))


def exception(kind: str, payload: Mapping[str, Any]) -> bytes:
    """One exception that a service's model knows."""
    named = header(":exception-type", kind) + header(":content-type", "application/json")
    return frame(named + header(":message-type", "exception"), orjson.dumps(payload))


def error(code: str, message: str) -> bytes:
    """One error that a service's model does not know."""
    named = header(":message-type", "error") + header(":error-code", code)
    return frame(named + header(":error-message", message), b"")
