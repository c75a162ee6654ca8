"""Answers as providers give them, of any content: whole, and as the bytes of a stream.

Each is in the shape that its API publishes, which the laws check before they send it through a
gateway. Texts hold what the rules of the laws look for, cut anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

import orjson
from hypothesis import strategies as st

from tests.exchanges import pieces
from tests.laws.test_translation import streamed as messages_events

Json = dict[str, Any]

WORDS = st.lists(
    st.sampled_from(["Hello. ", "777 ", "BOMB", "[[MAIL_1]]", "[[MAIL", "\n", "é漢。", '"\\', "a"]),
    max_size=6,
).map("".join)
SAID = WORDS.filter(bool)
CUTS = st.lists(st.integers(0, 10_000), max_size=5)
INPUTS = st.dictionaries(st.sampled_from(["to", "note", "n"]), SAID, max_size=3)
ARGUMENTS = INPUTS.map(lambda given: orjson.dumps(given).decode())
USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
HEAD = {"id": "chatcmpl-1", "created": 1_767_225_600, "model": "m"}


def _spelled(text: str, cuts: Sequence[int]) -> Json:
    tokens = [
        {"token": piece, "logprob": -0.5, "bytes": list(piece.encode()), "top_logprobs": []}
        for piece in pieces(text, cuts)
    ]
    return {"content": tokens, "refusal": None}


# Chat completions


@st.composite
def _choice(draw: st.DrawFn, index: int) -> Json:
    message: Json = {"role": "assistant", "content": None, "refusal": None}
    kind = draw(st.sampled_from(["content", "refusal", "calls", "both"]))
    ending = draw(st.sampled_from(["stop", "length"]))
    logprobs = None
    if kind in ("content", "both"):
        message["content"] = draw(WORDS)
        if draw(st.booleans()):
            logprobs = _spelled(message["content"], draw(CUTS))
    if kind == "refusal":
        message["refusal"] = draw(SAID)
    if kind in ("calls", "both"):
        given = draw(st.lists(ARGUMENTS, min_size=1, max_size=2))
        message["tool_calls"] = [
            {"id": f"call_{index}_{place}", "type": "function",
             "function": {"name": "send", "arguments": arguments}}
            for place, arguments in enumerate(given)
        ]  # fmt: skip
        ending = "tool_calls"
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": ending}


@st.composite
def completion(draw: st.DrawFn) -> Json:
    """A `chat.completion` of one to three choices."""
    choices = [draw(_choice(index)) for index in range(draw(st.integers(1, 3)))]
    more = draw(st.sampled_from([{}, {"system_fingerprint": "fp"}, {"service_tier": "default"}]))
    return {**HEAD, "object": "chat.completion", "choices": choices, "usage": USAGE, **more}


def completion_stream(whole: Json, cuts: Sequence[int]) -> bytes:
    """The same as chunks, the choices by turns, with the usage at the end."""
    head = {**HEAD, "object": "chat.completion.chunk"}
    deltas = [list(_chunked(choice, cuts)) for choice in whole["choices"]]
    turns = [piece for turn in zip_longest(*deltas) for piece in turn if piece is not None]
    chunks = [{**head, "choices": [piece], "usage": None} for piece in turns]
    return lines([*chunks, {**head, "choices": [], "usage": whole["usage"]}])


def _chunked(choice: Json, cuts: Sequence[int]) -> Sequence[Json]:
    message = choice["message"]
    opening = {"role": "assistant", "content": message["content"] and "", "refusal": None}
    deltas: list[Json] = [opening]
    for name in ("content", "refusal"):
        deltas += [{name: piece} for piece in pieces(message[name] or "", cuts) if piece]
    for index, call in enumerate(message.get("tool_calls", ())):
        function = {"name": call["function"]["name"], "arguments": ""}
        deltas.append({"tool_calls": [{**call, "index": index, "function": function}]})
        for piece in pieces(call["function"]["arguments"], cuts):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    rest = {"index": choice["index"], "logprobs": None}
    told = [{**rest, "delta": delta, "finish_reason": None} for delta in deltas]
    spelled = choice["logprobs"] and choice["logprobs"]["content"]
    if spelled and len(told) > 1:
        told[1]["logprobs"] = {"content": spelled, "refusal": None}
    return [*told, {**rest, "delta": {}, "finish_reason": choice["finish_reason"]}]


def lines(events: Sequence[Json], *, done: bool = True) -> bytes:
    """Events as OpenAI streams them."""
    said = b"".join(b"data: %b\n\n" % orjson.dumps(event) for event in events)
    return said + (b"data: [DONE]\n\n" if done else b"")


def named(events: Sequence[Json]) -> bytes:
    """Events as they are streamed where each is named by its type."""
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))
        for event in events
    )


# Completions


@st.composite
def text_completion(draw: st.DrawFn) -> Json:
    """A `text_completion` of one or two choices."""
    choices = [
        {"index": index, "text": text, "logprobs": None, "finish_reason": "stop"}
        for index, text in enumerate(draw(st.lists(WORDS, min_size=1, max_size=2)))
    ]
    return {**HEAD, "object": "text_completion", "choices": choices, "usage": USAGE}


def text_completion_stream(whole: Json, cuts: Sequence[int]) -> bytes:
    """The same in pieces."""
    head = {**HEAD, "object": "text_completion"}
    chunks: list[Json] = []
    for choice in whole["choices"]:
        told = [(piece, None) for piece in pieces(choice["text"], cuts)]
        chunks += [
            {**head, "choices": [{**choice, "text": text, "finish_reason": ending}]}
            for text, ending in [*told, ("", "stop")]
        ]
    return lines([*chunks, {**head, "choices": [], "usage": whole["usage"]}])


# Messages


BLOCKS = st.lists(
    st.one_of(
        st.builds(lambda text: {"type": "text", "text": text}, SAID),
        st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "s"}, SAID),
        st.builds(
            lambda given: {"type": "tool_use", "id": "toolu_1", "name": "send", "input": given},
            INPUTS,
        ),
    ),
    max_size=4,
)


@st.composite
def message(draw: st.DrawFn) -> Json:
    """A `message` of any blocks."""
    content = draw(BLOCKS)
    called = any(block["type"] == "tool_use" for block in content)
    ending = "tool_use" if called else draw(st.sampled_from(["end_turn", "max_tokens"]))
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
        "stop_reason": ending, "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 0,
                  "cache_creation_input_tokens": 0},
    }  # fmt: skip


def message_stream(whole: Json, cuts: Sequence[int]) -> bytes:
    """The same as events, with a sign of life after the start."""
    first, *rest = messages_events(whole["content"], whole["stop_reason"], cuts)
    return named([first, {"type": "ping"}, *rest])


Stream = Callable[[Json, Sequence[int]], bytes]
