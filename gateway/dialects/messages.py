"""`POST /v1/messages`: where the text is, how an answer folds, how it says no.

Source: Anthropic's API reference, "Messages", "Streaming Messages" and "Errors".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from gateway.core.answer import EVERY, Event, Lane, Run
from gateway.core.calls import Piece
from gateway.core.declined import Declined
from gateway.core.errors import GatewayError
from gateway.core.findings import Finding
from gateway.core.money import Usage
from gateway.core.passages import Slot
from gateway.dialects import (
    anthropic_shape,
    messages_answer,
    messages_calls,
    messages_check,
    messages_declined,
    messages_request,
)
from gateway.dialects.lens import Lens

_BETA = r"[a-z0-9][a-z0-9.-]{0,63}"
_CALLS = ("tool_use", "server_tool_use", "mcp_tool_use")


class Messages(Lens):
    """The lens of messages. It keeps no state."""

    action = "messages.create"
    forwards: Mapping[str, re.Pattern[str]] = {
        "anthropic-version": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
        "anthropic-beta": re.compile(rf"{_BETA}(?:[ \t]*,[ \t]*{_BETA}){{0,15}}"),
    }

    # The request
    def check(self, body: object) -> dict[str, Any]:
        return messages_check.check(body, limited=True)

    def streams(self, request: dict[str, Any]) -> bool:
        return request.get("stream") is True

    def slots(self, request: dict[str, Any]) -> Sequence[Slot]:
        return list(messages_request.slots(request))

    def users(self, request: dict[str, Any]) -> Sequence[Slot]:
        return messages_request.users(request)

    def continues(self, request: dict[str, Any]) -> bool:
        return any(request.get(name) is not None for name in ("thread", "container"))

    def opaque(self, request: dict[str, Any]) -> Sequence[Finding]:
        return list(messages_request.opaque(request))

    def tools(self, request: dict[str, Any]) -> Sequence[str]:
        return messages_request.tool_names(request)

    def restrict_tools(self, request: dict[str, Any], allowed: Collection[str]) -> None:
        messages_request.restrict_tools(request, allowed)

    def answers_json(self, request: dict[str, Any]) -> bool:
        wanted = (request.get("output_config") or {}).get("format"), request.get("output_format")
        return any((form or {}).get("type") == "json_schema" for form in wanted)

    def output_limit(self, request: dict[str, Any]) -> int | None:
        limit: int | None = request.get("max_tokens")
        return limit

    def limit_output(self, request: dict[str, Any], most: int) -> None:
        messages_request.limit_output(request, most)

    def repeatable(self, request: dict[str, Any]) -> bool:
        return messages_request.repeatable(request)

    # The answer
    def well_formed(self, answer: dict[str, Any]) -> bool:
        return messages_answer.well_formed(answer)

    def broken(self, answer: dict[str, Any]) -> bool:
        return answer.get("type") == "error" or answer.get("error") is not None

    def complete(self, request: Mapping[str, Any], ended: Collection[int], last: Event) -> bool:
        return last.data.get("type") == "message_stop"

    def runs(self, event: Event) -> Iterable[Run]:
        return messages_answer.runs(event)

    def ended(self, event: Event) -> Collection[int]:
        if event.data.get("type") in ("message_delta", "message_stop"):
            return (EVERY,)
        return messages_answer.ended(event)

    def calls(self, event: Event) -> Iterable[Piece]:
        return messages_calls.pieces(event)

    def say(self, lane: Lane, text: str, like: Event | None) -> Event:
        return messages_answer.say(lane, text)

    def says_text(self, event: Event) -> bool:
        return messages_answer.says_text(event)

    def unend(self, event: Event) -> None:
        if event.data.get("type") == "message_delta":
            event.data["delta"] |= {"stop_reason": None, "stop_sequence": None}
            event.data.pop("usage", None)
            event.edited()

    def hollow(self, event: Event) -> bool:
        return event.raw is None and not event.whole and messages_answer.says_nothing(event)

    def usage(self, event: Event) -> Usage | None:
        return messages_answer.usage(event)

    def tool_calls(self, answer: dict[str, Any]) -> Sequence[str]:
        blocks = answer.get("content") or ()
        return [block.get("name") or "" for block in blocks if block.get("type") in _CALLS]

    def fold(self, events: Sequence[Event]) -> dict[str, Any]:
        return messages_answer.fold(events)

    def unfold(self, answer: dict[str, Any], request: dict[str, Any]) -> Sequence[Event]:
        return messages_answer.unfold(answer)

    # Saying no
    def decline(self, asked: Mapping[str, Any], no: Declined) -> dict[str, Any] | None:
        return messages_declined.whole(no)

    def break_off(
        self, asked: Mapping[str, Any], no: Declined, said: Sequence[Event]
    ) -> Sequence[Event]:
        return messages_declined.break_off(no, said)

    # On the wire
    def error(self, error: GatewayError, about: dict[str, Any]) -> dict[str, Any]:
        return anthropic_shape.error_body(error, about)

    def frame(self, event: Event) -> bytes:
        return anthropic_shape.frame(event)

    def frame_error(self, body: dict[str, Any], *, finished: bool) -> bytes:
        return anthropic_shape.frame_error(body)

    def end(self) -> bytes:
        return b""
