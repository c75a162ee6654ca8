"""The client of an OPA server: every way in which a server may fail to decide."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from gateway.adapters.opa import Breaker, OpaServer, OpaServerPolicy
from gateway.adapters.opa.server import MOST_BYTES
from gateway.adapters.packs import question_of
from gateway.core.errors import Code, Unavailable
from gateway.core.policy import Effect
from tests.fakes.policy import ALLOW
from tests.unit.adapters.opa.servers import GOOD, REVISION, Handler, answering, serving


async def refusal(policy: OpaServerPolicy) -> Unavailable:
    with pytest.raises(Unavailable) as raised:
        await policy.decide(question_of({}))
    return raised.value


async def test_one_fixed_path_is_asked_once_and_given_the_question() -> None:
    seen: list[tuple[str, str, Any]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.method, request.path_qs, await request.json()))
        return web.json_response(GOOD)

    question = question_of({"model": "../../v1/policies", "app": "a/b?c#d"})
    async with serving(handler) as policy:
        decision = await policy.decide(question)
    assert decision.effect is Effect.ALLOW
    assert decision.revision == REVISION
    asked = {"input": {"revision": REVISION, "question": question}}
    assert seen == [("POST", "/v1/data/govgate/answer", asked)]


_NAN = {
    "rule": "r",
    "code": "c",
    "message": {},
    "severity": "low",
    "facts": {"share": float("nan")},
}
BROKEN = {
    "undefined": answering({}),
    "undefined, said so": answering({"result": None}),
    "no object": answering("[]"),
    "a word": answering('"allow"'),
    "a number": answering("1"),
    "no JSON": answering("allow"),
    "nothing": answering(""),
    "not UTF-8": answering(b'{"result": "\xff"}'),
    "not a number": answering(
        {"result": {"revision": REVISION, "decision": {**ALLOW, "reasons": [_NAN]}}}
    ),
    "not said to be JSON": answering(GOOD, kind="text/html"),
    "a page": answering("<html>It works!</html>", kind="text/html"),
    "endless": answering(b" " * (MOST_BYTES + 1) + json.dumps(GOOD).encode()),
    "null, with a decision": answering({"result": {"revision": None, "decision": ALLOW}}),
    "a redirect": answering(GOOD, 302),
    "accepted": answering(GOOD, 202),
    "a bare decision": answering({"result": ALLOW}),
    "true": answering({"result": True}),
    "no revision": answering({"result": {"decision": ALLOW}}),
    "no decision": answering({"result": {"revision": REVISION}}),
    "a revision that is no text": answering({"result": {"revision": 1, "decision": ALLOW}}),
    "an unknown effect": answering(
        {"result": {"revision": REVISION, "decision": {**ALLOW, "effect": "permit"}}}
    ),
    "bad request": answering(GOOD, 400),
    "unauthorised": answering(GOOD, 401),
    "not found": answering(GOOD, 404),
    "evaluation error": answering(GOOD, 500),
}


@pytest.mark.parametrize("handler", BROKEN.values(), ids=BROKEN)
async def test_an_answer_that_is_no_decision_is_an_error(handler: Handler) -> None:
    async with serving(handler) as policy:
        refused = await refusal(policy)
    assert refused.code is Code.POLICY_ERROR
    assert refused.retry_after is None


GONE = {
    "overloaded": answering(GOOD, 429),
    "bad gateway": answering(GOOD, 502),
    "unavailable": answering(GOOD, 503),
    "gateway timeout": answering(GOOD, 504),
    "another revision": answering({"result": {"revision": "sha256:old", "decision": ALLOW}}),
    "no such revision": answering({"result": {"revision": None, "decision": None}}),
}


@pytest.mark.parametrize("handler", GONE.values(), ids=GONE)
async def test_what_may_pass_is_unavailable(handler: Handler) -> None:
    async with serving(handler) as policy:
        refused = await refusal(policy)
    assert refused.code is Code.POLICY_UNAVAILABLE
    assert refused.retry_after == 1


async def test_nobody_listens() -> None:
    listener = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    server = OpaServer(f"http://127.0.0.1:{port}")
    assert (await refusal(OpaServerPolicy(server, REVISION))).code is Code.POLICY_UNAVAILABLE
    await server.stop()


async def test_a_server_that_never_answers_is_unavailable() -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError("never")

    async with serving(handler, seconds=0.05) as policy:
        assert (await refusal(policy)).code is Code.POLICY_UNAVAILABLE


async def test_a_server_that_never_ends_its_answer_is_unavailable() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"result": ')
        await asyncio.Event().wait()
        return response

    async with serving(handler, seconds=0.2) as policy:
        assert (await refusal(policy)).code is Code.POLICY_UNAVAILABLE


async def test_a_server_that_hangs_up_is_unavailable_and_not_asked_again() -> None:
    asked = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with serving(handler) as policy:
        assert (await refusal(policy)).code is Code.POLICY_UNAVAILABLE
    assert asked == 1


async def test_it_recovers_when_the_server_does() -> None:
    answers = [answering(GOOD, 503), answering(GOOD)]

    async def handler(request: web.Request) -> web.StreamResponse:
        return await answers.pop(0)(request)

    async with serving(handler) as policy:
        await refusal(policy)
        assert (await policy.decide(question_of({}))).effect is Effect.ALLOW


async def test_a_question_that_is_no_json_is_not_sent() -> None:
    async def handler(request: web.Request) -> web.Response:
        raise AssertionError("it was sent")

    async with serving(handler) as policy:
        with pytest.raises(Unavailable) as refused:
            await policy.decide({"context": object()})
    assert refused.value.code is Code.POLICY_ERROR


async def test_stop_may_be_called_twice_and_before_the_first_question() -> None:
    server = OpaServer("http://127.0.0.1:1")
    await server.stop()
    await server.stop()


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8181",
        "ftp://127.0.0.1",
        "http://",
        "http://opa/v1/data",
        "http://opa?x=1",
        "http://opa#x",
        "http://user:password@opa",
        "http://opa:port",
    ],
)
def test_a_url_that_is_no_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        OpaServer(url)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_server_that_is_away_again_and_again_is_left_alone() -> None:
    asked = 0
    status = 503

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return await answering(GOOD, status)(request)

    clock = Clock()
    async with serving(handler, breaker=Breaker(3, pause=2.0, now=clock)) as policy:
        for _ in range(3):
            assert "503" in (await refusal(policy)).message
        for _ in range(4):
            refused = await refusal(policy)
            assert refused.code is Code.POLICY_UNAVAILABLE
            assert refused.retry_after == 2.0
        assert asked == 3
        clock.now = 2.0
        assert "503" in (await refusal(policy)).message
        assert "left alone" in (await refusal(policy)).message
        assert asked == 4
        clock.now, status = 4.0, 200
        for _ in range(3):
            assert (await policy.decide(question_of({}))).effect is Effect.ALLOW


async def test_a_server_that_answers_nonsense_is_asked_again() -> None:
    """It is there: what is wrong with it, it must be seen to be."""
    asked = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return await answering({}, 200 if asked % 2 else 500)(request)

    async with serving(handler, breaker=Breaker(2)) as policy:
        for _ in range(10):
            assert (await refusal(policy)).code is Code.POLICY_ERROR
    assert asked == 10


async def test_ready_waits_until_the_server_decides() -> None:
    gone: list[Handler] = [
        answering({"result": {"revision": None, "decision": None}}),
        answering(GOOD, 503),
        answering({}),
    ]

    async def handler(request: web.Request) -> web.StreamResponse:
        return await (gone.pop(0) if gone else answering(GOOD))(request)

    async with serving(handler) as policy:
        await policy.ready(30, every=0)
    assert gone == []


async def test_ready_says_why_not() -> None:
    nothing = answering({"result": {"revision": None, "decision": None}})
    async with serving(nothing) as policy:
        with pytest.raises(Unavailable, match=f"does not hold {REVISION}"):
            await policy.ready(0)
