"""What Amazon Bedrock's Converse says, whole or streamed, as chat chunks.

Source: the Amazon Bedrock API reference, "Converse", "ConverseStream", "ContentBlock",
"TokenUsage"; OpenAI's API reference, "Chat". A model's signature of its reasoning is told as
`extra_content.bedrock.reasoning_signature`, reasoning that it hides as `redacted_reasoning`, to
be sent back as they are; only where the answer has one block of reasoning, since chat would
join the texts of several.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.adapters.providers.chunks import (
    BROKE_OFF,
    NOT_CARRIED,
    OUT_OF_SHAPE,
    Chunks,
    count,
    object_of,
    objects,
    usage,
    words,
)

_REASONS = {
    "content_filtered": "content_filter",
    "end_turn": "stop",
    "guardrail_intervened": "content_filter",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
}
_TEXT, _CALL, _REASONING = "text", "toolUse", "reasoningContent"


class ConverseAnswer:
    """One answer. What is not in shape, or cannot be carried, raises `ValueError`.

    Not carried: metrics, the trace of a guardrail, and fields of a single model.
    """

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._calls: dict[int, int] = {}  # the place of a call by that of its block
        self._silent: set[int] = set()  # blocks of calls whose input has not begun
        self._reasoned: dict[int, dict[str, str]] = {}  # what signs or hides, by block
        self._used: dict[str, Any] | None = None

    def whole(self, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The chunks of Converse's answer. One that is filtered says nothing."""
        reason = answer.get("stopReason")
        message = object_of(object_of(answer.get("output")).get("message"))
        chunks: list[dict[str, Any]] = []
        if _REASONS.get(words(reason)) != "content_filter":
            for index, block in enumerate(objects(message.get("content"))):
                chunks += self._block(index, block)
        chunks += self._stopped({"stopReason": reason})
        self._counted(answer)
        return [*chunks, *self.end()]

    def event(self, kind: str, event: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The chunks of one event of ConverseStream; none for an event of an unknown `kind`."""
        match kind:
            case "messageStart":
                return [self._chunks.say(0, {})]
            case "contentBlockStart":
                return self._started(_index(event), object_of(event.get("start")))
            case "contentBlockDelta":
                return self._said(_index(event), object_of(event.get("delta")))
            case "contentBlockStop":
                return self._finished(_index(event))
            case "messageStop":
                return self._stopped(event)
            case "metadata":
                self._counted(event)
        return []

    def end(self) -> list[dict[str, Any]]:
        """The chunk that says what was used, if Bedrock did.

        Raises `ValueError` unless the answer has ended.
        """
        if not self._chunks.ended:
            raise ValueError(BROKE_OFF)
        return [] if self._used is None else [self._chunks.count(self._used)]

    def _block(self, index: int, block: Mapping[str, Any]) -> list[dict[str, Any]]:
        """A block of a whole answer, as the events that would say it."""
        if _CALL in block:
            call = object_of(block[_CALL])
            given = {"input": orjson.dumps(object_of(call.get("input"))).decode()}
            started = self._started(index, {_CALL: call})
            return [*started, *self._said(index, {_CALL: given}), *self._finished(index)]
        delta = dict(block)
        if "reasoningText" in object_of(block.get(_REASONING)):
            delta[_REASONING] = object_of(block[_REASONING]["reasoningText"])
        return self._said(index, delta)

    def _started(self, index: int, start: Mapping[str, Any]) -> list[dict[str, Any]]:
        if not start:
            return []
        call = object_of(start.get(_CALL))
        if start.keys() != {_CALL} or call.get("type") is not None or index in self._calls:
            raise ValueError(NOT_CARRIED)
        self._calls[index] = place = len(self._calls)
        self._silent.add(index)
        function = {"name": words(call.get("name")), "arguments": ""}
        head = {"index": place, "id": words(call.get("toolUseId")), "type": "function"}
        return [self._chunks.say(0, {"tool_calls": [{**head, "function": function}]})]

    def _said(self, index: int, delta: Mapping[str, Any]) -> list[dict[str, Any]]:
        match dict(delta):
            case {"text": str() as said}:
                spoken: dict[str, Any] = {"content": said}
            case {"toolUse": {"input": str() as said}} if index in self._calls:
                if said:
                    self._silent.discard(index)
                call = {"index": self._calls[index], "function": {"arguments": said}}
                spoken = {"tool_calls": [call]}
            case {"reasoningContent": dict() as reasoning}:
                said = self._reasoning(index, reasoning)
                spoken = {"reasoning_content": said}
            case _:
                raise ValueError(NOT_CARRIED)
        if len(delta) != 1:
            raise ValueError(NOT_CARRIED)
        return [self._chunks.say(0, spoken)] if said else []

    def _reasoning(self, index: int, reasoning: Mapping[str, Any]) -> str:
        """The text of a piece of reasoning; what signs or hides it is kept for the end."""
        if reasoning.keys() - {"text", "signature", "redactedContent"}:
            raise ValueError(NOT_CARRIED)
        kept = self._reasoned.setdefault(index, {})
        named = {"signature": "reasoning_signature", "redactedContent": "redacted_reasoning"}
        for theirs, ours in named.items():
            if theirs in reasoning:
                kept[ours] = kept.get(ours, "") + words(reasoning[theirs])
        return words(reasoning.get("text", ""))

    def _finished(self, index: int) -> list[dict[str, Any]]:
        """A call without input has an empty object for its arguments."""
        if index not in self._silent:
            return []
        self._silent.discard(index)
        call = {"index": self._calls[index], "function": {"arguments": "{}"}}
        return [self._chunks.say(0, {"tool_calls": [call]})]

    def _stopped(self, event: Mapping[str, Any]) -> list[dict[str, Any]]:
        reason = words(event.get("stopReason"))
        if self._chunks.ended:
            raise ValueError(OUT_OF_SHAPE)
        if reason not in _REASONS:
            raise ValueError(f"ended its answer for the reason {reason[:60]}")
        chunks = []
        kept = list(self._reasoned.values())
        if len(kept) == 1 and kept[0] and _REASONS[reason] != "content_filter":
            chunks.append(self._chunks.say(0, {"extra_content": {"bedrock": kept[0]}}))
        return [*chunks, self._chunks.end(0, _REASONS[reason])]

    def _counted(self, event: Mapping[str, Any]) -> None:
        """Note the usage. What is read from a cache, or written to it, was read as well."""
        counts = object_of(event.get("usage"))
        if counts.get("inputTokens") is None or counts.get("outputTokens") is None:
            return
        cached = count(counts.get("cacheReadInputTokens"))
        written = count(counts.get("cacheWriteInputTokens"))
        read = count(counts["inputTokens"]) + cached + written
        self._used = usage(read, count(counts["outputTokens"]), cached=cached)


def _index(event: Mapping[str, Any]) -> int:
    return count(event.get("contentBlockIndex"))
