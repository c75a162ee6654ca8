"""Law 5 for names: what a rule masks leaves in no name of a request, and what must keep its name
is refused rather than sent; names that are only words are not taken for what they name.
"""

from __future__ import annotations

import copy
import json
import random
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from gateway.adapters.packs import load_pack, read_folder
from gateway.adapters.presidio import PresidioMasker
from gateway.core.dialect import Dialect
from gateway.core.errors import Code, Denied
from gateway.core.exchange import Exchange
from gateway.core.findings import Finding
from gateway.core.policy import Decision
from gateway.dialects.chat import Chat
from gateway.dialects.completions import Completions
from gateway.dialects.messages import Messages
from gateway.dialects.responses import Responses
from gateway.inspectors.phrases import PhraseInspector
from gateway.inspectors.pii import PiiInspector
from gateway.obligations.mask import Mask
from gateway.settings import baseline_pack
from gateway.stages.discharge import Discharge
from tests.exchanges import allowing, answering
from tests.laws.test_canaries import masked_labels
from tests.unit.dialects.test_messages_request import request_of
from tests.unit.dialects.test_responses_request import asking, item, offering

IBAN = "DE89370400440532013000"
"""Personal data that looks like a name: a token."""
BANNED = "how_do_I_build_a_pipe_bomb"
CARD = 4111111111111111
CHAT, MESSAGES, RESPONSES = Chat(), Messages(), Responses()
MASK = ("mask", {"labels": masked_labels(), "min_score": 0.5, "with": "placeholder"})
HEARD = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def chat(**more: Any) -> dict[str, Any]:
    return {**HEARD, **more}


def saying(**message: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "assistant", "content": None, **message}]}


def tool(**function: Any) -> dict[str, Any]:
    return chat(tools=[{"type": "function", "function": {"name": "f", **function}}])


Place = tuple[Dialect, Callable[[str], dict[str, Any]], str]
STAYING: dict[str, Place] = {
    "chat: a tool": (CHAT, lambda n: tool(name=n), "/tools/0/function/name"),
    "chat: a custom tool": (
        CHAT,
        lambda n: chat(tools=[{"type": "custom", "custom": {"name": n}}]),
        "/tools/0/custom/name",
    ),
    "chat: a function": (CHAT, lambda n: chat(functions=[{"name": n}]), "/functions/0/name"),
    "chat: a choice": (
        CHAT,
        lambda n: chat(tool_choice={"type": "function", "function": {"name": n}}),
        "/tool_choice/function/name",
    ),
    "chat: a schema": (
        CHAT,
        lambda n: chat(
            response_format={"type": "json_schema", "json_schema": {"name": n, "schema": {}}}
        ),
        "/response_format/json_schema/name",
    ),
    "chat: a call": (
        CHAT,
        lambda n: saying(tool_calls=[{"id": "c", "function": {"name": n, "arguments": "{}"}}]),
        "/messages/0/tool_calls/0/function/name",
    ),
    "chat: a definition": (
        CHAT,
        lambda n: tool(parameters={"$defs": {n: {}}}),
        "/tools/0/function/parameters/$defs/#",
    ),
    "chat: a reference": (
        CHAT,
        lambda n: tool(parameters={"$ref": f"https://x.test/{n}"}),
        "/tools/0/function/parameters/$ref",
    ),
    "messages: a tool": (
        MESSAGES,
        lambda n: request_of(tools=[{"name": n, "input_schema": {}}]),
        "/tools/0/name",
    ),
    "messages: a choice": (
        MESSAGES,
        lambda n: request_of(tool_choice={"type": "tool", "name": n}),
        "/tool_choice/name",
    ),
    "messages: a call": (
        MESSAGES,
        lambda n: request_of([{"type": "tool_use", "id": "t", "name": n, "input": {}}]),
        "/messages/0/content/0/name",
    ),
    "messages: an id": (
        MESSAGES,
        lambda n: request_of([{"type": "tool_result", "tool_use_id": n, "content": "x"}]),
        "/messages/0/content/0/tool_use_id",
    ),
    "messages: a definition": (
        MESSAGES,
        lambda n: request_of(tools=[{"name": "f", "input_schema": {"definitions": {n: {}}}}]),
        "/tools/0/input_schema/definitions/#",
    ),
    "responses: a tool": (RESPONSES, lambda n: offering(type="function", name=n), "/tools/0/#1"),
    "responses: a server": (
        RESPONSES,
        lambda n: offering(type="mcp", server_label="s", allowed_tools=[n]),
        "/tools/0/#2/0",
    ),
    "responses: a call": (
        RESPONSES,
        lambda n: item("function_call", call_id="c", name=n, arguments="{}"),
        "/input/0/#2",
    ),
    "responses: an id": (
        RESPONSES,
        lambda n: item("function_call_output", call_id=n, output="x"),
        "/input/0/#1",
    ),
    "responses: a schema": (
        RESPONSES,
        lambda n: asking(text={"format": {"type": "json_schema", "name": n, "schema": {}}}),
        "/text/format/#1",
    ),
}


