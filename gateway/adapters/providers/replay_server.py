"""The replay provider's answers over real HTTP: an upstream for tests and benchmarks.

    python -m gateway.adapters.providers.replay_server --port 8081 [--pace 0.02]

`POST /v1/chat/completions` and `GET /v1/models` speak OpenAI's API, and scripted faults
happen on the wire: the connection really breaks, hangs, or carries what is not JSON.
`GET /_log` tells what was asked for, what was sent and who hung up, with the bill that a
provider would write for it; `DELETE /_log` forgets all that.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import asdict, dataclass, field
from hmac import compare_digest
from typing import Any, TypeAlias

import click
import orjson
import uvicorn

from gateway.adapters.providers.replay import answer, chunks, error_body, script
from gateway.adapters.providers.replay_script import Fault, Script

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MODELS = ("replay",)
_JSON = b"application/json"
_SSE = b"text/event-stream"


@dataclass(slots=True)
class Seen:
    """One request as the log keeps it. `ended` is answered, refused, broken or hung up."""

    id: str
    path: str
    headers: dict[str, str]
    body: str
    ended: str | None = None
    sent: int = 0
    """Chunks sent; 1 for a whole answer."""
    ended_at: float | None = None
    """When, on the clock of `time.monotonic`."""


@dataclass(slots=True)
class Bill:
    """What a provider would charge: all that was read, and what was said, delivered or not."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(slots=True)
class Log:
    """The last requests, and the bill of all of them."""

    requests: deque[Seen] = field(default_factory=lambda: deque(maxlen=10_000))
    bill: Bill = field(default_factory=Bill)

    def encode(self) -> bytes:
        hang_ups = sum(seen.ended == "hung up" for seen in self.requests)
        seen = [asdict(each) for each in self.requests]
        return orjson.dumps({"requests": seen, "hang_ups": hang_ups, "bill": asdict(self.bill)})


