"""A chat completion as Anthropic's Messages API would answer: whole, or event by event.

Source: OpenAI's API reference ("Chat"), Anthropic's ("Create a Message", "Streaming messages").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

_ENDINGS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
"""Why it ended. A reason that is not here is `end_turn`."""
_DELTAS = {"text": "text_delta", "thinking": "thinking_delta"}
_UNCARRIED = ("function_call", "audio")
"""Members by which an answer says what was not asked for."""
_OUT_OF_SHAPE = "sent an answer that is not in shape"
_UNCOUNTED = {"input_tokens": None, "output_tokens": None}
"""The usage where the provider told none: not nothing, but not known."""


class ChatAnswer:
    """Reads one answer of one choice; `streamed` as the caller wants it."""

    def __init__(self, *, streamed: bool) -> None:
        # the start of a stream must hold counts; what is folded must not take them for real
        self._start = {"input_tokens": 0, "output_tokens": 0} if streamed else _UNCOUNTED
        self._begun = False
        self._open: tuple[str, int] | None = None  # the kind of the block, and which call it is
        self._index = -1
        self._calls: dict[int, str] = {}  # the id of each call, by its place
        self._ending: str | None = None
        self._usage: dict[str, Any] | None = None

    def whole(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        choice = _choice(answer)
        if choice is None or not isinstance(choice.get("finish_reason"), str):
            raise ValueError(_OUT_OF_SHAPE)
        message = _said_by(choice, "message")
        ending = choice["finish_reason"]
        content = [_block(kind, words) for kind, words in _pieces(message)]
        for call in _calls_of(message):
            if (used := _used(call, cut=ending == "length")) is not None:
                content.append(used)
        return {
            **_message(answer),
            "content": content,
            "stop_reason": _ENDINGS.get(ending, "end_turn"),
            "usage": _counted(answer.get("usage")) or {**_UNCOUNTED},
        }

    def events(self, event: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if isinstance(event.get("usage"), dict):
            self._usage = _counted(event["usage"]) or self._usage
        choice = _choice(event)
        if choice is None:
            return
        if not self._begun:
            self._begun = True
            yield {"type": "message_start", "message": _message(event) | {"usage": {**self._start}}}
        delta = _said_by(choice, "delta")
        for kind, words in _pieces(delta):
            yield from self._enter(kind, 0, _block(kind, ""))
            yield self._said({"type": _DELTAS[kind], kind: words})
        for place, call in enumerate(_calls_of(delta)):
            yield from self._call(call, call.get("index", place))
        if isinstance(choice.get("finish_reason"), str):
            self._ending = choice["finish_reason"]

    def end(self) -> Iterator[dict[str, Any]]:
        if self._ending is None:
            raise ValueError("ended its answer before it was complete")
        yield from self._leave()
        reason = _ENDINGS.get(self._ending, "end_turn")
        delta = {"stop_reason": reason, "stop_sequence": None}
        yield {"type": "message_delta", "delta": delta, "usage": self._usage or {**_UNCOUNTED}}
        yield {"type": "message_stop"}

    def _enter(self, kind: str, call: int, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Open a block, unless it is the one that is open."""
        if self._open == (kind, call):
            return
        yield from self._leave()
        self._open = (kind, call)
        self._index += 1
        yield {"type": "content_block_start", "index": self._index, "content_block": block}

    def _leave(self) -> Iterator[dict[str, Any]]:
        if self._open is not None:
            self._open = None
            yield {"type": "content_block_stop", "index": self._index}

    def _said(self, delta: dict[str, Any]) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

    def _call(self, call: dict[str, Any], place: object) -> Iterator[dict[str, Any]]:
        """A piece of a tool call. The pieces of two calls may not be mixed: over here a block
        is closed before the next begins."""
        if not isinstance(place, int):
            raise ValueError(_OUT_OF_SHAPE)
        function, id = call["function"], _string(call.get("id"))
        if place not in self._calls:
            self._calls[place] = id
            head = {"type": "tool_use", "id": id, "name": _string(function.get("name"))}
            yield from self._enter("tool_use", place, {**head, "input": {}})
        elif self._open != ("tool_use", place) or id not in ("", self._calls[place]):
            raise ValueError("mixed the pieces of two tool calls, which cannot be carried over")
        if words := _string(function.get("arguments")):
            yield self._said({"type": "input_json_delta", "partial_json": words})


