"""What stands on the wire between an application, the gateway and a provider: paths, headers,
encodings, signs of life. As the official clients see it where they show it, else byte by byte."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest

from gateway.core.principal import Limits
from tests.clients.callers import MODEL, PRICED, Caller, caller, ended, make_key, seen_by, user
from tests.clients.canned import Canned
from tests.clients.fleet import ROOT, missing
from tests.clients.test_coding_tools import before
from tests.houses import House, Upstream, behind, embedded
from tests.shapes import Asked, check_traffic
from tests.shapes.made import HEAD, USAGE, completion_stream

ANN = "ann.lee@example.org"
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "Hello.", "refusal": None},
          "logprobs": None, "finish_reason": "stop"}  # fmt: skip
WHOLE = {**HEAD, "object": "chat.completion", "choices": [CHOICE], "usage": USAGE}


# C08: what is not governed is not there

ELSEWHERE = [
    ("POST", "/v1/fine_tuning/jobs"), ("GET", "/v1/fine_tuning/jobs"), ("GET", "/v1/assistants"),
    ("POST", "/v1/threads"), ("POST", "/v1/vector_stores"), ("POST", "/v1/uploads"),
    ("POST", "/v1/images/variations"), ("POST", "/v1/responses/compact"), ("POST", "/v1/realtime"),
    ("POST", "/v1/videos"), ("POST", "/v1/containers"), ("GET", "/v1/skills"),
    ("POST", "/v1/evals"), ("GET", "/v1/chat/completions/chatcmpl-1"), ("POST", "/v1/complete"),
    ("POST", "/v1/messages/batches"), ("GET", "/v1/organization/usage"), ("POST", "/v1/engines"),
]  # fmt: skip
"""Endpoints of both vendors that nobody governs here."""


@pytest.mark.parametrize(("method", "path"), ELSEWHERE)
def test_c08_what_is_not_governed_is_refused(
    method: str, path: str, house: House, key: str
) -> None:
    """Never passed on, in the shape that the path's callers read."""
    assert house.upstream is not None
    house.upstream.forget()
    url = house.base_url.removesuffix("/v1") + path
    answer = httpx.request(
        method, url, headers={"authorization": f"Bearer {key}"}, json={"model": MODEL}
    )
    assert answer.status_code in (404, 405)
    check_traffic(Asked(method, path), answer.status_code, answer.headers, answer.content)
    code = {404: ("unknown_url", "not_found"), 405: ("method_not_allowed",)}[answer.status_code]
    assert answer.json()["error"]["code"] in code
    assert house.upstream.log()["requests"] == []


# C09: what stands for a response until there is one


def test_c09_a_response_to_come_has_the_shape_of_one(client: Caller) -> None:
    told = client.responses.create(model=MODEL, input="hello", background=True, temperature=0.5)
    assert (told.status, told.background, told.temperature) == ("queued", True, 0.5)
    assert (told.tools, told.tool_choice, told.parallel_tool_calls) == ([], "auto", True)
    [item] = client.responses.input_items.list(told.id)
    assert item.type == "message"
    client.responses.delete(told.id)
    assert client.heard.count == 3, "each was held against its shape"


# C11: Anthropic's package, the base URL without /v1


@pytest.fixture(scope="module")
def claude(tmp_path_factory: pytest.TempPathFactory, canned: Canned) -> Iterator[House]:
    house = before(canned, tmp_path_factory.mktemp("claude"))
    house.start()
    yield house
    house.stop()


@pytest.mark.parametrize("how", ["api_key", "auth_token"])
def test_c11_both_ways_to_show_a_key(how: Any, claude: House, canned: Canned) -> None:
    said = {"id": "m", "type": "message", "role": "assistant", "model": "c", "stop_sequence": None,
            "stop_reason": "end_turn", "content": [{"type": "text", "text": "Hello."}],
            "usage": {"input_tokens": 3, "output_tokens": 5}}  # fmt: skip
    canned.answers(json.dumps(said).encode())
    root = claude.base_url.removesuffix("/v1")
    shown = {how: make_key(claude)[0]}
    with anthropic.Anthropic(base_url=root, **shown) as client:
        raw = client.beta.messages.with_raw_response.create(
            model="claude-x", max_tokens=9, messages=user("hello"), betas=["a-2026-01-01", "b"],
            extra_query={"beta": "true"},
        )  # fmt: skip
    assert str(raw.http_request.url) == f"{root}/v1/messages?beta=true"
    check_traffic(Asked("POST", "/v1/messages"), 200, raw.headers, raw.http_response.read())
    assert raw.headers["request-id"] == raw.headers["x-request-id"]
    assert ended(claude, raw.headers["request-id"])["outcome"] == "completed"
    [asked] = canned.asked
    sent = {name.lower(): value for name, value in asked["headers"].items()}
    assert sent["anthropic-beta"] == "a-2026-01-01,b"
    assert sent["anthropic-version"] == raw.http_request.headers["anthropic-version"]
    assert sent["x-api-key"] == "sk-upstream"
    assert shown[how] not in json.dumps(sent)


