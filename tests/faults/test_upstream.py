"""The provider fails, in every way a provider can: the right error, the right record, the right
bill; tried again only while nothing was said."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from gateway.adapters.keyring import Keyring
from tests.faults.evidence import Evidence
from tests.faults.nonsense import Answer, answering, dripping, says
from tests.houses import MODEL, PRICED, House, Upstream, behind, embedded, free_port

ATTEMPTS = 3
SHORT = 1.0
"""Seconds that the gateway waits for the provider."""
SLACK = 10.0
LIMITS = {
    "GOVGATE_UPSTREAM__ATTEMPTS": str(ATTEMPTS),
    "GOVGATE_UPSTREAM__CONNECT_SECONDS": str(SHORT / 2),
    "GOVGATE_UPSTREAM__FIRST_BYTE_SECONDS": str(SHORT),
    "GOVGATE_UPSTREAM__IDLE_SECONDS": str(SHORT),
    "GOVGATE_UPSTREAM__TOTAL_SECONDS": str(3 * SHORT),
}
TEXT = "One. Two. Three. Four. Five. Six. Seven. Eight."


@dataclass
class Asked:
    """What a caller got, and what the record says of it."""

    answer: httpx.Response
    kinds: list[str]
    facts: dict[str, Any]
    seconds: float

    @property
    def error(self) -> dict[str, Any]:
        """The error object: of the body, or of the last event of the stream."""
        if not self.streamed:
            return dict(self.answer.json()["error"])
        assert "[DONE]" not in self.events
        return dict(json.loads(self.events[-1])["error"])

    @property
    def streamed(self) -> bool:
        return self.answer.headers["content-type"].startswith("text/event-stream")

    @property
    def events(self) -> list[str]:
        return [event.removeprefix("data: ") for event in self.answer.text.split("\n\n")[:-1]]

    def check_failed(self, code: str, *, attempts: int, exact: bool) -> None:
        """On record as failed; settled once, at nothing or at what was held."""
        facts = self.facts
        assert (facts["outcome"], facts["code"], facts["attempts"]) == ("failed", code, attempts)
        assert self.kinds.count("attempt") == attempts
        assert self.kinds.count("closed") == 1
        assert facts["cost_exact"] == exact
        assert (facts["cost_micro_usd"] == 0) == exact


class Front:
    """A gateway before a provider, and its budget."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._key = house.key("--budget", "10")
        keyring = Keyring.open(house.folder / "keyring.json", None)
        self._evidence = Evidence(house.database_url, keyring)

    def ask(self, text: str = TEXT, **more: Any) -> Asked:
        messages = [{"role": "user", "content": text}]
        began = time.monotonic()
        answer = httpx.post(
            f"{self.house.base_url}/chat/completions",
            json={"model": MODEL, "messages": messages, "max_completion_tokens": 100, **more},
            headers={"authorization": f"Bearer {self._key}"},
            timeout=30,
        )
        seconds = time.monotonic() - began
        entries = self.house.record(answer.headers["x-request-id"])
        facts: dict[str, Any] = {}
        for entry in entries:
            facts |= entry.header["facts"]
        self._evidence.check_money()
        return Asked(answer, [str(entry.kind) for entry in entries], facts, seconds)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Front]:
    """Before the replay server, which fails as it is told."""
    house = embedded(tmp_path_factory.mktemp("front"), **behind(upstream), **PRICED, **LIMITS)
    house.upstream = upstream
    house.start()
    yield Front(house)
    house.stop()


@dataclass
class Facing:
    """A gateway whose provider is whatever stands at `port`."""

    front: Front
    port: int


@pytest.fixture(scope="module")
def facing(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Facing]:
    port = free_port()
    there = {**behind(upstream), "GOVGATE_UPSTREAM__BASE_URL": f"http://127.0.0.1:{port}/v1"}
    house = embedded(tmp_path_factory.mktemp("facing"), **there, **PRICED, **LIMITS)
    house.start()
    yield Facing(Front(house), port)
    house.stop()


@pytest.fixture
def log(upstream: Upstream) -> Any:
    """The calls that reached the provider."""
    upstream.forget()
    return lambda: upstream.log()["requests"]


STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])


@STREAMED
def test_nobody_there(stream: bool, facing: Facing) -> None:
    asked = facing.front.ask(stream=stream)
    assert asked.answer.status_code == 502
    assert asked.error["code"] == "upstream_unavailable"
    asked.check_failed("upstream_unavailable", attempts=ATTEMPTS, exact=True)


@STREAMED
def test_nobody_accepts(stream: bool, facing: Facing) -> None:
    """A connection that is never taken up; the operating system says nothing at all."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", facing.port))
        listening.listen(0)
        with socket.create_connection(("127.0.0.1", facing.port)):  # it fills the queue
            asked = facing.front.ask(stream=stream)
    assert asked.seconds < ATTEMPTS * SHORT + SLACK
    assert asked.answer.status_code == 504
    assert asked.error["code"] == "upstream_timeout"
    asked.check_failed("upstream_timeout", attempts=ATTEMPTS, exact=True)


@STREAMED
def test_silence_before_the_answer(stream: bool, front: Front, log: Any) -> None:
    """The model may have worked: not tried again, and paid for as held."""
    asked = front.ask(f"@replay hang\n{TEXT}", stream=stream)
    assert asked.seconds < SHORT + SLACK
    assert asked.answer.status_code == 504
    assert asked.error["code"] == "upstream_timeout"
    asked.check_failed("upstream_timeout", attempts=1, exact=False)
    assert [call["ended"] for call in log()] == ["hung up"]


def test_silence_inside_the_answer(front: Front, log: Any) -> None:
    asked = front.ask(f"@replay hang-after 6\n{TEXT}", stream=True)
    assert asked.answer.status_code == 200
    assert "One" in asked.answer.text
    assert asked.error["code"] == "upstream_timeout"
    asked.check_failed("upstream_timeout", attempts=1, exact=False)
    assert [call["ended"] for call in log()] == ["hung up"]


@pytest.mark.parametrize("fault", ["die", "malformed", "error"])
@pytest.mark.parametrize("after", [0, 1, 6])
def test_it_breaks_inside_the_answer(fault: str, after: int, front: Front, log: Any) -> None:
    asked = front.ask(f"@replay {fault}-after {after}\n{TEXT}", stream=True)
    if after == 0:
        assert asked.answer.status_code == 502
        assert not asked.streamed
    else:
        assert asked.answer.status_code == 200
        assert ("One" in asked.answer.text) == (after == 6)
    assert asked.error["code"] == (None if fault == "error" else "upstream_error")
    asked.check_failed("upstream_error", attempts=1, exact=False)
    assert len(log()) == 1


@pytest.mark.parametrize("fault", ["die", "malformed", "error"])
def test_a_whole_answer_breaks(fault: str, front: Front, log: Any) -> None:
    asked = front.ask(f"@replay {fault}\n{TEXT}")
    assert asked.answer.status_code == 502
    asked.check_failed("upstream_error", attempts=1, exact=False)
    assert len(log()) == 1


def test_no_done_after_a_finished_answer_is_an_ending(front: Front) -> None:
    asked = front.ask(f"@replay no-done\n{TEXT}", stream=True)
    assert asked.events[-1] == "[DONE]"
    assert asked.facts["outcome"] == "completed"
    assert asked.facts["cost_exact"]


@STREAMED
@pytest.mark.parametrize("status", [429, 503])
def test_turned_away_at_the_door_is_tried_again(
    status: int, stream: bool, front: Front, log: Any
) -> None:
    asked = front.ask(f"@replay status {status}\n{TEXT}", stream=stream)
    assert asked.answer.status_code == status
    assert asked.error["message"] == "as scripted"
    asked.check_failed("upstream_error", attempts=ATTEMPTS, exact=True)
    assert asked.answer.headers["x-govgate-upstream-attempts"] == str(ATTEMPTS)
    assert len(log()) == ATTEMPTS


@STREAMED
def test_a_provider_that_asks_for_time_is_not_asked_again(
    stream: bool, front: Front, log: Any
) -> None:
    asked = front.ask(f"@replay status 429 retry-after 30\n{TEXT}", stream=stream)
    assert asked.answer.status_code == 429
    assert asked.answer.headers["retry-after"] == "30"
    asked.check_failed("upstream_error", attempts=1, exact=True)
    assert len(log()) == 1


@STREAMED
@pytest.mark.parametrize(
    ("status", "told", "free"),
    [(500, 500, False), (502, 502, False), (504, 504, False), (400, 400, True), (401, 502, True),
     (403, 502, True), (404, 404, True), (408, 408, False), (422, 422, True)],
)  # fmt: skip
def test_other_refusals_are_passed_on_once(
    status: int, told: int, free: bool, stream: bool, front: Front, log: Any
) -> None:
    """What a provider refuses at once it does not charge; what broke it may have."""
    asked = front.ask(f"@replay status {status}\n{TEXT}", stream=stream)
    assert asked.answer.status_code == told
    asked.check_failed("upstream_error", attempts=1, exact=free)
    assert len(log()) == 1


class Once:
    """Turns the first calls away, then answers."""

    def __init__(self, refusals: int, answer: Answer) -> None:
        self._left = refusals
        self._answer = answer
        self._lock = threading.Lock()

    def __call__(self, caller: Any) -> None:
        with self._lock:
            self._left -= 1
            refuse = self._left >= 0
        (says(b'{"error": "busy"}', 503) if refuse else self._answer)(caller)


def test_an_answer_after_being_turned_away(facing: Facing) -> None:
    said = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1000, "completion_tokens": 10}
    good = says(json.dumps({"id": "c", "choices": [said], "usage": usage}).encode())
    with answering(facing.port, Once(2, good)):
        asked = facing.front.ask()
    assert asked.answer.status_code == 200
    assert asked.facts["outcome"] == "completed"
    assert asked.facts["attempts"] == asked.kinds.count("attempt") == 3
    assert asked.facts["cost_micro_usd"] == 1_020, "paid once"


SSE = "text/event-stream"
PIECE = b'{"id":"c","choices":[{"index":0,"delta":{"content":"Hi. "},"finish_reason":null}]}'
NONSENSE: dict[str, Answer] = {
    "nothing": says(b""),
    "a page": says(b"<html>It works!</html>", kind="text/html"),
    "a list": says(b"[1, 2]"),
    "half an answer": says(b'{"id": "c", "choices": [{"index": 0, "mess'),
    "choices of text": says(b'{"id": "c", "choices": "hi"}'),
    "a redirect": says(b"", status=302),
    "no content": says(b"", status=204),
    "an empty stream": says(b"", kind=SSE),
    "a stream of lines": says(b"hello\nworld\n\n", kind=SSE),
    "a stream cut inside an event": says(b"data: " + PIECE[:30], kind=SSE),
    "a stream without an ending": says(b"data: " + PIECE + b"\n\n", kind=SSE),
    "a stream of numbers": says(b"data: 1\n\ndata: [DONE]\n\n", kind=SSE),
    "an endless line": says(b"data: " + b"x" * (3 << 20), kind=SSE),
    "a byte at a time": dripping(b'{"id": "c", "choices": []}' + b" " * 200, SHORT / 10),
}  # fmt: skip


@STREAMED
@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense(case: str, stream: bool, facing: Facing) -> None:
    with answering(facing.port, NONSENSE[case]):
        asked = facing.front.ask(stream=stream)
    assert asked.seconds < 3 * SHORT + SLACK
    if not asked.streamed:
        assert asked.answer.status_code in (502, 504)
    assert asked.error["code"] in ("upstream_error", "upstream_timeout")
    asked.check_failed(asked.error["code"], attempts=1, exact=False)


def test_it_serves_again_once_the_provider_does(facing: Facing) -> None:
    facing.front.ask()
    good = b"data: " + PIECE.replace(b"null", b'"stop"') + b"\n\ndata: [DONE]\n\n"
    with answering(facing.port, says(good, kind=SSE)):
        asked = facing.front.ask(stream=True)
    assert asked.facts["outcome"] == "completed"
    assert not asked.facts["cost_exact"], "it never said what it used"