def _choice(answer: Mapping[str, Any]) -> dict[str, Any] | None:
    """The choice of an answer, of which one was asked for; None where there is none."""
    choices = answer.get("choices") or []
    if not isinstance(choices, list) or len(choices) > 1:
        raise ValueError(_OUT_OF_SHAPE)
    if choices and not (isinstance(choices[0], dict) and choices[0].get("index", 0) == 0):
        raise ValueError(_OUT_OF_SHAPE)
    return choices[0] if choices else None


def _said_by(choice: Mapping[str, Any], name: str) -> dict[str, Any]:
    said = choice.get(name) or {}
    if not isinstance(said, dict):
        raise ValueError(_OUT_OF_SHAPE)
    for member in _UNCARRIED:
        if said.get(member) is not None:
            raise ValueError(f"sent an answer with '{member}', which cannot be carried over")
    return said


def _message(answer: Mapping[str, Any]) -> dict[str, Any]:
    """A message in which nothing has been said."""
    return {
        "id": answer.get("id"),
        "type": "message",
        "role": "assistant",
        "model": answer.get("model"),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _pieces(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is thought and said, in that order; what is empty is left out.

    Reasoning has two names in the field; a provider that uses both says the same twice.
    """
    reasoning = said.get("reasoning_content") or said.get("reasoning")
    for kind, value in (("thinking", reasoning), ("text", said.get("content"))):
        if isinstance(value, list):
            yield from _of_parts(kind, value)
        elif words := _string(value):
            yield kind, words
    if refusal := _string(said.get("refusal")):
        yield "text", refusal


def _of_parts(kind: str, parts: list[Any]) -> Iterator[tuple[str, str]]:
    """Content given as parts, as some providers do; thinking parts hold parts themselves."""
    for part in parts:
        match part:
            case {"type": "thinking", "thinking": list() as inner}:
                yield from _of_parts("thinking", inner)
            case {"type": "text", "text": str() as words}:
                if words:
                    yield kind, words
            case _:
                raise ValueError("sent a part that cannot be carried over")


def _block(kind: str, words: str) -> dict[str, Any]:
    """A block of text or thinking. Nobody signed the thinking, so its signature is empty."""
    signed = {"signature": ""} if kind == "thinking" else {}
    return {"type": kind, kind: words, **signed}


def _calls_of(said: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    calls = said.get("tool_calls") or []
    if not isinstance(calls, list):
        raise ValueError(_OUT_OF_SHAPE)
    for call in calls:
        if not isinstance(call, dict) or not isinstance(call.get("function"), dict):
            raise ValueError("sent a tool call that cannot be carried over")
        yield call


def _used(call: dict[str, Any], *, cut: bool) -> dict[str, Any] | None:
    """A whole call as a block; None for one whose arguments the output limit `cut` short."""
    spelled = _string(call["function"].get("arguments"))
    try:
        given = orjson.loads(spelled) if spelled.strip() else {}
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict):
        if cut:
            return None
        raise ValueError("sent arguments of a tool call that are no JSON object")
    name = _string(call["function"].get("name"))
    return {"type": "tool_use", "id": _string(call.get("id")), "name": name, "input": given}


def _counted(usage: Any) -> dict[str, Any] | None:
    """The usage as Messages tells it; tokens of a cache are not among `input_tokens` there."""
    match usage:
        case {"prompt_tokens": int() as read, "completion_tokens": int() as said}:
            pass
        case _:
            return None
    cached, written = (
        _detail(usage, "prompt_tokens_details", name)
        for name in ("cached_tokens", "cache_write_tokens")
    )
    told: dict[str, Any] = {
        "input_tokens": max(read - cached - written, 0),
        "output_tokens": said,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
    }
    if thought := _detail(usage, "completion_tokens_details", "reasoning_tokens"):
        told["output_tokens_details"] = {"thinking_tokens": thought}
    return told


def _detail(usage: Mapping[str, Any], group: str, name: str) -> int:
    details = usage.get(group)
    count = details.get(name) if isinstance(details, dict) else None
    return count if isinstance(count, int) else 0


def _string(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(_OUT_OF_SHAPE)
    return value