class ReplayServer:
    """The ASGI app. `pace` is the seconds before each chunk; `api_key` is asked for if given."""

    def __init__(self, pace: float = 0.0, *, api_key: str | None = None) -> None:
        self.log = Log()
        self._pace = pace
        self._api_key = api_key
        self._count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        match scope["method"], scope["path"]:
            case "POST", "/v1/chat/completions":
                await self._complete(scope, receive, send)
            case "GET", "/v1/models":
                listed = [
                    {"id": m, "object": "model", "created": 0, "owned_by": "replay"} for m in MODELS
                ]
                await _reply(send, 200, orjson.dumps({"object": "list", "data": listed}))
            case "GET", "/_log":
                await _reply(send, 200, self.log.encode())
            case "DELETE", "/_log":
                self.log = Log()
                await _reply(send, 200, b"{}")
            case _:
                await _reply(send, 404, error_body("unknown url"))

    async def _complete(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        body = await _body(receive)
        self._count += 1
        seen = Seen(f"req_{self._count}", scope["path"], headers, body.decode(errors="replace"))
        self.log.requests.append(seen)
        given = headers.get("authorization", "").encode()
        if self._api_key and not compare_digest(given, f"Bearer {self._api_key}".encode()):
            await self._refuse(send, seen, 401, "no such key")
            return
        try:
            request = orjson.loads(body)
            told = script(request)
            whole = answer(request)
            pieces = chunks(request) if request.get("stream") else None
        except (ValueError, AttributeError) as error:
            await self._refuse(send, seen, 400, str(error))
            return
        if told.status is not None:
            await self._refuse(send, seen, told.status, "as scripted", told.retry_after)
            return
        self.log.bill.calls += 1
        self.log.bill.prompt_tokens += whole["usage"]["prompt_tokens"]
        call = _Call(receive, send, seen, told, self._pace if told.slow is None else told.slow)
        said = await (call.whole(whole) if pieces is None else call.stream(pieces))
        self.log.bill.completion_tokens += min(said, whole["usage"]["completion_tokens"])

    @staticmethod
    async def _refuse(
        send: Send, seen: Seen, status: int, message: str, retry_after: float | None = None
    ) -> None:
        extra = [] if retry_after is None else [(b"retry-after", f"{retry_after:g}".encode())]
        await _reply(send, status, error_body(message), [*extra, _request_id(seen)])
        _end(seen, "refused")


class _Call:
    """One call being answered. Its answers return how many tokens were said."""

    def __init__(self, receive: Receive, send: Send, seen: Seen, told: Script, pace: float) -> None:
        self._send = send
        self._seen = seen
        self._told = told
        self._pace = pace
        self._gone = asyncio.ensure_future(receive())  # the next message is the hang-up

    async def whole(self, said: Mapping[str, Any]) -> int:
        all_of_it: int = said["usage"]["completion_tokens"]
        raw = orjson.dumps(said)
        if self._told.fault is not None:
            await self._suffer(self._told.fault, _JSON, raw)
            return all_of_it
        if self._pace and await self._left(self._pace):
            return all_of_it
        self._seen.sent = 1
        await _reply(self._send, 200, raw, [_request_id(self._seen)])
        self._end("answered")
        return all_of_it

    async def stream(self, pieces: list[dict[str, Any]]) -> int:
        fault, size = self._told.fault, 0
        await _start(self._send, 200, _SSE, [_request_id(self._seen)])
        for place, piece in enumerate(pieces):
            if fault is not None and fault.after == place:
                break
            if await self._left(self._pace):
                return -(-size // 4)
            self._seen.sent += 1
            size += _size(piece)
            await _more(self._send, b"data: %b\n\n" % orjson.dumps(piece))
        if fault is not None:
            await self._suffer(fault, _SSE, b"")
        else:
            await _more(self._send, b"data: [DONE]\n\n" if self._told.done else b"", last=True)
            self._end("answered")
        return -(-size // 4)

    async def _suffer(self, fault: Fault, kind: bytes, raw: bytes) -> None:
        """Let `fault` happen: to a stream that has begun, or to the whole answer `raw`."""
        if fault.kind == "hang":
            await self._left(None)
            return
        if kind == _JSON:
            length = (b"content-length", str(len(raw)).encode())
            await _start(self._send, 200, kind, [length, _request_id(self._seen)])
        if fault.kind == "die":
            await _more(self._send, raw[: len(raw) // 2])
        else:
            broken = (
                error_body("as scripted") if fault.kind == "error" else b'{"choices": [nonsense'
            )
            framed = broken.ljust(len(raw)) if kind == _JSON else b"data: %b\n\n" % broken
            await _more(self._send, framed, last=True)
        self._end("broken")  # returning with an answer unfinished makes uvicorn hang up

    async def _left(self, seconds: float | None) -> bool:
        """Wait; True as soon as the caller has hung up."""
        await asyncio.wait({self._gone}, timeout=seconds)
        if self._gone.done():
            self._end("hung up")
        return self._gone.done()

    def _end(self, how: str) -> None:
        self._gone.cancel()
        _end(self._seen, how)


def _end(seen: Seen, how: str) -> None:
    seen.ended, seen.ended_at = how, time.monotonic()


def _size(piece: Mapping[str, Any]) -> int:
    """The bytes of text that a chunk says."""
    size = 0
    for choice in piece["choices"]:
        delta = choice["delta"]
        size += len(f"{delta.get('content') or ''}{delta.get('refusal') or ''}".encode())
        size += sum(len(c["function"]["arguments"].encode()) for c in delta.get("tool_calls", ()))
    return size


def _request_id(seen: Seen) -> tuple[bytes, bytes]:
    return b"x-request-id", seen.id.encode()


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def _start(send: Send, status: int, kind: bytes, extra: list[tuple[bytes, bytes]]) -> None:
    headers = [(b"content-type", kind), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _more(send: Send, body: bytes, *, last: bool = False) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": not last})


async def _reply(
    send: Send, status: int, body: bytes, extra: list[tuple[bytes, bytes]] | None = None
) -> None:
    length = (b"content-length", str(len(body)).encode())
    await _start(send, status, _JSON, [length, *(extra or ())])
    await _more(send, body, last=True)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, required=True)
@click.option("--pace", type=float, default=0.0, help="Seconds before each chunk.")
@click.option("--api-key", help="Refuse calls that do not carry this key.")
def main(host: str, port: int, pace: float, api_key: str | None) -> None:
    """Serve the replay provider's answers as an OpenAI-compatible upstream."""
    app = ReplayServer(pace, api_key=api_key)
    uvicorn.run(app, host=host, port=port, log_level="critical", access_log=False, lifespan="off")


if __name__ == "__main__":
    main()
