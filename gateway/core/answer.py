"""What comes back from a model: events, always.

A whole completion is an answer of one event; the web edge folds the events for a caller who
asked for no stream. Nothing between asks which it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import orjson

from gateway.core.errors import Filtered

if TYPE_CHECKING:
    from gateway.core.dialect import Dialect


class Event:
    """One piece of an answer, as its dialect's JSON; `whole` when it is all of it.

    What no rule edits leaves byte for byte as it came. `media` is the content type of an
    answer that is no JSON: of plain text `data["text"]` is all of it; of anything else, such
    as speech, `raw` is, and nothing in it can be rewritten.
    """

    __slots__ = ("data", "media", "raw", "whole")

    def __init__(
        self,
        data: dict[str, Any],
        *,
        whole: bool = False,
        raw: bytes | None = None,
        media: str | None = None,
    ) -> None:
        self.data = data
        self.whole = whole
        self.raw = raw
        self.media = media

    def edited(self) -> None:
        """Say that `data` was changed, so that the bytes as received no longer hold."""
        self.raw = None

    def encode(self) -> bytes:
        """The event's bytes: JSON, but for an answer that is none."""
        if self.raw is None:
            text = self.data["text"].encode() if self.media is not None else None
            self.raw = orjson.dumps(self.data) if text is None else text
        return self.raw


Events: TypeAlias = AsyncIterator[Event]
Transform: TypeAlias = Callable[[Events], Events]


EVERY = -1 << 40
"""A group that stands for all of them, where an event ends whatever has not ended."""


class Lane(NamedTuple):
    """One run of text in an answer: the content of a choice, the arguments of a tool call …

    `group` is what ends together (a choice); `json` says that the text is JSON, so that what
    is put into it must be escaped as a JSON string's inside. `repeats` says that the caller
    wrote the text: an answer that repeats its request says nothing of its own there.
    """

    group: int
    name: str
    json: bool = False
    repeats: bool = False

    def __str__(self) -> str:
        return f"{self.group}/{self.name}"


FAILURE = Lane(0, "failure")
"""What a provider says when it refuses, or breaks: no part of an answer, and read like one."""


class Run:
    """A piece of a lane's text where it stands in an event.

    Where the text belongs to a tool call, `call` is that call's object in the list at
    `owner["tool_calls"]`, and the text stands at `call[form][key]`. Where the whole event
    `opens` a tool call, it waits for the first of the call's text that may be shown.
    """

    __slots__ = ("_call", "_form", "_owner", "holder", "key", "lane", "opens")

    def __init__(
        self,
        lane: Lane,
        holder: Any,
        key: Any,
        *,
        owner: dict[str, Any] | None = None,
        call: dict[str, Any] | None = None,
        form: str = "",
        opens: bool = False,
    ) -> None:
        self.lane = lane
        self.holder = holder
        self.key = key
        self._owner = owner
        self._call = call
        self._form = form
        self.opens = opens

    @property
    def text(self) -> str:
        value: str = self.holder[self.key]
        return value

    def put(self, text: str) -> None:
        self.holder[self.key] = text

    def take_call(self) -> dict[str, Any] | None:
        """Take the call out of the event, as none of its arguments may be shown yet."""
        if self._owner is not None and self._call is not None:
            calls = [call for call in self._owner["tool_calls"] if call is not self._call]
            self._owner["tool_calls"] = calls
            if not calls:
                del self._owner["tool_calls"]
        return self._call

    def join(self, head: dict[str, Any]) -> None:
        """Put the head of the call, taken from an earlier event, before this text."""
        if self._owner is not None:
            head[self._form][self.key] = self.text
            calls = self._owner["tool_calls"]
            self._owner["tool_calls"] = [head if call is self._call else call for call in calls]
            self._call, self.holder = head, head[self._form]


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
        lanes = _Lanes(make, dialect)
        last: Event | None = None
        async for event in events:
            last = event
            here, broken = await lanes.feed(event)
            if dialect.unspell(event):
                event.edited()
            for lane in lanes.ended_by(event):
                if broken is not None:
                    break
                tail, broken = await lanes.finish(lane, here.get(lane), event)
                for ready in lanes.ready(tail):
                    yield ready
            if not event.whole:
                broken = await lanes.echo(event, broken)
            if broken is not None:
                if not event.whole and dialect.says_text(event):
                    dialect.unend(event)
                    for ready in lanes.ready(event):
                        yield ready
                raise broken
            for ready in lanes.ready(None if dialect.hollow(event) else event):
                yield ready
        for lane in lanes.open():  # a model that stopped without giving a reason
            tail, broken = await lanes.finish(lane, None, last)
            for ready in lanes.ready(tail):
                yield ready
            if broken is not None:
                raise broken

    return rewrite


class _Told:
    """What a lane said, as the model said it and as it was shown."""

    __slots__ = ("heard", "shown")

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.shown: list[str] = []


