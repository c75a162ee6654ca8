"""What an index may know of what was said: its text without personal data, names, ids.

A payload is read by the lens of its endpoint. Text that was not masked, because no rule asked
for it, is masked here: no index holds personal data in clear.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import orjson

from gateway.core.answer import Event, Lane
from gateway.core.audit import Payloads, Said
from gateway.core.dialect import Dialect
from gateway.core.errors import GatewayError

LEAST_MILLI = 300
"""Thousandths of a score from which a finding counts as personal data here. Lower than where
policies mask, as more may be left out of an index than is lost to a model."""
_CUT = frozenset({"pii", "secret"})
_FORM = re.compile(rb"--([^\r\n]{1,70})\r\n")
_WORDS = frozenset({"audio.transcriptions.create", "audio.translations.create"})
"""Endpoints whose answer may be plain text."""


class Span(NamedTuple):
    """Something found in a text: characters `start` to `end`."""

    label: str
    start: int
    end: int


Find: TypeAlias = Callable[[str], Iterable[Span]]


class DialectContents:
    """Implements `Contents`. `find` tells where personal data stands in a text."""

    def __init__(self, dialects: Iterable[Dialect], find: Find) -> None:
        self._dialects = {dialect.action: dialect for dialect in dialects}
        self._find = find

    def read(self, payloads: Payloads) -> Said:
        dialect = self._dialects.get(payloads.action)
        if dialect is None:
            raise ValueError(f"no lens reads {payloads.action}")
        try:
            return self._read(dialect, payloads)
        except (GatewayError, LookupError, TypeError, AttributeError, UnicodeError) as error:
            raise ValueError(f"a payload of {payloads.action} cannot be read") from error

    def _read(self, dialect: Dialect, payloads: Payloads) -> Said:
        asked: list[tuple[str, str]] = []
        tools: Sequence[str] = ()
        if payloads.request is not None:
            request = _request(dialect, payloads.request, sent=payloads.sent)
            asked += _asked(dialect, request, payloads.found)
            tools = dialect.tools(request)
        events = _events(payloads)
        told = _attributes(payloads.attributes)
        client = [told[name] for name in ("x-client-request-id", "traceparent") if name in told]
        trace = [id.split("-")[1] for id in client if id.count("-") == 3]
        return Said(
            asked=[self._blank(text) for text, _ in asked],
            places=[where for _, where in asked],
            answered=[self._blank(text) for text in _answered(dialect, events) if text],
            tools=self._names(tools),
            called=self._names(_called(dialect, events, payloads.streamed)),
            ids={*_ids(events), *client, *trace},
            tags=self._names(told.get("x-govgate-tags", "").split(",")),
            session=told.get("x-govgate-session-id"),
            purpose=next(iter(self._names([told.get("x-govgate-purpose", "")])), None),
        )

    def _blank(self, text: str) -> str:
        return without(text, self._find(text))

    def _names(self, names: Iterable[str]) -> list[str]:
        """Names that somebody chose, which may hold anything."""
        return list(dict.fromkeys(self._blank(name.strip()) for name in names if name.strip()))


def _request(dialect: Dialect, body: bytes, *, sent: bool) -> dict[str, Any]:
    """What `body` asks. Only what was `sent` is known to be well formed. Raises `Malformed`, and
    what a reader of something else raises."""
    form = _FORM.match(body)
    if form is not None:
        kind = f"multipart/form-data; boundary={form[1].decode()}"
        return dialect.check(dialect.parse(body, kind))
    if not sent:
        return dialect.check(dialect.parse(body, "application/json"))
    request: dict[str, Any] = orjson.loads(body)
    return request


def _asked(
    dialect: Dialect, request: dict[str, Any], found: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Each text that there is, and where it stands."""
    places: dict[str, list[Span]] = {}
    for one in found:
        if one["kind"] in _CUT and one["score_milli"] >= LEAST_MILLI:
            span = Span(one["label"], one["start"], one["end"])
            places.setdefault(one["where"], []).append(span)
    for slot in dialect.slots(request):
        if text := without(slot.text, places.get(slot.where, ())):
            yield text, slot.where


def without(text: str, spans: Iterable[Span]) -> str:
    """`text` with what was found taken out; a label stands there instead."""
    pieces, done = [], 0
    for label, start, end in sorted(spans, key=lambda span: span.start):
        if end > done:
            pieces += [text[done : max(done, start)], f" {label} "]
            done = end
    return "".join([*pieces, text[done:]])


def _events(payloads: Payloads) -> list[Event]:
    answer = payloads.answer
    if not answer:
        return []
    try:
        told = [orjson.loads(line) for line in answer.split(b"\n") if line]
    except ValueError:
        if payloads.action not in _WORDS:
            return []  # speech, or a picture
        return [Event({"text": answer.decode()}, whole=True, media="text/plain")]
    return [Event(data, whole=not payloads.streamed) for data in told if isinstance(data, dict)]


def _answered(dialect: Dialect, events: Sequence[Event]) -> list[str]:
    """The text of each lane that is the model's own, put together again."""
    lanes: dict[Lane, list[str]] = {}
    for event in events:
        if event.media is not None:
            return [event.data["text"]]
        for run in dialect.runs(event):
            if not run.lane.repeats:
                lanes.setdefault(run.lane, []).append(run.text)
        for echo in dialect.echoes(event):
            if not echo.lane.repeats and echo.lane not in lanes:
                lanes[echo.lane] = [echo.text]
    return ["".join(pieces) for pieces in lanes.values()]


def _called(dialect: Dialect, events: Sequence[Event], streamed: bool) -> Sequence[str]:
    if not events or events[0].media is not None:
        return ()
    return dialect.tool_calls(dialect.fold(events) if streamed else events[-1].data)


def _ids(events: Sequence[Event]) -> set[str]:
    """What the provider calls the answer."""
    found: set[str] = set()
    for event in events:
        held = [event.data, event.data.get("response"), event.data.get("message")]
        ids = [each.get("id") for each in held if isinstance(each, dict)]
        found |= {id for id in ids if isinstance(id, str) and id}
    return found


def _attributes(part: bytes | None) -> dict[str, str]:
    return orjson.loads(part) if part else {}
