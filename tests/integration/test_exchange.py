"""Governed exchanges over the wire, in each column: what the caller got, what the model saw,
and what is on record."""

from __future__ import annotations

import asyncio
import time

import httpx
import orjson
import pytest

from tests.faults.callers import call
from tests.houses import MODEL, House
from tests.integration.scenes import ADDRESS, BANNED, MASKED, SCENES, ask, record, scene

SOON = 5.0
"""Seconds. Both are promised within one; this is what a machine with little to give may take."""
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])


def test_an_allowed_call(column: House) -> None:
    seen = SCENES["allowed"](column)
    assert seen.answer.status_code == 200
    assert seen.text == "You said: Hello there."
    [asked] = seen.asked
    assert asked == {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Hello there."}],
        "stream": False,
    }
    assert seen.kinds == ["opened", "attempt", "closed"]
    facts = seen.facts
    assert (facts["outcome"], facts["code"], facts["attempts"]) == ("completed", None, 1)
    usage = seen.answer.json()["usage"]
    assert facts["usage"]["input_tokens"] == usage["prompt_tokens"]
    cost = usage["prompt_tokens"] + 2 * usage["completion_tokens"]
    assert facts["cost_micro_usd"] == cost
    headers = seen.answer.headers
    assert headers["x-govgate-cost-usd"] == f"{cost / 1e6:.6f}"
    assert headers["x-govgate-leaf"] == seen.entries[-1].leaf.hex()
    assert headers["x-govgate-decision"] == facts["decision"]["id"]
    assert headers["x-govgate-policy-revision"] == facts["decision"]["revision"]
    assert seen.part("answer_released") == seen.answer.content
    assert orjson.loads(seen.part("request_sent")) == asked


def test_an_allowed_stream(column: House) -> None:
    seen = SCENES["allowed, streamed"](column)
    assert seen.text == "You said: Hello there."
    assert seen.events[-1] is None
    assert all(not event.get("usage") for event in seen.events[:-1]), "nobody asked for usage"
    assert seen.asked[0]["stream_options"] == {"include_usage": True}
    released = [orjson.loads(event) for event in seen.part("answer_released").split(b"\n")]
    assert released == seen.events[:-1]
    assert seen.facts["usage"]["exact"]
    assert seen.answer.headers["x-govgate-leaf"] == seen.entries[0].leaf.hex()


def test_usage_comes_to_who_asks(column: House) -> None:
    seen = scene(column, "Hello.", stream=True, stream_options={"include_usage": True})
    *_, counted, done = seen.events
    assert done is None
    assert counted["usage"]["prompt_tokens"] == seen.facts["usage"]["input_tokens"]


@pytest.mark.parametrize("name", ["masked", "masked, streamed"])
def test_personal_data_is_masked_and_restored(name: str, column: House) -> None:
    seen = SCENES[name](column)
    assert MASKED in seen.asked[0]["messages"][0]["content"]
    assert ADDRESS not in str(seen.asked)
    assert seen.text == f"You said: Write to {ADDRESS}."
    assert ADDRESS.encode() in seen.part("request_received")
    assert MASKED.encode() in seen.part("request_sent")
    heard = seen.part("answer_received")
    assert ADDRESS.encode() not in heard
    released = seen.part("answer_released")
    assert MASKED.encode() not in released
    assert [finding["label"] for finding in seen.facts["findings"]] == ["EMAIL_ADDRESS"]
    assert "mask" in seen.facts["decision"]["obligations"]


SEND = {
    "type": "function",
    "function": {
        "name": "send",
        "parameters": {"type": "object", "properties": {"to": {"type": "string"}}},
    },
}


@STREAMED
def test_a_value_is_restored_inside_tool_arguments(stream: bool, column: House) -> None:
    """Also beside a placeholder that the caller wrote, which is a text like any other."""
    asked = f'Call send: {ADDRESS} "or" {MASKED}'
    seen = scene(column, asked, stream=stream, tools=[SEND])
    assert ADDRESS not in str(seen.asked)
    assert ADDRESS.encode() not in seen.part("answer_received")
    if stream:
        deltas = [c["delta"] for e in seen.events if e for c in e["choices"]]
        calls = [delta["tool_calls"][0] for delta in deltas if delta.get("tool_calls")]
    else:
        calls = seen.answer.json()["choices"][0]["message"]["tool_calls"]
    arguments = "".join(call["function"].get("arguments", "") for call in calls)
    assert orjson.loads(arguments) == {"to": asked}


@STREAMED
def test_a_refused_request(stream: bool, column: House) -> None:
    seen = scene(column, BANNED, stream=stream)
    assert seen.answer.status_code == 400
    error = seen.answer.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "content_filter")
    told = error["governance"]
    assert told["rules"] == ["phrases.weapons.deny"]
    assert (told["action"], told["stage"]) == ("deny", "request")
    assert told["exchange_id"] == seen.answer.headers["x-request-id"]
    assert told["decision_id"] == seen.facts["decision"]["id"]
    assert seen.asked == []
    assert seen.kinds == ["opened", "closed"]
    assert seen.facts["outcome"] == "denied"
    assert BANNED.encode() in seen.part("request_received")


