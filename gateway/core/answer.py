"""What comes back from a model: events, always.

A whole completion is an answer of one event; the web edge folds the events for a caller who
asked for no stream. Nothing between asks which it was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import orjson

from gateway.core.errors import Filtered

if TYPE_CHECKING:
    from gateway.core.dialect import Dialect


class Event:
    """One piece of an answer, as its dialect's JSON; `whole` when it is all of it.

    What no rule edits leaves byte for byte as it came.
    """

    __slots__ = ("data", "raw", "whole")

    def __init__(
        self, data: dict[str, Any], *, whole: bool = False, raw: bytes | None = None
    ) -> None:
        self.data = data
        self.whole = whole
        self.raw = raw

    def edited(self) -> None:
        """Say that `data` was changed, so that the bytes as received no longer hold."""
        self.raw = None

    def encode(self) -> bytes:
        """The event's JSON."""
        if self.raw is None:
            self.raw = orjson.dumps(self.data)
        return self.raw


Events: TypeAlias = AsyncIterator[Event]
Transform: TypeAlias = Callable[[Events], Events]


class Lane(NamedTuple):
    """One run of text in an answer: the content of a choice, the arguments of a tool call …

    `group` is what ends together (a choice); `json` says that the text is JSON, so that what
    is put into it must be escaped as a JSON string's inside.
    """

    group: int
    name: str
    json: bool = False

    def __str__(self) -> str:
        return f"{self.group}/{self.name}"


class Run:
    """A piece of a lane's text where it stands in an event."""

    __slots__ = ("holder", "key", "lane")

    def __init__(self, lane: Lane, holder: dict[str, Any], key: str) -> None:
        self.lane = lane
        self.holder = holder
        self.key = key

    @property
    def text(self) -> str:
        value: str = self.holder[self.key]
        return value

    def put(self, text: str) -> None:
        self.holder[self.key] = text


class Rewriter(Protocol):
    """Rewrites one run of text that arrives in pieces of any size.

    What it returns the caller may see at once. It may hold text back, and may raise
    `Filtered`, whose `shown` it had cleared before.
    """

    async def feed(self, text: str) -> str: ...
    async def finish(self) -> str: ...


MakeRewriter: TypeAlias = Callable[[Lane], Rewriter]


class Chain:
    """Several rewriters as one: what the first lets through is fed to the next."""

    def __init__(self, first: Rewriter, then: Rewriter) -> None:
        self._first = first
        self._then = then

    async def feed(self, text: str) -> str:
        return await self._passed_on(self._first.feed(text))

    async def finish(self) -> str:
        shown = await self._passed_on(self._first.finish())
        try:
            return shown + await self._then.finish()
        except Filtered as broken:
            broken.shown = shown + broken.shown
            raise

    async def _passed_on(self, cleared: Awaitable[str]) -> str:
        try:
            text = await cleared
        except Filtered as broken:
            broken.shown = await self._then.feed(broken.shown) if broken.shown else ""
            raise
        return await self._then.feed(text) if text else ""


def per_lane(make: MakeRewriter, dialect: Dialect) -> Transform:
    """A transform that gives every lane of an answer its own rewriter.

    The one seam between events and text; asks the dialect where the text is. Text that was
    cleared before a rule was broken is still released, so that what a caller reads does not
    depend on how the answer was cut into events.
    """

    async def rewrite(events: Events) -> Events:
        lanes: dict[Lane, Rewriter] = {}
        last: Event | None = None
        async for event in events:
            last = event
            here, broken = await _feed(event, lanes, make, dialect)
            if dialect.unspell(event):
                event.edited()
            ended = [lane for lane in lanes if event.whole or lane.group in dialect.ended(event)]
            for lane in ended:
                if broken is not None:
                    break
                tail, broken = await _shown(lanes.pop(lane).finish())
                if tail and lane in here:
                    here[lane].put(here[lane].text + tail)
                    event.edited()
                elif tail:
                    yield dialect.say(lane, tail, event)
            if broken is not None:
                if not event.whole and dialect.says_text(event):
                    dialect.unend(event)
                    yield event
                raise broken
            if not dialect.hollow(event):
                yield event
        for lane in list(lanes):  # a model that stopped without giving a reason
            tail, broken = await _shown(lanes.pop(lane).finish())
            if tail:
                yield dialect.say(lane, tail, last)
            if broken is not None:
                raise broken

    return rewrite


async def _feed(
    event: Event, lanes: dict[Lane, Rewriter], make: MakeRewriter, dialect: Dialect
) -> tuple[dict[Lane, Run], Filtered | None]:
    """Put what may be shown where the text of `event` stood; nothing once a rule is broken."""
    here: dict[Lane, Run] = {}
    broken: Filtered | None = None
    for run in dialect.runs(event):
        rewriter = lanes.get(run.lane)
        if rewriter is None:
            rewriter = lanes[run.lane] = make(run.lane)
        text, shown = run.text, ""
        if broken is None:
            shown, broken = await _shown(rewriter.feed(text))
        if shown != text:
            run.put(shown)
            event.edited()
        here[run.lane] = run
    return here, broken


async def _shown(cleared: Awaitable[str]) -> tuple[str, Filtered | None]:
    """What a rewriter lets through, and the rule it then found broken, if any."""
    try:
        return await cleared, None
    except Filtered as broken:
        return broken.shown, broken
