"""Nothing that no rule edits is lost, added or changed, either way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.callers import (
    MODEL,
    PRICED,
    Caller,
    caller,
    ended,
    make_key,
    seen_by,
    text_of,
    user,
)
from tests.clients.canned import Canned
from tests.houses import House

ANN = "ann.lee@example.org"

UNKNOWN: dict[str, Any] = {
    "x_vendor": {"deep": [1, 2.5, None, True, "é"], "empty": {}},
    "top_k": 40,
    "chat_template_kwargs": {"enable_thinking": False},
}


@pytest.mark.parametrize("stream", [False, True])
def test_c04_unknown_request_fields_reach_the_upstream(
    stream: bool, house: House, client: Caller
) -> None:
    answer: Any = client.chat.completions.create(
        model=MODEL, messages=user("hello"), stream=stream, extra_body=UNKNOWN
    )
    if stream:
        assert text_of(answer) == "You said: hello"
    [asked] = seen_by(house)
    assert {name: asked[name] for name in UNKNOWN} == UNKNOWN
    assert asked.keys() == {"model", "messages", *UNKNOWN} | (
        {"stream", "stream_options"} if stream else {"stream"}
    )


ODD = (
    b'{"id":"x", "object":"chat.completion","created":1,"model":"gpt-x",\n  "x_top":[1.0,1e2,'
    b'{"a":null}],"choices":[{"index":0,"x_choice":"\\u00e9","message":{"role":"assistant",'
    b'"content":"hi","x_message":{"b":false}},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"x_usage":7}}'
)


def test_c04_unknown_answer_fields_reach_the_caller(open_client: Caller, canned: Canned) -> None:
    """Byte for byte, as no rule edits the answer."""
    canned.answers(ODD)
    raw = open_client.chat.completions.with_raw_response.create(model=MODEL, messages=user("hi"))
    assert raw.content == ODD
    answer = raw.parse()
    assert answer.model_extra == {"x_top": [1.0, 100.0, {"a": None}]}
    assert answer.choices[0].message.model_extra == {"x_message": {"b": False}}


def held_back(stranger: str) -> bytes:
    """A stream that says "Hi [[EMAIL_ADDRESS_1]]!", with a member that nobody knows."""
    said = ["", "Hi [[EMAIL", "_ADDRESS_1", "]]!", None]
    frames = []
    for number, text in enumerate(said):
        delta: dict[str, Any] = {} if text is None else {"content": text}
        choice = {"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}
        chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "odd"}
        chunk["choices"] = [choice]
        {"chunk": chunk, "choice": choice, "delta": delta}[stranger]["x_odd"] = number + 1
        frames.append(b"data: %b\n\n" % json.dumps(chunk).encode())
    return b"".join([*frames, b"data: [DONE]\n\n"])


@pytest.mark.parametrize("stranger", ["chunk", "choice", "delta"])
def test_c04_unknown_fields_of_held_back_chunks_too(
    stranger: str, open_house: House, canned: Canned
) -> None:
    """Text that waits for a rule takes nothing else with it."""
    canned.answers(held_back(stranger), stream=True)
    with caller(open_house, make_key(open_house, app="cached")[0]) as client:
        asked: Any = {"model": "odd", "messages": user(f"{stranger} {ANN}"), "stream": True}
        chunks = list(client.chat.completions.create(**asked))
    assert text_of(chunks) == f"Hi {ANN}!"
    holders: dict[str, list[Any]] = {
        "chunk": list(chunks),
        "choice": [chunk.choices[0] for chunk in chunks],
        "delta": [chunk.choices[0].delta for chunk in chunks],
    }
    told = [(holder.model_extra or {}).get("x_odd") for holder in holders[stranger]]
    assert [number for number in told if number] == [1, 2, 3, 4, 5]


def test_c07_several_choices(client: Caller) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=user(f"to {ANN}"), n=3)
    said = [choice.message.content for choice in answer.choices]
    assert said == [f"You said: to {ANN}", f"I heard: to {ANN}", f"You wrote: to {ANN}"]
    chunks = list(
        client.chat.completions.create(model=MODEL, messages=user(f"to {ANN}"), n=3, stream=True)
    )
    assert [text_of(chunks, index) for index in range(3)] == said
    ends = [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    assert ends.count("stop") == 3


@pytest.mark.parametrize("stream", [False, True])
def test_c07_logprobs_stay_where_nothing_is_rewritten(stream: bool, open_client: Caller) -> None:
    spelled = _logprobs(open_client, stream)
    assert "".join(spelled) == "You said: hello"


@pytest.mark.parametrize("stream", [False, True])
def test_c07_logprobs_go_where_text_may_be_rewritten(stream: bool, client: Caller) -> None:
    """They spell out the text that a rule may hold back."""
    assert _logprobs(client, stream) == []


def _logprobs(client: Caller, stream: bool) -> list[str]:
    asked: Any = {"model": PRICED, "messages": user("hello"), "logprobs": True}
    answers: Any = (
        client.chat.completions.create(**asked, stream=True)
        if stream
        else [client.chat.completions.create(**asked)]
    )
    return [
        token.token
        for answer in answers
        for choice in answer.choices
        if choice.logprobs
        for token in choice.logprobs.content or ()
    ]


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
FILE = {
    "type": "file",
    "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JQ"},
}


@pytest.mark.parametrize("part", [IMAGE, AUDIO, FILE], ids=lambda part: str(part["type"]))
def test_c07_parts_that_cannot_be_read_pass_labelled(
    part: dict[str, Any], house: House, client: Caller
) -> None:
    messages = user([{"type": "text", "text": "What is this?"}, part])
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=messages)
    assert raw.headers["x-govgate-labels"] == "unread-input"
    assert str(part["type"]) in str(raw.parse().choices[0].message.content)
    [asked] = seen_by(house)
    assert asked["messages"] == messages
    assert ended(house, raw.headers["x-request-id"])["labels"] == ["unread-input"]


def test_c07_known_fields_pass(house: House, client: Caller) -> None:
    fields: dict[str, Any] = {
        "reasoning_effort": "low", "service_tier": "flex", "verbosity": "low", "store": False,
        "temperature": 0.1, "top_p": 0.9, "seed": 0, "stop": ["\n\n"], "frequency_penalty": 0.5,
        "logit_bias": {"50256": -100}, "metadata": {"ticket": "4711"}, "user": "u-1",
        "safety_identifier": "s-1", "prompt_cache_key": "k-1", "max_completion_tokens": 50,
    }  # fmt: skip
    client.chat.completions.create(model=MODEL, messages=user("hello"), **fields)
    [asked] = seen_by(house)
    assert {name: asked[name] for name in fields} == fields


def test_c42_nothing_of_ours_in_the_body(client: Caller) -> None:
    """Strict clients refuse members that they do not know."""
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=user(f"to {ANN}"))
    body = json.loads(raw.text)
    assert body.keys() == {
        "id", "object", "created", "model", "choices", "usage", "system_fingerprint",
    }  # fmt: skip
    assert body["choices"][0].keys() == {"index", "message", "logprobs", "finish_reason"}
    asked: Any = {"model": MODEL, "messages": user(f"to {ANN}. Bye. Now."), "stream": True}
    for chunk in client.chat.completions.create(**asked):
        assert chunk.model_extra == {}
        assert all(not choice.model_extra for choice in chunk.choices)
        assert chunk.choices, "a chunk without choices, though no usage was asked for"
