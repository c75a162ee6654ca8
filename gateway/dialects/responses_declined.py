"""How a response says no.

What is filtered is `incomplete`, with `content_filter` for its reason; a refusal and a plain text
are parts of a message. Source: OpenAI's API reference, "Responses" (`incomplete_details`, content
part `refusal`, streaming events).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from gateway.core.answer import Event
from gateway.core.declined import Declined, Manner
from gateway.dialects.responses_events import item_events, unfold
from gateway.dialects.responses_standing import Standing

_BLANK = "\n\n"
"""What stands between what the model said and what the gateway says."""
_REPEATED: Mapping[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "temperature": None,
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
}
"""Members of a response that repeat its request, and what they are where that has none."""


def whole(asked: Mapping[str, Any], no: Declined) -> dict[str, Any]:
    """The response that says no. It is not stored: nothing can go on from it."""
    repeated = {name: asked.get(name, value) for name, value in _REPEATED.items()}
    output = [] if no.how is Manner.CONTENT_FILTER else [_message(no, no.text)]
    return {
        "id": no.id,
        "object": "response",
        "created_at": no.created,
        "model": no.model,
        **_ending(no),
        **repeated,
        "store": False,
        "output": output,
        "usage": _usage(no),
    }


def break_off(asked: Mapping[str, Any], no: Declined, said: Sequence[Event]) -> list[Event]:
    """The events that close what is open and end the response; none where it has begun to ask
    for a tool, which nobody must take for a whole call."""
    standing = Standing(said)
    if standing.begun is None:
        return unfold(whole(asked, no))
    if standing.calls:
        return []
    return [Event(deepcopy(data)) for data in _rest(no, standing, standing.begun)]


def _rest(no: Declined, standing: Standing, begun: dict[str, Any]) -> Iterator[dict[str, Any]]:
    filtered = no.how is Manner.CONTENT_FILTER
    yield from standing.close("incomplete" if filtered else "completed")
    output = standing.output
    if not filtered:
        apart = no.how is Manner.MESSAGE and standing.spoken
        message = _message(no, _BLANK + no.text if apart else no.text)
        yield from item_events(message, standing.next_index)
        output = [*output, message]
    response = begun | _ending(no) | {"output": output}
    if no.usage is not None and no.usage.exact:
        response["usage"] = _usage(no)
    kind = "response.incomplete" if filtered else "response.completed"
    yield {"type": kind, "response": response}


def _ending(no: Declined) -> dict[str, Any]:
    filtered = no.how is Manner.CONTENT_FILTER
    return {
        "status": "incomplete" if filtered else "completed",
        "error": None,
        "incomplete_details": {"reason": "content_filter"} if filtered else None,
    }


def _message(no: Declined, text: str) -> dict[str, Any]:
    said = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    part = {"type": "refusal", "refusal": text} if no.how is Manner.REFUSAL else said
    about = {"id": f"msg_{no.id}", "type": "message", "status": "completed", "role": "assistant"}
    return {**about, "content": [part]}


def _usage(no: Declined) -> dict[str, Any] | None:
    if no.usage is None:
        return None
    read, said = no.usage.input_tokens, no.usage.output_tokens
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + said,
    }
