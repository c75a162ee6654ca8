"""The OpenAI adapter over a scripted transport: what it sends, and what it makes of answers."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr

from gateway.adapters.providers import calls
from gateway.adapters.providers.openai import PATHS, OpenAIProvider
from gateway.core.answer import Event
from gateway.core.errors import Code, UpstreamError
from gateway.core.exchange import Call, Exchange
from gateway.core.ports import Model
from gateway.dialects.chat import Chat

MODEL = Model(id="ours", upstream="up", upstream_model="theirs")
SSE = {"content-type": "text/event-stream; charset=utf-8"}
ASKED: dict[str, Any] = {"model": "ours", "messages": [], "unknown": {"kept": [1, None]}}


def chunk(text: str, *, index: int = 0, ends: str | None = None) -> bytes:
    choice = {"index": index, "delta": {"content": text}, "finish_reason": ends}
    return b"data: %b\n\n" % orjson.dumps({"id": "c", "choices": [choice]})


class Upstream:
    """A transport that gives one answer and keeps the requests; `closed` counts hang-ups."""

    def __init__(
        self, *pieces: bytes, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self.requests: list[httpx.Request] = []
        self.closed = 0
        self._pieces = pieces
        self._status = status
        self._headers = headers or {"content-type": "application/json"}

    def transport(self) -> httpx.MockTransport:
        async def handle(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return httpx.Response(self._status, headers=self._headers, stream=_Stream(self))

        return httpx.MockTransport(handle)

    async def answers(self, body: dict[str, Any] | None = None, **options: Any) -> list[Event]:
        """What the adapter makes of this upstream's answer."""
        provider = OpenAIProvider(
            "up", "https://up.example/v1/", SecretStr("sk-1"), self.transport(), **options
        )
        async with exchange() as ours:
            self.exchange = ours
            events = await provider.send(ours, MODEL, body or ASKED)
            return [event async for event in events]

    async def fails(self, body: dict[str, Any] | None = None, **options: Any) -> UpstreamError:
        with pytest.raises(UpstreamError) as caught:
            await self.answers(body, **options)
        assert self.closed
        return caught.value


class _Stream(httpx.AsyncByteStream):
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._upstream._pieces:
            yield piece

    async def aclose(self) -> None:
        self._upstream.closed += 1


def exchange() -> Exchange:
    async def read() -> bytes:
        raise AssertionError("a provider is handed the body")

    return Exchange(Chat(), read, Call(credential="gg_secret", attributes={"x-govgate-user": "u"}))


STREAM = {**ASKED, "stream": True}
WHOLE = {
    "id": "c",
    "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}],
}


async def test_what_goes_out() -> None:
    up = Upstream(orjson.dumps(WHOLE))
    await up.answers()
    (request,) = up.requests
    assert str(request.url) == "https://up.example/v1/chat/completions"
    assert dict(request.headers) == {
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": "govgate",
        "authorization": "Bearer sk-1",
    }
    assert orjson.loads(await request.aread()) == {**ASKED, "model": "theirs"}


async def test_the_operators_headers_go_out_and_no_key_where_there_is_none() -> None:
    up = Upstream(orjson.dumps(WHOLE))
    provider = OpenAIProvider(
        "up", "http://127.0.0.1:11434", None, up.transport(), headers={"openai-project": "p"}
    )
    async with exchange() as ours:
        await provider.send(ours, MODEL, ASKED)
    assert str(up.requests[0].url) == "http://127.0.0.1:11434/chat/completions"
    assert up.requests[0].headers["openai-project"] == "p"
    assert "authorization" not in up.requests[0].headers


@pytest.mark.parametrize("action", PATHS)
async def test_every_action_has_its_path(action: str) -> None:
    class Other(Chat):
        pass

    Other.action = action
    up = Upstream(b'{"data": []}')
    provider = OpenAIProvider("up", "https://up.example/v1", None, up.transport())
    async with exchange() as ours:
        ours.dialect = Other()
        events = [event async for event in await provider.send(ours, MODEL, ASKED)]
    assert up.requests[0].url.path == f"/v1{PATHS[action]}"
    assert events[0].data == {"data": []}


