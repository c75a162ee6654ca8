"""`POST /v1/responses`: where the text is, how a response folds, how it says no.

Source: OpenAI's API reference, "Responses" (object `response`, streaming events).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import orjson

from gateway.core.answer import Event, Lane, Run
from gateway.core.calls import Piece
from gateway.core.declined import Declined
from gateway.core.dialect import Reference
from gateway.core.findings import Finding
from gateway.core.money import Usage
from gateway.core.passages import Slot
from gateway.dialects import (
    responses_answer,
    responses_calls,
    responses_declined,
    responses_events,
    responses_request,
    responses_shape,
    responses_tools,
)
from gateway.dialects.lens import Lens


class Responses(Lens):
    """The lens of OpenAI's Responses. It keeps no state."""

    action = "responses.create"
    asks = "input"

    # The request
    def check(self, body: object) -> dict[str, Any]:
        return responses_request.check(body)

    def streams(self, request: dict[str, Any]) -> bool:
        return request.get("stream") is True

    def slots(self, request: dict[str, Any]) -> Sequence[Slot]:
        return responses_request.slots(request)

    def continues(self, request: dict[str, Any]) -> bool:
        return request.get("previous_response_id") is not None

    def references(self, request: dict[str, Any]) -> Sequence[Reference]:
        return responses_request.references(request)

    def opaque(self, request: dict[str, Any]) -> Sequence[Finding]:
        return responses_request.opaque(request)

    def tools(self, request: dict[str, Any]) -> Sequence[str]:
        return responses_tools.names(request)

    def restrict_tools(self, request: dict[str, Any], allowed: Collection[str]) -> None:
        responses_tools.restrict(request, allowed)

    def modalities(self, request: dict[str, Any]) -> Sequence[str]:
        draws = "image_generation" in responses_tools.names(request)
        return ("text", "image") if draws else ("text",)

    def answers_json(self, request: dict[str, Any]) -> bool:
        wanted = (request.get("text") or {}).get("format") or {}
        return wanted.get("type") in ("json_object", "json_schema")

    def output_limit(self, request: dict[str, Any]) -> int | None:
        return request.get("max_output_tokens")

    def limit_output(self, request: dict[str, Any], most: int) -> None:
        request["max_output_tokens"] = min(most, request.get("max_output_tokens") or most)

    def repeatable(self, request: dict[str, Any]) -> bool:
        return responses_request.repeatable(request)

    # The answer
    def well_formed(self, answer: dict[str, Any]) -> bool:
        return responses_shape.well_formed(answer)

    def broken(self, answer: dict[str, Any]) -> bool:
        kind = answer.get("type")
        if isinstance(kind, str):
            return kind == "error"
        return answer.get("object") != "response" and answer.get("error") is not None

    def complete(self, request: Mapping[str, Any], ended: Collection[int], last: Event) -> bool:
        return last.data.get("type") in responses_shape.TERMINAL

    def runs(self, event: Event) -> Iterable[Run]:
        return responses_answer.runs(event)

    def echoes(self, event: Event) -> Iterable[Run]:
        return responses_answer.echoes(event)

    def ended(self, event: Event) -> Collection[int]:
        return responses_answer.ended(event)

    def calls(self, event: Event) -> Iterable[Piece]:
        return responses_calls.pieces(event)

    def calls_ended(self, event: Event) -> Collection[int]:
        return responses_calls.ended(event)

    def say(self, lane: Lane, text: str, like: Event | None) -> Event:
        return responses_answer.say(lane, text, like)

    def unspell(self, event: Event) -> bool:
        return responses_answer.unspell(event.data)

    def hollow(self, event: Event) -> bool:
        return event.raw is None and not event.whole and responses_answer.says_nothing(event)

    def usage(self, event: Event) -> Usage | None:
        match responses_events.response_of(event).get("usage"):
            case {"input_tokens": int() as read, "output_tokens": int() as said}:
                return Usage(max(read, 0), max(said, 0), exact=True)
            case _:
                return None

    def tool_calls(self, answer: dict[str, Any]) -> Sequence[str]:
        kinds = [(item, str(item.get("type"))) for item in responses_answer.items(answer)]
        return [
            str(item.get("name") or kind)
            for item, kind in kinds
            if kind.endswith("_call") or kind == "mcp_approval_request"
        ]

    def fold(self, events: Sequence[Event]) -> dict[str, Any]:
        return responses_events.fold(events)

    def unfold(self, answer: dict[str, Any], request: dict[str, Any]) -> Sequence[Event]:
        return responses_events.unfold(answer)

    # Saying no
    def decline(self, asked: Mapping[str, Any], no: Declined) -> dict[str, Any]:
        return responses_declined.whole(asked, no)

    def break_off(
        self, asked: Mapping[str, Any], no: Declined, said: Sequence[Event]
    ) -> Sequence[Event]:
        return responses_declined.break_off(asked, no, said)

    # On the wire
    def number(self, event: Event, index: int) -> None:
        if not event.whole and event.data.get("sequence_number") != index:
            event.data["sequence_number"] = index
            event.edited()

    def frame(self, event: Event) -> bytes:
        kind = str(event.data.get("type", "message"))
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), event.encode())

    def frame_error(self, body: dict[str, Any], *, finished: bool) -> bytes:
        """OpenAI's flat `error` event, which clients let pass, with the nested `error` object
        beside it, on which they raise."""
        error = body["error"]
        flat = {name: error.get(name) for name in ("code", "message", "param")}
        event = {"type": "error", **flat, **body}
        return b"event: error\ndata: %b\n\n" % orjson.dumps(event)

    def end(self) -> bytes:
        return b""
