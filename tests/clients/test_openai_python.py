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
        ("OPTIONS", "/chat/completions", 204, {"POST", "OPTIONS"}),
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


def test_c22_the_cost_is_told_where_it_is_known(house: House, client: Caller) -> None:
    create = client.chat.completions.with_raw_response.create
    priced = create(model=PRICED, messages=user("hello")).headers
    facts = ended(house, priced["x-request-id"])
    assert facts["cost_micro_usd"] > 0
    assert float(priced["x-govgate-cost-usd"]) == facts["cost_micro_usd"] / 1e6
    assert "x-govgate-cost-usd" not in create(model=MODEL, messages=user("hello")).headers


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
