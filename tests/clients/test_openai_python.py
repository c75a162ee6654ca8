"""The official `openai` package for Python: what an application gets back."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel

from tests.clients.callers import (
    LOOK,
    MODEL,
    PRICED,
    SEND,
    Caller,
    async_caller,
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


def test_c01_hello(house: House, client: Caller) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=user("hello"))
    assert answer.id
    assert answer.object == "chat.completion"
    assert isinstance(answer.created, int)
    assert answer.model == MODEL
    [choice] = answer.choices
    assert (choice.index, choice.finish_reason) == (0, "stop")
    assert choice.message.role == "assistant"
    assert choice.message.content == "You said: hello"
    assert choice.message.refusal is None
    assert answer.usage is not None
    used = answer.usage
    assert used.total_tokens == used.prompt_tokens + used.completion_tokens > 0
    assert ended(house, str(answer._request_id))["outcome"] == "completed"


async def test_c01_hello_async(house: House, key: str) -> None:
    client, attempts = async_caller(house, key)
    async with client:
        answer = await client.chat.completions.create(model=MODEL, messages=user("hello"))
    assert answer.choices[0].message.content == "You said: hello"
    assert len(attempts) == 1


def test_c01_content_is_always_there(client: Caller) -> None:
    """Clients read `message["content"]` without asking whether it is there."""
    for text, more in (
        ("hello", {}),
        ("call send", {"tools": [SEND]}),
        ('@replay refuse "no"', {}),
    ):
        raw = client.chat.completions.with_raw_response.create(
            model=MODEL, messages=user(text), **more
        )
        [choice] = json.loads(raw.text)["choices"]
        assert "content" in choice["message"]
        assert "refusal" in choice["message"]


class Reply(BaseModel):
    said: str
    certain: bool
    tags: list[str]


NASTY = f'He wrote "mail {ANN}"\nor \\ https://ann:pa\\ss@shop.example/x and {{braces}}'
"""Quotes, a line break, backslashes; the value that is masked second has one inside."""


def test_c05_parse_with_masked_values(house: House, client: Caller) -> None:
    answer = client.chat.completions.parse(model=MODEL, messages=user(NASTY), response_format=Reply)
    parsed = answer.choices[0].message.parsed
    assert parsed is not None
    assert parsed.said == f"You said: {NASTY}"
    [asked] = seen_by(house)
    assert asked["response_format"]["json_schema"]["name"] == "Reply"
    assert "ann" not in json.dumps(asked)
    assert "[[EMAIL_ADDRESS_1]]" in asked["messages"][0]["content"]
    assert "[[URL_CREDENTIALS_1]]" in asked["messages"][0]["content"]


@pytest.mark.parametrize("size", [1, 3, 1_000])
def test_c05_parse_a_stream_with_masked_values(size: int, client: Caller) -> None:
    asked = user(f"@replay chunk {size}\n{NASTY}")
    with client.chat.completions.stream(
        model=MODEL, messages=asked, response_format=Reply
    ) as stream:
        parsed = stream.get_final_completion().choices[0].message.parsed
    assert parsed is not None
    assert parsed.said == f"You said: {NASTY}"


async def test_c05_parse_async(house: House, key: str) -> None:
    client, _ = async_caller(house, key)
    async with client:
        answer = await client.chat.completions.parse(
            model=MODEL, messages=user(NASTY), response_format=Reply
        )
    parsed = answer.choices[0].message.parsed
    assert parsed is not None
    assert parsed.said == f"You said: {NASTY}"


def test_c05_json_mode(client: Caller) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=user(NASTY), response_format={"type": "json_object"}
    )
    assert json.loads(answer.choices[0].message.content or "")["answer"] == f"You said: {NASTY}"


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


SCREENED_ODD = b"".join(
    b'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","x_top":%d,"choices":'
    b'[{"index":0,"delta":%b,"x_choice":%d,"finish_reason":%b}]}\n\n' % (n, delta, n, end)
    for n, (delta, end) in enumerate(
        [
            (b'{"role":"assistant","content":""}', b"null"),
            (b'{"content":"Hi [[EMAIL"}', b"null"),
            (b'{"content":"_ADDRESS_1"}', b"null"),
            (b'{"content":"]]!"}', b"null"),
            (b"{}", b'"stop"'),
        ]
    )
)


def test_c04_unknown_fields_of_held_back_chunks_too(open_house: House, canned: Canned) -> None:
    """Text that waits for a rule takes nothing else with it."""
    canned.answers(SCREENED_ODD + b"data: [DONE]\n\n", stream=True)
    with caller(open_house, make_key(open_house, app="cached")[0]) as client:
        chunks = list(
            client.chat.completions.create(
                model="odd", messages=user(f"hello {ANN}"), stream=True
            )
        )  # fmt: skip
    assert text_of(chunks) == f"Hi {ANN}!"
    told = [chunk.model_extra["x_top"] for chunk in chunks if chunk.model_extra]
    assert told == [0, 1, 2, 3, 4]
    choices = [choice.model_extra for chunk in chunks for choice in chunk.choices]
    assert [extra["x_choice"] for extra in choices if extra] == [0, 1, 2, 3, 4]


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


def test_c07_roles(house: House, client: Caller) -> None:
    messages: Any = [
        {"role": "developer", "content": f"Copy {ANN}."},
        {"role": "system", "content": [{"type": "text", "text": f"Never tell {ANN}."}]},
        {"role": "user", "content": "call look", "name": "ann"},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "1", "type": "function", "function": {
                "name": "look", "arguments": json.dumps({"place": ANN})}}]},
        {"role": "tool", "tool_call_id": "1", "content": f"found {ANN}"},
    ]  # fmt: skip
    answer = client.chat.completions.create(model=MODEL, messages=messages, tools=[LOOK])
    assert answer.choices[0].message.content == f"The tool says: found {ANN}"
    [asked] = seen_by(house)
    masked = json.loads(json.dumps(messages).replace(ANN, "[[EMAIL_ADDRESS_1]]"))
    sent = asked["messages"]
    for message in (masked[3], sent[3]):
        call = message["tool_calls"][0]["function"]
        call["arguments"] = json.loads(call["arguments"])
    assert sent == masked


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


def test_c12_models(house: House, client: Caller) -> None:
    listed = {model.id: model for model in client.models.list()}
    assert listed.keys() >= {"replay-small", "replay-large"}
    one = client.models.retrieve("replay-small")
    assert one == listed["replay-small"]
    assert (one.object, one.owned_by) == ("model", "replay")
    assert isinstance(one.created, int)
    narrow, _ = make_key(house, models=("replay-l*",))
    with caller(house, narrow) as other:
        assert [model.id for model in other.models.list()] == ["replay-large"]
        with pytest.raises(openai.NotFoundError) as caught:
            other.models.retrieve("replay-small")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("suffix", ["", "/"])
def test_c13_base_url_with_and_without_a_slash(suffix: str, house: House, key: str) -> None:
    url = house.base_url + suffix
    with openai.OpenAI(base_url=url, api_key=key) as client:
        answer = client.chat.completions.create(model=MODEL, messages=user("hello"))
        assert answer.choices[0].message.content == "You said: hello"
        assert client.models.list().data


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("OPTIONS", "/models", 204, {"GET", "OPTIONS"}),
        ("HEAD", "/chat/completions", 405, {"POST"}),
        ("OPTIONS", "/chat/completions", 405, {"POST"}),
        ("POST", "/models", 405, {"GET", "OPTIONS"}),
    ],
)
def test_c13_other_methods_are_answered(
    method: str, path: str, status: int, allow: set[str], house: House, key: str
) -> None:
    """A 405 says what is allowed (RFC 9110, 15.5.6)."""
    bearer = {"authorization": f"Bearer {key}"}
    answer = httpx.request(method, house.base_url + path, headers=bearer)
    assert answer.status_code == status
    assert set(answer.headers["allow"].split(", ")) == allow


def test_c22_the_request_id_is_the_records(house: House, client: Caller) -> None:
    mine = {"x-client-request-id": "mine-1", "x-govgate-user": "u1"}
    answer = client.chat.completions.create(
        model=MODEL, messages=user("hello"), extra_headers=mine
    )  # fmt: skip
    id = str(answer._request_id)
    assert id.startswith("exc_")
    [opened, *_] = house.record(id)
    assert json.loads((opened.parts or {})["attributes"]) == mine
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=user("hello"), stream=True
    )
    assert text_of(raw.parse()) == "You said: hello"
    assert raw.headers["request-id"] == raw.headers["x-request-id"]
    assert ended(house, raw.headers["x-request-id"])["outcome"] == "completed"


@pytest.mark.parametrize("size", [1, 2, 7, 1_000])
def test_c39_masked_and_restored(size: int, house: House, client: Caller) -> None:
    """Unary and streamed read the same, however a placeholder is cut; the model sees none."""
    words = f"Write to {ANN} or +33 6 12 34 56 78.\nAgain: {ANN}. Not [[EMAIL_ADDRESS_9]]."
    asked = user(f"@replay chunk {size}\n{words}")
    whole = client.chat.completions.create(model=MODEL, messages=asked)
    assert whole.choices[0].message.content == f"You said: {words}"
    chunks = client.chat.completions.create(model=MODEL, messages=asked, stream=True)
    assert text_of(chunks) == f"You said: {words}"
    for body in seen_by(house):
        assert "ann" not in json.dumps(body)
        assert "+33" not in json.dumps(body)
        assert body["messages"][0]["content"].count("[[EMAIL_ADDRESS_1]]") == 2


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
