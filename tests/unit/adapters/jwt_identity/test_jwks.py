"""The issuer's keys: had when needed, fetched seldom, never guessed."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import orjson
import pytest
from joserfc import jwk

from gateway.adapters.jwt_identity import jwks
from gateway.adapters.jwt_identity.jwks import KeySource, from_url, given, parsed
from gateway.core.errors import Code, Unavailable
from tests.unit.adapters.jwt_identity.issuer import Issuer, key


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_keys_are_fetched_once_for_all_who_wait() -> None:
    issuer = Issuer()
    found = await asyncio.gather(*(issuer.source.find("k1", "ES256") for _ in range(10)))
    assert issuer.asked == 1
    assert all(each is not None and each.kid == "k1" for each in found)


async def test_a_new_key_is_fetched_when_it_is_first_named() -> None:
    issuer = Issuer()
    await issuer.source.find("k1", "ES256")
    issuer.keys.append(key("k2"))
    issuer.clock += jwks.AGAIN
    assert await issuer.source.find("k2", "ES256") is not None
    assert issuer.asked == 2
    assert issuer.source.version == 2


async def test_names_that_nobody_knows_do_not_make_us_ask_again_and_again() -> None:
    issuer = Issuer()
    for number in range(50):
        assert await issuer.source.find(f"x{number}", "ES256") is None
    assert issuer.asked == 1
    issuer.clock += jwks.AGAIN
    for number in range(50):
        assert await issuer.source.find(f"x{number}", "ES256") is None
    assert issuer.asked == 2


async def test_old_keys_serve_while_they_are_fetched_again() -> None:
    issuer = Issuer()
    await issuer.source.find("k1", "ES256")
    issuer.clock += jwks.FRESH + 1
    issuer.keys = [key("k2")]
    assert await issuer.source.find("k1", "ES256") is not None
    await turns()
    assert issuer.asked == 2
    assert await issuer.source.find("k1", "ES256") is None  # withdrawn


async def test_old_keys_serve_for_an_hour_when_the_issuer_is_away() -> None:
    issuer = Issuer()
    await issuer.source.find("k1", "ES256")
    issuer.away = httpx.ConnectError("away")
    issuer.clock += jwks.STALE
    assert await issuer.source.find("k1", "ES256") is not None
    await turns()
    issuer.clock += jwks.RETRY
    with pytest.raises(Unavailable) as refused:
        await issuer.source.find("k1", "ES256")
    assert refused.value.code is Code.IDENTITY_UNAVAILABLE


FAULTS = [
    httpx.ConnectError("x"),
    httpx.ReadTimeout("x"),
    OSError("x"),
    TimeoutError("x"),
    ValueError("x"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
async def test_without_keys_nobody_is_anybody(fault: Exception) -> None:
    issuer = Issuer()
    issuer.away = fault
    for _ in range(20):
        with pytest.raises(Unavailable) as refused:
            await issuer.source.find("k1", "ES256")
        assert refused.value.code is Code.IDENTITY_UNAVAILABLE
        assert refused.value.retry_after is not None
    assert issuer.asked == 1  # nobody hammers an issuer that is down
    issuer.away = None
    issuer.clock += jwks.RETRY
    assert await issuer.source.find("k1", "ES256") is not None


@pytest.mark.parametrize("fault", [KeyError("crv"), RuntimeError("x"), TypeError("x")])
async def test_no_fault_ends_the_refreshing_for_good(fault: Exception) -> None:
    issuer = Issuer()
    await issuer.source.find("k1", "ES256")
    issuer.away = fault
    issuer.clock += jwks.FRESH + 1
    assert await issuer.source.find("k1", "ES256") is not None
    await turns()
    issuer.away = None
    issuer.keys = [key("k2")]
    issuer.clock += jwks.RETRY
    assert await issuer.source.find("k1", "ES256") is not None
    await turns()
    assert issuer.asked == 3
    assert await issuer.source.find("k2", "ES256") is not None


async def test_a_name_that_could_not_be_looked_up_is_not_called_unknown() -> None:
    issuer = Issuer()
    await issuer.source.find("k1", "ES256")
    issuer.away = OSError()
    issuer.clock += jwks.AGAIN
    for _ in range(3):
        with pytest.raises(Unavailable):
            await issuer.source.find("new", "ES256")
    assert await issuer.source.find("k1", "ES256") is not None


async def test_it_stops_while_it_fetches() -> None:
    async def never() -> bytes:
        await asyncio.Event().wait()
        return b""

    source = KeySource(never)
    waiting = asyncio.create_task(source.find("k1", "ES256"))
    await turns()
    await source.stop()
    with pytest.raises(asyncio.CancelledError):
        await waiting


class TestWhichKey:
    async def test_without_a_name_only_an_only_key_is_meant(self) -> None:
        assert await Issuer(key("k1")).source.find(None, "ES256") is not None
        two = Issuer(key("k1"), key("k2"))
        assert await two.source.find(None, "ES256") is None
        mixed = Issuer(key("k1"), key("r1", "RS256"))
        found = await mixed.source.find(None, "RS256")
        assert found is not None
        assert found.kid == "r1"

    async def test_a_key_serves_its_own_kind_of_algorithm(self) -> None:
        source = Issuer(key("k1")).source
        assert await source.find("k1", "RS256") is None
        assert await source.find("k1", "Ed25519") is None

    async def test_a_key_that_is_bound_to_an_algorithm_serves_no_other(self) -> None:
        bound = key("r1", "RS256").as_dict(private=False) | {"alg": "RS256"}
        source = KeySource(reading(bound))
        assert await source.find("r1", "RS256") is not None
        assert await source.find("r1", "PS256") is None


def reading(*keys: Any) -> Any:
    async def read() -> bytes:
        return orjson.dumps({"keys": list(keys)})

    return read


PUBLIC = key("k1").as_dict(private=False)


@pytest.mark.parametrize(
    "jwk_",
    [
        {"kty": "oct", "kid": "k1", "k": "c2VjcmV0c2VjcmV0c2VjcmV0"},
        key("k1").as_dict(private=True),
        {**PUBLIC, "use": "enc"},
        {**PUBLIC, "key_ops": ["encrypt"]},
        {**PUBLIC, "key_ops": None},
        {**PUBLIC, "key_ops": 5},
        {**PUBLIC, "key_ops": "verify"},
        {**PUBLIC, "crv": "P-999"},
        {**PUBLIC, "crv": []},
        {"kty": "OKP", "kid": "k1", "crv": "Ed999", "x": "AA"},
        {**PUBLIC, "kid": ["k1"]},
        {**PUBLIC, "kty": "AKP"},
        {**PUBLIC, "x": "!"},
        {"kty": "EC"},
        {},
        "k1",
        None,
        jwk.generate_key("RSA", 1_024, {"kid": "k1"}).as_dict(private=False),
    ],
    ids=["symmetric", "private", "for encryption", "other operations",
         "null operations", "a number of operations", "an operation", "unknown curve",
         "curves", "unknown other curve", "names", "unknown type", "no point",
         "half", "empty", "text", "null", "short RSA"],
)  # fmt: skip
def test_a_key_that_cannot_be_believed_is_left_out(jwk_: Any) -> None:
    assert parsed(orjson.dumps({"keys": [jwk_]})) == []
    assert len(parsed(orjson.dumps({"keys": [jwk_, PUBLIC]}))) == 1


@pytest.mark.parametrize(
    "document", [b"", b"{", b"[]", b"{}", b'{"keys": {}}', b"x" * (jwks.MOST_BYTES + 1)]
)
def test_what_is_no_key_set_is_an_error(document: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parsed(document)


async def test_keys_may_be_given_as_they_are() -> None:
    document = orjson.dumps({"keys": [PUBLIC]}).decode()
    assert len(parsed(await given(document)())) == 1


@pytest.mark.parametrize("document", ["", "x", '{"keys": []}', '{"keys": [{"kty": "oct"}]}'])
def test_keys_that_verify_nothing_are_not_taken(document: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        given(document)


class Answers(httpx.AsyncBaseTransport):
    """A transport that answers alike to everything, and keeps what was asked."""

    def __init__(self, status: int = 200, body: bytes = b'{"keys": []}', **headers: str) -> None:
        self.status, self.body, self.headers = status, body, headers
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(self.status, headers=self.headers, stream=_Pieces(self.body))


class _Pieces(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> Any:
        for start in range(0, len(self._body), 1_000):
            yield self._body[start : start + 1_000]


URL = "https://id.example.org/jwks"


class TestFetching:
    async def test_they_are_fetched_as_they_are(self) -> None:
        body = orjson.dumps({"keys": [PUBLIC], "more": "x" * 5_000})
        transport = Answers(body=body)
        assert await from_url(URL, transport)() == body
        (request,) = transport.requests
        assert (request.method, str(request.url)) == ("GET", URL)
        assert "authorization" not in request.headers

    @pytest.mark.parametrize("status", [301, 302, 307, 308, 204, 404, 500])
    async def test_a_redirect_is_not_followed_nor_an_error_believed(self, status: int) -> None:
        transport = Answers(status, location="https://evil.example/jwks")
        with pytest.raises(ValueError, match=str(status)):
            await from_url(URL, transport)()
        assert len(transport.requests) == 1

    async def test_too_much_is_given_up(self) -> None:
        with pytest.raises(ValueError, match="bytes"):
            await from_url(URL, Answers(body=b"x" * (jwks.MOST_BYTES + 1)))()

    @pytest.mark.parametrize(
        "url",
        ["http://id.example.org/jwks", "http://10.0.0.1/jwks", "file:///etc/passwd", "ftp://h/x",
         "https://u:p@h/x", "//h/x", "x"],
    )  # fmt: skip
    def test_only_over_https(self, url: str) -> None:
        with pytest.raises(ValueError, match="https"):
            from_url(url, Answers())

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
    async def test_or_from_this_machine(self, host: str) -> None:
        assert await from_url(f"http://{host}:9/jwks", Answers())() == b'{"keys": []}'
