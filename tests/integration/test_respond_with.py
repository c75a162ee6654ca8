"""Being told no by an answer, over the wire: what the caller got, and what is on record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import pytest

from gateway.adapters.store.records import StoredEntry
from gateway.core.answer import Event
from gateway.core.declined import Manner
from gateway.core.dialect import Dialect
from gateway.dialects.chat import Chat
from gateway.dialects.completions import Completions
from gateway.dialects.messages import Messages
from gateway.dialects.responses import Responses
from tests.clients.canned import Canned
from tests.declining import (
    WORDS,
    ending_of,
    expected,
    house_before,
    refusal_of,
    tag,
    text_of,
)
from tests.houses import House
from tests.integration.scenes import BANNED, record

LENSES: dict[str, Dialect] = {
    "chat": Chat(),
    "completions": Completions(),
    "messages": Messages(),
    "responses": Responses(),
}
PATHS = {"chat": "/chat/completions"}
CLEARED = "All is well. "
SAYS = ("All is well. ", "First you build a pipe bomb", " so. ", "The end.")
HARMLESS = "How do I get on?"
NAMES = pytest.mark.parametrize("name", LENSES)
STREAMS = pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


@pytest.fixture(scope="module")
def canned() -> Iterator[Canned]:
    server = Canned()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def declining(tmp_path_factory: pytest.TempPathFactory, canned: Canned) -> Iterator[House]:
    house = house_before(tmp_path_factory.mktemp("declining"), canned.base_url)
    house.start()
    yield house
    house.stop()


def chat(*texts: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": "".join(texts)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    head = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m-1"}
    return {**head, "choices": [choice], "usage": USAGE}


def completion(*texts: str) -> dict[str, Any]:
    choice = {"index": 0, "text": "".join(texts), "logprobs": None, "finish_reason": "stop"}
    head = {"id": "c1", "object": "text_completion", "created": 1, "model": "m-1"}
    return {**head, "choices": [choice], "usage": USAGE}


def response(*texts: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": "".join(texts), "annotations": [], "logprobs": []}
    item = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant"}
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "m-1",
        "status": "completed", "error": None, "incomplete_details": None,
        "output": [{**item, "content": [part]}],
        "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
    }  # fmt: skip


def upstream_says(canned: Canned, name: str, texts: Sequence[str], *, stream: bool) -> None:
    """The provider's answer; messages are answered by one that speaks chat completions."""
    spoken = "chat" if name == "messages" else name
    make = {"chat": chat, "completions": completion, "responses": response}[spoken]
    lens = LENSES[spoken]
    if not stream:
        canned.answers(orjson.dumps(make(*texts)))
        return
    frames: list[bytes] = []
    for event in lens.unfold(make(*texts), {"stream_options": {"include_usage": True}}):
        runs = [run for run in lens.runs(event) if run.text == "".join(texts)]
        for text in texts if runs else ("",):
            for run in runs:
                run.put(text)
            frames.append(lens.frame(Event(event.data)))
    canned.answers(b"".join(frames) + lens.end(), stream=True)


def request_of(name: str, text: str, *, stream: bool) -> dict[str, Any]:
    said = [{"role": "user", "content": text}]
    more: dict[str, Any] = {
        "chat": {"messages": said},
        "completions": {"prompt": text},
        "messages": {"messages": said, "max_tokens": 99},
        "responses": {"input": text},
    }[name]
    return {"model": "gpt-x", "stream": stream, **more}


@dataclass
class Seen:
    """What a caller got, and what is on record of it."""

    name: str
    answer: httpx.Response
    entries: Sequence[StoredEntry]

    @property
    def lines(self) -> list[bytes]:
        """The answer's events, as they came."""
        if self.answer.headers["content-type"] == "application/json":
            return [self.answer.content]
        found = [line for line in self.answer.content.split(b"\n") if line.startswith(b"data: ")]
        return [line.removeprefix(b"data: ") for line in found if line != b"data: [DONE]"]

    @property
    def body(self) -> dict[str, Any]:
        """What a client makes of it."""
        whole = self.answer.headers["content-type"] == "application/json"
        events = [Event(orjson.loads(line), whole=whole) for line in self.lines]
        return LENSES[self.name].fold(events)

    @property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        for entry in self.entries:
            facts |= entry.header["facts"]
        return facts

    @property
    def released(self) -> list[bytes]:
        parts = [(entry.parts or {}).get("answer_released") for entry in self.entries]
        return [line for part in parts if part for line in part.split(b"\n")]


def ask(house: House, name: str, text: str, how: Manner | None, *, stream: bool) -> Seen:
    options = () if how is None else ("--tag", tag(how))
    answer = httpx.post(
        f"{house.base_url}{PATHS.get(name, f'/{name}')}",
        json=request_of(name, text, stream=stream),
        headers={"authorization": f"Bearer {house.key(*options)}"},
        timeout=30,
    )
    return Seen(name, answer, record(house, answer.headers["x-request-id"]))


