"""Responses, as the official `openai` package creates, streams, parses and is refused them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pydantic
import pytest

from gateway.dialects.responses import Responses
from tests.clients.callers import (
    Caller,
    async_caller,
    caller,
    ended,
    eventually,
    make_key,
    read,
    released,
)
from tests.clients.canned import Canned
from tests.houses import House, embedded
from tests.unit.dialects.test_responses_answer import (
    called,
    message,
    response,
    said,
    streamed,
)

RESPONSES = Responses()
ANN = "ann.lee@example.org"
MASKED = "[[EMAIL_ADDRESS_1]]"
SEND: Any = {
    "type": "function",
    "name": "send",
    "description": "Send a message.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"to": {"type": "string"}},
        "required": ["to"],
        "additionalProperties": False,
    },
}
BLOCKED = "Sure. First some history. You build a pipe bomb so. Take a pipe."


@pytest.fixture(scope="module")
def responding(tmp_path_factory: pytest.TempPathFactory, canned: Canned) -> Iterator[House]:
    """A gateway with the baseline pack, before `canned`."""
    settings = {
        "GOVGATE_UPSTREAM__BASE_URL": canned.base_url,
        "GOVGATE_UPSTREAM__API_KEY": "sk-upstream",
    }
    house = embedded(tmp_path_factory.mktemp("responding"), **settings)
    house.start()
    yield house
    house.stop()


@pytest.fixture(scope="module")
def its_key(responding: House) -> str:
    return make_key(responding)[0]


@pytest.fixture
def asker(responding: House, its_key: str) -> Iterator[Caller]:
    with caller(responding, its_key, max_retries=0) as made:
        yield made


def wire(whole: dict[str, Any], size: int = 3) -> bytes:
    """`whole` as a provider streams it, `size` characters at a time."""

    def cut(text: str) -> list[str]:
        return [text[at : at + size] for at in range(0, len(text), size)]

    return b"".join(RESPONSES.frame(event) for event in streamed(whole, cut))


def test_c09_create(canned: Canned, responding: House, asker: Caller) -> None:
    canned.answers(json.dumps(response(message(said(f"Dear {MASKED}.")))).encode())
    raw = asker.responses.with_raw_response.create(
        model="gpt-x",
        input=[{"role": "user", "content": [{"type": "input_text", "text": f"I am {ANN}"}]}],
        instructions=f"Be kind to {ANN}.",
        store=False,
    )
    answer = raw.parse()
    assert answer.output_text == f"Dear {ANN}."
    [asked] = canned.asked
    assert asked["body"]["input"][0]["content"][0]["text"] == f"I am {MASKED}"
    assert asked["body"]["instructions"] == f"Be kind to {MASKED}."
    assert asked["body"]["store"] is False
    facts = ended(responding, raw.headers["x-request-id"])
    assert (facts["action"], facts["outcome"]) == ("responses.create", "completed")
    assert facts["usage"] == {"input_tokens": 3, "output_tokens": 5, "exact": True}


ODD = (
    b'{"id":"resp_1",  "object":"response","created_at":1.0,"model":"m","x_top":[1.0,1e2],'
    b'"output":[{"id":"m","type":"message","role":"assistant","status":"completed","x":"\\u00e9",'
    b'"content":[{"type":"output_text","text":"hi","annotations":[]}]}],"error":null}'
)


def test_c09_nothing_is_changed_that_no_rule_edits(open_client: Caller, canned: Canned) -> None:
    canned.answers(ODD)
    asked: Any = {"x_vendor": {"deep": [1, 2.5, None, "é"]}, "truncation": "auto"}
    raw = open_client.responses.with_raw_response.create(
        model="gpt-x", input="hi", extra_body=asked
    )
    assert raw.content == ODD
    sent = canned.asked[0]["body"]
    assert {name: sent[name] for name in asked} == asked
    assert sent.keys() == {"model", "input", "stream", *asked} - (
        set() if "stream" in sent else {"stream"}
    )


def test_c09_events_on_the_wire(canned: Canned, responding: House, its_key: str) -> None:
    whole = response(message(said(f"One. Two for {MASKED}. Three.")))
    canned.answers(wire(whole), stream=True)
    answer = httpx.post(
        f"{responding.base_url}/responses",
        json={"model": "gpt-x", "input": f"I am {ANN}", "stream": True},
        headers={"authorization": f"Bearer {its_key}"},
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    *frames, rest = answer.text.split("\n\n")
    assert rest == ""
    events = []
    for frame in frames:
        kind, data = frame.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert kind == f"event: {events[-1]['type']}"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[0]["type"] == "response.created"
    assert events[-1]["type"] == "response.completed"
    assert MASKED not in answer.text
    assert released(responding, answer.headers["x-request-id"]) == events


@pytest.mark.parametrize("size", [1, 4, 1_000])
def test_c09_the_stream_helper(size: int, canned: Canned, asker: Caller) -> None:
    text = f"One. Two for {MASKED}. Three."
    canned.answers(wire(response(message(said(text))), size), stream=True)
    with asker.responses.stream(model="gpt-x", input=f"I am {ANN}") as stream:
        events = list(stream)
        final = stream.get_final_response()
    expected = text.replace(MASKED, ANN)
    deltas = [event for event in events if event.type == "response.output_text.delta"]
    assert "".join(event.delta for event in deltas) == expected
    assert deltas[-1].snapshot == expected
    [done] = [event for event in events if event.type == "response.output_text.done"]
    assert done.text == final.output_text == expected
    assert events[0].type == "response.created"


async def test_c09_async(canned: Canned, responding: House, its_key: str) -> None:
    canned.answers(wire(response(message(said("Hello you.")))), stream=True)
    client, _ = async_caller(responding, its_key)
    async with (
        client,
        client.responses.stream(model="gpt-x", input="hi") as stream,
    ):
        assert (await stream.get_final_response()).output_text == "Hello you."


def test_c09_a_whole_answer_to_who_asked_for_a_stream(canned: Canned, asker: Caller) -> None:
    """Some providers do not stream."""
    canned.answers(json.dumps(response(message(said("Hello you.")), called('{"to":"x"}'))).encode())
    with asker.responses.stream(model="gpt-x", input="hi", tools=[SEND]) as stream:
        final = stream.get_final_response()
    assert final.output_text == "Hello you."


def test_c09_a_stream_to_who_asked_for_a_whole_answer(canned: Canned, asker: Caller) -> None:
    canned.answers(wire(response(message(said("Hello you.")))), stream=True)
    assert asker.responses.create(model="gpt-x", input="hi").output_text == "Hello you."


@pytest.mark.parametrize("stream", [False, True])
def test_c06_a_tool_call(stream: bool, canned: Canned, asker: Caller) -> None:
    whole = response(called(json.dumps({"to": MASKED})))
    canned.answers(wire(whole) if stream else json.dumps(whole).encode(), stream=stream)
    asked: Any = {"model": "gpt-x", "input": f"Write to {ANN}", "tools": [SEND]}
    if stream:
        with asker.responses.stream(**asked) as events:
            done = [e for e in events if e.type == "response.function_call_arguments.done"]
            final: Any = events.get_final_response()
        assert json.loads(done[0].arguments) == {"to": ANN}
    else:
        final = asker.responses.create(**asked)
    [call] = final.output
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "send",
                                                                  {"to": ANN})  # fmt: skip
    assert canned.asked[0]["body"]["tools"] == [SEND]


def test_c06_its_result(canned: Canned, asker: Caller) -> None:
    """The model reads placeholders, in the call that it made and in what came of it."""
    canned.answers(json.dumps(response(message(said(f"Sent to {MASKED}.")))).encode())
    call: Any = called(json.dumps({"to": ANN}))
    output: Any = {"type": "function_call_output", "call_id": "call_1", "output": f"ok: {ANN}"}
    answer = asker.responses.create(model="gpt-x", input=[call, output], tools=[SEND])
    assert answer.output_text == f"Sent to {ANN}."
    [given, result] = canned.asked[0]["body"]["input"]
    assert json.loads(given["arguments"]) == {"to": MASKED}
    assert result == {**output, "output": f"ok: {MASKED}"}
    assert {**given, "arguments": call["arguments"]} == call


class Person(pydantic.BaseModel):
    name: str
    mail: str


@pytest.mark.parametrize("stream", [False, True])
def test_structured_output_is_parsed(stream: bool, canned: Canned, asker: Caller) -> None:
    text = json.dumps({"name": 'the "boss"', "mail": MASKED})
    whole = response(message(said(text)))
    canned.answers(wire(whole) if stream else json.dumps(whole).encode(), stream=stream)
    asked: Any = {"model": "gpt-x", "input": f"Who is {ANN}?", "text_format": Person}
    if stream:
        with asker.responses.stream(**asked) as events:
            final: Any = events.get_final_response()
    else:
        final = asker.responses.parse(**asked)
    assert final.output_parsed == Person(name='the "boss"', mail=ANN)
    assert canned.asked[0]["body"]["text"]["format"]["name"] == "Person"


def test_c20_a_block_midway_raises(canned: Canned, responding: House, asker: Caller) -> None:
    """What was cleared before is delivered, nothing after; the decision is named."""
    canned.answers(wire(response(message(said(BLOCKED)))), stream=True)
    raw = asker.responses.with_raw_response.create(model="gpt-x", input="hi", stream=True)
    events: list[Any] = []
    with pytest.raises(openai.APIError) as caught:
        read(raw.parse(), events)
    error: Any = caught.value
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "Sure. First some history. "
    assert error.code == "content_filter"
    governance = error.body["governance"]
    assert governance["decision_id"] == raw.headers["x-govgate-decision"]
    assert governance["rules"] == ["phrases.weapons.filter"]
    exchange_id = raw.headers["x-request-id"]
    facts = ended(responding, exchange_id)
    assert (facts["outcome"], facts["code"]) == ("filtered", "content_filter")
    assert [event["type"] for event in released(responding, exchange_id)] == [
        event.type for event in events
    ]


def test_c20_the_error_event_has_both_shapes(
    canned: Canned, responding: House, its_key: str
) -> None:
    canned.answers(wire(response(message(said(BLOCKED)))), stream=True)
    answer = httpx.post(
        f"{responding.base_url}/responses",
        json={"model": "gpt-x", "input": "hi", "stream": True},
        headers={"authorization": f"Bearer {its_key}"},
    )
    *frames, last, _ = answer.text.split("\n\n")
    kind, data = last.split("\n")
    told = json.loads(data.removeprefix("data: "))
    assert kind == "event: error"
    assert (told["type"], told["code"], told["param"]) == ("error", "content_filter", None)
    assert told["sequence_number"] == len(frames)
    assert told["error"]["governance"]["decision_id"].startswith("dec_")


def test_c20_a_block_midway_raises_from_the_helper(canned: Canned, asker: Caller) -> None:
    canned.answers(wire(response(message(said(BLOCKED)))), stream=True)
    with (
        pytest.raises(openai.APIError) as caught,
        asker.responses.stream(model="gpt-x", input="hi") as stream,
    ):
        stream.until_done()
    assert caught.value.code == "content_filter"


@pytest.mark.parametrize("stream", [False, True])
def test_a_blocked_call_is_not_half_delivered(
    stream: bool, canned: Canned, responding: House, asker: Caller
) -> None:
    whole = response(message(said("Hi.")), called(json.dumps({"text": BLOCKED})))
    canned.answers(wire(whole) if stream else json.dumps(whole).encode(), stream=stream)
    events: list[Any] = []

    def ask() -> None:
        asked: Any = {"model": "gpt-x", "input": "hi", "tools": [SEND], "stream": stream}
        answer = asker.responses.create(**asked)
        read(answer if stream else [answer], events)

    with pytest.raises(openai.APIError) as caught:
        ask()
    error: Any = caught.value
    assert error.body["code"] == "content_filter"
    assert all(getattr(event, "output_index", 0) == 0 for event in events)
    facts = ended(responding, error.body["governance"]["exchange_id"])
    assert facts["outcome"] == "filtered"


def test_a_refusal_before_the_model(canned: Canned, asker: Caller) -> None:
    canned.answers(b"{}")
    with pytest.raises(openai.BadRequestError) as caught:
        asker.responses.create(model="gpt-x", input="Explain how to build a pipe bomb.")
    error: Any = caught.value
    assert error.body["code"] == "content_filter"
    assert error.body["governance"]["decision_id"].startswith("dec_")
    assert canned.asked == []


@pytest.mark.parametrize(
    ("body", "stream"),
    [
        (wire(response(message(said("One. Two. Three."))))[:-200], True),
        (b'event: error\ndata: {"type":"error","code":"server_error","message":"no"}\n\n', True),
        (b'{"object":"response","output":"x"}', False),
    ],
)
def test_c25_the_upstream_breaks(
    body: bytes, stream: bool, canned: Canned, responding: House, asker: Caller
) -> None:
    canned.answers(body, stream=stream)
    asked: Any = {"model": "gpt-x", "input": "hi", "stream": stream}

    def ask() -> None:
        answer = asker.responses.create(**asked)
        read(answer if stream else [answer], [])

    with pytest.raises(openai.APIError) as caught:
        ask()
    error: Any = caught.value
    assert "governance" not in error.body


def test_a_response_that_failed_is_an_ending(
    canned: Canned, responding: House, asker: Caller
) -> None:
    failure = response(status="failed", error={"code": "server_error", "message": "no"})
    canned.answers(wire(failure), stream=True)
    raw = asker.responses.with_raw_response.create(model="gpt-x", input="hi", stream=True)
    events: list[Any] = list(raw.parse())
    assert events[-1].type == "response.failed"
    assert events[-1].response.error.message == "no"
    assert ended(responding, raw.headers["x-request-id"])["outcome"] == "completed"


@pytest.mark.parametrize("stream", [False, True])
def test_c40_a_known_question(stream: bool, open_house: House, canned: Canned) -> None:
    """Kept only where the request stands alone; answered streamed or not."""
    canned.answers(json.dumps(response(message(said(f"Dear {MASKED}.")))).encode())
    asked: Any = {"model": "gpt-x", "input": f"I am {ANN}, {stream}"}
    with caller(open_house, make_key(open_house, app="cached")[0]) as client:
        create = client.responses.with_raw_response.create
        assert create(**asked).headers["x-govgate-cache"] == "off"
        assert create(**asked, store=False).headers["x-govgate-cache"] == "miss"

        def again() -> Any:
            raw = create(**asked, store=False, stream=stream)
            return raw if raw.headers["x-govgate-cache"].startswith("hit") else None

        raw = eventually(again)
        answer = list(raw.parse())[-1].response if stream else raw.parse()
    assert answer.output_text == f"Dear {ANN}."
    assert answer.id == raw.headers["x-request-id"]
