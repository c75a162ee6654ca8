"""A sign of life on a stream whose model thinks for long, so that nothing between hangs up."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from math import inf

from litestar.types import Message, Send

COMMENT = b": keep-alive\n\n"
"""Readers of server-sent events ignore a line that begins with a colon (WHATWG HTML, 9.2)."""


class KeepAlive:
    """Sends the messages of one stream, and a comment after every `seconds` of silence.

    One timer, which is set again only when it rings: an event that is sent costs no more than a
    look at the clock. A comment never goes between the parts of a message, nor after the last.
    """

    def __init__(self, send: Send, seconds: float) -> None:
        self._send = send
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._silent_since = inf
        self._timer: asyncio.TimerHandle | None = None
        self._saying: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen for silence. The head of the stream must have been sent."""
        self._silent_since = self._loop.time()
        self._listen()

    async def send(self, message: Message) -> None:
        """Send a message of the stream, once the comment that is under way has gone."""
        self._silent_since = inf
        if self._saying is not None:
            await self._saying
        await self._send(message)
        if message["type"] == "http.response.body" and message["more_body"]:
            self._silent_since = self._loop.time()

    def stop(self) -> None:
        """Say nothing more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._saying is not None:
            self._saying.cancel()

    def _listen(self) -> None:
        due = min(self._silent_since, self._loop.time()) + self._seconds
        self._timer = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        if self._loop.time() - self._silent_since >= self._seconds and self._saying is None:
            self._saying = self._loop.create_task(self._say())
        else:
            self._listen()

    async def _say(self) -> None:
        with suppress(OSError):  # the caller is gone, which whoever reads of it will find
            await self._send({"type": "http.response.body", "body": COMMENT, "more_body": True})
        self._saying = None
        if self._silent_since != inf:
            self._silent_since = self._loop.time()
        self._listen()
