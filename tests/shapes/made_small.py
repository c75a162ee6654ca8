"""Answers of the Responses API and of the small endpoints, of any content."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hypothesis import strategies as st

from tests.exchanges import pieces
from tests.shapes.made import ARGUMENTS, SAID, WORDS, Json, Stream, lines, named
from tests.unit.dialects.test_responses_answer import streamed

TOKENS = {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}


def _text(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _message(parts: Sequence[Json]) -> Json:
    head = {"type": "message", "role": "assistant", "status": "completed"}
    return {**head, "content": list(parts)}


def _call(arguments: str) -> Json:
    head = {"type": "function_call", "status": "completed", "call_id": "call_1"}
    return {**head, "name": "send", "arguments": arguments}


def _custom(text: str) -> Json:
    return {"type": "custom_tool_call", "call_id": "c", "name": "send", "input": text}


def _reasoning(texts: Sequence[str]) -> Json:
    return {"type": "reasoning", "summary": [{"type": "summary_text", "text": t} for t in texts]}


PARTS = st.lists(
    st.one_of(
        WORDS.map(_text), SAID.map(lambda text: {"type": "refusal", "refusal": text})
    ),
    min_size=1,
    max_size=2,
)  # fmt: skip
ITEMS = st.lists(
    st.one_of(
        PARTS.map(_message),
        ARGUMENTS.map(_call),
        SAID.map(_custom),
        st.lists(SAID, max_size=2).map(_reasoning),
    ),
    max_size=3,
)


@st.composite
def response(draw: st.DrawFn) -> Json:
    """A `response` of any items."""
    output = [{**item, "id": f"item_{place}"} for place, item in enumerate(draw(ITEMS))]
    status = draw(st.sampled_from(["completed", "incomplete", "failed"]))
    incomplete = {"reason": "max_output_tokens"} if status == "incomplete" else None
    error = {"code": "server_error", "message": "no"} if status == "failed" else None
    nothing: Json = dict.fromkeys(("instructions", "metadata", "temperature", "top_p"))
    return {
        **nothing,
        "id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": status,
        "output": output, "error": error, "incomplete_details": incomplete, "tools": [],
        "tool_choice": "auto", "parallel_tool_calls": True,
        "usage": {**TOKENS, "output_tokens_details": {"reasoning_tokens": 0},
                  "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}},
    }  # fmt: skip


def response_stream(whole: Json, cuts: Sequence[int]) -> bytes:
    """The same as events."""
    return named([event.data for event in streamed(whole, partial(pieces, cuts=cuts))])


EMBEDDINGS = st.sampled_from(["AACAPwAAAEA=", [1.0, -2.5]]).map(
    lambda vector: {
        "object": "list", "model": "m", "usage": {"prompt_tokens": 3, "total_tokens": 3},
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
    }
)  # fmt: skip
_KINDS = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit",
    "illicit/violent", "self-harm", "self-harm/instructions", "self-harm/intent", "sexual",
    "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
MODERATIONS = st.booleans().map(
    lambda flagged: {
        "id": "modr-1", "model": "m",
        "results": [{
            "flagged": flagged,
            "categories": dict.fromkeys(_KINDS, flagged),
            "category_scores": dict.fromkeys(_KINDS, 0.5),
            "category_applied_input_types": {kind: ["text"] for kind in _KINDS},
        }],
    }
)  # fmt: skip
_DETAILS = {"image_tokens": 0, "text_tokens": 3}
PICTURES = WORDS.map(
    lambda text: {
        "created": 1, "data": [{"b64_json": "AA==", "revised_prompt": text}],
        "usage": {**TOKENS, "input_tokens_details": _DETAILS},
    }
)  # fmt: skip
_HEARD = {"audio_tokens": 3, "text_tokens": 0}
_COUNTED = {"type": "tokens", **TOKENS, "input_token_details": _HEARD}
TRANSCRIPTS = WORDS.map(lambda text: {"text": text, "usage": _COUNTED})
VERBOSE = SAID.map(
    lambda text: {
        "task": "transcribe", "language": "en", "duration": 1.5, "text": text,
        "usage": {"type": "duration", "seconds": 2.0},
        "words": [{"word": text, "start": 0.0, "end": 1.5}],
        "segments": [{
            "id": 0, "seek": 0, "start": 0.0, "end": 1.5, "text": text, "tokens": [1],
            "temperature": 0.0, "avg_logprob": -0.5, "compression_ratio": 1.0,
            "no_speech_prob": 0.0,
        }],
    }
)  # fmt: skip
TRANSLATIONS = WORDS.map(lambda text: {"text": text})
COUNTS = st.integers(0, 9).map(lambda count: {"input_tokens": count})


def transcript_stream(whole: Json, cuts: Sequence[int]) -> bytes:
    """A transcript as events."""
    deltas = [{"type": "transcript.text.delta", "delta": d} for d in pieces(whole["text"], cuts)]
    return lines([*deltas, {"type": "transcript.text.done", **whole}])


def picture_stream(kind: str) -> Stream:
    """What makes a stream of a picture; `kind` is what its events are called by."""

    def made(whole: Json, cuts: Sequence[int]) -> bytes:
        looks = {
            "b64_json": "AA==", "background": "auto", "created_at": 1, "output_format": "png",
            "quality": "low", "size": "1024x1024",
        }  # fmt: skip
        part = {"type": f"{kind}.partial_image", "partial_image_index": 0, **looks}
        return lines([part, {"type": f"{kind}.completed", "usage": whole["usage"], **looks}])

    return made
