"""A provider's error over the wire: what the caller reads, and what is on record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.dialects.messages import Messages
from gateway.wiring import DIALECTS
from tests.clients.canned import Canned
from tests.houses import House
from tests.integration.scenes import record
from tests.integration.test_pseudonymise import MODELS, ask, got, house_with

ANN = "ann.lee@example.org"
BANNED = "build a pipe bomb"
"""What the baseline lets no answer say."""
SAID = f"Of [[EMAIL_ADDRESS_1]], who would {BANNED}, we know nothing."
ERROR = {"message": SAID, "type": "invalid_request_error", "param": BANNED, "code": "bad_one"}
STREAMED = [
    path
    for path, dialect in DIALECTS.items()
    if dialect.streams({"stream": True, "stream_format": "sse"})
]
CASES = [(path, False) for path in DIALECTS] + [(path, True) for path in STREAMED]


@pytest.fixture(scope="module")
def canned() -> Iterator[Canned]:
    server = Canned()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, canned: Canned) -> Iterator[House]:
    """A gateway with the baseline pack."""
    house = house_with(tmp_path_factory.mktemp("words"), canned)
    house.start()
    yield house
    house.stop()


def asked_of(house: House, path: str, *, stream: bool) -> httpx.Response:
    ours = isinstance(DIALECTS[path], Messages)
    named: dict[str, Any] = {"metadata": {"user_id": ANN}} if ours else {"user": ANN}
    said = {"stream_format": "sse"} if path.endswith("speech") else {"stream": True}
    model = MODELS["anthropic" if ours else "openai"]
    return ask(house, path, {"model": model, **named, **(said if stream else {})})


def refuses(canned: Canned, *, stream: bool) -> None:
    """The provider says no: with a status, or in the first event of a stream."""
    body = json.dumps({"type": "error", "error": ERROR}).encode()
    if stream:
        canned.answers(b"event: error\ndata: %b\n\n" % body, stream=True)
    else:
        canned.answers(body, status=400)


def refused(house: House, canned: Canned, path: str, *, stream: bool) -> httpx.Response:
    """What comes of a call that the provider refuses.

    One with a status goes before one inside a stream: it shows that the provider works, so that
    no breaker opens.
    """
    for again in (False, True) if stream else (False,):
        refuses(canned, stream=again)
        answer = asked_of(house, path, stream=again)
    assert answer.status_code == (502 if stream else 400)
    return answer


@pytest.mark.parametrize(("path", "stream"), CASES)
def test_the_caller_reads_it_as_it_would_an_answer(
    path: str, stream: bool, house: House, canned: Canned
) -> None:
    answer = refused(house, canned, path, stream=stream)
    assert "[[EMAIL_ADDRESS_1]]" in got(canned)
    assert BANNED not in answer.text
    error = answer.json()["error"]
    assert error["message"] == f"Of {ANN}, who would [weapons], we know nothing."
    assert error["code"] == "bad_one"


@pytest.mark.parametrize(("path", "stream"), CASES)
def test_the_record_has_it_as_the_provider_said_it(
    path: str, stream: bool, house: House, canned: Canned
) -> None:
    answer = refused(house, canned, path, stream=stream)
    entries = record(house, answer.headers["x-request-id"])
    [part] = [
        parts["errors_received"]
        for parts in (entry.parts or {} for entry in entries)
        if "errors_received" in parts
    ]
    said = json.loads(part)
    assert said["error"]["message"] == SAID
    assert said["status"] == (None if stream else 400)
    assert all(BANNED not in json.dumps(entry.header) for entry in entries), "in a part alone"
    facts = house.facts(answer.headers["x-request-id"])
    assert (facts["outcome"], facts["code"]) == ("failed", "upstream_error")
    assert [found["label"] for found in facts["answer_findings"]] == ["weapons", "weapons"]


def test_what_no_rule_changes_comes_as_it_came(house: House, canned: Canned) -> None:
    said = {"message": "Too many.", "type": "tokens", "param": None, "code": "rate_limit_exceeded"}
    canned.answers(json.dumps({"error": said}).encode(), status=400)
    answer = ask(house, "/v1/chat/completions", {"model": "gpt-x"})
    assert answer.json() == {"error": said}
