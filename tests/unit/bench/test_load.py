"""The load generator against the upstream: counts, bounds and time stamps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bench import workload
from bench.connection import Answer
from bench.jobs import Streams, Whole
from bench.load import Trace, streams, whole
from bench.upstream import Connection, Desk


@pytest.fixture
async def desk() -> AsyncIterator[tuple[Desk, int]]:
    desk = Desk(stream=workload.Stream(10), pace=0.0)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(desk), "127.0.0.1", 0)
    async with server:
        yield desk, server.sockets[0].getsockname()[1]


async def test_whole_answers(desk: tuple[Desk, int]) -> None:
    shared, port = desk
    result = await whole(Whole(port, {}, connections=3, requests=20, seconds=30))
    assert (len(result.latencies), result.errors, result.restored) == (20, 0, 0)
    assert shared.report() == {"requests": 20, "in_clear": 20}
    assert shared.report() == {"requests": 0, "in_clear": 0}


async def test_streams(desk: tuple[Desk, int]) -> None:
    _, port = desk
    result = await streams(Streams(port, {}, 6, 3, spread=0.0, stall=60.0, seconds=30))
    assert (result.errors, result.fault) == (0, None)
    assert (len(result.first_bytes), result.events, len(result.delays)) == (6, 60, 60)
    assert (result.stalls, result.restored) == (0, 0)
    assert min(result.delays) > 0


async def test_what_cannot_connect_gives_up() -> None:
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    result = await whole(Whole(port, {}, connections=2, requests=1_000_000, seconds=60))
    assert result.latencies == []
    assert 50 < result.errors < 60
    assert result.fault


def test_a_stream_that_broke_off_is_a_fault() -> None:
    answer = Answer(200, [(1, b"data: {}\n\n"), (2, b"data: [DO")])
    with pytest.raises(ValueError, match="broke off"):
        Trace().add(0, answer, stall=1)


def test_events_are_put_together_from_pieces() -> None:
    events = [workload.Stream(10).event(i, 100 + i, usage=False) for i in range(10)]
    text = b"".join(events)
    pieces = [(200 + i, text[i : i + 1]) for i in range(len(text))]
    trace = Trace()
    trace.add(50, Answer(200, pieces), stall=1_000_000)
    assert trace.events == 10
    assert trace.first_bytes == [200 + len(events[0]) - 1 - 50]
    assert len(trace.delays) == 10