async def inspected(dialect: Dialect, request: dict[str, Any]) -> Exchange:
    """An exchange that was looked at, under the rule that masks."""

    async def unread() -> bytes:
        return b""

    exchange = Exchange(dialect, unread)
    exchange.request = dialect.check(copy.deepcopy(request))
    exchange.slots = dialect.slots(exchange.request)
    exchange.decision = Decision("dec_1", "sha256:1", allowing(MASK))
    exchange.found(await looked_at(exchange))
    return exchange


async def looked_at(exchange: Exchange) -> list[Finding]:
    """What the baseline pack's inspectors find."""
    passages = [slot.passage() for slot in exchange.slots if slot.text]
    phrases = PhraseInspector(load_pack(read_folder(baseline_pack())).phrases)
    return [*await PiiInspector().inspect(passages), *await phrases.inspect(passages)]


async def sent(dialect: Dialect, request: dict[str, Any]) -> str:
    """What the provider would get. Raises `Denied`."""
    exchange = await inspected(dialect, request)
    await Discharge({"mask": Mask(PresidioMasker())})(exchange, answering([]))
    return json.dumps(exchange.request)


@pytest.mark.parametrize("place", STAYING)
async def test_a_name_that_must_stay_and_be_masked_is_refused(place: str) -> None:
    dialect, asked, where = STAYING[place]
    with pytest.raises(Denied) as refused:
        await sent(dialect, asked(IBAN))
    error = refused.value
    assert (error.code, error.rules) == (Code.CONTENT_FILTER, ("test",))
    assert error.param is not None
    assert error.param.startswith(where)
    assert where in error.message
    assert IBAN not in error.message + error.param


@pytest.mark.parametrize("place", STAYING)
async def test_a_name_that_must_stay_is_seen_by_every_rule(place: str) -> None:
    dialect, asked, _ = STAYING[place]
    exchange = await inspected(dialect, asked(BANNED))
    assert [found.kind for found in exchange.findings if found.kind == "phrase"]


@pytest.mark.parametrize("place", STAYING)
async def test_a_name_that_is_only_a_name_is_sent_as_it_came(place: str) -> None:
    dialect, asked, _ = STAYING[place]
    assert json.loads(await sent(dialect, asked("look_up"))) == asked("look_up")


async def test_an_id_is_masked_alike_where_a_call_and_its_result_have_it() -> None:
    call = {"id": IBAN, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": IBAN, "content": "x"},
    ]
    told = json.loads(await sent(CHAT, {"model": "m", "messages": messages}))["messages"]
    assert told[0]["tool_calls"][0]["id"] == told[1]["tool_call_id"] == "[[IBAN_CODE_1]]"


NUMBERS: dict[str, tuple[Dialect, dict[str, Any]]] = {
    "chat: metadata": (CHAT, chat(metadata={"card": CARD})),
    "chat: an unknown member": (CHAT, chat(documents=[{"card": [CARD]}])),
    "chat: a member of a request": (CHAT, chat(card=CARD)),
    "chat: a message": (CHAT, saying(card=CARD)),
    "chat: a part": (
        CHAT,
        chat(messages=[{"role": "user", "content": [{"type": "text", "text": "x", "card": CARD}]}]),
    ),
    "chat: an enum": (CHAT, tool(parameters={"enum": [CARD]})),
    "chat: a default": (CHAT, tool(parameters={"default": CARD})),
    "messages: a result": (
        MESSAGES,
        request_of([{"type": "x_tool_result", "content": {"type": "x", "stdout": {"n": [CARD]}}}]),
    ),
    "messages: an unknown block": (MESSAGES, request_of([{"type": "x", "frames": {"n": CARD}}])),
    "messages: an example": (
        MESSAGES,
        request_of(tools=[{"name": "f", "input_examples": [{"n": CARD}]}]),
    ),
    "responses: a variable": (
        RESPONSES,
        asking(prompt={"id": "p", "variables": {"card": CARD}}),
    ),
    "responses: an unknown item": (RESPONSES, item("x_item", note={"card": CARD})),
    "responses: a filter": (
        RESPONSES,
        offering(type="file_search", filters={"type": "eq", "key": "k", "value": CARD}),
    ),
    "completions: an unknown member": (Completions(), {"model": "m", "prompt": "x", "c": [CARD]}),
}


@pytest.mark.parametrize("place", NUMBERS)
@pytest.mark.parametrize("written", [CARD, float(CARD)])
async def test_a_number_is_masked_wherever_it_is_the_callers(place: str, written: float) -> None:
    dialect, asked = NUMBERS[place]
    told = await sent(dialect, json.loads(json.dumps(asked).replace(str(CARD), repr(written))))
    assert str(CARD) not in told
    assert '"[[CREDIT_CARD_1]]"' in told


async def test_a_number_is_masked_in_the_arguments_of_a_call() -> None:
    for written in (f"{CARD}", f"{CARD}.0", "4.111111111111111e15"):
        call = {"id": "c", "function": {"name": "f", "arguments": f'{{"card": {written}}}'}}
        told = json.loads(await sent(CHAT, saying(tool_calls=[call])))["messages"][0]
        arguments = told["tool_calls"][0]["function"]["arguments"]
        assert json.loads(arguments) == {"card": "[[CREDIT_CARD_1]]"}


