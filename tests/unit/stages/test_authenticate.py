"""Whose is it? Nobody else's body is read, and nobody's faster than its key allows."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.adapters.rate_limits import LocalRateLimits
from gateway.core.answer import Events
from gateway.core.dialect import Dialect
from gateway.core.errors import Code, Denied, Malformed, Unavailable
from gateway.core.exchange import Call, Exchange
from gateway.core.principal import Limits, Principal
from gateway.dialects.messages import Messages
from gateway.stages.authenticate import Authenticate
from tests.exchanges import CHAT, SOMEBODY, answering, chat_request, heard, whole
from tests.fakes.keys import FakeKeys


def limited(**limits: int) -> Principal:
    return Principal("acme", "support", "shop-bot", "k1", limits=Limits(**limits))


class Gate:
    """The stage over one key, in front of an upstream that answers; the clock stands still."""

    def __init__(self, principal: Principal = SOMEBODY) -> None:
        self.keys = FakeKeys({"key": principal})
        self.now = 1_000.0
        self.reads = 0
        self.stage = Authenticate(self.keys, LocalRateLimits(now=lambda: self.now))

    async def enter(self, body: bytes | None = None, credential: str | None = "key") -> Exchange:
        """Send `body` through the stage."""
        exchange = self.coming(body or orjson.dumps(chat_request()), credential)
        await self.pass_through(exchange)
        return exchange

    def coming(self, body: bytes = b"{}", credential: str | None = "key") -> Exchange:
        async def read() -> bytes:
            self.reads += 1
            return body

        return Exchange(CHAT, read, Call(credential))

    async def pass_through(self, exchange: Exchange) -> Events:
        events: Events = await self.stage(exchange, answering([whole("hi")]))
        await heard(events)
        return events


async def test_a_good_key_is_known_and_the_request_read() -> None:
    request = chat_request("é", stream=True)
    exchange = await Gate().enter(orjson.dumps(request))
    assert exchange.principal is SOMEBODY
    assert exchange.received == orjson.dumps(request)
    assert exchange.request == request
    assert exchange.headers == {}


@pytest.mark.parametrize("credential", [None, "", "wrong", "KEY"])
async def test_the_body_of_a_stranger_is_never_read(credential: str | None) -> None:
    gate = Gate()
    exchange = gate.coming(credential=credential)
    with pytest.raises(Denied) as refused:
        await gate.pass_through(exchange)
    assert refused.value.code is Code.INVALID_API_KEY
    assert gate.reads == 0
    assert exchange.known == {}


async def test_one_wording_for_every_way_a_key_can_be_wrong() -> None:
    said = set()
    for credential in (None, "wrong"):
        with pytest.raises(Denied) as refused:
            await Gate().enter(credential=credential)
        said.add(refused.value.message)
    assert len(said) == 1


async def test_when_keys_cannot_be_asked_nobody_comes_in() -> None:
    gate = Gate()
    gate.keys.failing = Unavailable(Code.AUDIT_UNAVAILABLE, "x")
    with pytest.raises(Unavailable):
        await gate.enter()
    assert gate.reads == 0


@pytest.mark.parametrize(
    ("dialect", "forwarded", "param"),
    [
        (Messages(), {"anthropic-version": "2023-06-01", "anthropic-beta": "a-1,b"}, None),
        (Messages(), {"anthropic-beta": "ann@example.org"}, "anthropic-beta"),
        (Messages(), {"anthropic-version": "secret plan"}, "anthropic-version"),
        (CHAT, {"anthropic-beta": "a-1"}, "anthropic-beta"),
    ],
)
async def test_no_free_text_reaches_a_provider_in_a_header(
    dialect: Dialect, forwarded: dict[str, str], param: str | None
) -> None:
    request = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}

    async def read() -> bytes:
        assert param is None, "the body was read"
        return orjson.dumps(request)

    exchange = Exchange(dialect, read, Call("key", forwarded=forwarded))
    if param is None:
        await Gate().pass_through(exchange)
        assert exchange.request == request
        return
    with pytest.raises(Malformed) as refused:
        await Gate().pass_through(exchange)
    assert refused.value.param == param
    assert forwarded[param] not in refused.value.message


@pytest.mark.parametrize(
    ("scopes", "may"),
    [(("*",), True), (("chat.*",), True), (("chat.completions.create",), True),
     (("models.list",), False), ((), False), (("chat",), False)],
)  # fmt: skip
async def test_a_key_calls_what_its_scopes_cover(scopes: tuple[str, ...], may: bool) -> None:
    gate = Gate(Principal("acme", "support", "shop-bot", "k1", scopes=scopes))
    if may:
        await gate.enter()
        return
    with pytest.raises(Denied) as refused:
        await gate.enter()
    assert refused.value.code is Code.INSUFFICIENT_SCOPE
    assert gate.reads == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", Code.INVALID_JSON),
        (b'{"model": "a", "model": "b"}', Code.INVALID_JSON),
        (b"[]", Code.INVALID_REQUEST),
        (b'{"model": "m", "messages": []}', Code.INVALID_REQUEST),
    ],
)
async def test_a_body_that_is_no_request_is_refused(body: bytes, code: Code) -> None:
    gate = Gate()
    exchange = gate.coming(body)
    with pytest.raises(Malformed) as refused:
        await gate.pass_through(exchange)
    assert refused.value.code is code
    assert not exchange.knows("request")


class TestRequestsAMinute:
    async def test_headers_say_what_is_left(self) -> None:
        gate = Gate(limited(requests=60))
        first, second = await gate.enter(), await gate.enter()
        assert first.headers == {
            "x-ratelimit-limit-requests": "60",
            "x-ratelimit-remaining-requests": "59",
            "x-ratelimit-reset-requests": "1.000s",
        }
        assert second.headers["x-ratelimit-remaining-requests"] == "58"

    async def test_one_too_many_is_refused_before_its_body_is_read(self) -> None:
        gate = Gate(limited(requests=2))
        for _ in range(2):
            await gate.enter()
        exchange = gate.coming()
        with pytest.raises(Denied) as refused:
            await gate.pass_through(exchange)
        assert refused.value.code is Code.RATE_LIMIT_EXCEEDED
        assert refused.value.retry_after == pytest.approx(30)
        assert exchange.headers["x-ratelimit-remaining-requests"] == "0"
        assert gate.reads == 2
        gate.now += 30.001
        await gate.enter()

    async def test_a_refused_body_counts_as_a_request(self) -> None:
        gate = Gate(limited(requests=1))
        with pytest.raises(Malformed):
            await gate.enter(b"{")
        with pytest.raises(Denied) as refused:
            await gate.enter()
        assert refused.value.code is Code.RATE_LIMIT_EXCEEDED

    async def test_keys_have_limits_of_their_own(self) -> None:
        gate = Gate(limited(requests=1))
        gate.keys.principals["other"] = Principal("acme", "t", "a", "k2", limits=Limits(requests=1))
        await gate.enter()
        await gate.enter(credential="other")


class TestTokensAMinute:
    def sized(self, bytes_: int, **more: Any) -> bytes:
        """A request of so many bytes."""
        empty = len(orjson.dumps(chat_request("", **more)))
        return orjson.dumps(chat_request("x" * (bytes_ - empty), **more))

    async def test_what_may_be_read_and_said_is_taken(self) -> None:
        gate = Gate(limited(tokens=1_000))
        exchange = await gate.enter(self.sized(400, max_tokens=300, n=2))
        assert exchange.headers["x-ratelimit-limit-tokens"] == "1000"
        assert exchange.headers["x-ratelimit-remaining-tokens"] == str(1_000 - 100 - 600)

    async def test_too_many_at_once_are_refused_for_now(self) -> None:
        gate = Gate(limited(tokens=1_000))
        await gate.enter(self.sized(400, max_tokens=800))
        with pytest.raises(Denied) as refused:
            await gate.enter(self.sized(400, max_tokens=500))
        assert refused.value.code is Code.RATE_LIMIT_EXCEEDED
        assert refused.value.retry_after == pytest.approx(30)  # half the minute's tokens are due
        gate.now += 30.001
        await gate.enter(self.sized(400, max_tokens=500))

    async def test_more_than_the_limit_itself_is_refused_for_good(self) -> None:
        gate = Gate(limited(tokens=1_000))
        with pytest.raises(Malformed) as refused:
            await gate.enter(self.sized(400, max_tokens=901))
        assert refused.value.retry_after is None
        await gate.enter(self.sized(400, max_tokens=900))

    async def test_c23_both_limits_are_told_whatever_is_refused(self) -> None:
        gate = Gate(limited(requests=2, tokens=1_000))
        told = {f"x-ratelimit-{bound}-{of}" for bound in ("limit", "remaining", "reset")
                for of in ("requests", "tokens")}  # fmt: skip
        exchange = await gate.enter(self.sized(400))
        assert told <= exchange.headers.keys()
        assert exchange.headers["x-ratelimit-remaining-tokens"] == "900"
        for refusal in (Malformed, Denied):
            exchange = gate.coming(b"{")
            with pytest.raises(refusal):
                await gate.pass_through(exchange)
            assert told <= exchange.headers.keys()
            assert exchange.headers["x-ratelimit-remaining-tokens"] == "900"

    async def test_both_limits_hold_together(self) -> None:
        gate = Gate(limited(requests=1, tokens=1_000))
        exchange = await gate.enter(self.sized(400))
        assert {"x-ratelimit-limit-requests", "x-ratelimit-limit-tokens"} <= exchange.headers.keys()
        with pytest.raises(Denied, match="requests a minute"):
            await gate.enter(self.sized(400))
