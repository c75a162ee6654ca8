"""The events of every stream, one by one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, get_args

from anthropic.types import RawMessageStreamEvent
from openai import types
from openai.types import audio, chat, responses
from pydantic import BaseModel

from tests.shapes.errors import check_error, is_anthropic
from tests.shapes.members import OutOfShape, held, require


class Ping(BaseModel):
    """Anthropic's sign of life, of which the package has no model."""

    type: Literal["ping"]


class TextChoice(types.CompletionChoice):
    """A piece of a completion, which ends only with the last."""

    finish_reason: Literal["stop", "length", "content_filter"] | None  # type: ignore[assignment]


class TextChunk(types.Completion):
    """A chunk of a completion, for which the package has no model of its own."""

    choices: list[TextChoice]  # type: ignore[assignment]


class SpeechDelta(BaseModel):
    """A piece of sound. The package leaves these events unread."""

    type: Literal["speech.audio.delta"]
    audio: str


class SpeechUsage(BaseModel):
    """What it took to speak."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class SpeechDone(BaseModel):
    """The end of the sound."""

    type: Literal["speech.audio.done"]
    usage: SpeechUsage


_TYPED: dict[str, Any] = {
    "/v1/responses": responses.ResponseStreamEvent,
    "/v1/messages": RawMessageStreamEvent,
    "/v1/images/generations": types.ImageGenStreamEvent,
    "/v1/images/edits": types.ImageEditStreamEvent,
    "/v1/audio/transcriptions": audio.TranscriptionStreamEvent,
}
"""By path: the union of the events, each of which says its type."""
_OURS: dict[str, tuple[type[BaseModel], ...]] = {
    "/v1/messages": (Ping,),
    "/v1/audio/speech": (SpeechDelta, SpeechDone),
}
_UNTYPED: dict[str, Any] = {
    "/v1/chat/completions": chat.ChatCompletionChunk,
    "/v1/completions": TextChunk,
}
STREAMED = frozenset({*_TYPED, *_OURS, *_UNTYPED})
"""The paths that stream."""


def check_event(path: str, event: Mapping[str, Any]) -> None:
    """Raise `OutOfShape` unless `event` is one of the stream of `path`, an error included."""
    if is_error(event):
        _check_stopped(path, event)
    elif path in _UNTYPED:
        held(_UNTYPED[path], event)
    else:
        model = _models(path).get(str(event.get("type")))
        if model is None:
            raise OutOfShape(f"{path} has no such event: {event!r}")
        held(model, event)


def is_error(event: Mapping[str, Any]) -> bool:
    """Whether an event says that the answer broke off, in any API's words."""
    return event.get("type") == "error" or ("type" not in event and "error" in event)


def _check_stopped(path: str, event: Mapping[str, Any]) -> None:
    """Responses say it twice: flat, as the API has it, and as the error object clients raise."""
    if path == "/v1/responses":
        held(responses.ResponseErrorEvent, event)
        require({"code", "param"} <= event.keys(), "code and param are said", event)
        check_error(path, {"error": event.get("error")})
        same = all(event[name] == event["error"][name] for name in ("message", "code", "param"))
        require(same, "both say the same", event)
    else:
        require(is_anthropic(path) or "type" not in event, "an error object", event)
        check_error(path, event)


@cache
def _models(path: str) -> dict[str, Any]:
    """The model of each type of event."""
    found: dict[str, Any] = {}
    for model in (*_members(_TYPED.get(path)), *_OURS.get(path, ())):
        for kind in get_args(model.model_fields["type"].annotation):
            found[kind] = model
    return found


def _members(union: Any) -> list[Any]:
    """The models of a union, however it is wrapped."""
    if union is None or (isinstance(union, type) and issubclass(union, BaseModel)):
        return [] if union is None else [union]
    return [model for inner in get_args(union) if _is_shape(inner) for model in _members(inner)]


def _is_shape(inner: Any) -> bool:
    return bool(get_args(inner)) or (isinstance(inner, type) and issubclass(inner, BaseModel))
