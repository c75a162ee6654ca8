"""The witness over HTTP: what passes through, what the edge refuses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from litestar.testing import TestClient

from gateway.governance.witness import Answer
from gateway.server.witness import MOST_BYTES, witness_app


class Canned:
    """Answers as it was told to; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.answer: Answer | Exception = Answer(200, "— w AAAAAAA=\n")

    def add_checkpoint(self, request: bytes) -> Answer:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def canned() -> Canned:
    return Canned()


@pytest.fixture
def client(canned: Canned) -> Iterator[TestClient]:
    with TestClient(witness_app(canned), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, "— witness AAAAAAA=\n"),
        Answer(409, "17\n", "text/x.tlog.size"),
        Answer(422, "the proof lacks hashes\n"),
    ],
)
def test_an_answer_is_passed_on(client: TestClient, canned: Canned, answer: Answer) -> None:
    canned.answer = answer
    sent = b"old 0\n\nwhatever \xff"
    for media_type in ("text/plain", "application/json", "application/x-www-form-urlencoded"):
        said = client.post("/add-checkpoint", content=sent, headers={"content-type": media_type})
        assert (said.status_code, said.text) == (answer.status, answer.body)
        assert said.headers["content-type"] == answer.media_type
    assert canned.asked == [sent] * 3


def test_a_large_body_is_refused_unread(client: TestClient, canned: Canned) -> None:
    assert client.post("/add-checkpoint", content=bytes(MOST_BYTES)).status_code == 200
    assert client.post("/add-checkpoint", content=bytes(MOST_BYTES + 1)).status_code == 413
    assert [len(body) for body in canned.asked] == [MOST_BYTES]


def test_a_failure_is_not_told_of(
    client: TestClient, canned: Canned, caplog: pytest.LogCaptureFixture
) -> None:
    canned.answer = OSError(28, "No space left on device")
    said = client.post("/add-checkpoint", content=b"")
    assert said.status_code == 500
    assert "space" not in said.text
    assert "No space left" in caplog.text


def test_there_is_nothing_else(client: TestClient) -> None:
    said = client.get("/livez")
    assert (said.status_code, said.text) == (200, "ok\n")
    assert client.get("/add-checkpoint").status_code == 405
    assert "POST" in client.get("/add-checkpoint").headers["allow"]
    assert client.get("/").status_code == 404
    assert client.get("/schema").status_code == 404
