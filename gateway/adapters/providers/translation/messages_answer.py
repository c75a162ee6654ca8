"""What Anthropic's Messages API answers, as a chat completion: whole, or chunk by chunk.

Source: Anthropic's API reference ("Create a Message", "Streaming messages").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

_ENDINGS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Why it ended. A reason that is not here is `stop`."""
_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
_SAID = {"text_delta": ("text", "content"), "thinking_delta": ("thinking", "reasoning_content")}
"""Kinds of deltas whose text is said, where it stands, and what a chat answer calls it."""
_UNSAID = frozenset({"signature_delta", "citations_delta"})
_LANES = {"text": ("text", "content"), "thinking": ("thinking", "reasoning_content")}
_OUT_OF_SHAPE = "sent an answer that is not in shape"


class MessagesAnswer:
    """Reads one answer. `created` is its Unix time; `counted` whether a stream tells usage."""

    def __init__(self, created: int, *, counted: bool) -> None:
        self._created = created
        self._counted = counted
        self._head: dict[str, Any] = {}
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        self._usage: dict[str, Any] = {}
        self._ended = False
        self._over = False

    def whole(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        content = answer.get("content")
        if not isinstance(content, list) or not isinstance(answer.get("stop_reason"), str):
            raise ValueError(_OUT_OF_SHAPE)
        self._note(answer.get("usage"))
        message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
        for block in content:
            self._tell(message, block)
        if refusal := _refusal(answer):
            message["refusal"] = refusal
        ending = _ENDINGS.get(answer["stop_reason"], "stop")
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": ending}
        told = {
            "id": answer.get("id"),
            "object": "chat.completion",
            "created": self._created,
            "model": answer.get("model"),
            "choices": [choice],
        }
        usage = self._told()
        return told if usage is None else told | {"usage": usage}

    def _tell(self, message: dict[str, Any], block: object) -> None:
        """Add what a block says to `message`. Redacted thinking says nothing that is read."""
        match block:
            case {"type": "text" | "thinking" as kind, **members}:
                key, name = _LANES[kind]
                message[name] = (message.get(name) or "") + _string(members.get(key))
            case {
                "type": "tool_use",
                "id": str() as id,
                "name": str() as name,
                "input": dict() as given,
            }:
                function = {"name": name, "arguments": orjson.dumps(given).decode()}
                call = {"id": id, "type": "function", "function": function}
                message.setdefault("tool_calls", []).append(call)
            case {"type": "redacted_thinking"}:
                return
            case _:
                raise ValueError("sent a block that cannot be carried over")

    def events(self, event: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The chunks of an event. Kinds that are not known, such as `ping`, have none."""
        match event.get("type"):
            case "content_block_delta":
                yield from self._delta(self._block(event), event.get("delta"))
            case "content_block_start":
                yield from self._begin(event)
            case "content_block_stop":
                yield from self._arguments(self._block(event))
            case "message_start":
                yield self._start(event.get("message"))
            case "message_delta":
                yield from self._close(event)
            case "message_stop":
                self._over = self._ended

    def end(self) -> Iterator[dict[str, Any]]:
        if not self._over:
            raise ValueError("ended its answer before it was complete")
        usage = self._told()
        if self._counted and usage is not None:
            yield {**self._head, "choices": [], "usage": usage}

    def _start(self, message: object) -> dict[str, Any]:
        if not isinstance(message, dict):
            raise ValueError(_OUT_OF_SHAPE)
        self._head = {
            "id": message.get("id"),
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": message.get("model"),
        }
        if isinstance(counted := message.get("usage"), dict):
            # what is said is counted when it is over; until then a placeholder stands here
            self._note({**counted, "output_tokens": None})
        return self._chunk({"role": "assistant", "content": ""})

    def _chunk(self, delta: dict[str, Any], ending: str | None = None) -> dict[str, Any]:
        return {
            **self._head,
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": ending}],
        }

    def _block(self, event: Mapping[str, Any]) -> _Block:
        index = event.get("index")
        if not isinstance(index, int) or index not in self._blocks:
            raise ValueError(_OUT_OF_SHAPE)
        return self._blocks[index]

    def _begin(self, event: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        match event:
            case {"index": int() as index, "content_block": {"type": str() as kind, **members}}:
                pass
            case _:
                raise ValueError(_OUT_OF_SHAPE)
        block = self._blocks[index] = _Block(kind)
        if kind in _LANES:
            key, name = _LANES[kind]
            if said := _string(members.get(key)):
                yield self._chunk({name: said})
        elif kind == "tool_use":
            block.call, self._calls = self._calls, self._calls + 1
            function = {"name": _string(members.get("name")), "arguments": ""}
            call = {"index": block.call, "id": _string(members.get("id")), "type": "function"}
            yield self._chunk({"tool_calls": [{**call, "function": function}]})
            block.given = members.get("input") or {}
        elif kind != "redacted_thinking":
            raise ValueError("sent a block that cannot be carried over")

    def _delta(self, block: _Block, delta: object) -> Iterator[dict[str, Any]]:
        if not isinstance(delta, dict):
            raise ValueError(_OUT_OF_SHAPE)
        kind = _string(delta.get("type"))
        if kind in _SAID:
            key, name = _SAID[kind]
            yield self._chunk({name: _string(delta.get(key))})
        elif kind == "input_json_delta" and block.kind == "tool_use":
            if said := _string(delta.get("partial_json")):
                block.spelled = True
                yield self._spell(block, said)
        elif kind not in _UNSAID:
            raise ValueError("sent a piece of an answer that cannot be carried over")

    def _spell(self, block: _Block, arguments: str) -> dict[str, Any]:
        call = {"index": block.call, "function": {"arguments": arguments}}
        return self._chunk({"tool_calls": [call]})

    def _arguments(self, block: _Block) -> Iterator[dict[str, Any]]:
        """The arguments of a call that were not spelled piece by piece; `{}` where there are
        none, since nothing at all would be no JSON."""
        if block.kind == "tool_use" and not block.spelled:
            block.spelled = True
            yield self._spell(block, orjson.dumps(block.given).decode())

    def _close(self, event: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        self._note(event.get("usage"))
        delta = event.get("delta")
        if not isinstance(delta, dict):
            raise ValueError(_OUT_OF_SHAPE)
        if refusal := _refusal(delta):
            yield self._chunk({"refusal": refusal})
        if reason := delta.get("stop_reason"):
            self._ended = True
            yield self._chunk({}, _ENDINGS.get(str(reason), "stop"))

    def _note(self, usage: object) -> None:
        """Keep the counts, each of which is of the whole answer so far."""
        if isinstance(usage, dict):
            self._usage |= {key: item for key, item in usage.items() if item is not None}

    def _told(self) -> dict[str, Any] | None:
        """The usage as a chat answer tells it; None where the provider did not say enough.

        Tokens read from a cache or written to it are input that `input_tokens` leaves out.
        """
        counts = {name: self._usage.get(name, 0) for name in _COUNTS}
        known = {"input_tokens", "output_tokens"} <= self._usage.keys()
        if not known or not all(isinstance(count, int) for count in counts.values()):
            return None
        plain, said, cached, written = (counts[name] for name in _COUNTS)
        told = {
            "prompt_tokens": plain + cached + written,
            "completion_tokens": said,
            "total_tokens": plain + cached + written + said,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        }
        match self._usage:
            case {"output_tokens_details": {"thinking_tokens": int() as thought}}:
                told["completion_tokens_details"] = {"reasoning_tokens": thought}
        return told


class _Block:
    """One content block of a stream."""

    __slots__ = ("call", "given", "kind", "spelled")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.call = 0
        self.given: Any = {}
        self.spelled = False


def _string(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(_OUT_OF_SHAPE)
    return value


def _refusal(holder: Mapping[str, Any]) -> str | None:
    """Why the model would not answer, in words, where it gave any."""
    match holder:
        case {"stop_reason": "refusal", "stop_details": {"explanation": str() as words}}:
            return words
        case _:
            return None
