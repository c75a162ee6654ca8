"""Every governed endpoint that answers, asked in one way, and the rules that answers may meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from gateway.core.dialect import Dialect
from gateway.dialects import multipart
from gateway.wiring import DIALECTS
from tests.laws.test_chunking import ADDRESS, MASK, REDACT, STOP
from tests.shapes import made
from tests.shapes import made_small as small

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
SOUND = multipart.Upload("a.wav", "audio/wav", b"RIFF")
PICTURE = multipart.Upload("a.png", "image/png", b"\x89PNG")
FUNCTION = {"name": "send", "parameters": {"type": "object"}}
SAY = [{"role": "user", "content": f"I am {ADDRESS}"}]


@dataclass(frozen=True)
class Kind:
    """One endpoint, asked in one way, before a provider of one API."""

    path: str
    asked: Mapping[str, Any]
    answers: st.SearchStrategy[made.Json]
    stream: made.Stream | None = None
    theirs: str | None = None
    """The path whose answers the provider gives, where they are translated."""

    @property
    def dialect(self) -> Dialect:
        return DIALECTS[self.path]

    @property
    def takes_forms(self) -> bool:
        return "multipart/form-data" in self.dialect.accepts

    @property
    def provider(self) -> str:
        return "anthropic" if (self.theirs or self.path).startswith(MESSAGES) else "openai"


_CHAT = {"messages": SAY, "tools": [{"type": "function", "function": FUNCTION}]}
_CLAUDE = {"messages": SAY, "max_tokens": 9, "tools": [{"name": "send", "input_schema": {}}]}
_ASKS = {"input": f"I am {ADDRESS}", "tools": [{"type": "function", **FUNCTION}]}
_DRAW = {"prompt": f"I am {ADDRESS}"}
_VERBOSE = {"file": SOUND, "response_format": "verbose_json"}
KINDS = {
    "chat": Kind(CHAT, _CHAT, made.completion(), made.completion_stream),
    "chat of messages": Kind(CHAT, _CHAT, made.message(), made.message_stream, MESSAGES),
    "completions": Kind(
        "/v1/completions", _DRAW, made.text_completion(), made.text_completion_stream
    ),
    "responses": Kind(RESPONSES, _ASKS, small.response(), small.response_stream),
    "messages": Kind(MESSAGES, _CLAUDE, made.message(), made.message_stream),
    "messages of chat": Kind(
        MESSAGES, _CLAUDE, made.completion().filter(lambda whole: len(whole["choices"]) == 1),
        made.completion_stream, CHAT,
    ),
    "count": Kind(f"{MESSAGES}/count_tokens", {"messages": SAY}, small.COUNTS),
    "embeddings": Kind("/v1/embeddings", {"input": f"I am {ADDRESS}"}, small.EMBEDDINGS),
    "moderations": Kind("/v1/moderations", {"input": f"I am {ADDRESS}"}, small.MODERATIONS),
    "images": Kind(
        "/v1/images/generations", _DRAW, small.PICTURES, small.picture_stream("image_generation")
    ),
    "image edits": Kind(
        "/v1/images/edits", {**_DRAW, "image": PICTURE}, small.PICTURES,
        small.picture_stream("image_edit"),
    ),
    "transcriptions": Kind(
        "/v1/audio/transcriptions", {"file": SOUND}, small.TRANSCRIPTS, small.transcript_stream
    ),
    "verbose transcriptions": Kind("/v1/audio/transcriptions", _VERBOSE, small.VERBOSE),
    "translations": Kind("/v1/audio/translations", {"file": SOUND}, small.TRANSLATIONS),
    "verbose translations": Kind("/v1/audio/translations", _VERBOSE, small.VERBOSE),
}  # fmt: skip

WHOLE = {"unit": "whole"}
DECLINED = ("content_filter", "refusal", "message")
RULES: dict[str, list[tuple[str, Mapping[str, Any]]]] = {
    "nothing": [],
    "masked": [MASK],
    "filtered": [STOP],
    "filtered as a whole": [(STOP[0], {**STOP[1], **WHOLE})],
    "redacted": [REDACT],
    "labelled": [("label", {"labels": ["seen"]})],
    "no tools": [("restrict_tools", {"allowed": []})],
    "capped": [("cap_tokens", {"most": 5})],
    "cached": [("cache", {"seconds": 60})],
    **{f"filtered, told as {how}": [STOP, ("respond_with", {"how": how})] for how in DECLINED},
    "all": [MASK, STOP, REDACT, ("label", {"labels": ["seen"]}), ("cache", {"seconds": 60})],
}
