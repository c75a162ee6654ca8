"""Chat chunks, made from what an API of another shape says, and reading what it says.

What reads raises `ValueError`, whose words go on from "The provider …" (see `Translation`).
Source: OpenAI's API reference, "Chat" (object `chat.completion.chunk`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.exchange import Exchange

OUT_OF_SHAPE = "sent an answer that is not in shape"
BROKE_OFF = "ended its answer before it was complete"
NOT_CARRIED = "sent a kind of content that a chat completion cannot hold"


class Chunks:
    """Makes the chunks of one answer; the first of each choice says the role."""

    def __init__(self, exchange: Exchange, model: str) -> None:
        self.id = f"chatcmpl-{exchange.id}"
        self.model = model
        self._created = int(exchange.started.timestamp())
        self._begun: set[int] = set()
        self.ended: set[int] = set()
        """The choices that have ended."""

    def say(self, choice: int, delta: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """A chunk of `choice` that says `delta`, with `more` members of the choice."""
        delta = {**self._role(choice), **delta}
        return self._chunk([{"index": choice, "delta": delta, "finish_reason": None, **more}])

    def end(self, choice: int, reason: str) -> dict[str, Any]:
        """The chunk that ends `choice`."""
        self.ended.add(choice)
        delta = self._role(choice)
        return self._chunk([{"index": choice, "delta": delta, "finish_reason": reason}])

    def count(self, usage: Mapping[str, Any]) -> dict[str, Any]:
        """The chunk that says what was used."""
        return self._chunk([], usage=dict(usage))

    def _role(self, choice: int) -> dict[str, Any]:
        if choice in self._begun:
            return {}
        self._begun.add(choice)
        return {"role": "assistant", "refusal": None}

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        head = {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self.model,
        }
        return {**head, "choices": choices, **more}


def counts_asked(body: Mapping[str, Any]) -> bool:
    """Whether a chat request asks for usage at the end of its stream."""
    options = body.get("stream_options") or {}
    return options.get("include_usage") is True


def usage(read: int, said: int, *, cached: int = 0, reasoned: int | None = None) -> dict[str, Any]:
    """A `usage` object; `cached` is part of `read`, and `reasoned` of `said`. In tokens."""
    more = {} if reasoned is None else {"completion_tokens_details": {"reasoning_tokens": reasoned}}
    return {
        "prompt_tokens": read,
        "completion_tokens": said,
        "total_tokens": read + said,
        "prompt_tokens_details": {"cached_tokens": cached},
        **more,
    }


def object_of(value: Any) -> dict[str, Any]:
    """`value`, when it is an object; an empty one where it is null. Raises `ValueError`."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(OUT_OF_SHAPE)
    return value


def objects(value: Any) -> list[dict[str, Any]]:
    """`value`, when it is a list of objects; none where it is null. Raises `ValueError`."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError(OUT_OF_SHAPE)
    return value


def words(value: Any) -> str:
    """`value`, when it is a string. Raises `ValueError`."""
    if not isinstance(value, str):
        raise ValueError(OUT_OF_SHAPE)
    return value


def count(value: Any) -> int:
    """`value`, when it is a whole number from zero; 0 where it is null. Raises `ValueError`."""
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise ValueError(OUT_OF_SHAPE)
    return value
