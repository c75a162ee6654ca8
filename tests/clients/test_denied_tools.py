"""Tools that a model calls against a rule: real clients are told so, and never see the call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from shutil import copytree
from typing import Any

import anthropic
import openai
import pytest

from gateway.settings import baseline_pack
from tests.clients.callers import LOOK, MODEL, Caller, caller, calls_of, ended, make_key, read, user
from tests.clients.vendors import Vendors
from tests.houses import House, embedded

RULE = """\
id: tools.drop.deny
title: Nothing is dropped
kind: tool_access
mode: enforce
params: {deny: ["drop*"]}
on_match: deny
message:
  en: Nothing may be dropped.
"""
LOOKS = '@replay tool look {"place": "Paris"}'
DROPS = '@replay tool drop_table {"table": "zebra"}'
DENIED = pytest.mark.parametrize("text", [DROPS, f"{LOOKS}\n{DROPS}"], ids=["one", "parallel"])
FLAT: Any = {"type": "function", "name": "look", "parameters": {"type": "object"}}
TOOL: Any = {"name": "look", "input_schema": {"type": "object"}}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, vendors: Vendors) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("strict")
    copytree(baseline_pack(), folder / "pack")
    (folder / "pack" / "rules" / "drop.yaml").write_text(RULE)
    settings = {
        "GOVGATE_POLICY__PACK": str(folder / "pack"),
        "GOVGATE_UPSTREAM__BASE_URL": vendors.base_url,
        "GOVGATE_UPSTREAM__API_KEY": "sk-upstream",
    }
    house = embedded(folder, **settings)
    house.start()
    yield house
    house.stop()


@pytest.fixture(scope="module")
def strict_key(strict: House) -> str:
    return make_key(strict)[0]


@pytest.fixture
def client(strict: House, strict_key: str) -> Iterator[Caller]:
    with caller(strict, strict_key, max_retries=0) as made:
        yield made


def asked(text: str) -> Any:
    return {"model": MODEL, "messages": user(text), "tools": [LOOK]}


class TestChat:
    def test_an_allowed_call_comes_whole_and_streamed(self, client: Caller, strict: House) -> None:
        raw = client.chat.completions.with_raw_response.create(**asked(LOOKS))
        [call] = raw.parse().choices[0].message.tool_calls or []
        assert call.type == "function"
        assert json.loads(call.function.arguments) == {"place": "Paris"}
        [told] = ended(strict, raw.headers["x-request-id"])["tool_calls"]
        assert (told["tool"], told["effect"]) == ("look", "allow")
        pieces = calls_of(client.chat.completions.create(**asked(LOOKS), stream=True))
        assert [(name, json.loads("".join(said))) for name, said in pieces.values()] == [
            ("look", {"place": "Paris"})
        ]

    @DENIED
    def test_a_denied_call_is_refused_whole(self, text: str, client: Caller, strict: House) -> None:
        with pytest.raises(openai.BadRequestError, match="Nothing may be dropped") as refused:
            client.chat.completions.create(**asked(text))
        assert refused.value.code == "content_filter"
        assert refused.value.request_id
        facts = ended(strict, refused.value.request_id)
        assert facts["outcome"] == "filtered"
        assert facts["tool_calls"][-1]["rules"] == ["tools.drop.deny"]
        assert facts["tool_calls"][-1]["effect"] == "deny"
        assert [told["tool"] for told in facts["tool_calls"]][-1] == "drop_table"

    @DENIED
    def test_a_denied_call_is_not_seen_in_a_stream(self, text: str, client: Caller) -> None:
        chunks: list[Any] = []
        with pytest.raises(openai.APIError, match="Nothing may be dropped"):
            read(client.chat.completions.create(**asked(text), stream=True), chunks)
        assert calls_of(chunks) == {}
        assert not [chunk for chunk in chunks if "zebra" in chunk.model_dump_json()]


class TestResponses:
    def test_an_allowed_call(self, client: Caller) -> None:
        answer = client.responses.create(model=MODEL, input=LOOKS, tools=[FLAT])
        assert [item.type for item in answer.output] == ["function_call"]
        with client.responses.stream(model=MODEL, input=LOOKS, tools=[FLAT]) as stream:
            [item] = stream.get_final_response().output
        assert item.type == "function_call"
        assert json.loads(item.arguments) == {"place": "Paris"}

    @DENIED
    def test_a_denied_call(self, text: str, client: Caller) -> None:
        with pytest.raises(openai.BadRequestError, match="Nothing may be dropped"):
            client.responses.create(model=MODEL, input=text, tools=[FLAT])
        seen: list[Any] = []
        with pytest.raises(openai.APIError, match="Nothing may be dropped"):
            read(client.responses.create(model=MODEL, input=text, tools=[FLAT], stream=True), seen)
        told = "".join(event.model_dump_json() for event in seen)
        assert "drop" not in told
        assert "zebra" not in told
        assert ("function_call" in told) is (text != DROPS), "what was allowed before it stands"


class TestMessages:
    """Translated: the upstream speaks chat."""

    @pytest.fixture
    def claude(self, strict: House, strict_key: str) -> Iterator[anthropic.Anthropic]:
        root = strict.base_url.removesuffix("/v1")
        with anthropic.Anthropic(base_url=root, api_key=strict_key, max_retries=0) as made:
            yield made

    @staticmethod
    def asked(text: str) -> Any:
        return {"model": MODEL, "messages": user(text), "tools": [TOOL], "max_tokens": 100}

    def test_an_allowed_call(self, claude: anthropic.Anthropic) -> None:
        answer = claude.messages.create(**self.asked(LOOKS))
        with claude.messages.stream(**self.asked(LOOKS)) as stream:
            streamed = stream.get_final_message()
        for message in (answer, streamed):
            [block] = message.content
            assert block.type == "tool_use"
            assert (block.name, block.input) == ("look", {"place": "Paris"})

    @DENIED
    def test_a_denied_call(self, text: str, claude: anthropic.Anthropic) -> None:
        with pytest.raises(anthropic.BadRequestError, match="Nothing may be dropped"):
            claude.messages.create(**self.asked(text))
        seen: list[Any] = []
        with pytest.raises(anthropic.APIError, match="Nothing may be dropped"):
            read(claude.messages.create(**self.asked(text), stream=True), seen)
        told = "".join(event.model_dump_json() for event in seen)
        assert "drop" not in told
        assert "zebra" not in told
