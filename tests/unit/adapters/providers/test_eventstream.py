"""The event stream decoder: what it reads, and what it refuses."""

from __future__ import annotations

import struct
from zlib import crc32

import pytest

from gateway.adapters.providers.eventstream import Decoder, Message
from tests.unit.adapters.providers.frames import event, frame, header, odd_header

# The example of AWS's "Event stream encoding" test vectors: no headers, and one string header.
EMPTY = bytes.fromhex("000000100000000005c248eb7d98c8ff")


def read(wire: bytes, limit: int = 16 << 20) -> list[Message]:
    decoder = Decoder(limit)
    messages = decoder.feed(wire)
    decoder.finish()
    return messages


def test_an_empty_message() -> None:
    assert read(EMPTY) == [Message({}, b"")]


def test_what_the_tests_write_is_the_published_form() -> None:
    assert frame(b"", b"") == EMPTY


def test_headers_and_payload() -> None:
    (message,) = read(event("messageStart", {"role": "assistant"}))
    assert message.headers == {
        ":event-type": "messageStart",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    assert message.payload == b'{"role":"assistant"}'


def test_headers_of_every_type_are_walked_over() -> None:
    others = [(0, b""), (1, b""), (2, b"x"), (3, b"xx"), (4, b"x" * 4), (5, b"x" * 8)]
    others += [(6, b"\x00\x03abc"), (8, b"x" * 8), (9, b"x" * 16)]
    block = b"".join(odd_header(f"h{kind}", kind, value) for kind, value in others)
    (message,) = read(frame(header("a", "é") + block + header("b", ""), b"p"))
    assert message == Message({"a": "é", "b": ""}, b"p")


@pytest.mark.parametrize(
    "headers",
    [
        b"\x05ab",
        b"\x01a",
        odd_header("a", 10, b""),
        odd_header("a", 5, b"xxx"),
        odd_header("a", 7, b"\x00"),
        odd_header("a", 7, b"\x00\x09abc"),
        odd_header("a", 7, b"\x00\x01\xff"),
    ],
)
def test_headers_that_do_not_fit(headers: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of them
        read(frame(headers, b""))


@pytest.mark.parametrize("at", range(len(event("x", {"a": 1}))))
def test_a_damaged_byte_is_found(at: int) -> None:
    wire = bytearray(event("x", {"a": 1}))
    wire[at] ^= 0x01
    with pytest.raises(ValueError, match="message"):
        read(bytes(wire))


@pytest.mark.parametrize(("total", "headers"), [(15, 0), (0, 0), (20, 5), (200_000, 150_000)])
def test_lengths_that_do_not_fit(total: int, headers: int) -> None:
    prelude = struct.pack(">II", total, headers)
    with pytest.raises(ValueError, match="lengths do not fit"):
        read(prelude + struct.pack(">I", crc32(prelude)) + b"\0" * 400)


def test_a_message_has_a_limit_before_it_is_here() -> None:
    decoder = Decoder(100)
    with pytest.raises(ValueError, match="more than 100 bytes"):
        decoder.feed(frame(b"", b"x" * 100)[:12])


def test_what_came_before_the_fault_is_given_first() -> None:
    decoder = Decoder()
    assert len(decoder.feed(EMPTY + b"\xff" * 16)) == 1
    for again in (decoder.finish, lambda: decoder.feed(EMPTY)):
        with pytest.raises(ValueError, match="checksum"):
            again()


@pytest.mark.parametrize("kept", [1, 11, 12, 15])
def test_a_message_that_was_torn_off(kept: int) -> None:
    with pytest.raises(ValueError, match="torn off"):
        read(EMPTY + EMPTY[:kept])
