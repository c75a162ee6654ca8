"""What Gemini's `generateContent` says, as chat chunks.

Source: Google's Gemini API reference, "GenerateContentResponse", "Thought signatures" and
"OpenAI compatibility" (`extra_content`); OpenAI's API reference, "Chat".
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2s
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

_REASONS = {"STOP": "stop", "MAX_TOKENS": "length"}
_FILTERED = frozenset(
    {
        "BLOCKLIST",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "IMAGE_SAFETY",
        "LANGUAGE",
        "MODEL_ARMOR",
        "PROHIBITED_CONTENT",
        "RECITATION",
        "SAFETY",
        "SPII",
    }
)
"""Reasons to end that say that the rest may not be shown."""
_PART = frozenset({"text", "thought", "thoughtSignature", "functionCall", "partMetadata"})
"""Members of a part that can be carried."""


class GeminiAnswer:
    """One answer of `choices` candidates. What is not in shape raises `ValueError`.

    Candidates that are filtered say nothing from then on; what was streamed before was said.
    Not carried: safety ratings, citations and grounding.
    """

    def __init__(self, chunks: Chunks, choices: int) -> None:
        self._chunks = chunks
        self._choices = choices
        self._called: dict[int, int] = {}
        self._used: dict[str, Any] | None = None

    def read(self, response: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The chunks that a response, or one of a stream, amounts to."""
        if isinstance(response.get("modelVersion"), str):
            self._chunks.model = response["modelVersion"]
        counts = object_of(response.get("usageMetadata"))
        self._used = _used(counts) or self._used
        chunks: list[dict[str, Any]] = []
        for place, candidate in enumerate(objects(response.get("candidates"))):
            chunks += self._candidate(candidate, count(candidate.get("index", place)))
        if object_of(response.get("promptFeedback")).get("blockReason") is not None:
            left = [choice for choice in range(self._choices) if choice not in self._chunks.ended]
            chunks += [self._chunks.end(choice, "content_filter") for choice in left]
        return chunks

    def end(self) -> list[dict[str, Any]]:
        """The chunk that says what was used, if Gemini did.

        Raises `ValueError` unless every candidate that was asked for has ended.
        """
        if not self._chunks.ended.issuperset(range(self._choices)):
            raise ValueError(BROKE_OFF)
        return [] if self._used is None else [self._chunks.count(self._used)]

    def _candidate(self, candidate: Mapping[str, Any], choice: int) -> list[dict[str, Any]]:
        if choice in self._chunks.ended:
            raise ValueError(OUT_OF_SHAPE)
        content = object_of(candidate.get("content"))
        reason = candidate.get("finishReason")
        if reason in _FILTERED:
            return [self._chunks.end(choice, "content_filter")]
        delta = self._delta(choice, objects(content.get("parts")))
        spelled = _logprobs(object_of(candidate.get("logprobsResult")))
        chunks = []
        if delta or spelled is not None:
            more = {} if spelled is None else {"logprobs": spelled}
            chunks.append(self._chunks.say(choice, delta, **more))
        if reason is not None:
            if reason not in _REASONS:
                raise ValueError(f"ended its answer for the reason {words(reason)[:60]}")
            ending = _REASONS[reason]
            called = ending == "stop" and choice in self._called
            chunks.append(self._chunks.end(choice, "tool_calls" if called else ending))
        return chunks

    def _delta(self, choice: int, parts: list[dict[str, Any]]) -> dict[str, Any]:
        delta: dict[str, Any] = {}
        for part in parts:
            if any(part[name] is not None for name in part.keys() - _PART):
                raise ValueError(NOT_CARRIED)
            signed = {}
            if part.get("thoughtSignature") is not None:
                signed = _extra(words(part["thoughtSignature"]))
            if part.get("functionCall") is not None:
                call = self._call(choice, object_of(part["functionCall"]))
                delta.setdefault("tool_calls", []).append({**call, **signed})
                continue
            lane = "reasoning_content" if part.get("thought") is True else "content"
            if said := words(part.get("text", "")):
                delta[lane] = delta.get(lane, "") + said
            delta |= signed
        return delta

    def _call(self, choice: int, call: Mapping[str, Any]) -> dict[str, Any]:
        """A tool call. Where Gemini gave it no id, one that no other answer's call has."""
        if call.get("partialArgs") is not None or call.get("willContinue"):
            raise ValueError(NOT_CARRIED)
        index = self._called.get(choice, 0)
        self._called[choice] = index + 1
        function = {
            "name": words(call.get("name")),
            "arguments": orjson.dumps(object_of(call.get("args"))).decode(),
        }
        id = words(call.get("id") or _made_id(f"{self._chunks.id}/{choice}/{index}"))
        return {"index": index, "id": id, "type": "function", "function": function}


def _made_id(source: str) -> str:
    """An id of a length that every API takes back."""
    return f"call_{blake2s(source.encode(), digest_size=12).hexdigest()}"


def _extra(signature: str) -> dict[str, Any]:
    return {"extra_content": {"google": {"thought_signature": signature}}}


def _used(counts: Mapping[str, Any]) -> dict[str, Any] | None:
    """A `usage`. Thoughts are said, and what tools gave was read."""
    if counts.get("promptTokenCount") is None:
        return None
    thought = count(counts.get("thoughtsTokenCount"))
    return usage(
        count(counts["promptTokenCount"]) + count(counts.get("toolUsePromptTokenCount")),
        count(counts.get("candidatesTokenCount")) + thought,
        cached=count(counts.get("cachedContentTokenCount")),
        reasoned=thought,
    )


def _logprobs(result: Mapping[str, Any]) -> dict[str, Any] | None:
    """A `logprobs` object: each token that was chosen, and what else it might have been."""
    chosen = objects(result.get("chosenCandidates"))
    if not chosen:
        return None
    tops = [objects(step.get("candidates")) for step in objects(result.get("topCandidates"))]
    tops += [[]] * (len(chosen) - len(tops))
    content = [
        {**_spelled(token), "top_logprobs": [_spelled(other) for other in top]}
        for token, top in zip(chosen, tops, strict=False)
    ]
    return {"content": content, "refusal": None}


def _spelled(token: Mapping[str, Any]) -> dict[str, Any]:
    said = words(token.get("token", ""))
    chance = token.get("logProbability", 0.0)
    if not isinstance(chance, int | float):
        raise ValueError(OUT_OF_SHAPE)
    return {"token": said, "logprob": chance, "bytes": list(said.encode(errors="replace"))}