def check_told(seen: Seen, how: Manner, before: str, *, stream: bool) -> None:
    """It is an answer like any other, well framed, and recorded as what it is."""
    assert seen.answer.status_code == 200
    kind = "text/event-stream; charset=utf-8" if stream else "application/json"
    assert seen.answer.headers["content-type"] == kind
    body = seen.body
    shown = (text_of(seen.name, body), refusal_of(seen.name, body), ending_of(seen.name, body))
    assert shown == expected(seen.name, how, before)
    assert b"bomb" not in seen.answer.content
    assert b"governance" not in seen.answer.content
    assert b"dec_" not in seen.answer.content
    assert seen.answer.headers["x-govgate-decision"] == seen.facts["decision"]["id"]
    assert seen.released == seen.lines, "the record holds what the caller got"
    assert (seen.facts["respond_with"], seen.facts["code"]) == (str(how), "content_filter")
    done = b"data: [DONE]\n\n" if seen.name in ("chat", "completions") else b""
    assert not stream or seen.answer.content.endswith(done)


@NAMES
@STREAMS
@pytest.mark.parametrize("how", Manner)
def test_a_request_that_is_refused(
    name: str, stream: bool, how: Manner, declining: House, canned: Canned
) -> None:
    upstream_says(canned, name, ["Hello."], stream=stream)
    seen = ask(declining, name, BANNED, how, stream=stream)
    check_told(seen, how, "", stream=stream)
    assert canned.asked == []
    facts = seen.facts
    assert (facts["outcome"], facts["attempts"], facts["cost_micro_usd"]) == ("denied", 0, 0)
    assert facts["decision"]["effect"] == "deny"
    assert facts["decision"]["obligations"] == ["respond_with"]


@NAMES
@STREAMS
@pytest.mark.parametrize("how", Manner)
def test_an_answer_that_is_stopped(
    name: str, stream: bool, how: Manner, declining: House, canned: Canned
) -> None:
    upstream_says(canned, name, SAYS, stream=stream)
    seen = ask(declining, name, HARMLESS, how, stream=stream)
    check_told(seen, how, CLEARED if stream else "", stream=stream)
    assert len(canned.asked) == 1
    assert seen.facts["outcome"] == "filtered"
    if not stream:
        assert seen.facts["usage"] == {"input_tokens": 3, "output_tokens": 4, "exact": True}
        assert sum(count for count in seen.body["usage"].values() if isinstance(count, int)) in (
            7,
            14,
        )


@NAMES
@pytest.mark.parametrize("how", Manner)
def test_a_stream_that_is_stopped_in_its_first_sentence(
    name: str, how: Manner, declining: House, canned: Canned
) -> None:
    upstream_says(canned, name, SAYS[1:], stream=True)
    check_told(ask(declining, name, HARMLESS, how, stream=True), how, "", stream=True)


@NAMES
@STREAMS
def test_who_asks_for_nothing_else_is_told_by_an_error(
    name: str, stream: bool, declining: House, canned: Canned
) -> None:
    seen = ask(declining, name, BANNED, None, stream=stream)
    assert seen.answer.status_code == 400
    assert seen.answer.json()["error"]["code"] == "content_filter"
    assert "respond_with" not in seen.facts
    upstream_says(canned, name, SAYS, stream=stream)
    seen = ask(declining, name, HARMLESS, None, stream=stream)
    assert orjson.loads(seen.lines[-1])["error"]["code"] == "content_filter"


@NAMES
@STREAMS
@pytest.mark.parametrize("how", Manner)
def test_what_nothing_stops_is_the_same_for_everybody(
    name: str, stream: bool, how: Manner, declining: House, canned: Canned
) -> None:
    upstream_says(canned, name, [CLEARED], stream=stream)
    seen = ask(declining, name, HARMLESS, how, stream=stream)
    assert text_of(name, seen.body) == CLEARED
    assert (seen.facts["outcome"], seen.facts["code"]) == ("completed", None)
    assert "respond_with" not in seen.facts


@pytest.mark.parametrize("how", Manner)
def test_a_vector_has_no_way_to_say_no(how: Manner, declining: House) -> None:
    answer = httpx.post(
        f"{declining.base_url}/embeddings",
        json={"model": "gpt-x", "input": BANNED},
        headers={"authorization": f"Bearer {declining.key('--tag', tag(how))}"},
        timeout=30,
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "content_filter"


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
def test_what_breaks_is_an_error_for_everybody(
    stream: bool, declining: House, canned: Canned
) -> None:
    canned.answers(b'{"error":{"message":"no","code":"content_filter"}}', status=400)
    seen = ask(declining, "chat", HARMLESS, Manner.MESSAGE, stream=stream)
    assert seen.answer.status_code == 400
    assert WORDS not in seen.answer.text
    assert seen.facts["outcome"] == "failed"
    unreadable = httpx.post(
        f"{declining.base_url}/chat/completions",
        json={"model": "gpt-x", "messages": "x", "stream": stream},
        headers={"authorization": f"Bearer {declining.key('--tag', tag(Manner.MESSAGE))}"},
        timeout=30,
    )
    assert (unreadable.status_code, unreadable.json()["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("how", Manner)
def test_a_declined_response_is_not_kept(how: Manner, declining: House, canned: Canned) -> None:
    """Nothing can go on from it, which the provider has never heard of or has in other words."""
    headers = {"authorization": f"Bearer {declining.key('--tag', tag(how))}"}
    for text, said in ((BANNED, "Hello."), (HARMLESS, "".join(SAYS))):
        upstream_says(canned, "responses", [said], stream=False)
        told = ask(declining, "responses", text, how, stream=False).body
        assert told["store"] is False
        url = f"{declining.base_url}/responses/{told['id']}"
        assert httpx.get(url, headers=headers, timeout=30).status_code == 404