async def test_numbers_of_the_api_stay_numbers() -> None:
    request = chat(seed=CARD, max_tokens=1_000_000, logit_bias={"50256": -100})
    assert json.loads(await sent(CHAT, request)) == request


@pytest.mark.parametrize(
    ("dialect", "asked"),
    [
        (CHAT, chat()),
        (MESSAGES, request_of("x")),
        (RESPONSES, asking("x")),
        (Completions(), {"model": "m", "prompt": "x"}),
    ],
)
async def test_what_stands_in_a_numbers_place_is_text(
    dialect: Dialect, asked: dict[str, Any]
) -> None:
    told = await sent(dialect, {**asked, "top_k": [{IBAN: str(CARD)}]})
    assert not {IBAN, str(CARD)} & set(json.loads(told)["top_k"][0])
    assert str(CARD) not in told


async def test_a_limit_of_a_schema_is_refused_rather_than_changed() -> None:
    with pytest.raises(Denied, match="/tools/0/function/parameters/maximum"):
        await sent(CHAT, tool(parameters={"maximum": CARD}))


WORDS = [
    *("email", "email_address", "e-mail", "emailAddress", "phone", "phone_number", "mobile"),
    *("ssn", "social_security_number", "iban", "IBAN", "credit_card", "card_number", "cvv"),
    *("passport_number", "date_of_birth", "ip_address", "ipv4", "national_id", "tax_id", "dni"),
    *("first_name", "last_name", "address", "zip_code", "account_number", "password", "api_key"),
    *("user.email", "customer:phone", "line_1", "address2", "sha256", "utf-8", "x_request_id"),
    *("bomb", "weapon", "explosive", "order_2024_12", "v1.2.3", "Größe", "\u96fb\u8a71", "n°"),
]
"""Names that say what a value is. They are no such value."""
ANY = random.Random(7)
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
IDS: dict[str, Callable[[], str]] = {
    "OpenAI": lambda: "call_" + "".join(ANY.choices(LETTERS, k=24)),
    "an item of OpenAI's": lambda: f"fc_{ANY.getrandbits(200):050x}",
    "Anthropic": lambda: "toolu_01" + "".join(ANY.choices(LETTERS, k=22)),
    "vLLM": lambda: f"chatcmpl-tool-{ANY.getrandbits(128):032x}",
    "Mistral": lambda: "".join(ANY.choices(LETTERS, k=9)),
}


@pytest.mark.parametrize(
    ("dialect", "request_"),
    [
        (CHAT, tool(parameters={"properties": {name: {} for name in WORDS}, "required": WORDS})),
        (CHAT, chat(metadata=dict.fromkeys(WORDS, "x"))),
        (CHAT, chat(**{f"x_{name}": 1 for name in WORDS})),
        (CHAT, tool(parameters={"$defs": {name: {} for name in WORDS}})),
        (CHAT, tool(parameters={"minimum": -(2**53) + 1, "maximum": 2**53 - 1, "const": 2**31})),
        (MESSAGES, request_of(tools=[{"name": name} for name in WORDS if name.isidentifier()])),
        (RESPONSES, asking(prompt={"id": "p", "variables": dict.fromkeys(WORDS, "x")})),
    ],
    ids=["properties", "metadata", "members", "definitions", "limits", "tools", "variables"],
)
async def test_words_for_personal_data_are_none(dialect: Dialect, request_: dict[str, Any]) -> None:
    exchange = await inspected(dialect, request_)
    assert [found for found in exchange.findings if found.score >= 0.5] == []
    assert json.loads(await sent(dialect, request_)) == request_


@pytest.mark.parametrize("maker", IDS)
async def test_ids_that_providers_make_are_no_personal_data(maker: str) -> None:
    blocks = [
        {"type": "tool_result", "tool_use_id": IDS[maker](), "content": ""} for _ in "x" * 500
    ]
    exchange = await inspected(MESSAGES, request_of(blocks))
    assert [found for found in exchange.findings if found.score >= 0.5] == []


async def test_an_id_that_happens_to_hold_a_number_breaks_no_conversation() -> None:
    """Of Gemini's ids one in sixty looks like a card, and LiteLLM's may hold a telephone number."""
    ids = [f"function-call-{CARD}", f"call_{uuid.UUID(int=ANY.getrandbits(128))}"]
    calls = [{"id": id, "function": {"name": "f", "arguments": "{}"}} for id in ids]
    results = [{"role": "tool", "tool_call_id": id, "content": "x"} for id in ids]
    messages = [{"role": "assistant", "content": None, "tool_calls": calls}, *results]
    told = json.loads(await sent(CHAT, {"model": "m", "messages": messages}))["messages"]
    assert [call["id"] for call in told[0]["tool_calls"]] == [m["tool_call_id"] for m in told[1:]]
    assert str(CARD) not in json.dumps(told)
