"""The replay server over real sockets, read by a plain HTTP client."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from gateway.adapters.providers.openai import OpenAIProvider
from gateway.adapters.providers.replay import answer, chunks
from gateway.adapters.providers.replay_server import ReplayServer
from gateway.adapters.providers.wire import AiohttpTransport
from gateway.core.exchange import Exchange
from gateway.core.ports import Model
from gateway.dialects.chat import Chat
from tests.fakes.provider import serving

PATH = "/v1/chat/completions"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(ReplayServer()) as url:
        yield url


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, trust_env=False) as client:
        client.delete("/_log")
        yield client


def asking(content: str, **options: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content}], **options}


def log(http: httpx.Client) -> dict[str, Any]:
    """The log, once its last request has ended: it may end after its answer has arrived."""
    deadline = time.monotonic() + 10
    while True:
        told: dict[str, Any] = http.get("/_log").json()
        if not told["requests"] or told["requests"][-1]["ended"]:
            return told
        assert time.monotonic() < deadline


def test_a_whole_answer(http: httpx.Client) -> None:
    response = http.post(PATH, json=asking("hi"))
    assert response.json() == answer(asking("hi"))
    assert response.headers["x-request-id"].startswith("req_")


def test_a_stream(http: httpx.Client) -> None:
    request = asking("hi", stream=True)
    response = http.post(PATH, json=request)
    assert response.headers["content-type"] == "text/event-stream"
    lines = response.text.split("\n\n")
    assert len(lines) == len(chunks(request)) + 2
    assert lines[-2:] == ["data: [DONE]", ""]
    no_done = http.post(PATH, json=asking("@replay no-done", stream=True))
    assert "[DONE]" not in no_done.text


def test_models_and_other_paths(http: httpx.Client) -> None:
    assert [model["id"] for model in http.get("/v1/models").json()["data"]] == ["replay"]
    assert http.get(PATH).status_code == 404
    assert http.post("/v1/embeddings", json={}).status_code == 404


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"messages": 1}', b"\xff"])
def test_what_cannot_be_answered(http: httpx.Client, body: bytes) -> None:
    response = http.post(PATH, content=body)
    assert response.status_code == 400
    assert response.json()["error"]["message"]


def test_a_scripted_status(http: httpx.Client) -> None:
    response = http.post(PATH, json=asking("@replay status 429 retry-after 2.5"))
    assert (response.status_code, response.headers["retry-after"]) == (429, "2.5")
    assert log(http)["bill"]["calls"] == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["die", "die-after 2", "die-after 99"])
def test_a_broken_connection(http: httpx.Client, fault: str, stream: bool) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        http.post(PATH, json=asking(f"@replay {fault}\na b c", stream=stream))
    assert log(http)["requests"][-1]["ended"] == "broken"


def test_nonsense_and_error_objects(http: httpx.Client) -> None:
    nonsense = http.post(PATH, json=asking("@replay malformed"))
    with pytest.raises(ValueError, match="Expecting"):
        nonsense.json()
    streamed = http.post(PATH, json=asking("@replay malformed-after 2\na b", stream=True))
    assert streamed.text.rstrip().endswith('data: {"choices": [nonsense')
    error = http.post(PATH, json=asking("@replay error"))
    assert error.json()["error"]["message"] == "as scripted"
    streamed = http.post(PATH, json=asking("@replay error-after 2\na b", stream=True))
    assert '"error"' in streamed.text.split("\n\n")[2]


def test_a_hang_and_a_hang_up(http: httpx.Client) -> None:
    with pytest.raises(httpx.ReadTimeout):
        http.post(PATH, json=asking("@replay hang"), timeout=0.2)
    assert log(http)["hang_ups"] == 1


def test_the_log_and_the_bill(http: httpx.Client) -> None:
    usage = answer(asking("hi"))["usage"]
    http.post(PATH, json=asking("hi"), headers={"x-mark": "canary"})
    http.post(PATH, json=asking("hi", stream=True))
    told = log(http)
    first, second = told["requests"]
    assert first["headers"]["x-mark"] == "canary"
    assert '"hi"' in first["body"]
    assert (first["ended"], first["sent"]) == ("answered", 1)
    assert (second["ended"], second["sent"]) == ("answered", len(chunks(asking("hi"))))
    assert told["bill"] == {
        "calls": 2,
        "prompt_tokens": 2 * usage["prompt_tokens"],
        "completion_tokens": 2 * usage["completion_tokens"],
    }
    http.delete("/_log")
    assert log(http) == {
        "requests": [],
        "hang_ups": 0,
        "bill": {"calls": 0, "prompt_tokens": 0, "completion_tokens": 0},
    }


def test_what_was_not_sent_is_not_billed(http: httpx.Client) -> None:
    request = asking("@replay hang-after 3\n" + "word " * 50, stream=True)
    with pytest.raises(httpx.ReadTimeout):
        http.post(PATH, json=request, timeout=1.0)
    told = log(http)
    assert (told["requests"][0]["sent"], told["hang_ups"]) == (3, 1)
    assert told["bill"]["completion_tokens"] == 3  # "You said:" is 9 bytes
    assert told["bill"]["prompt_tokens"] == answer(request)["usage"]["prompt_tokens"]


def test_a_key_is_asked_for() -> None:
    with serving(ReplayServer(api_key="k")) as url:
        ask = {"json": asking("hi"), "trust_env": False}
        assert httpx.post(url + PATH, **ask).status_code == 401
        wrong = {"authorization": "Bearer é".encode()}
        assert httpx.post(url + PATH, **ask, headers=wrong).status_code == 401
        right = {"authorization": "Bearer k"}
        assert httpx.post(url + PATH, **ask, headers=right).status_code == 200


def test_openais_client_reads_it(url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
        messages: Any = [{"role": "user", "content": "hi"}]
        whole = client.chat.completions.create(model="m", messages=messages)
        assert whole.choices[0].message.content == "You said: hi"
        with client.chat.completions.stream(model="m", messages=messages) as stream:
            final = stream.get_final_completion()
        assert final.choices[0].message.content == "You said: hi"
        broken: Any = [{"role": "user", "content": "@replay error-after 1"}]
        chunks_of_it = client.chat.completions.create(model="m", messages=broken, stream=True)
        with pytest.raises(openai.APIError):
            list(chunks_of_it)


async def test_a_connection_serves_again_after_a_stream() -> None:
    ports: list[int] = []

    class Watched(ReplayServer):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            ports.append(scope["client"][1])
            await super().__call__(scope, receive, send)

    async def read() -> bytes:
        raise AssertionError("a provider is handed the body")

    with serving(Watched()) as url:
        transport = AiohttpTransport()
        provider = OpenAIProvider("up", f"{url}/v1", None, transport)
        for _ in range(3):
            async with Exchange(Chat(), read) as ours:
                events = await provider.send(ours, Model("m", "up", "m"), asking("a", stream=True))
                assert [event async for event in events]
        await transport.aclose()
    assert len(ports) == 3
    assert len(set(ports)) == 1


def test_the_command() -> None:
    command = [sys.executable, "-m", "gateway.adapters.providers.replay_server", "--help"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "--port" in shown
    assert "--pace" in shown
