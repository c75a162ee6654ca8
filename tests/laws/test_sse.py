"""Law 2, at the lowest level: how the bytes of a stream are cut changes no message."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.sse import Decoder, Message

_ENDS = st.sampled_from(["\n", "\r", "\r\n"])
_LINES = st.one_of(
    st.sampled_from(["", "", "data", "data:", "data: [DONE]", "event: error", ": ping", "id: 7"]),
    st.text(alphabet="aé中👋 :\u2028\x85\ufeff", max_size=12).map("data: {}".format),
    st.text(alphabet="data:event \ufeff", max_size=12),
)
_STREAMS = st.one_of(
    st.tuples(
        st.sampled_from(["", "\ufeff"]),
        st.lists(st.tuples(_LINES, _ENDS).map("".join), max_size=12).map("".join),
        st.sampled_from(["", "data: torn"]),
    ).map(lambda parts: "".join(parts).encode()),
    st.binary(max_size=60),
)

Reading = tuple[list[Message], Message | str | None]


def read(chunks: Sequence[bytes], limit: int = 40) -> Reading:
    """Every message, then what was torn off or the error that ended it."""
    decoder, messages = Decoder(limit), []
    try:
        for chunk in chunks:
            messages += decoder.feed(chunk)
        return messages, decoder.finish()
    except ValueError as error:
        return messages, str(error)


def by_the_book(stream: bytes) -> list[tuple[str, str]]:
    """The specification, written for clarity: the whole text at once, line by line."""
    text = stream.decode(errors="replace").removeprefix("\ufeff")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    messages, event, data = [], "", ""
    for line in lines[:-1]:  # what follows the last line end is no line
        if line == "":
            if data:
                messages.append((event or "message", data.removesuffix("\n")))
            event = data = ""
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            event = value
        elif field == "data":
            data += value + "\n"
    return messages


@given(_STREAMS)
@example(b"data: a\r\n\r\ndata: b\r\r")
def test_a_cut_at_any_offset_changes_nothing(stream: bytes) -> None:
    whole = read([stream])
    for at in range(len(stream) + 1):
        assert read([stream[:at], stream[at:]]) == whole
    assert read([stream[at : at + 1] for at in range(len(stream))]) == whole


@given(_STREAMS, st.lists(st.integers(0, 60), max_size=8))
def test_cuts_at_many_offsets_change_nothing(stream: bytes, offsets: list[int]) -> None:
    cuts = [0, *sorted(min(at, len(stream)) for at in offsets), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(cuts)]
    assert read(pieces) == read([stream])


@given(_STREAMS)
def test_the_messages_are_those_of_the_specification(stream: bytes) -> None:
    messages, _ = read([stream], limit=1 << 20)
    assert [(m.event, m.data.decode(errors="replace")) for m in messages] == by_the_book(stream)
