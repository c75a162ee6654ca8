"""The whole answers of every endpoint."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

from anthropic.types import Message, MessageTokensCount, ModelInfo
from openai import types
from openai.types import audio, chat, conversations, responses
from pydantic import BaseModel, create_model

from tests.shapes.members import OutOfShape, held, require


class Embedding(BaseModel):
    """Numbers, or base64 where the caller asked for that; the package undoes it itself."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class Embeddings(types.CreateEmbeddingResponse):
    """The answer that holds them."""

    data: list[Embedding]  # type: ignore[assignment]


class DeletedResponse(BaseModel):
    """What is left of a response. The package reads nothing of it."""

    id: str
    object: Literal["response", "response.deleted"]
    deleted: Literal[True]


def _listed(item: Any, *, paged: bool = True) -> Any:
    """A list of OpenAI's: `paged` where it tells its ends."""
    fields: dict[str, Any] = {"object": (Literal["list"], ...), "data": (list[item], ...)}
    if paged:
        ends = {"first_id": (str | None, ...), "last_id": (str | None, ...)}
        fields |= {**ends, "has_more": (bool, ...)}
    return create_model("Listed", **fields)


class AnthropicModels(BaseModel):
    """A page of models, in Anthropic's shape."""

    data: list[ModelInfo]
    has_more: bool
    first_id: str | None
    last_id: str | None


_ID = "[^/]+"
_ANSWERS: list[tuple[str, str, Any]] = [
    ("POST", "/v1/chat/completions", chat.ChatCompletion),
    ("POST", "/v1/completions", types.Completion),
    ("POST", "/v1/embeddings", Embeddings),
    ("POST", "/v1/moderations", types.ModerationCreateResponse),
    ("POST", "/v1/images/generations", types.ImagesResponse),
    ("POST", "/v1/images/edits", types.ImagesResponse),
    ("POST", "/v1/audio/transcriptions", audio.Transcription),
    ("POST", "/v1/audio/translations", audio.Translation),
    ("POST", "/v1/responses", responses.Response),
    ("GET", f"/v1/responses/{_ID}", responses.Response),
    ("DELETE", f"/v1/responses/{_ID}", DeletedResponse),
    ("POST", f"/v1/responses/{_ID}/cancel", responses.Response),
    ("GET", f"/v1/responses/{_ID}/input_items", _listed(responses.ResponseItem)),
    ("POST", "/v1/conversations", conversations.Conversation),
    ("GET", f"/v1/conversations/{_ID}", conversations.Conversation),
    ("POST", f"/v1/conversations/{_ID}", conversations.Conversation),
    ("DELETE", f"/v1/conversations/{_ID}", conversations.ConversationDeletedResource),
    ("POST", f"/v1/conversations/{_ID}/items", conversations.ConversationItemList),
    ("GET", f"/v1/conversations/{_ID}/items", conversations.ConversationItemList),
    ("GET", f"/v1/conversations/{_ID}/items/{_ID}", conversations.ConversationItem),
    ("DELETE", f"/v1/conversations/{_ID}/items/{_ID}", conversations.Conversation),
    ("POST", "/v1/files", types.FileObject),
    ("GET", "/v1/files", _listed(types.FileObject)),
    ("GET", f"/v1/files/{_ID}", types.FileObject),
    ("DELETE", f"/v1/files/{_ID}", types.FileDeleted),
    ("POST", "/v1/batches", types.Batch),
    ("GET", "/v1/batches", _listed(types.Batch)),
    ("GET", f"/v1/batches/{_ID}", types.Batch),
    ("POST", f"/v1/batches/{_ID}/cancel", types.Batch),
    ("GET", "/v1/models", _listed(types.Model, paged=False)),
    ("GET", "/v1/models/.+", types.Model),
    ("POST", "/v1/messages", Message),
    ("POST", "/v1/messages/count_tokens", MessageTokensCount),
]
_VERBOSE = {
    audio.Transcription: audio.TranscriptionVerbose,
    audio.Translation: audio.TranslationVerbose,
}
"""What a transcript is that tells more than its text."""
_ANTHROPIC_MODELS = {"/v1/models": AnthropicModels, "/v1/models/.+": ModelInfo}


def check_answer(path: str, body: Any, *, method: str = "POST", anthropic: bool = False) -> None:
    """Raise `OutOfShape` unless `body` is what `path` answers; `LookupError` for no such path.

    `anthropic`: whether the caller's headers say so, where both vendors have the path.
    """
    for verb, pattern, model in _ANSWERS:
        if verb == method and re.fullmatch(pattern, path):
            theirs = _ANTHROPIC_MODELS.get(pattern) if anthropic else None
            made = held(theirs or _told(model, body), body)
            _counted(made, body)
            return
    raise LookupError(f"nothing is known of {method} {path}")


def known() -> Iterable[tuple[str, str]]:
    """The methods and the patterns of the paths whose answers are known."""
    return [(verb, pattern) for verb, pattern, _ in _ANSWERS]


def _told(model: Any, body: Any) -> Any:
    """The model of an answer whose path has several: transcripts say more where asked to."""
    more = {"duration", "language", "segments", "words"}
    if model in _VERBOSE and isinstance(body, dict) and more & body.keys():
        speakers = any("speaker" in segment for segment in body.get("segments") or ())
        return audio.TranscriptionDiarized if speakers else _VERBOSE[model]
    return model


def _counted(made: Any, body: Any) -> None:
    """What no type says: choices in order, totals that add up."""
    if isinstance(made, chat.ChatCompletion | types.Completion):
        places = [choice.index for choice in made.choices]
        require(places == list(range(len(places))), "choices stand by their index", places)
        require(bool(places), "there is a choice", body)
    if isinstance(made, chat.ChatCompletion):
        for choice in made.choices:
            called = bool(choice.message.tool_calls)
            if choice.finish_reason == "tool_calls" and not called:
                raise OutOfShape(f"it ended in a call, and there is none: {body!r}")
    ids = [item.get("id") for item in body.get("data", ()) if isinstance(item, dict)]
    if "first_id" in body and ids:
        require([body["first_id"], body["last_id"]] == [ids[0], ids[-1]], "ends of a page", body)
