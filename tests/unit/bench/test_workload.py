"""What is asked and answered has the size and the holes that the bench speaks of."""

from __future__ import annotations

import json

import pytest

from bench import workload
from bench.rounds import QUICK, Plan


def texts(stream: workload.Stream, *, usage: bool = False) -> list[bytes]:
    whole = b"".join(stream.event(i, 1_000 + i, usage=usage) for i in range(len(stream)))
    return whole.split(b"\n\n")[:-1]


def test_sizes() -> None:
    assert 900 <= len(workload.prompt(stream=False)) <= 1_100
    assert 540 <= len(workload.answer()) <= 660


def test_every_prompt_differs_and_is_whole() -> None:
    requests = workload.Requests(80, {"authorization": "Bearer x"}, stream=False)
    first, second = requests.number(1), requests.number(123_456)
    assert first != second
    assert len(first) == len(second)
    head, _, body = second.partition(b"\r\n\r\n")
    assert b"authorization: Bearer x" in head
    assert f"content-length: {len(body)}".encode() in head
    user = json.loads(body)["messages"][1]["content"]
    assert user.startswith("Ticket 123456.")
    assert workload.EMAIL in user
    assert workload.PHONE in user


def test_a_stream_says_when_each_event_was_sent() -> None:
    events = texts(workload.Stream(10))
    assert events[-1] == b"data: [DONE]"
    assert [workload.sent_at(event) for event in events] == [*range(1_000, 1_010), None]


def test_usage_comes_when_it_is_asked_for() -> None:
    plain, counted = texts(workload.Stream(10)), texts(workload.Stream(10), usage=True)
    assert len(counted) == len(plain) + 1
    assert json.loads(counted[-2][5:])["usage"]["total_tokens"] == 300
    assert not any(b'"usage"' in event for event in plain)


@pytest.mark.parametrize("events", [Plan().few_events, Plan().events, QUICK.events])
def test_the_streams_of_the_bench_hold_whole_placeholders(events: int) -> None:
    said = "".join(workload.said(event) for event in texts(workload.Stream(events))[:-1])
    assert workload.EMAIL_PLACEHOLDER in said
    assert said.count("[[") == said.count("]]")
    restored = said.replace(workload.EMAIL_PLACEHOLDER, workload.EMAIL)
    restored = restored.replace(workload.PHONE_PLACEHOLDER, workload.PHONE)
    assert workload.restored(restored)
    assert not workload.restored(said)


def test_a_whole_answer_holds_both_placeholders() -> None:
    content = json.loads(workload.answer())["choices"][0]["message"]["content"]
    assert workload.EMAIL_PLACEHOLDER in content
    assert workload.PHONE_PLACEHOLDER in content
