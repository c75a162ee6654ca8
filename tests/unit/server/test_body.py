"""A body off the wire: whole, of the right kind, and not too large."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Code, Malformed
from gateway.server.body import CallerGone, read_body

JSON = {"content-type": "application/json"}
LIMIT = 100
READS = ("application/json",)


class Wire:
    """Messages of a request, as an ASGI server hands them over."""

    def __init__(self, *chunks: bytes, gone: bool = False) -> None:
        self.messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": chunk, "more_body": place < len(chunks) - 1 or gone}
            for place, chunk in enumerate(chunks)
        ]
        if gone:
            self.messages.append({"type": "http.disconnect"})
        self.taken = 0

    async def __call__(self) -> Any:
        self.taken += 1
        return self.messages[self.taken - 1]


async def refusal(wire: Wire, headers: dict[str, str] = JSON) -> Malformed:
    with pytest.raises(Malformed) as refused:
        await read_body(headers, wire, LIMIT, READS)
    return refused.value


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=3))
async def test_the_pieces_are_put_together(chunks: list[bytes]) -> None:
    assert await read_body(JSON, Wire(*chunks), LIMIT, READS) == b"".join(chunks)


async def test_a_message_may_leave_out_what_is_empty() -> None:
    """As the ASGI specification allows: `body` and `more_body` have defaults."""
    wire = Wire()
    wire.messages = [{"type": "http.request"}]
    assert await read_body(JSON, wire, LIMIT, READS) == b""


async def test_the_limit_itself_is_not_too_large() -> None:
    assert len(await read_body(JSON, Wire(b"x" * LIMIT), LIMIT, READS)) == LIMIT


@pytest.mark.parametrize("chunks", [[LIMIT + 1], [LIMIT, 1], [60, 60], [1] * (LIMIT + 1)])
async def test_one_byte_more_is(chunks: list[int]) -> None:
    wire = Wire(*(b"x" * size for size in chunks))
    assert (await refusal(wire)).code is Code.REQUEST_TOO_LARGE
    assert wire.taken == len(wire.messages)  # read to its end, so that the client hears


async def test_a_flood_is_not_read_to_its_end() -> None:
    wire = Wire(*[b"x" * LIMIT] * 1_000)
    assert (await refusal(wire)).code is Code.REQUEST_TOO_LARGE
    assert wire.taken == 9


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", " application/json ;x=y"]
)
async def test_json_is_taken_however_it_is_called(kind: str) -> None:
    headers = {"content-type": kind, "content-encoding": "Identity"}
    assert await read_body(headers, Wire(b"{}"), LIMIT, READS) == b"{}"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": ""},
        {"content-type": "text/plain"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/json-seq"},
        {**JSON, "content-encoding": "gzip"},
        {**JSON, "content-encoding": "identity, br"},
    ],
    ids=str,
)
async def test_anything_else_is_refused(headers: dict[str, str]) -> None:
    wire = Wire(b"{", b"}")
    assert (await refusal(wire, headers)).code is Code.UNSUPPORTED_MEDIA_TYPE
    assert wire.taken == 2


async def test_a_body_too_large_and_of_another_kind_is_refused_for_its_kind() -> None:
    error = await refusal(Wire(b"x" * 2 * LIMIT), {"content-type": "text/plain"})
    assert error.code is Code.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize("chunks", [[], [b"{"], [b"x" * 2 * LIMIT]], ids=len)
async def test_a_caller_who_hangs_up_is_gone(chunks: list[bytes]) -> None:
    with pytest.raises(CallerGone):
        await read_body(JSON, Wire(*chunks, gone=True), LIMIT, READS)
