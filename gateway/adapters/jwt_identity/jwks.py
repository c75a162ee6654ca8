"""The issuer's public keys (RFC 7517): fetched seldom, kept, and fetched again when one is new."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import httpx
import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gateway.core.errors import Code, Unavailable

FRESH = 300.0
"""Seconds after which keys are fetched again, while the old ones still serve."""
STALE = 3_600.0
"""Seconds after which keys that could not be fetched again are believed no more."""
AGAIN = 30.0
"""Seconds between two fetches for keys that we do not know, whoever names one."""
RETRY = 5.0
"""Seconds after a failure before another attempt."""
LONGEST_FETCH = 10.0
MOST_BYTES = 256 << 10
LEAST_RSA_BITS = 2_048
_HEADERS = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "govgate"}

Read = Callable[[], Awaitable[bytes]]
"""Reads a JWK Set. Raises `OSError`, httpx's errors, `ValueError`, `TimeoutError`."""

_TYPES: Mapping[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {
    "RSA": RSAKey,
    "EC": ECKey,
    "OKP": OKPKey,
}
_TYPE_OF = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
"""The type of key that an algorithm's first letters ask for (RFC 7518 §3.1, RFC 8037)."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key to verify with; `alg` where the issuer binds it to one algorithm."""

    kid: str | None
    kty: str
    alg: str | None
    key: RSAKey | ECKey | OKPKey


class KeySource:
    """The keys of one issuer. `version` counts the times that they were read.

    What cannot be read is not guessed: without keys, or with keys too old, it raises
    `Unavailable` (IDENTITY_UNAVAILABLE).
    """

    def __init__(self, read: Read, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._keys: Sequence[PublicKey] = ()
        self._read_at: float | None = None
        self._tried_at = 0.0
        self._failing = False
        self._reading: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self.version = 0

    async def find(self, kid: str | None, alg: str) -> PublicKey | None:
        """The key called `kid` for signatures of `alg`; None when the issuer has none.

        Without a name, the issuer's only key for it. Raises `Unavailable`.
        """
        age = None if self._read_at is None else self._clock() - self._read_at
        if age is None or age > STALE:
            await self._load()
        elif age > FRESH:
            self._refresh()
        found = self._pick(kid, alg)
        if found is None and self._clock() - self._tried_at >= AGAIN:
            await self._load()
            found = self._pick(kid, alg)
        if found is None and self._failing:
            raise _gone()
        return found

    async def stop(self) -> None:
        """End what is being fetched."""
        for task in (self._reading, self._refreshing):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])

    def _pick(self, kid: str | None, alg: str) -> PublicKey | None:
        kty = _TYPE_OF[alg[:2]]
        fitting = [key for key in self._keys if key.kty == kty and key.alg in (None, alg)]
        if kid is None:
            return fitting[0] if len(fitting) == 1 else None
        return next((key for key in fitting if key.kid == kid), None)

    def _refresh(self) -> None:
        """Read the keys again, while nobody waits for it."""
        if self._refreshing is None and self._clock() - self._tried_at >= RETRY:
            self._refreshing = asyncio.create_task(self._quietly())

    async def _quietly(self) -> None:
        try:
            with suppress(Unavailable):
                await self._load()
        finally:
            self._refreshing = None

    async def _load(self) -> None:
        """Read the keys, once for all who wait. Raises `Unavailable`."""
        if self._reading is None:
            if self._failing and self._clock() - self._tried_at < RETRY:
                raise _gone()
            self._reading = asyncio.create_task(self._read_once())
            self._reading.add_done_callback(self._over)
        await asyncio.shield(self._reading)

    def _over(self, reading: asyncio.Task[None]) -> None:
        self._reading = None
        if not reading.cancelled():
            reading.exception()  # whoever still waits is told; it need not be logged besides

    async def _read_once(self) -> None:
        self._tried_at = self._clock()
        try:
            async with asyncio.timeout(LONGEST_FETCH):
                keys = parsed(await self._read())
        except Exception as error:  # whatever it is, there are no new keys
            self._failing = True
            raise _gone() from error
        self._keys, self._read_at, self._failing = keys, self._clock(), False
        self.version += 1


def parsed(document: bytes) -> list[PublicKey]:
    """The keys of a JWK Set that can verify a signature.

    Left out: symmetric and private keys, keys for encryption, RSA keys below 2,048 bits, and
    what is not understood (RFC 7517 §5). Raises `ValueError` for what is no JWK Set.
    """
    if len(document) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES} bytes")
    told = orjson.loads(document)
    if not isinstance(told, dict) or not isinstance(told.get("keys"), list):
        raise ValueError("no JWK Set")
    found = [_key(jwk) for jwk in told["keys"] if isinstance(jwk, dict)]
    return [key for key in found if key is not None]


def _key(jwk: dict[str, Any]) -> PublicKey | None:
    kind = _TYPES.get(str(jwk.get("kty")))
    operations = jwk.get("key_ops", ["verify"])
    if kind is None or "d" in jwk or jwk.get("use", "sig") != "sig":
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        key = kind.import_key(jwk)
        if isinstance(key, RSAKey) and key.public_key.key_size < LEAST_RSA_BITS:
            return None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    kid, alg = jwk.get("kid"), jwk.get("alg")
    return PublicKey(kid, str(jwk["kty"]), alg if isinstance(alg, str) else None, key)


def given(document: str) -> Read:
    """The keys are here already. Raises `ValueError` for none that can verify anything."""
    if not parsed(document.encode()):
        raise ValueError("there is no key to verify tokens with")

    async def read() -> bytes:
        return document.encode()

    return read


def from_url(url: str, transport: httpx.AsyncBaseTransport) -> Read:
    """Fetches the keys over `transport`, following no redirect.

    Raises `ValueError` for a URL that is not https, or http on a loopback address.
    """
    target = httpx.URL(url)
    if not target.host or target.userinfo or not (target.scheme == "https" or _is_local(target)):
        raise ValueError("an issuer's keys are fetched over https, from a URL without credentials")

    async def read() -> bytes:
        request = httpx.Request("GET", target, headers=_HEADERS)
        response = await transport.handle_async_request(request)
        try:
            if response.status_code != 200:
                raise ValueError(f"HTTP status {response.status_code}")
            return await _body(response)
        finally:
            await response.aclose()

    return read


async def _body(response: httpx.Response) -> bytes:
    """The body, up to the limit."""
    if not isinstance(response.stream, httpx.AsyncByteStream):
        raise TypeError("the transport does not stream asynchronously")
    body = b""
    async for piece in response.stream:
        body += piece
        if len(body) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES} bytes")
    return body


def _is_local(url: httpx.URL) -> bool:
    if url.scheme != "http":
        return False
    try:
        return ip_address(url.host).is_loopback
    except ValueError:
        return url.host == "localhost"


def _gone() -> Unavailable:
    return Unavailable(
        Code.IDENTITY_UNAVAILABLE,
        "The keys that tokens are verified with cannot be had.",
        retry_after=RETRY,
    )
