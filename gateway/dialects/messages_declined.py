"""How a message says no.

What filters it and what refuses it are one `stop_reason` of the API, `refusal`; words about it
stand in `stop_details`, apart from what the model said. Source: Anthropic's API reference,
"Messages" (`stop_reason`, `stop_details`) and "Handle streaming refusals".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.core.answer import Event
from gateway.core.declined import Declined, Manner
from gateway.dialects import messages_answer

_BLANK = "\n\n"
"""What stands between what the model said and what the gateway says."""


def whole(no: Declined) -> dict[str, Any]:
    """The message that says no."""
    said = [{"type": "text", "text": no.text}] if no.how is Manner.MESSAGE else []
    usage = no.usage
    return {
        "id": no.id,
        "type": "message",
        "role": "assistant",
        "model": no.model,
        "content": said,
        **_ending(no),
        "usage": {
            "input_tokens": usage.input_tokens if usage else 0,
            "output_tokens": usage.output_tokens if usage else 0,
        },
    }


def break_off(no: Declined, said: Sequence[Event]) -> list[Event]:
    """The events that close what is open and end the message; none where it has begun to call a
    tool, which nobody must take for a whole call."""
    told = _Told(said)
    if not told.begun:
        return messages_answer.unfold(whole(no))
    if told.calls:
        return []
    events = [{"type": "content_block_stop", "index": index} for index in sorted(told.open)]
    if no.how is Manner.MESSAGE:
        text = _BLANK + no.text if told.spoken else no.text
        events += _block(told.blocks, text)
    count = {"output_tokens": no.usage.output_tokens if no.usage else 0}
    events.append({"type": "message_delta", "delta": _ending(no), "usage": count})
    events.append({"type": "message_stop"})
    return [Event(data) for data in events]


class _Told:
    """How far a stream has come."""

    def __init__(self, said: Sequence[Event]) -> None:
        self.begun = False
        self.calls = False
        self.spoken = False
        self.blocks = 0
        """How many blocks there are."""
        self.open: set[int] = set()
        for event in said:
            self._hear(event.data)

    def _hear(self, data: dict[str, Any]) -> None:
        match data:
            case {"type": "message_start"}:
                self.begun = True
            case {"type": "content_block_start", "index": index, "content_block": block}:
                self.open.add(index)
                self.blocks = max(self.blocks, index + 1)
                self.calls = self.calls or block["type"] == "tool_use"
                self.spoken = self.spoken or bool(block.get("text"))
            case {"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}}:
                self.spoken = self.spoken or bool(text)
            case {"type": "content_block_stop", "index": index}:
                self.open.discard(index)


def _block(index: int, text: str) -> list[dict[str, Any]]:
    """The events of one block of text."""
    said = {"type": "text_delta", "text": text}
    empty = {"type": "text", "text": ""}
    return [
        {"type": "content_block_start", "index": index, "content_block": empty},
        {"type": "content_block_delta", "index": index, "delta": said},
        {"type": "content_block_stop", "index": index},
    ]


def _ending(no: Declined) -> dict[str, Any]:
    if no.how is Manner.MESSAGE:
        return {"stop_reason": "end_turn", "stop_sequence": None}
    words = no.text if no.how is Manner.REFUSAL else None
    details = {"type": "refusal", "category": None, "explanation": words}
    return {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