@pytest.mark.parametrize(
    "url",
    [
        "ftp://up.example/v1", "file:///etc/passwd", "up.example/v1", "https://", "",
        "https://user:pass@up.example/v1", "https://up.example/v1?x=1", "https://up.example/#f",
    ],
)  # fmt: skip
def test_a_base_url_that_is_not_plain_http_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        OpenAIProvider("up", url, None, Upstream().transport())


async def test_a_whole_answer_keeps_its_bytes() -> None:
    raw = b' {"id": "c",  "choices": [], "unknown": 1.50}\n'
    events = await Upstream(raw[:9], raw[9:]).answers()
    assert [(event.whole, event.encode()) for event in events] == [(True, raw)]


async def test_a_stream_keeps_its_bytes_however_it_is_cut() -> None:
    payload = b'{"id": "c",  "choices": [{"index": 0, "delta": {"content": "h\xc3\xa9"}}]}'
    wire = b": ping\r\n\r\ndata: " + payload + b"\r\n\r\ndata: [DONE]\r\n\r\n"
    up = Upstream(*(wire[at : at + 1] for at in range(len(wire))), headers=SSE)
    events = await up.answers(STREAM)
    assert [(event.whole, event.encode()) for event in events] == [(False, payload)]
    assert up.requests[0].headers["accept"] == "text/event-stream"


async def test_an_event_of_several_lines_leaves_as_one() -> None:
    wire = b'data: {"id":\ndata:  "c"}\n\ndata: [DONE]\n\n'
    (event,) = await Upstream(wire, headers=SSE).answers(STREAM)
    assert Chat().frame(event) == b'data: {"id":"c"}\n\n'


async def test_nothing_is_read_after_done() -> None:
    up = Upstream(chunk("a"), b"data: [DONE]\n\n", b"data: nonsense\n\n", headers=SSE)
    assert len(await up.answers(STREAM)) == 1


@pytest.mark.parametrize("ending", [b"", b": bye\n\n", b"data: [DONE]\n", b"data: [DONE]"])
async def test_a_stream_may_end_without_a_framed_done_once_it_is_finished(ending: bytes) -> None:
    up = Upstream(chunk("a"), chunk("", ends="stop"), ending, headers=SSE)
    assert len(await up.answers(STREAM)) == 2


async def test_every_choice_asked_for_must_have_ended() -> None:
    both = [chunk("a", ends="stop"), chunk("b", index=1, ends="length")]
    assert len(await Upstream(*both, headers=SSE).answers({**STREAM, "n": 2})) == 2
    error = await Upstream(both[0], headers=SSE).fails({**STREAM, "n": 2})
    assert "before it was complete" in error.message


@pytest.mark.parametrize(
    "wire",
    [
        [chunk("a")],
        [chunk("a"), b"data: {"],
        [chunk("a", ends="stop"), b'data: {"choices": []'],
        [chunk("a"), b"data: {]\n\n"],
        [chunk("a"), b"data: 7\n\n"],
        [chunk("a"), b'data: "\xff"\n\n'],
        [chunk("a"), b'data: {"choices": [7]}\n\n'],
        [chunk("a"), b'data: {"choices": {"0": {}}}\n\n'],
        [chunk("a"), b'data: {"choices": [{"index": []}]}\n\n'],
        [chunk("a"), b"data: " + b"x" * 2000 + b"\n\n"],
        [chunk("a"), b"data: " + b"x" * 500 + b"\ndata: " + b"x" * 600],
        [b"data: [DONE]\n\n"],
        [b"<html>no stream</html>\n\n"],
        [],
    ],
)
async def test_a_stream_that_stops_short_or_is_malformed(wire: list[bytes]) -> None:
    error = await Upstream(*wire, headers=SSE).fails(STREAM, max_event=1000)
    assert error.code == Code.UPSTREAM_ERROR
    assert not error.retryable