class _Lanes:
    """The rewriters of one answer, and the heads of calls whose arguments are held back.

    The head of a tool call (its id and name) leaves with the first of its arguments that may
    be shown, so that a call that is stopped is not half delivered. Where an event of its own
    opens the call, that event waits, and all that come after it wait behind it.
    """

    def __init__(self, make: MakeRewriter, dialect: Dialect) -> None:
        self._make = make
        self._dialect = dialect
        self._rewriters: dict[Lane, Rewriter] = {}
        self._heads: dict[Lane, dict[str, Any]] = {}
        self._told: dict[Lane, _Told] = {}
        self._openings: dict[Lane, Event] = {}
        self._waiting: deque[Event] = deque()

    def open(self) -> list[Lane]:
        return list(self._rewriters)

    def ended_by(self, event: Event) -> list[Lane]:
        """The lanes that end with `event`."""
        if event.whole:
            return self.open()
        ended = self._dialect.ended(event)
        if EVERY in ended:
            return self.open()
        return [lane for lane in self._rewriters if lane.group in ended] if ended else []

    async def feed(self, event: Event) -> tuple[dict[Lane, Run], Filtered | None]:
        """Put what may be shown where the text of `event` stood; nothing once a rule is broken.

        Returns the runs that still stand in the event.
        """
        here: dict[Lane, Run] = {}
        broken: Filtered | None = None
        for run in self._dialect.runs(event):
            rewriter = self._rewriters.get(run.lane)
            if rewriter is None:
                rewriter = self._rewriters[run.lane] = self._make(run.lane)
            text, shown = run.text, ""
            if broken is None:
                shown, broken = await _shown(rewriter.feed(text))
            self._note(run.lane, text, shown)
            if shown != text:
                run.put(shown)
                event.edited()
            if shown:
                self._openings.pop(run.lane, None)
            if event.whole or shown or not self._withheld(run, event):
                here[run.lane] = run
                if run.lane in self._heads:
                    run.join(self._heads.pop(run.lane))
                    event.edited()
        return here, broken

    async def echo(self, event: Event, broken: Filtered | None) -> Filtered | None:
        """Let what `event` says again read as it was shown; nothing once a rule is broken.

        What was not said before, or not so, is looked at on its own. Returns the broken rule.
        """
        for run in self._dialect.echoes(event):
            text, shown = run.text, ""
            if broken is None:
                shown, broken = await self._again(run.lane, text)
            if shown != text:
                run.put(shown)
                event.edited()
        return broken

    async def _again(self, lane: Lane, text: str) -> tuple[str, Filtered | None]:
        """What was shown for `text`, which is the whole of its lane."""
        told = self._told.get(lane)
        if told is not None and "".join(told.heard) == text:
            return "".join(told.shown), None
        rewriter = self._make(lane)
        shown, broken = await _shown(rewriter.feed(text))
        if broken is None:
            tail, broken = await _shown(rewriter.finish())
            shown += tail
        if lane not in self._rewriters:
            self._told.pop(lane, None)
            self._note(lane, text, shown)
        return shown, broken

    def _note(self, lane: Lane, heard: str, shown: str) -> None:
        told = self._told.get(lane)
        if told is None:
            told = self._told[lane] = _Told()
        told.heard.append(heard)
        told.shown.append(shown)

    def _withheld(self, run: Run, event: Event) -> bool:
        """Whether the run is part of a call that may not be shown yet.

        Its head was then taken out of the event; or it is the event, and waits.
        """
        if run.opens:
            self._openings[run.lane] = event
            return True
        call = run.take_call()
        if call is not None:
            self._heads.setdefault(run.lane, call)
            event.edited()
        return call is not None

    def ready(self, event: Event | None) -> Iterator[Event]:
        """The events that may leave now, in order; `event` is the last, if there is one."""
        if event is not None:
            self._waiting.append(event)
        closed = {id(opening) for opening in self._openings.values()}
        while self._waiting and id(self._waiting[0]) not in closed:
            yield self._waiting.popleft()

    async def finish(
        self, lane: Lane, here: Run | None, like: Event | None
    ) -> tuple[Event | None, Filtered | None]:
        """Put what was held back where the lane's text stands, else into an event of its own."""
        tail, broken = await _shown(self._rewriters.pop(lane).finish())
        self._note(lane, "", tail)
        head = self._heads.pop(lane, None)
        if broken is None or tail:
            self._openings.pop(lane, None)
        if here is not None:
            if tail and like is not None:
                here.put(here.text + tail)
                like.edited()
            return None, broken
        if not tail and (head is None or broken is not None):
            return None, broken
        event = self._dialect.say(lane, tail, like)
        if head is not None:
            next(iter(self._dialect.runs(event))).join(head)
        return event, broken


async def _shown(cleared: Awaitable[str]) -> tuple[str, Filtered | None]:
    """What a rewriter lets through, and the rule it then found broken, if any."""
    try:
        return await cleared, None
    except Filtered as broken:
        return broken.shown, broken
