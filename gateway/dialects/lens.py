"""What most dialects share: JSON in and out, no tools, no stream, errors in OpenAI's shape.

A dialect overrides what it has. What is left says that there is none of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import orjson

from gateway.core import json_body
from gateway.core.answer import Event, Lane, Run
from gateway.core.calls import Piece
from gateway.core.declined import Declined
from gateway.core.dialect import Reference
from gateway.core.errors import GatewayError
from gateway.core.findings import Finding
from gateway.core.money import Usage
from gateway.core.passages import Slot
from gateway.dialects import openai_shape
from gateway.dialects.called import called


class Lens:
    """The part of `Dialect` that a JSON endpoint without streams and tools needs.

    It leaves `action`, `check` and `slots` to its dialects. It keeps no state.
    """

    asks: str = "messages"
    accepts: Collection[str] = frozenset({"application/json"})
    forwards: Mapping[str, re.Pattern[str]] = {}

    # The request
    def parse(self, body: bytes, content_type: str) -> object:
        return json_body.parse(body)

    def encode(self, request: Mapping[str, Any]) -> tuple[str, bytes]:
        return "application/json", orjson.dumps(request)

    def streams(self, request: dict[str, Any]) -> bool:
        return False

    def users(self, request: dict[str, Any]) -> Sequence[Slot]:
        return openai_shape.users(request)

    def continues(self, request: dict[str, Any]) -> bool:
        return False

    def references(self, request: dict[str, Any]) -> Sequence[Reference]:
        return ()

    def opaque(self, request: dict[str, Any]) -> Sequence[Finding]:
        return ()

    def tools(self, request: dict[str, Any]) -> Sequence[str]:
        return ()

    def restrict_tools(self, request: dict[str, Any], allowed: Collection[str]) -> None:
        return

    def called(self, value: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return called(value)

    def modalities(self, request: dict[str, Any]) -> Sequence[str]:
        return ("text",)

    def answers_json(self, request: dict[str, Any]) -> bool:
        return False

    def output_limit(self, request: dict[str, Any]) -> int | None:
        return None

    def limit_output(self, request: dict[str, Any], most: int) -> None:
        return

    def choices(self, request: dict[str, Any]) -> int:
        return 1

    def repeatable(self, request: dict[str, Any]) -> bool:
        return True

    def count_usage(self, request: dict[str, Any]) -> bool:
        return False

    # The answer
    def well_formed(self, answer: dict[str, Any]) -> bool:
        return True

    def broken(self, answer: dict[str, Any]) -> bool:
        return answer.get("error") is not None

    def takes_media(self, request: Mapping[str, Any], media: str) -> bool:
        return False

    def complete(self, request: Mapping[str, Any], ended: Collection[int], last: Event) -> bool:
        return False

    def runs(self, event: Event) -> Iterable[Run]:
        return ()

    def echoes(self, event: Event) -> Iterable[Run]:
        return ()

    def ended(self, event: Event) -> Collection[int]:
        return ()

    def calls(self, event: Event) -> Iterable[Piece]:
        return ()

    def calls_ended(self, event: Event) -> Collection[int]:
        return self.ended(event)

    def beside_calls(self, event: Event) -> Iterable[Event]:
        return ()

    def say(self, lane: Lane, text: str, like: Event | None) -> Event:
        raise NotImplementedError("an answer that is never streamed has no events to add")

    def unspell(self, event: Event) -> bool:
        return False

    def says_text(self, event: Event) -> bool:
        return any(run.text for run in self.runs(event))

    def unend(self, event: Event) -> None:
        return

    def hollow(self, event: Event) -> bool:
        return False

    def usage(self, event: Event) -> Usage | None:
        return None

    def only_usage(self, event: Event) -> bool:
        return False

    def hide_usage(self, event: Event) -> bool:
        return False

    def tool_calls(self, answer: dict[str, Any]) -> Sequence[str]:
        return ()

    def fold(self, events: Sequence[Event]) -> dict[str, Any]:
        return events[0].data

    def unfold(self, answer: dict[str, Any], request: dict[str, Any]) -> Sequence[Event]:
        return [Event(answer, whole=True)]

    # Saying no
    def decline(self, asked: Mapping[str, Any], no: Declined) -> dict[str, Any] | None:
        return None

    def break_off(
        self, asked: Mapping[str, Any], no: Declined, said: Sequence[Event]
    ) -> Sequence[Event]:
        return ()

    # On the wire
    def number(self, event: Event, index: int) -> None:
        return

    def error(self, error: GatewayError, about: dict[str, Any]) -> dict[str, Any]:
        return openai_shape.error_body(error, about)

    def frame(self, event: Event) -> bytes:
        return openai_shape.frame(event)

    def frame_error(self, body: dict[str, Any], *, finished: bool) -> bytes:
        return openai_shape.frame_error(body, finished=finished)

    def end(self) -> bytes:
        return openai_shape.DONE
