"""The Azure adapter over a scripted transport: where it asks, and what it lets through.

The fixtures were written from Microsoft's public reference; none of it ran live.
"""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr

from gateway.adapters.providers.azure import AzureProvider
from gateway.adapters.providers.openai import PATHS
from gateway.core.errors import Code, UpstreamError
from gateway.dialects.chat import Chat
from tests.unit.adapters.providers.scripted import Scripted, answers, fails, refuses

BASE = "https://shop.openai.azure.com"
ASKED: dict[str, Any] = {
    "model": "ours",
    "messages": [{"role": "user", "content": "hi"}],
    "unknown": {"kept": [1, None]},
}
WHOLE = {
    "id": "c",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hi"},
            "finish_reason": "stop",
            "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}},
        }
    ],
    "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
}


def azure(transport: httpx.AsyncBaseTransport, **more: Any) -> AzureProvider:
    options = {"api_version": "2024-10-21", **more}
    return AzureProvider("up", f"{BASE}/", SecretStr("az-1"), transport, **options)


class Doing(Chat):
    """Chat's shapes under another action."""

    def __init__(self, action: str) -> None:
        self.action = action


async def test_what_goes_out() -> None:
    up = Scripted([orjson.dumps(WHOLE)])
    await answers(azure, up, ASKED, model="gpt 4/o")
    (request,) = up.requests
    assert str(request.url) == (
        f"{BASE}/openai/deployments/gpt%204%2Fo/chat/completions?api-version=2024-10-21"
    )
    assert request.headers["api-key"] == "az-1"
    assert "authorization" not in request.headers
    assert await up.asked() == {**ASKED, "model": "gpt 4/o"}


async def test_the_operators_headers_go_out_and_no_key_where_there_is_none() -> None:
    up = Scripted([orjson.dumps(WHOLE)])

    def keyless(transport: httpx.AsyncBaseTransport) -> AzureProvider:
        headers = {"x-ms-tenant": "t"}
        return AzureProvider("up", BASE, None, transport, api_version="preview", headers=headers)

    await answers(keyless, up, ASKED)
    assert up.requests[0].headers["x-ms-tenant"] == "t"
    assert "api-key" not in up.requests[0].headers


@pytest.mark.parametrize("action", sorted(set(PATHS) - {"moderations.create"}))
async def test_every_action_has_its_path(action: str) -> None:
    up = Scripted([b"{}"])
    await answers(azure, up, ASKED, dialect=Doing(action))
    url = up.requests[0].url
    if action == "responses.create":
        assert str(url) == f"{BASE}/openai/v1/responses"
    else:
        assert url.path == f"/openai/deployments/theirs{PATHS[action]}"
        assert url.query == b"api-version=2024-10-21"


@pytest.mark.parametrize("action", ["moderations.create", "unheard.of"])
async def test_what_azure_does_not_have(action: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        await answers(azure, up := Scripted(), ASKED, dialect=Doing(action))
    assert (caught.value.code, up.requests) == (Code.UNKNOWN_URL, [])


@pytest.mark.parametrize("model", [".", ".."])
async def test_a_deployment_that_would_leave_its_place(model: str) -> None:
    assert await refuses(azure, ASKED, model=model) == "model"


@pytest.mark.parametrize("version", ["", "2024&x=1", "a b"])
def test_a_version_that_is_none(version: str) -> None:
    with pytest.raises(ValueError, match="API version"):
        azure(Scripted(), api_version=version)


@pytest.mark.parametrize("url", ["ftp://x", "https://user:pass@x", f"{BASE}?a=b"])
def test_a_base_url_that_is_not_plain_http_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        AzureProvider("up", url, None, Scripted(), api_version="v1")


async def test_a_whole_answer_keeps_its_bytes() -> None:
    raw = orjson.dumps(WHOLE)
    (event,), _ = await answers(azure, Scripted([raw]), ASKED)
    assert (event.whole, event.encode()) == (True, raw)


async def test_a_stream_keeps_the_results_of_the_filter() -> None:
    pieces: list[dict[str, Any]] = [
        {
            "id": "", "object": "", "model": "", "choices": [],
            "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
        },
        {"id": "c", "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": None}]},
        {
            "id": "", "choices": [
                {"index": 0, "finish_reason": None, "content_filter_offsets": {"start_offset": 4}}
            ],
        },
        {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ]  # fmt: skip
    wire = [b"data: %b\n\n" % orjson.dumps(piece) for piece in pieces]
    up = Scripted([*wire, b"data: [DONE]\n\n"], headers={"content-type": "text/event-stream"})
    events, _ = await answers(azure, up, {**ASKED, "stream": True})
    assert [event.encode() for event in events] == [orjson.dumps(piece) for piece in pieces]
    assert not any(Chat().hollow(event) for event in events)


async def test_a_prompt_that_the_filter_stops_is_told_as_azure_tells_it() -> None:
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"jailbreak": {}}}
    said = {
        "message": "The response was filtered.", "type": None, "param": "prompt",
        "code": "content_filter", "status": 400, "innererror": inner,
    }  # fmt: skip
    headers = {"apim-request-id": "a-1"}
    up = Scripted([orjson.dumps({"error": said})], status=400, headers=headers)
    error = await fails(azure, up, ASKED)
    told = {name: said[name] for name in ("message", "param", "code")}
    assert (error.status, error.retryable) == (400, False)
    assert Chat().error(error, {})["error"] == told | {"type": "upstream_error"}, "a word, always"


async def test_a_rate_limit_is_told_with_its_wait() -> None:
    said = orjson.dumps({"error": {"code": "429", "message": "Slow down."}})
    error = await fails(azure, Scripted([said], status=429, headers={"retry-after": "7"}), ASKED)
    assert (error.status, error.retry_after, error.retryable) == (429, 7.0, True)


async def test_a_response_is_forgotten_where_it_is_stored() -> None:
    up = Scripted([b"{}"])
    await azure(up).forget("resp_1")
    (request,) = up.requests
    assert (request.method, str(request.url)) == ("DELETE", f"{BASE}/openai/v1/responses/resp_1")
    assert request.headers["api-key"] == "az-1"