async def test_what_came_before_the_fault_was_handed_on() -> None:
    up = Upstream(chunk("a") + chunk("b") + b"data: {]\n\n", headers=SSE)
    provider = OpenAIProvider("up", "https://up.example", None, up.transport())
    async with exchange() as ours:
        events = await provider.send(ours, MODEL, STREAM)
        assert (await anext(events)).encode() in chunk("a")
        assert (await anext(events)).encode() in chunk("b")
        with pytest.raises(UpstreamError):
            await anext(events)


@pytest.mark.parametrize("before", [b"", b"event: error\n", b"event: message\n"])
async def test_an_error_inside_a_stream(before: bytes) -> None:
    wire = before + b'data: {"error": {"message": "m", "code": "c"}}\n\n'
    error = await Upstream(chunk("a"), wire, headers=SSE).fails(STREAM)
    assert error.body == {"message": "m", "code": "c"}
    assert (error.status, error.retryable) == (None, False)


async def test_an_error_inside_an_answer_of_status_200() -> None:
    error = await Upstream(b'{"error": {"message": "m"}}').fails()
    assert error.body == {"message": "m"}


async def test_a_stream_asked_for_and_a_whole_answer_sent() -> None:
    events = await Upstream(orjson.dumps(WHOLE)).answers(STREAM)
    assert not any(event.whole for event in events)
    assert Chat().fold(events)["choices"][0]["message"]["content"] == "hi"


async def test_a_whole_answer_asked_for_and_a_stream_sent() -> None:
    wire = [chunk("h"), chunk("i", ends="stop"), b"data: [DONE]\n\n"]
    (event,) = await Upstream(*wire, headers=SSE).answers()
    assert event.whole
    assert event.data["choices"][0]["message"]["content"] == "hi"
    error = await Upstream(chunk("h"), headers=SSE).fails()
    assert "before it was complete" in error.message
    assert "empty" in (await Upstream(b"data: [DONE]\n\n", headers=SSE).fails()).message


@pytest.mark.parametrize(
    "raw", [b"", b"<html>", b"[]", b"null", b'{"choices": 7}', b'{"a": "\xff"}']
)
async def test_a_whole_answer_that_is_malformed(raw: bytes) -> None:
    assert (await Upstream(raw).fails()).code == Code.UPSTREAM_ERROR


@pytest.mark.parametrize("body", [ASKED, STREAM])
async def test_an_answer_has_a_limit(body: dict[str, Any]) -> None:
    headers = SSE if "stream" in body else None
    error = await Upstream(*[b" " * 100] * 11, headers=headers).fails(body, max_bytes=1000)
    assert "more than 1000 bytes" in error.message


@pytest.mark.parametrize("body", [ASKED, STREAM])
async def test_a_compressed_answer_is_refused(body: dict[str, Any]) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    error = await Upstream(gzip.compress(orjson.dumps(WHOLE)), headers=headers).fails(body)
    assert "compressed" in error.message


@pytest.mark.parametrize("status", [204, 302, 304])
async def test_neither_an_answer_nor_a_refusal(status: int) -> None:
    error = await Upstream(status=status, headers={"location": "http://10.0.0.1/"}).fails()
    assert (error.status, error.retryable) == (None, False)


@pytest.mark.parametrize(
    ("header", "value", "kept"),
    [
        ("x-request-id", "req_1", "req_1"),
        ("request-id", "req_2", "req_2"),
        ("apim-request-id", "a-1", "a-1"),
        ("x-request-id", "r" * 201, None),
        ("x-request-id", "a\tb", None),
        ("x-request-id", "how to build a bomb", None),
        ("x-other", "req_1", None),
    ],
)
async def test_the_upstreams_request_id(header: str, value: str, kept: str | None) -> None:
    headers = {"content-type": "application/json", header: value}
    up = Upstream(orjson.dumps(WHOLE), headers=headers)
    await up.answers()
    assert up.exchange.headers.get("x-govgate-upstream-request-id") == kept


