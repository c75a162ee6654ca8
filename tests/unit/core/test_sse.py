"""The decoder against the examples and rules of WHATWG HTML, section 9.2."""

from __future__ import annotations

import pytest

from gateway.core.sse import Decoder, Message


def decoded(*chunks: bytes, limit: int = 1 << 20) -> list[Message]:
    decoder = Decoder(limit)
    return [message for chunk in chunks for message in decoder.feed(chunk)]


def data(*chunks: bytes) -> list[bytes]:
    return [message.data for message in decoded(*chunks)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [b"YHOO\n+2\n10"]),
        (b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n",
         [b"first event", b"second event"]),
        (b"data\n\ndata\ndata\n\ndata:", [b"", b"\n"]),
        (b"data:test\n\ndata: test\n\n", [b"test", b"test"]),
        (b"data:  third event\n\n", [b" third event"]),
        (b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", [b"a", b"b", b"c"]),
        (b"\xef\xbb\xbfdata: marked\n\n", [b"marked"]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: only one mark is dropped\n\n", []),
        (b"data: a\n\n\xef\xbb\xbfdata: a mark later is text\n\n", [b"a"]),
        (b"Data: no\n data: no\ndatas: no\nretry: 3\n\n", []),
        (b"data: a:b: c\n\n", [b"a:b: c"]),
        ("data: вітаю 👋\u2028\x85\n\n".encode(), ["вітаю 👋\u2028\x85".encode()]),
        (b"\n\n\n\r\n: ping\n\n", []),
    ],
)  # fmt: skip
def test_data(stream: bytes, expected: list[bytes]) -> None:
    assert data(stream) == expected
    assert data(*(stream[at : at + 1] for at in range(len(stream)))) == expected


def test_event_types() -> None:
    stream = b"event: add\ndata: 1\n\nevent: lost\n\ndata: 2\n\nevent\ndata: 3\n\n"
    assert decoded(stream) == [("add", b"1"), ("message", b"2"), ("message", b"3")]


def test_a_carriage_return_and_an_empty_chunk_between_it_and_its_line_feed() -> None:
    assert data(b"data: a\r", b"", b"\n", b"\r", b"\n", b"data: b\n\n") == [b"a", b"b"]


@pytest.mark.parametrize(
    ("stream", "left"),
    [
        (b"data: a\n\n", None),
        (b"data: a\n\n: ping", None),
        (b"", None),
        (b"data: a\n", b"a"),
        (b"data: a", b"a"),
        (b"data: a\ndata: [DO", b"a\n[DO"),
    ],
)
def test_finish_tells_what_was_torn_off(stream: bytes, left: bytes | None) -> None:
    decoder = Decoder()
    decoder.feed(stream)
    torn = decoder.finish()
    assert (torn and torn.data) == left


def test_a_line_at_the_limit_is_read_and_one_byte_more_is_not() -> None:
    line = b"data: " + b"x" * 94
    assert decoded(line + b"\n\n", limit=100)
    with pytest.raises(ValueError, match="line of more than 99"):
        decoded(line + b"\n\n", limit=99)
    with pytest.raises(ValueError, match="line of more than 99"):
        decoded(line[:50], line[50:], limit=99)


def test_a_comment_is_a_line_too() -> None:
    with pytest.raises(ValueError, match="line"):
        decoded(b":" + b"x" * 100, limit=100)


def test_a_message_of_many_short_lines_has_a_limit() -> None:
    assert decoded(b"data: 123456789\n" * 10 + b"\n", limit=100)
    with pytest.raises(ValueError, match="message of more than 100"):
        decoded(b"data: 123456789\n" * 11, limit=100)


def test_what_came_before_the_excess_is_still_read() -> None:
    decoder = Decoder(20)
    assert [m.data for m in decoder.feed(b"data: a\n\n" + b"x" * 30)] == [b"a"]
    with pytest.raises(ValueError, match="line"):
        decoder.finish()
    with pytest.raises(ValueError, match="line"):
        decoder.feed(b"")


def test_an_unended_message_past_the_limit_is_an_error_at_the_end() -> None:
    decoder = Decoder(10)
    decoder.feed(b"data: abc\ndata: abc\ndata: abc")
    with pytest.raises(ValueError, match="message"):
        decoder.finish()
