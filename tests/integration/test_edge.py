"""The edge over real sockets: repeats, browsers, base URLs, encodings, large bodies."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from tests.houses import MODEL, PRICED, House, Upstream, behind, embedded
from tests.integration.scenes import ADDRESS, record

PATIENCE = 30.0
"""Seconds; a bound for a broken recovery, not a measure."""


def post(house: House, body: Any = None, path: str = "/chat/completions", **headers: str) -> Any:
    """One request, under the key that has no options unless the headers have another."""
    request = body or asking("Hello there.")
    content = request if isinstance(request, bytes) else orjson.dumps(request)
    told = {"authorization": f"Bearer {house.key()}", "content-type": "application/json"}
    url = house.base_url.removesuffix("/v1") + (path if path.startswith("/v") else f"/v1{path}")
    return httpx.post(url, content=content, headers={**told, **headers}, timeout=60)


def asking(text: str, **more: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}


def calls(house: House) -> int:
    assert house.upstream is not None
    return len(house.upstream.log()["requests"])


class TestRepeats:
    """C29, in both columns."""

    @pytest.mark.parametrize("stream", [False, True])
    def test_c29_a_repeat_is_the_recorded_answer(self, column: House, stream: bool) -> None:
        name, body = uuid4().hex, asking(f"Write to {ADDRESS}.", stream=stream)
        before = calls(column)
        first = post(column, body, **{"idempotency-key": name})
        again = post(column, body, **{"idempotency-key": name})
        assert first.status_code == again.status_code == 200
        assert ADDRESS in first.text.replace("\\", "")  # restored for the caller
        assert again.content == first.content
        assert again.headers["content-type"] == first.headers["content-type"]
        assert calls(column) == before + 1
        ids = [each.headers["x-request-id"] for each in (first, again)]
        assert again.headers["x-govgate-cache"] == f"repeat; source={ids[0]}"
        record(column, ids[1])
        facts = column.facts(ids[1])
        assert (facts["outcome"], facts["cost_micro_usd"]) == ("completed", 0)
        other = post(column, asking("Other."), **{"idempotency-key": name})
        assert (other.status_code, other.json()["error"]["code"]) == (400, "idempotency_key_reused")

    def test_c29_of_many_at_once_one_reaches_the_provider(self, column: House) -> None:
        name, before = uuid4().hex, calls(column)
        key = column.key()  # made before the crowd comes
        with ThreadPoolExecutor(8) as crowd:
            told = list(
                crowd.map(
                    lambda _: post(
                        column, authorization=f"Bearer {key}", **{"idempotency-key": name}
                    ),
                    range(8),
                )
            )
        assert calls(column) == before + 1
        statuses = [each.status_code for each in told]
        assert set(statuses) <= {200, 409}
        assert 200 in statuses
        assert len({each.content for each in told if each.status_code == 200}) == 1
        for refused in (each for each in told if each.status_code == 409):
            assert refused.json()["error"]["code"] == "idempotency_key_in_use"
            assert refused.headers["retry-after"] == "1"
            assert refused.headers["retry-after-ms"] == "1000"


@pytest.fixture
def mortal(tmp_path: Path, upstream: Upstream) -> Iterator[House]:
    """A gateway that is taken for dead soon after it gives no sign."""
    lease = {"GOVGATE_DATABASE__LEASE_SECONDS": "1"}
    house = embedded(tmp_path, **lease, **behind(upstream), **PRICED)
    house.upstream = upstream
    house.start()
    yield house
    house.stop(signal.SIGKILL)


def test_c29_a_key_outlives_the_process_that_held_it(mortal: House) -> None:
    """Killed in the middle of a call: the repeat is told to wait until the call is found to be
    lost, then runs anew, once."""
    name, before = uuid4().hex, calls(mortal)
    slow = asking("@replay slow 1\nOne two three four five six seven eight nine ten.", stream=True)
    headers = {"authorization": f"Bearer {mortal.key()}", "idempotency-key": name}
    url = f"{mortal.base_url}/chat/completions"
    with (
        httpx.Client(timeout=60) as client,
        client.stream("POST", url, json=slow, headers=headers) as torn,
    ):
        next(torn.iter_raw())
        mortal.stop(signal.SIGKILL)
    lost = torn.headers["x-request-id"]
    mortal.start()
    quick = {**headers, "x-govgate-purpose": "again"}
    deadline = time.monotonic() + PATIENCE
    with httpx.Client(timeout=60) as client:
        while True:
            with client.stream("POST", url, json=slow, headers=quick) as answer:
                if answer.status_code == 200:
                    break
                assert answer.status_code == 409
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert mortal.facts(lost)["outcome"] == "lost"
    assert calls(mortal) == before + 2


def test_c13_and_c33_base_urls_over_the_wire(house: House) -> None:
    key = house.key()
    paths = ("/v1/chat/completions", "/v1/v1/chat/completions", "/v1//chat/completions/")
    for path in paths:
        assert post(house, path=path).status_code == 200
    azure = httpx.post(
        f"http://127.0.0.1:{house.port}/openai/deployments/{MODEL}/chat/completions",
        params={"api-version": "2024-10-21"},
        json=asking("Hello.") | {"model": "ignored"},
        headers={"api-key": key},
    )
    assert azure.status_code == 200
    assert house.facts(azure.headers["x-request-id"])["model"] == MODEL
    with httpx.Client(headers={"x-api-key": key}) as client:
        connections = set()
        for path in ("/models", "/chat/completions", "/nowhere"):
            head = client.head(f"{house.base_url}{path}")
            assert (head.status_code in (200, 404, 405), head.content) == (True, b"")
            assert int(head.headers["content-length"]) > 0
            connections.add(id(head.extensions["network_stream"]))
        assert len(connections) == 1, "the server hung up, as it does on an answer cut short"


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate", "gzip, br, zstd", "*"])
def test_c31_answers_are_never_compressed(house: House, encoding: str) -> None:
    for body in (asking("Hello."), asking("Hello.", stream=True)):
        answer = post(house, body, **{"accept-encoding": encoding})
        assert answer.status_code == 200
        assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate"])
def test_c31_compressed_requests_are_refused(house: House, encoding: str) -> None:
    answer = post(house, b"\x1f\x8b\x08", **{"content-encoding": encoding})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")


def test_c32_a_connection_serves_again(house: House) -> None:
    headers = {"authorization": f"Bearer {house.key()}"}
    with httpx.Client(headers=headers, timeout=60) as client:
        streams = []
        for stream in (False, True, False):
            url, body = f"{house.base_url}/chat/completions", asking("Hello.", stream=stream)
            with client.stream("POST", url, json=body) as answer:
                answer.read()
                assert answer.status_code == 200
                streams.append(answer.extensions["network_stream"])
            refused = client.post(url, content=b"{", headers={"content-type": "application/json"})
            assert refused.status_code == 400
            streams.append(refused.extensions["network_stream"])
        assert all(each is streams[0] for each in streams)


def test_c32_a_large_prompt_is_taken_and_one_too_large_is_told_the_limit(house: House) -> None:
    part = "lorem ipsum " * 80_000  # under the longest string
    body = {"model": MODEL, "messages": [{"role": "user", "content": part} for _ in range(10)]}
    content = orjson.dumps(body)
    assert 9 << 20 < len(content) < 10 << 20
    assert post(house, content).status_code == 200
    refused = post(house, content + b" " * (1 << 20))
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "request_too_large")
    assert str(10 << 20) in refused.json()["error"]["message"]
