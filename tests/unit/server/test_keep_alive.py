"""C26: a stream that has begun is never silent for long; one that has not says nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from gateway.core.answer import Events
from gateway.core.errors import Code, Denied
from gateway.core.exchange import Exchange
from gateway.server.data_plane import DataPlane
from gateway.server.keep_alive import COMMENT, KeepAlive
from tests.exchanges import CHAT, chat_request, spoken
from tests.unit.server.wire import Wire

AT_ONCE = 1e-9
"""Seconds of silence after which a comment is due whenever the loop turns."""
NEVER = 1e9


async def turns(count: int = 50) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Thinking:
    """A pipeline whose model says a word, then thinks until it is told to go on."""

    def __init__(self, *, before: bool = False, refuses: bool = False) -> None:
        self.go_on = asyncio.Event()
        self._before, self._refuses = before, refuses

    async def __call__(self, exchange: Exchange) -> Events:
        exchange.received = await exchange.read()
        exchange.request = orjson.loads(exchange.received)
        return self._said()

    async def _said(self) -> Events:
        first, *rest = spoken(["a", "b"])
        if self._before:
            await self.go_on.wait()
        if self._refuses:
            raise Denied(Code.CONTENT_FILTER, "no")
        yield first
        if not self._before:
            await self.go_on.wait()
        for event in rest:
            yield event


async def serve(wire: Wire, thinking: Thinking, seconds: float) -> None:
    plane = DataPlane(thinking, body_limit=10_000, keep_alive_seconds=seconds)
    await plane(CHAT, wire.scope, wire.receive, wire.send)


def asking() -> Wire:
    return Wire(body=orjson.dumps(chat_request(stream=True)))


async def test_c26_a_silent_stream_says_that_it_lives() -> None:
    wire, thinking = asking(), Thinking()
    serving = asyncio.create_task(serve(wire, thinking, AT_ONCE))
    while wire.body.count(COMMENT) < 2:
        wire.news.clear()
        await wire.news.wait()
    thinking.go_on.set()
    await serving
    assert wire.over
    frames = [frame for frame in wire.body.split(b"\n\n") if frame and frame != COMMENT.strip()]
    assert all(frame.startswith(b"data: ") for frame in frames)
    assert len(frames) == len(spoken(["a", "b"])) + 1
    assert wire.out[-1]["more_body"] is False


async def test_c26_nothing_goes_before_the_first_event_so_that_a_refusal_keeps_its_status() -> None:
    wire, thinking = asking(), Thinking(before=True, refuses=True)
    serving = asyncio.create_task(serve(wire, thinking, AT_ONCE))
    await turns()
    assert wire.out == []
    thinking.go_on.set()
    await serving
    assert (wire.status, wire.json["error"]["code"]) == (400, "content_filter")


async def test_c26_a_stream_that_speaks_has_no_comments() -> None:
    wire, thinking = asking(), Thinking()
    thinking.go_on.set()
    await serve(wire, thinking, NEVER)
    assert COMMENT not in wire.body
    assert wire.headers["x-accel-buffering"] == "no"
    assert wire.headers["cache-control"] == "no-cache"


class Line:
    """A connection that takes what is sent only when it is let."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.clear = asyncio.Event()
        self.clear.set()

    async def send(self, message: Any) -> None:
        await self.clear.wait()
        self.sent.append(message["body"])


def body(text: bytes, *, more: bool = True) -> Any:
    return {"type": "http.response.body", "body": text, "more_body": more}


async def test_a_comment_never_goes_while_something_is_being_sent() -> None:
    line = Line()
    alive = KeepAlive(line.send, AT_ONCE)
    line.clear.clear()
    alive.start()
    sending = asyncio.create_task(alive.send(body(b"event")))
    await turns()
    line.clear.set()
    await sending
    alive.stop()
    assert line.sent[-1] == b"event"
    assert line.sent.count(COMMENT) <= 1  # one may have been due before the event came


async def test_what_comes_during_a_comment_goes_after_it() -> None:
    line = Line()
    alive = KeepAlive(line.send, AT_ONCE)
    alive.start()
    line.clear.clear()
    await turns()  # a comment waits for the line
    sending = asyncio.create_task(alive.send(body(b"last", more=False)))
    await turns()
    line.clear.set()
    await sending
    await turns()
    assert line.sent[-1] == b"last"
    alive.stop()


async def test_nothing_is_said_after_the_last_message() -> None:
    line = Line()
    alive = KeepAlive(line.send, AT_ONCE)
    alive.start()
    await alive.send(body(b"last", more=False))
    await turns()
    assert line.sent[-1] == b"last"
    alive.stop()


async def test_a_caller_that_is_gone_is_no_fault_of_the_stream() -> None:
    told: list[object] = []
    tried = asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    async def broken(message: Any) -> None:
        tried.set()
        raise ConnectionResetError

    alive = KeepAlive(broken, AT_ONCE)
    alive.start()
    await tried.wait()
    await turns()
    alive.stop()
    assert told == []