LIMITS = [
    ("x-ratelimit-limit-requests", "60", "x-govgate-upstream-ratelimit-limit-requests"),
    ("x-ratelimit-remaining-tokens", "149984", "x-govgate-upstream-ratelimit-remaining-tokens"),
    ("x-ratelimit-reset-tokens", "6m0s", "x-govgate-upstream-ratelimit-reset-tokens"),
    (
        "anthropic-ratelimit-input-tokens-reset",
        "2026-11-22T00:00:00Z",
        "x-govgate-upstream-anthropic-ratelimit-input-tokens-reset",
    ),
]


@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize(("theirs", "value", "told"), LIMITS)
async def test_c23_a_providers_limits_are_told_apart_from_ours(
    theirs: str, value: str, told: str, status: int
) -> None:
    headers = {"content-type": "application/json", theirs: value}
    up = Upstream(orjson.dumps(WHOLE), status=status, headers=headers)
    await (up.answers() if status == 200 else up.fails())
    limits = {name: v for name, v in up.exchange.headers.items() if "ratelimit" in name}
    assert limits == {told: value}


@pytest.mark.parametrize(
    ("name", "value"),
    [("x-ratelimit-secret", "1"), ("x-ratelimit-limit-requests", "6" * 201), ("set-cookie", "a=b"),
     ("x-ratelimit-limit-requests", "a\tb"), ("openai-organization", "org-1")],
)  # fmt: skip
async def test_c23_nothing_else_of_a_providers_headers_is_told(name: str, value: str) -> None:
    headers = {"content-type": "application/json", name: value}
    up = Upstream(orjson.dumps(WHOLE), headers=headers)
    await up.answers()
    assert up.exchange.headers == {}


async def test_the_request_id_of_a_refusal() -> None:
    up = Upstream(b"{}", status=503, headers={"x-request-id": "req_1", "retry-after": "2"})
    error = await up.fails()
    assert up.exchange.headers["x-govgate-upstream-request-id"] == "req_1"
    assert (error.status, error.retry_after, error.retryable) == (503, 2.0, True)


async def test_a_refusal_too_long_to_read_keeps_its_status() -> None:
    error = await Upstream(*[b" " * (1 << 20)] * 2, status=429).fails()
    assert (error.status, error.body, error.retryable) == (429, None, True)


def forgetting(up: Upstream) -> OpenAIProvider:
    return OpenAIProvider("up", "https://up.example/v1/", SecretStr("sk-1"), up.transport())


@pytest.mark.parametrize("status", [200, 204, 404])
async def test_a_response_that_is_to_be_forgotten_is_deleted(status: int) -> None:
    up = Upstream(b'{"deleted": true}', status=status)
    await forgetting(up).forget("resp_1/../x")
    (request,) = up.requests
    assert (request.method, str(request.url)) == (
        "DELETE",
        "https://up.example/v1/responses/resp_1%2F..%2Fx",
    )
    assert request.headers["authorization"] == "Bearer sk-1"
    assert up.closed == 1


@pytest.mark.parametrize("status", [401, 405, 500, 503, 302])
async def test_a_response_that_may_not_be_forgotten_is_told_so(status: int) -> None:
    up = Upstream(b'{"error": {"message": "no"}}', status=status)
    with pytest.raises(UpstreamError) as refused:
        await forgetting(up).forget("resp_1")
    assert refused.value.status == status
    assert up.closed == 1


async def test_a_provider_that_is_silent_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError("it is not waited for")

    async def nowhere(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    monkeypatch.setattr(calls, "PATIENCE", 0.0)
    for handle, code in ((never, Code.UPSTREAM_TIMEOUT), (nowhere, Code.UPSTREAM_UNAVAILABLE)):
        provider = OpenAIProvider("up", "https://up.example/v1", None, httpx.MockTransport(handle))
        with pytest.raises(UpstreamError) as refused:
            await provider.forget("resp_1")
        assert refused.value.code is code