def test_c11_tokens_are_counted(claude: House, canned: Canned) -> None:
    canned.answers(b'{"input_tokens":7}')
    root = claude.base_url.removesuffix("/v1")
    with anthropic.Anthropic(base_url=root, api_key=make_key(claude)[0]) as client:
        raw = client.messages.with_raw_response.count_tokens(
            model="claude-x", messages=user(f"I am {ANN}")
        )
    body = raw.http_response.read()
    check_traffic(Asked("POST", "/v1/messages/count_tokens"), 200, raw.headers, body)
    assert raw.parse().input_tokens == 7
    assert ANN not in json.dumps(canned.asked)


# C12: both vendors list models in their own shape


@pytest.mark.parametrize("version", [{}, {"anthropic-version": "2023-06-01"}])
@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/replay-small", "/v1/models/none"])
def test_c12_models_have_the_shape_of_who_asks(
    path: str, version: dict[str, str], house: House
) -> None:
    narrow, _ = make_key(house, models=("replay-*",))
    url = house.base_url.removesuffix("/v1") + path
    answer = httpx.get(url, headers={"authorization": f"Bearer {narrow}", **version})
    assert answer.status_code == (404 if path.endswith("none") else 200)
    asked = Asked("GET", path, version)
    check_traffic(asked, answer.status_code, answer.headers, answer.content)


# C23: whose limits are told


def test_c23_the_providers_limits_are_told_apart_from_ours(
    open_house: House, canned: Canned
) -> None:
    theirs = {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-tokens": "149984",
              "x-ratelimit-reset-requests": "1s", "x-request-id": "req_theirs",
              "x-ratelimit-limit-secrets": "1"}  # fmt: skip
    canned.answers(json.dumps(WHOLE).encode(), **theirs)
    key, _ = make_key(open_house, limits=Limits(requests=3))
    with caller(open_house, key) as client:
        raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=user("hi"))
    told = {name: value for name, value in raw.headers.items() if "ratelimit" in name}
    assert told["x-ratelimit-limit-requests"] == "3"
    assert told["x-ratelimit-remaining-requests"] == "2"
    apart = {name: value for name, value in told.items() if name.startswith("x-govgate-")}
    assert apart == {
        "x-govgate-upstream-ratelimit-limit-requests": "60",
        "x-govgate-upstream-ratelimit-remaining-tokens": "149984",
        "x-govgate-upstream-ratelimit-reset-requests": "1s",
    }
    assert raw.headers["x-govgate-upstream-request-id"] == "req_theirs"
    assert raw.headers["x-request-id"].startswith("exc_")


# C26: a stream that thinks for long


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[House]:
    """A gateway that gives signs of life often."""
    often = {"GOVGATE_SERVER__KEEP_ALIVE_SECONDS": "0.05"}
    house = embedded(tmp_path_factory.mktemp("patient"), **behind(upstream), **often)
    house.start()
    yield house
    house.stop()


def test_c26_a_silent_stream_gives_signs_of_life(patient: House) -> None:
    """The model says no more, and never ends; what comes is the gateway's own."""
    key, _ = make_key(patient)
    asked = {"model": MODEL, "messages": user("@replay hang-after 3\nOne. Two. Three. Four."),
             "stream": True}  # fmt: skip
    url, headers = f"{patient.base_url}/chat/completions", {"authorization": f"Bearer {key}"}
    with httpx.stream("POST", url, json=asked, headers=headers, timeout=30) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-accel-buffering"] == "no"
        comments = (line for line in answer.iter_lines() if line.startswith(":"))
        assert [next(comments) for _ in range(3)] == [": keep-alive"] * 3


def test_c26_clients_pass_over_signs_of_life(patient: House) -> None:
    with caller(patient, make_key(patient)[0]) as client:
        text = "@replay slow 0.2\nOne. Two."
        chunks = client.chat.completions.create(model=MODEL, messages=user(text), stream=True)
        said = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(said) == "You said: One. Two."


# C31: encodings of the provider's


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate"])
@pytest.mark.parametrize("stream", [False, True])
def test_c31_a_compressed_answer_is_no_answer(
    stream: bool, encoding: str, open_house: House, open_key: str, canned: Canned
) -> None:
    """It was asked not to; what could not be read is not passed on, and the caller is told."""
    body = completion_stream(WHOLE, []) if stream else json.dumps(WHOLE).encode()
    canned.answers(gzip.compress(body), stream=stream, **{"content-encoding": encoding})
    with caller(open_house, open_key, max_retries=0) as client:
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model=MODEL, messages=user("hi"), stream=stream)
        assert (caught.value.status_code, caught.value.code) == (502, "upstream_error")
    [asked] = canned.asked
    sent = {name.lower(): value for name, value in asked["headers"].items()}
    assert sent["accept-encoding"] == "identity"


