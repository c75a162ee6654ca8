"""What each dialect costs, governed, and what translation adds: `python -m bench.dialects`.

One process without a network: the gateway as it is built, but for the transport, which answers
at once with canned bytes. So the figures are the gateway's own processor time, without sockets,
and compare dialects with each other; they are not those of the table of gateways.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvloop

from bench import workload
from gateway.adapters.providers.wire import AiohttpTransport
from gateway.adapters.store.keys import NewKey
from gateway.adapters.store.migrate import migrate
from gateway.settings import Settings
from gateway.wiring import Gateway, build

ROUNDS, EXCHANGES, TOGETHER = 7, 400, 8
_TEXT = json.loads(workload.prompt(stream=False))["messages"]
_SAID = json.loads(workload.answer())["choices"][0]["message"]["content"]
_USAGE = {"input_tokens": 230, "output_tokens": 70, "total_tokens": 300}
_SPOKEN = {"prompt_tokens": 230, "completion_tokens": 70, "total_tokens": 300}

ROUTES = """
providers:
  - {name: open, kind: openai, base_url: "http://127.0.0.1:9/v1", allow_private: true}
  - name: claude
    kind: anthropic
    base_url: "http://127.0.0.1:9"
    allow_private: true
    api_key: {env: BENCH_KEY}
models:
  - {name: open-model, targets: [{provider: open, model: open-model}]}
  - {name: claude-model, targets: [{provider: claude, model: claude-model}]}
"""


def _chat_answer() -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(workload.answer())
    return answer


_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": _SAID}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 230, "output_tokens": 70},
}
_RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "m",
    "error": None,
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": _SAID, "annotations": []}],
        }
    ],
    "usage": _USAGE,
}
_COMPLETION = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "text": _SAID, "finish_reason": "stop", "logprobs": None}],
    "usage": _SPOKEN,
}
_EMBEDDING = {
    "object": "list",
    "model": "m",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.125] * 256}],
    "usage": {"prompt_tokens": 230, "total_tokens": 230},
}
_MODERATION = {
    "id": "modr-1",
    "model": "m",
    "results": [{"flagged": False, "categories": {}, "category_scores": {}}],
}
_IMAGE = {"created": 1, "data": [{"b64_json": "aGVsbG8=", "revised_prompt": "a bench"}]}

_ANSWERS: Mapping[str, dict[str, Any]] = {
    "/chat/completions": _chat_answer(),
    "/completions": _COMPLETION,
    "/responses": _RESPONSE,
    "/messages": _MESSAGE,
    "/embeddings": _EMBEDDING,
    "/moderations": _MODERATION,
    "/images/generations": _IMAGE,
}


@dataclass(frozen=True)
class Case:
    """One dialect in front of one provider."""

    name: str
    path: str
    body: dict[str, Any]
    took: list[float] = field(default_factory=list)


def cases() -> list[Case]:
    words = "\n".join(message["content"] for message in _TEXT)
    system, user = _TEXT
    chat = {"messages": _TEXT, "max_tokens": 400}
    messages = {"system": system["content"], "messages": [user], "max_tokens": 400}
    ours, theirs = {"model": "open-model"}, {"model": "claude-model"}
    return [
        Case("chat", "/v1/chat/completions", ours | chat),
        Case("completions", "/v1/completions", ours | {"prompt": words, "max_tokens": 400}),
        Case("responses", "/v1/responses", ours | {"input": words, "store": False}),
        Case("messages, native", "/v1/messages", theirs | messages),
        Case("embeddings", "/v1/embeddings", ours | {"input": words}),
        Case("moderations", "/v1/moderations", ours | {"input": words}),
        Case("images", "/v1/images/generations", ours | {"prompt": words[:900]}),
        Case("chat to Anthropic", "/v1/chat/completions", theirs | chat),
        Case("messages to OpenAI's API", "/v1/messages", ours | messages),
    ]


class _Body(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body

    async def aclose(self) -> None:
        return


async def _answer(self: AiohttpTransport, request: httpx.Request) -> httpx.Response:
    await request.aread()
    await asyncio.sleep(0)
    [name] = [path for path in _ANSWERS if str(request.url).endswith("/v1" + path)]
    body = json.dumps(_ANSWERS[name]).encode()
    return httpx.Response(200, headers={"content-type": "application/json"}, stream=_Body(body))


async def _ask(gateway: Gateway, key: str, case: Case) -> None:
    body = json.dumps(case.body).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    begun = False

    async def receive() -> Any:
        nonlocal begun
        if not begun:
            begun = True
            return {"type": "http.request", "body": body, "more_body": False}
        await waiting
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(f"{case.name}: {message['status']}")

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "path": case.path, "raw_path": case.path.encode(), "query_string": b"", "root_path": "",
        "scheme": "http", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "state": {},
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    await gateway.app(scope, receive, send)  # type: ignore[arg-type]
    waiting.cancel()


async def _round(gateway: Gateway, key: str, case: Case) -> float:
    """Milliseconds of the main thread's processor time for one exchange."""

    async def several() -> None:
        for _ in range(EXCHANGES // TOGETHER):
            await _ask(gateway, key, case)

    begun = time.thread_time()
    await asyncio.gather(*(several() for _ in range(TOGETHER)))
    return (time.thread_time() - begun) / EXCHANGES * 1e3


async def measure(folder: Path) -> list[Case]:
    """Every case, in interleaved rounds; the first of each only warms up."""
    routes = folder / "routes.yaml"
    routes.write_text(ROUTES)
    os.environ |= {"GOVGATE_REPLAY__ENABLED": "false", "BENCH_KEY": "bench"}
    settings = Settings(data_dir=folder, routes=routes)
    migrate(settings.database_url)
    gateway = build(settings)
    await gateway.start()
    key, _ = await gateway.keys.create(NewKey(team="bench", app="bench"))
    found = cases()
    for turn in range(ROUNDS + 1):
        for case in found:
            took = await _round(gateway, key, case)
            if turn:
                case.took.append(took)
    await gateway.stop()
    return found


def main() -> None:
    AiohttpTransport.handle_async_request = _answer  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        found = uvloop.run(measure(Path(folder)))
    median = {case.name: statistics.median(case.took) for case in found}
    print("| dialect | main thread's CPU ms | × chat |\n| --- | --: | --: |")
    for name, took in median.items():
        print(f"| {name} | {took:.3f} | {took / median['chat']:.2f} |")
    added = [
        ("chat to Anthropic, over messages native", "chat to Anthropic", "messages, native"),
        ("messages to OpenAI's API, over chat", "messages to OpenAI's API", "chat"),
    ]
    for words, whole, part in added:
        print(f"\n{words}: {median[whole] - median[part]:+.3f} ms")


if __name__ == "__main__":
    sys.exit(main())
