"""AWS's event stream encoding (`application/vnd.amazon.eventstream`), decoded as it arrives.

Source: AWS's "Event stream encoding" and the Smithy specification "Amazon Event Stream". A
message is its length and that of its headers (four bytes each, big-endian), the CRC-32 of
these, the headers, the payload, and the CRC-32 of all before.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple
from zlib import crc32

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_LEAST = _PRELUDE.size + _CRC.size
_LONGEST_HEADERS = 128 << 10
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type: true, false, numbers, a time, a UUID."""
_BYTES, _STRING = 6, 7
"""Types whose value begins with its length in two bytes."""


class Message(NamedTuple):
    """One message; of its headers those whose values are strings."""

    headers: Mapping[str, str]
    payload: bytes


class Decoder:
    """Bytes in pieces of any size in, messages out; the same ones however the bytes are cut.

    A message of more than `limit` bytes is an error.
    """

    def __init__(self, limit: int = 16 << 20) -> None:
        self._limit = limit
        self._bytes = bytearray()
        self._fault: str | None = None

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that `chunk` completes.

        Raises `ValueError` for bytes that are no such stream; messages before them are
        returned first and the error is raised by the next call, so that the cut of the bytes
        changes nothing.
        """
        self._check()
        self._bytes += chunk
        messages: list[Message] = []
        try:
            while (message := self._next()) is not None:
                messages.append(message)
        except ValueError as error:
            self._fault = str(error)
        if not messages:
            self._check()
        return messages

    def finish(self) -> None:
        """Say that the bytes have ended. Raises `ValueError` inside a message, or as `feed`."""
        self._check()
        if self._bytes:
            raise ValueError("a message that was torn off")

    def _check(self) -> None:
        if self._fault is not None:
            raise ValueError(self._fault)

    def _next(self) -> Message | None:
        """Take the next message, if all of it is here."""
        if len(self._bytes) < _PRELUDE.size:
            return None
        total, length, check = _PRELUDE.unpack_from(self._bytes)
        if crc32(self._bytes[: _PRELUDE.size - _CRC.size]) != check:
            raise ValueError("a message whose lengths do not match their checksum")
        if total > self._limit:
            raise ValueError(f"a message of more than {self._limit} bytes")
        if length > _LONGEST_HEADERS or total < _LEAST + length:
            raise ValueError("a message whose lengths do not fit")
        if len(self._bytes) < total:
            return None
        whole = bytes(self._bytes[:total])
        if crc32(whole[: -_CRC.size]) != _CRC.unpack_from(whole, total - _CRC.size)[0]:
            raise ValueError("a message that does not match its checksum")
        del self._bytes[:total]
        end = _PRELUDE.size + length
        return Message(_headers(whole[_PRELUDE.size : end]), whole[end : -_CRC.size])


def _headers(block: bytes) -> dict[str, str]:
    """The headers in `block` whose values are strings. Raises `ValueError`."""
    headers: dict[str, str] = {}
    rest = memoryview(block)
    while rest:
        name, rest = _taken(rest[1:], rest[0])
        (kind,), rest = _taken(rest, 1)
        if kind in (_BYTES, _STRING):
            size, rest = _taken(rest, 2)
            value, rest = _taken(rest, int.from_bytes(size, "big"))
        elif kind in _FIXED:
            value, rest = _taken(rest, _FIXED[kind])
        else:
            raise ValueError("a header of an unknown type")
        if kind == _STRING:
            headers[name.decode()] = value.decode()
    return headers


def _taken(rest: memoryview, size: int) -> tuple[bytes, memoryview]:
    if len(rest) < size:
        raise ValueError("a header that does not fit")
    return bytes(rest[:size]), rest[size:]
