"""`POST /v1/chat/completions`: where the text is, how an answer folds, how it says no.

Source: OpenAI's API reference, "Chat" (objects `chat.completion`, `chat.completion.chunk`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from gateway.core.answer import Event, Lane, Run
from gateway.core.calls import Piece
from gateway.core.declined import Declined, Manner
from gateway.core.findings import Finding
from gateway.core.passages import Slot
from gateway.dialects import (
    chat_answer,
    chat_calls,
    chat_request,
    chat_shape,
    chat_texts,
    chat_tools,
)
from gateway.dialects.answer_texts import unspell
from gateway.dialects.choices import Choices
from gateway.dialects.declined_choices import Form, break_off, whole


class Chat(Choices):
    """The lens of chat completions. It keeps no state."""

    action = "chat.completions.create"

    # The request
    def check(self, body: object) -> dict[str, Any]:
        return chat_request.check(body)

    def streams(self, request: dict[str, Any]) -> bool:
        return request.get("stream") is True

    def slots(self, request: dict[str, Any]) -> Sequence[Slot]:
        return list(chat_texts.slots(request))

    def opaque(self, request: dict[str, Any]) -> Sequence[Finding]:
        return list(chat_texts.opaque(request))

    def tools(self, request: dict[str, Any]) -> Sequence[str]:
        return chat_tools.names(request)

    def restrict_tools(self, request: dict[str, Any], allowed: Collection[str]) -> None:
        chat_tools.restrict(request, allowed)

    def modalities(self, request: dict[str, Any]) -> Sequence[str]:
        return request.get("modalities") or ["text"]

    def answers_json(self, request: dict[str, Any]) -> bool:
        wanted = (request.get("response_format") or {}).get("type")
        return wanted in ("json_object", "json_schema")

    def output_limit(self, request: dict[str, Any]) -> int | None:
        limits = [request.get("max_completion_tokens"), request.get("max_tokens")]
        return min((limit for limit in limits if limit is not None), default=None)

    def limit_output(self, request: dict[str, Any], most: int) -> None:
        named = [name for name in ("max_completion_tokens", "max_tokens") if request.get(name)]
        for name in named or ["max_completion_tokens"]:
            request[name] = min(most, request.get(name) or most)

    def choices(self, request: dict[str, Any]) -> int:
        return request.get("n") or 1

    def repeatable(self, request: dict[str, Any]) -> bool:
        """What is stored at the provider can be named later, and repeats its `metadata`."""
        return not request.get("store")

    def count_usage(self, request: dict[str, Any]) -> bool:
        options = request.get("stream_options") or {}
        if not self.streams(request) or options.get("include_usage"):
            return False
        request["stream_options"] = {**options, "include_usage": True}
        return True

    # The answer
    def well_formed(self, answer: dict[str, Any]) -> bool:
        return chat_shape.well_formed(answer)

    def complete(self, request: Mapping[str, Any], ended: Collection[int], last: Event) -> bool:
        wanted = request.get("n")
        return set(range(wanted if isinstance(wanted, int) else 1)).issubset(ended)

    def runs(self, event: Event) -> Iterable[Run]:
        return chat_answer.runs(event)

    def ended(self, event: Event) -> Collection[int]:
        return chat_answer.ended(event)

    def calls(self, event: Event) -> Iterable[Piece]:
        return chat_calls.pieces(event)

    def beside_calls(self, event: Event) -> Iterable[Event]:
        return chat_calls.beside(event)

    def say(self, lane: Lane, text: str, like: Event | None) -> Event:
        return chat_answer.say(lane, text, like)

    def unspell(self, event: Event) -> bool:
        return unspell(event.data)

    def unend(self, event: Event) -> None:
        for choice in chat_answer.choices(event):
            choice["finish_reason"] = None
        event.data.pop("usage", None)
        event.edited()

    def hollow(self, event: Event) -> bool:
        return event.raw is None and not event.whole and chat_answer.says_nothing(event)

    def tool_calls(self, answer: dict[str, Any]) -> Sequence[str]:
        return list(_called(answer))

    def fold(self, events: Sequence[Event]) -> dict[str, Any]:
        return chat_answer.fold(events)

    def unfold(self, answer: dict[str, Any], request: dict[str, Any]) -> Sequence[Event]:
        options = request.get("stream_options") or {}
        return chat_answer.unfold(answer, with_usage=bool(options.get("include_usage")))

    # Saying no
    def decline(self, asked: Mapping[str, Any], no: Declined) -> dict[str, Any]:
        message = {"role": "assistant", "content": None, "refusal": None, **_words(no)}
        return whole(no, "chat.completion", [{"message": message}] * (asked.get("n") or 1))

    def break_off(
        self, asked: Mapping[str, Any], no: Declined, said: Sequence[Event]
    ) -> Sequence[Event]:
        def piece(text: str | None, first: bool) -> dict[str, Any]:
            words = {} if text is None else _words(no, text)
            return {"delta": {"role": "assistant", **words} if first else words}

        form = Form("chat.completion.chunk", piece)
        return break_off(asked, no, said, asked.get("n") or 1, form)


def _words(no: Declined, text: str | None = None) -> dict[str, Any]:
    """The member of a message that says no; none where it is filtered."""
    members = {Manner.REFUSAL: "refusal", Manner.MESSAGE: "content"}
    return {members[no.how]: text or no.text} if no.how in members else {}


def _called(answer: dict[str, Any]) -> Iterator[str]:
    for choice in answer.get("choices") or ():
        message = choice.get("message") or {}
        for call in message.get("tool_calls") or ():
            yield (call.get("function") or call.get("custom") or {}).get("name") or ""
        if call := message.get("function_call"):
            yield call.get("name") or ""
