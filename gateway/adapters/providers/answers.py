"""What a provider's response says, as events of the caller's dialect.

For every provider whose API the caller speaks too, and for those behind a `Translation`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from gateway.adapters.providers.begun import begun
from gateway.adapters.providers.calls import Calls, drained, given
from gateway.adapters.providers.refusals import broke
from gateway.adapters.providers.translation import Translation, told
from gateway.core.answer import Event, Events
from gateway.core.dialect import Dialect
from gateway.core.errors import UpstreamError
from gateway.core.sse import Message


class Answers:
    """Reads the answers of one provider, whole or streamed, whichever form they come in.

    A stream is over at a message whose data is `last`, such as `[DONE]`; after an event whose
    `type` is one of `finals`; or, where there is neither, at a clean end of the body once the
    dialect finds it complete.
    """

    def __init__(self, calls: Calls, *, last: bytes = b"", finals: Collection[str] = ()) -> None:
        self._calls = calls
        self._last = last
        self._finals = finals

    async def read(
        self,
        dialect: Dialect,
        body: Mapping[str, Any],
        response: httpx.Response,
        translation: Translation | None = None,
    ) -> Events:
        """The answer in the form that `body` asks for, once its first event is here.

        Raises `UpstreamError`, also while the events are read; the response is then closed.
        """
        try:
            return await self._read(dialect, body, response, translation)
        except UpstreamError:
            await response.aclose()
            raise

    async def _read(
        self,
        dialect: Dialect,
        body: Mapping[str, Any],
        response: httpx.Response,
        translation: Translation | None,
    ) -> Events:
        streamed = dialect.streams(dict(body))
        kind = response.headers.get("content-type", "")
        if "event-stream" in kind or (streamed and "json" not in kind):
            messages = self._messages(response)
            if translation is None:
                events = self._native(dialect, body, messages)
            else:
                events = self._translated(messages, translation)
            if streamed:
                return await begun(self._calls.name, events)
            heard = [event async for event in await begun(self._calls.name, events)]
            return given(Event(dialect.fold(heard), whole=True))
        raw = await self._calls.read(response)
        if translation is not None:
            return self._translated_whole(dialect, body, raw, translation)
        if kind and "json" not in kind and dialect.takes_media(body, kind):
            text = raw.decode(errors="replace") if kind.startswith("text/") else ""
            return given(Event({"text": text}, whole=True, raw=raw, media=kind))
        data = self._parsed(dialect, raw)
        if streamed:
            return given(*dialect.unfold(data, dict(body)))
        return given(Event(data, whole=True, raw=raw))

    def _is_last(self, message: Message) -> bool:
        return bool(self._last) and message.data == self._last

    async def _messages(self, response: httpx.Response) -> AsyncIterator[Message]:
        """The messages of a stream. Raises `UpstreamError` for one that was torn off."""
        async for message in self._calls.messages(response, last=self._last):
            if message.event == "torn":
                raise self._calls.broke_off()
            yield message

    async def _native(
        self, dialect: Dialect, body: Mapping[str, Any], messages: AsyncIterator[Message]
    ) -> AsyncIterator[Event]:
        ended: set[int] = set()
        complete = False
        async for message in messages:
            if self._is_last(message):
                await drained(messages)
                return
            # JSON that came in several data lines would not fit into one: encode it anew.
            raw = None if b"\n" in message.data else message.data
            event = Event(self._parsed(dialect, message.data, message.event), raw=raw)
            ended.update(dialect.ended(event))
            complete = dialect.complete(body, ended, event)
            yield event
            if event.data.get("type") in self._finals:
                await drained(messages)
                break
        if not complete:
            raise self._calls.broke_off()

    async def _translated(
        self, messages: AsyncIterator[Message], translation: Translation
    ) -> AsyncIterator[Event]:
        with told(translation):
            async for message in messages:
                if self._is_last(message):
                    break
                data = self._foreign(message.data, message.event)
                for piece in self._said(translation.events, data):
                    yield Event(piece)
                if data.get("type") in self._finals:
                    break
            for piece in self._said(translation.end):
                yield Event(piece)
            await drained(messages)

    def _said(
        self, say: Callable[..., Iterable[dict[str, Any]]], *event: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        with self._carried():
            yield from say(*event)

    def _translated_whole(
        self, dialect: Dialect, body: Mapping[str, Any], raw: bytes, translation: Translation
    ) -> Events:
        with told(translation), self._carried():
            data = translation.whole(self._foreign(raw))
        if dialect.streams(dict(body)):
            return given(*dialect.unfold(data, dict(body)))
        return given(Event(data, whole=True))

    @contextmanager
    def _carried(self) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            raise self._calls.wrong(str(error)) from error

    def _foreign(self, raw: bytes, event: str = "message") -> dict[str, Any]:
        """The JSON object that `raw` is, in the provider's own words.

        Raises `UpstreamError` for an error in its place.
        """
        data = self._calls.parsed(raw)
        if event == "error" or data.get("error") is not None:
            raise broke(self._calls.name, data)
        return data

    def _parsed(self, dialect: Dialect, raw: bytes, event: str = "message") -> dict[str, Any]:
        """The JSON object that `raw` is. Raises `UpstreamError` for an error in its place."""
        data = self._calls.parsed(raw)
        if event == "error" or dialect.broken(data):
            raise broke(self._calls.name, data)
        if not dialect.well_formed(data):
            raise self._calls.wrong("sent an answer that is not in shape")
        return data