# C33: Azure's package


@pytest.mark.parametrize("stream", [False, True])
def test_c33_azures_client(stream: bool, house: House, key: str) -> None:
    """The deployment is the model, whatever the body says; the key stands in its own header."""
    assert house.upstream is not None
    house.upstream.forget()
    root = house.base_url.removesuffix("/v1")
    with openai.AzureOpenAI(azure_endpoint=root, api_version="2024-10-21", api_key=key) as client:
        raw = client.chat.completions.with_raw_response.create(
            model=MODEL, messages=user(f"to {ANN}"), stream=stream
        )
        body = raw.http_response.read()
    path = raw.http_request.url.raw_path.decode()
    assert path == f"/openai/deployments/{MODEL}/chat/completions?api-version=2024-10-21"
    assert raw.http_request.headers["api-key"] == key
    check_traffic(Asked("POST", path), 200, raw.headers, body)
    [asked] = seen_by(house)
    assert asked["model"] == MODEL
    assert ANN not in json.dumps(asked)
    assert ended(house, raw.headers["x-request-id"])["model"] == MODEL


# C36: what the documentation has readers type


def commands(to: str) -> list[Any]:
    """Each call with curl to an address with `to` in it that a page shows, in a shell."""
    found = []
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for block in re.findall(r"```(?:\w*)\n(.*?)```", page.read_text(), flags=re.DOTALL):
            for command in re.findall(r"^curl (?:.*\\\n)*.*$", block, flags=re.MULTILINE):
                if to in command:
                    found.append(pytest.param(command, id=f"{page.stem} {len(found)}"))
    return found


MODELS, CONTROL = "$OPENAI_BASE_URL", "http://127.0.0.1:8080/api/v1/"


def test_c36_there_are_such_commands() -> None:
    assert len(commands(MODELS)) >= 2
    assert len(commands(CONTROL)) >= 5


@pytest.mark.parametrize("command", commands(CONTROL))
def test_c36_a_command_of_an_officer_runs(
    command: str, house: House, client: Caller, tmp_path: Path
) -> None:
    answer = client.chat.completions.with_raw_response.create(model=MODEL, messages=user("Hello"))
    command = command.replace("http://127.0.0.1:8080", house.base_url.removesuffix("/v1"))
    command = command.replace("exc_01a205d5…", answer.headers["x-request-id"])
    command = command.replace("chatcmpl-123", answer.parse().id)
    roles = [option for role in ("compliance", "investigator") for option in ("--role", role)]
    told = {"KEY": house.key(*roles), "PATH": os.environ["PATH"]}
    again = "curl -sf --retry 20 --retry-all-errors --retry-delay 1 "  # the index follows
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command.replace("curl ", again)], cwd=tmp_path,
        env=told, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for line in done.stdout.splitlines():
        json.loads(line)


@pytest.mark.parametrize("command", commands(MODELS))
def test_c36_a_command_runs(command: str, house: House, key: str, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        missing("curl")
    told = {"OPENAI_BASE_URL": house.base_url, "OPENAI_API_KEY": key, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command], cwd=tmp_path, env=told,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.rpartition("\n\n")
    answer = json.loads(body)
    if "pipe bomb" in command:
        assert answer["error"]["code"] == "content_filter"
        assert answer["error"]["governance"]["rules"]
        return
    assert answer["choices"][0]["message"]["content"] == "You said: Hello"
    for name in ("x-request-id", "x-govgate-decision", "x-govgate-cost-usd", "x-govgate-leaf"):
        assert f"\n{name}: " in head


# C37: who it is for is the provider's to know, where the caller says it


@pytest.mark.parametrize("stream", [False, True])
def test_c37_attribution_is_forwarded_and_on_record(
    stream: bool, house: House, client: Caller
) -> None:
    told: dict[str, Any] = {
        "user": "u-1", "safety_identifier": "s-1", "metadata": {"ticket": "4711"},
        "prompt_cache_key": "k-1",
    }  # fmt: skip
    raw = client.chat.completions.with_raw_response.create(
        model=PRICED if stream else MODEL, messages=user("hello"), stream=stream, **told
    )
    raw.http_response.read()
    [opened, *_] = house.record(raw.headers["x-request-id"])
    received = json.loads((opened.parts or {})["request_received"])
    assert {name: received[name] for name in told} == told
    assert ended(house, raw.headers["x-request-id"])["outcome"] == "completed"
    if not stream:
        [asked] = seen_by(house)
        assert {name: asked[name] for name in told} == told