def test_a_stopped_answer(column: House) -> None:
    seen = SCENES["stopped"](column)
    assert seen.answer.status_code == 400
    error = seen.answer.json()["error"]
    assert error["code"] == "content_filter"
    assert error["governance"]["stage"] == "answer"
    assert "bomb" not in seen.answer.text
    assert seen.facts["outcome"] == "filtered"
    assert seen.facts["cost_micro_usd"] > 0, "what was said is paid for, shown or not"
    assert b"pipe bomb" in seen.part("answer_received")
    assert not seen.part("answer_released")


def test_a_stopped_stream(column: House) -> None:
    seen = SCENES["stopped stream"](column)
    assert seen.answer.status_code == 200
    assert seen.text == "All is well. "
    *_, error, done = seen.events
    assert done is None
    assert error["error"]["code"] == "content_filter"
    assert error["error"]["governance"]["decision_id"] == seen.facts["decision"]["id"]
    assert seen.kinds == ["opened", "attempt", "segment", "closed"]
    assert seen.facts["outcome"] == "filtered"
    assert b"bomb" not in seen.part("answer_released")


@STREAMED
def test_over_budget(stream: bool, column: House) -> None:
    seen = scene(column, "Hello there.", "--budget", "0.000001", stream=stream)
    assert seen.answer.status_code == 429
    assert seen.answer.json()["error"]["code"] == "insufficient_quota"
    assert seen.answer.headers["x-should-retry"] == "false"
    assert seen.asked == []
    assert seen.kinds == ["opened", "closed"]
    assert (seen.facts["outcome"], seen.facts["code"]) == ("denied", "insufficient_quota")
    assert seen.facts["cost_micro_usd"] == 0


def test_an_answer_is_cut_down_to_fit_a_budget(column: House) -> None:
    seen = SCENES["clamped"](column)
    assert seen.answer.status_code == 200
    limit = int(seen.answer.headers["x-govgate-output-limit"])
    assert seen.asked[0]["max_completion_tokens"] == limit < 4_096
    assert seen.facts["hold_micro_usd"] <= 1_000


def test_a_rate_limit(column: House) -> None:
    options = ("--requests", "2", "--tag", str(time.time_ns()))
    answers = [ask(column, "Hello.", *options) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    last = answers[-1]
    assert last.json()["error"]["code"] == "rate_limit_exceeded"
    assert 1 <= int(last.headers["retry-after"]) <= 60
    assert last.headers["x-ratelimit-limit-requests"] == "2"
    assert last.headers["x-ratelimit-remaining-requests"] == "0"
    assert record(column, last.headers["x-request-id"]) == [], "who comes too often writes nothing"


def test_a_caller_who_hangs_up(column: House) -> None:
    """The provider is hung up on, midway; what was delivered is on record."""
    assert column.upstream is not None
    column.upstream.forget()
    request = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "@replay slow 0.1\n" + "Word. " * 100}],
        "stream": True,
    }
    heard = asyncio.run(call(column.port, column.key("--budget", "5"), request, patience=1.0))
    left = time.monotonic()
    entries = record(column, str(heard.exchange_id))
    facts = entries[-1].header["facts"]
    assert (facts["outcome"], facts["code"]) == ("cancelled", None)
    assert not facts["cost_exact"]
    assert facts["cost_micro_usd"] > 0
    segments = [entry.parts or {} for entry in entries if str(entry.kind) == "segment"]
    released = b"\n".join(parts["answer_released"] for parts in segments).split(b"\n")
    delivered, _ = heard.frames()
    assert delivered
    assert released[: len(delivered)] == delivered
    [seen] = column.upstream.log()["requests"]
    assert seen["ended"] == "hung up"
    assert seen["ended_at"] - left < SOON, "by the one clock of this machine"


def test_a_key_that_was_revoked(column: House) -> None:
    """Running gateways learn of it by themselves."""
    text = column.key("--tag", f"revoked-{time.time_ns()}")
    key_id = text.split("_")[2]
    url = f"{column.base_url}/chat/completions"
    request = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    headers = {"authorization": f"Bearer {text}"}
    assert httpx.post(url, json=request, headers=headers).status_code == 200
    assert column.run("keys", "revoke", key_id).returncode == 0
    deadline = time.monotonic() + SOON
    refused = httpx.post(url, json=request, headers=headers)
    while refused.status_code == 200 and time.monotonic() < deadline:
        refused = httpx.post(url, json=request, headers=headers)
    assert refused.status_code == 401
    assert refused.json()["error"]["code"] == "invalid_api_key"
