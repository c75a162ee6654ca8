"""Law 2, at the lowest level of AWS: how the bytes of a stream are cut changes no message."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.adapters.providers.eventstream import Decoder, Message
from tests.unit.adapters.providers.frames import frame, header, odd_header

_HEADERS = st.lists(
    st.one_of(
        st.tuples(st.text(max_size=6), st.text(max_size=12)).map(lambda pair: header(*pair)),
        st.binary(min_size=16, max_size=16).map(lambda value: odd_header("u", 9, value)),
    ),
    max_size=4,
).map(b"".join)
_FRAMES = st.tuples(_HEADERS, st.binary(max_size=30)).map(lambda parts: frame(*parts))
_DAMAGED = st.tuples(_FRAMES, st.integers(0, 200), st.integers(1, 255)).map(
    lambda parts: _flipped(*parts)
)
_STREAMS = st.lists(st.one_of(_FRAMES, _FRAMES, _DAMAGED, st.binary(max_size=20)), max_size=5).map(
    b"".join
)

Reading = tuple[list[Message], str | None]


def _flipped(wire: bytes, at: int, by: int) -> bytes:
    at %= len(wire)
    return wire[:at] + bytes([wire[at] ^ by]) + wire[at + 1 :]


def read(chunks: Sequence[bytes]) -> Reading:
    """Every message, then the error that ended the stream, if any did."""
    decoder = Decoder(limit=120)
    messages: list[Message] = []
    try:
        for chunk in chunks:
            messages += decoder.feed(chunk)
        decoder.finish()
    except ValueError as error:
        return messages, str(error)
    return messages, None


@given(_STREAMS)
@example(frame(b"", b"") + b"\xff" * 12)
def test_a_cut_at_any_offset_changes_nothing(stream: bytes) -> None:
    whole = read([stream])
    for at in range(len(stream) + 1):
        assert read([stream[:at], stream[at:]]) == whole
    assert read([stream[at : at + 1] for at in range(len(stream))]) == whole


@given(_STREAMS, st.lists(st.integers(0, 200), max_size=8))
def test_cuts_at_many_offsets_change_nothing(stream: bytes, offsets: list[int]) -> None:
    cuts = [0, *sorted(min(at, len(stream)) for at in offsets), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(cuts)]
    assert read(pieces) == read([stream])


@given(st.lists(st.tuples(st.text(max_size=6), st.binary(max_size=20)), max_size=5))
def test_what_was_written_is_read(sent: list[tuple[str, bytes]]) -> None:
    stream = b"".join(frame(header("h", value), payload) for value, payload in sent)
    assert read([stream]) == ([Message({"h": value}, payload) for value, payload in sent], None)
