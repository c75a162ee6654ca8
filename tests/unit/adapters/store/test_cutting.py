"""Found values are cut out so that nothing of them stays, and put back so that nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.store.cutting import (
    ERASED,
    MOST_BOUND,
    MOST_CUT,
    MOST_KNOWN,
    Cut,
    Cutter,
    put_back,
)
from gateway.core.records import Entry, Kind
from gateway.core.values import Value
from tests.exchanges import pieces

ANN, ZOE = Value("EMAIL_ADDRESS", "ann@example.org"), Value("PERSON", 'Zoë "Z" Müller/Ötz')
texts = st.text(min_size=3, max_size=30).filter(lambda text: text.strip() and "\x00" not in text)
found = st.lists(st.builds(Value, st.just("PERSON"), texts), min_size=1, max_size=5)


def cutter() -> Cutter:
    return Cutter(lambda value: value.text.casefold().encode())


def cut(parts: dict[str, bytes], *values: Value, kind: Kind = Kind.OPENED) -> Cut:
    return cutter().cut(Entry(kind, {}, parts, values))


def whole(done: Cut, name: str) -> bytes:
    """A part with everything put back."""
    if name not in done.cut:
        return done.parts[name]
    payload, all_there = put_back(done.parts[name], [piece.content for piece in done.pieces])
    assert all_there
    return payload


def left(done: Cut, name: str) -> bytes:
    """What can be read of a part once every value was erased."""
    if done.bound.get(name):
        return b""
    if name not in done.cut:
        return done.parts[name]
    return put_back(done.parts[name], [None] * len(done.pieces))[0]


def plain(text: str) -> bytes:
    return orjson.dumps({"content": text})


def ascii_only(text: str) -> bytes:
    return json.dumps({"content": text}).encode()


def twice(text: str) -> bytes:
    return orjson.dumps({"arguments": orjson.dumps({"to": text}).decode()})


def twice_ascii(text: str) -> bytes:
    return json.dumps({"arguments": json.dumps({"to": text})}).encode()


def mixed(text: str) -> bytes:
    return orjson.dumps({"arguments": json.dumps({"to": text})})


def slashes(text: str) -> bytes:
    return orjson.dumps({"content": text}).replace(b"/", b"\\/")


def every_letter(text: str) -> bytes:
    units = text.encode("utf-16-be")
    spelled = "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
    return f'{{"content": "{spelled}"}}'.encode()


def as_name(text: str) -> bytes:
    return orjson.dumps({text: 1})


def as_raw(text: str) -> bytes:
    return text.encode()


WAYS: list[Callable[[str], bytes]] = [
    plain, ascii_only, twice, twice_ascii, mixed, slashes, every_letter, as_name, as_raw,
]  # fmt: skip


def readable(payload: bytes) -> str:
    """All that a reader can make of a payload: its bytes, and its strings, once and twice."""
    said = payload.decode(errors="replace")
    for _ in range(2):
        try:
            value = json.loads(said)
        except ValueError:
            break
        held = [*value, *value.values()] if isinstance(value, dict) else [value]
        strings = [item for item in held if isinstance(item, str)]
        said = "\x01".join(strings)
        payload += b"\x01" + said.encode(errors="replace")
    return payload.decode(errors="replace").casefold()


@given(found, st.lists(st.one_of(texts, st.integers(0, 4)), max_size=8), st.sampled_from(WAYS))
def test_what_is_cut_out_is_put_back_exactly(
    values: list[Value], said: list[str | int], way: Callable[[str], bytes]
) -> None:
    text = " ".join(values[s % len(values)].text if isinstance(s, int) else s for s in said)
    payload = way(text)
    done = cut({"request_received": payload}, *values)
    assert whole(done, "request_received") == payload


@given(st.binary(max_size=200), st.lists(st.builds(Value, st.just("X"), st.text(min_size=3))))
def test_any_bytes_survive(payload: bytes, values: list[Value]) -> None:
    done = cut({"request_received": payload}, *values)
    assert whole(done, "request_received") == payload


@given(texts, texts, st.text(max_size=20), st.sampled_from(WAYS))
def test_nothing_of_a_value_can_be_read_without_its_key(
    before: str, text: str, after: str, way: Callable[[str], bytes]
) -> None:
    payload = way(before.replace("\x00", "") + text + after.replace("\x00", ""))
    done = cut({"request_received": payload}, Value("PERSON", text))
    told = readable(left(done, "request_received").replace(ERASED, b"\x01"))
    assert text.casefold() not in told


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", [ANN, ZOE])
def test_every_way_to_write_a_value_is_found(value: Value, way: Callable[[str], bytes]) -> None:
    payload = way(f"Write to {value.text}, please.")
    done = cut({"request_received": payload}, value)
    assert done.standing == [0]
    if way is not every_letter:
        assert (done.cut, done.bound) == (["request_received"], {})
        assert b"please" in left(done, "request_received")
    else:
        assert done.bound == {"request_received": (0,)}


def test_case_does_not_matter() -> None:
    done = cut({"a": plain("ANN@example.ORG"), "b": plain("ZOË")}, ANN, Value("PERSON", "zoë"))
    assert b"ANN" not in done.parts["a"]
    assert done.bound == {"b": (1,)}


def test_a_value_within_another_goes_with_it() -> None:
    inner, outer = ANN, Value("URL", "https://x.example/?to=ann@example.org")
    done = cut({"a": plain(f"{outer.text} or {inner.text}")}, inner, outer)
    assert [set(piece.values) for piece in done.pieces] == [{0, 1}, {0}]


def test_values_that_overlap_are_one_piece() -> None:
    done = cut({"a": plain("x abcdef y")}, Value("A", "abcd"), Value("B", "cdef"))
    (piece,) = done.pieces
    assert piece == (b"abcdef", (0, 1))


def test_the_same_piece_is_kept_once() -> None:
    done = cut({"a": plain(f"{ANN.text} {ANN.text}"), "b": plain(ANN.text)}, ANN)
    assert len(done.pieces) == 1
    assert done.parts["a"].count(b"\x000\x00") == 2


def test_a_number_can_be_cut_out() -> None:
    payload = b'{"card": 4111111111111111, "n": 1}'
    done = cut({"a": payload}, Value("CREDIT_CARD", "4111111111111111"))
    assert left(done, "a") == b'{"card": [erased], "n": 1}'
    assert done.bound == {}
    assert whole(done, "a") == payload


def test_a_file_is_left_whole_and_bound() -> None:
    payload = b"\x89PNG\x00\x01 prompt: ann@example.org \x00 1 \x00"
    done = cut({"request_received": payload, "other": b"\x00 nothing here"}, ANN)
    assert done.parts["request_received"] == payload
    assert done.bound == {"request_received": (0,)}


def test_a_request_in_an_unknown_encoding_is_bound() -> None:
    done = cut({"request_received": "an: ann＠example.org".encode()}, ANN)
    assert done.bound == {"request_received": (0,)}


def test_an_exchange_without_values_is_left_alone() -> None:
    parts = {"request_received": plain(ANN.text)}
    done = cut(parts)
    assert done == Cut(parts)


def test_more_values_than_are_cut_out_are_erased_with_the_rest() -> None:
    values = [Value("ID", f"number-{number:05}") for number in range(MOST_KNOWN + 10)]
    done = cut({"a": plain(" ".join(value.text for value in values))}, *values)
    assert len(done.known) == MOST_CUT
    assert len(done.whole) == MOST_KNOWN - MOST_CUT
    assert [known.value for known in done.whole] == values[MOST_CUT:MOST_KNOWN]


def test_a_part_is_bound_to_so_many_values_only() -> None:
    values = [Value("ID", f"number-{number:05}") for number in range(MOST_BOUND + 1)]
    done = cut({"a": every_letter(" ".join(value.text for value in values))}, *values)
    assert done.bound == {}
    assert [known.value for known in done.whole] == values


def chunk(text: str, index: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": "c1", "choices": [{"index": index, "delta": {"content": text}, **more}]}


def lines(*events: dict[str, Any]) -> bytes:
    return b"\n".join(orjson.dumps(event) for event in events)


def test_a_value_split_over_events_binds_the_part() -> None:
    split = lines(chunk("Write to ann@exa"), chunk("mple.org."))
    beside = lines(chunk("ann@exa"), chunk("mple.org", index=1))
    done = cut({"answer_received": split, "question": beside}, ANN, kind=Kind.CLOSED)
    assert done.bound == {"answer_received": (0,)}


def test_a_value_that_tokens_spell_binds_the_part() -> None:
    tokens = [{"token": t, "bytes": list(t.encode())} for t in ("ann", "@ex", "ample.org")]
    spelled = lines(chunk(ANN.text, logprobs={"content": tokens}))
    numbers = [{"bytes": list(t.encode())} for t in ("ann", "@ex", "ample.org")]
    only_numbers = lines(chunk("", logprobs={"content": numbers}))
    done = cut({"a": spelled, "b": only_numbers}, ANN)
    assert done.bound == {"a": (0,), "b": (0,)}


@given(
    st.text(alphabet="abz @.é", max_size=20),
    st.text(alphabet="abz @.é", max_size=20),
    st.lists(st.integers(0, 60), max_size=8),
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
)
def test_a_value_split_over_segments_cannot_be_read_without_its_key(
    before: str, after: str, cuts: list[int], together: list[int]
) -> None:
    value = Value("EMAIL_ADDRESS", "zoé@ab.org")
    deltas = pieces(f"{before}{value.text}{after}", cuts)
    taking, read, work = 0, "", cutter()
    while deltas:
        count = together[taking % len(together)]
        some, deltas, taking = deltas[:count], deltas[count:], taking + 1
        kind = Kind.SEGMENT if deltas else Kind.CLOSED
        payload = lines(*(chunk(text) for text in some))
        done = work.cut(Entry(kind, {}, {"answer_released": payload}, (value,)))
        assert whole(done, "answer_released") == payload
        if rest := left(done, "answer_released"):
            events = [json.loads(line) for line in rest.split(b"\n")]
            read += "".join(e["choices"][0]["delta"]["content"] for e in events)
        else:
            read += "\x01"
    assert value.text not in read


def test_a_token_without_a_piece_is_refused() -> None:
    with pytest.raises(ValueError, match="piece 7"):
        put_back(b"a \x007\x00 b", [b"x"])
