"""How an answer with `choices` says no: what chat completions and completions share.

Source: OpenAI's API reference, "Chat" and "Completions" (`finish_reason`, `usage`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from gateway.core.answer import Event
from gateway.core.declined import Declined, Manner
from gateway.core.money import Usage

_BLANK = "\n\n"
"""What stands between what the model said and what the gateway says."""

_REPEATED = ("system_fingerprint", "service_tier")
"""Members, besides those of every answer, that the pieces of a stream repeat."""

Piece: TypeAlias = Callable[[str | None, bool], dict[str, Any]]
"""What a choice holds in a piece of a stream that says a text, or ends where there is none; the
second is whether it is the choice's first."""


class Form(NamedTuple):
    """What the pieces of a stream are: their `object`, and what a choice of one holds."""

    kind: str
    piece: Piece


def whole(no: Declined, kind: str, said: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """An answer that says no in each choice. `kind` is its `object`."""
    reason = finish_reason(no)
    choices = [
        {"index": index, **one, "logprobs": None, "finish_reason": reason}
        for index, one in enumerate(said)
    ]
    return _head(no, kind) | {"choices": choices} | _counted(no.usage)


def finish_reason(no: Declined) -> str:
    """Why its choices end."""
    return "content_filter" if no.how is Manner.CONTENT_FILTER else "stop"


def break_off(
    asked: Mapping[str, Any], no: Declined, said: Sequence[Event], count: int, form: Form
) -> list[Event]:
    """The pieces that end every choice of `count` that has not ended; none where one is in the
    middle of a tool call, which nobody must take for a whole one."""
    told = _Told(said)
    if told.calling:
        return []
    last = said[-1].data
    head = _head(no, form.kind) | {
        name: last[name] for name in ("id", "created", "model", *_REPEATED) if last.get(name)
    }
    events: list[Event] = []

    def add(index: int, holds: dict[str, Any], reason: str | None) -> None:
        choice = {"index": index, **holds, "finish_reason": reason}
        events.append(Event(head | {"choices": [choice]}))

    for index in told.left(count):
        first = index not in told.begun
        if no.how is not Manner.CONTENT_FILTER:
            apart = no.how is Manner.MESSAGE and index in told.spoken
            add(index, form.piece(_BLANK + no.text if apart else no.text, first), None)
            first = False
        add(index, form.piece(None, first), finish_reason(no))
    options = asked.get("stream_options") or {}
    if options.get("include_usage") and no.usage is not None and no.usage.exact:
        events.append(Event(head | {"choices": []} | _counted(no.usage)))
    return events


class _Told:
    """How far each choice of a stream has come."""

    def __init__(self, said: Sequence[Event]) -> None:
        self.begun: set[int] = set()
        self.spoken: set[int] = set()
        self._calls: set[int] = set()
        self._ended: set[int] = set()
        for event in said:
            for place, choice in enumerate(event.data.get("choices") or ()):
                self._hear(choice.get("index", place), choice)

    def _hear(self, index: int, choice: Mapping[str, Any]) -> None:
        self.begun.add(index)
        delta = choice.get("delta") or choice.get("message") or {}
        if delta.get("content") or choice.get("text"):
            self.spoken.add(index)
        if delta.get("tool_calls") or delta.get("function_call"):
            self._calls.add(index)
        if choice.get("finish_reason"):
            self._ended.add(index)

    @property
    def calling(self) -> bool:
        """Whether a choice that has not ended has begun to call a tool."""
        return bool(self._calls - self._ended)

    def left(self, count: int) -> list[int]:
        """The choices that have not ended; the first where all have, and yet more was said."""
        return sorted((self.begun | set(range(count))) - self._ended) or [0]


def _head(no: Declined, kind: str) -> dict[str, Any]:
    return {"id": no.id, "object": kind, "created": no.created, "model": no.model}


def _counted(usage: Usage | None) -> dict[str, Any]:
    if usage is None:
        return {}
    read, said = usage.input_tokens, usage.output_tokens
    counts = {"prompt_tokens": read, "completion_tokens": said, "total_tokens": read + said}
    return {"usage": counts}
