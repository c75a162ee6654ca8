"""An OPA server, asked over HTTP.

The server holds the rule library (`policies/lib`) and at `data.packs` the rules of every revision
that is in use. It is asked for `data.govgate.answer`, with the revision that is meant, and answers
the decision together with the revision that it was made with.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn
from urllib.parse import urlsplit

import aiohttp
import orjson
from opa_client.opa_async import AsyncOpaClient  # type: ignore[import-untyped]

from gateway.adapters.opa.breaker import Breaker, BreakerOpen
from gateway.core.errors import Code, Unavailable
from gateway.core.ids import new_id
from gateway.core.policy import Decision, Question, Verdict

MOST_BYTES = 4 << 20
"""Bytes of an answer. A longer one is no decision."""

_PATH = "data/govgate/answer"
"""What is asked. No part of a request ever reaches it (compare CVE-2025-46569)."""

_GONE = frozenset({429, 502, 503, 504})
"""What a server, or something before it, answers when asking again may help."""

_AWAY = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError)


class OpaServer:
    """The server at `url`, asked over connections that are kept.

    `timeout` is the longest an answer may take, in seconds. There is no retry: a late answer is
    a refusal. `token` is sent as a bearer token. Connections are opened as they are needed and
    closed by `stop`. Raises `ValueError` when `url` is not where a server is.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 1.0,
        token: str | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        host, port, secure = _address(url)
        self._session = _Client(
            host=host,
            port=port,
            ssl=secure,
            token=token,
            retries=0,
            timeout=timeout,
            headers={"accept-encoding": "identity"},
        )
        self._client: _Client | None = None
        self._opening = asyncio.Lock()
        self._breaker = breaker or Breaker()

    async def ask(self, revision: str, question: Question) -> object:
        """What the server answers to `question` under `revision`; None when it is undefined.

        Raises `Unavailable`: POLICY_UNAVAILABLE when it cannot be reached, or is late, or was
        so lately again and again; POLICY_ERROR when it answers something else than a result.
        """
        try:
            asked = orjson.dumps({"input": {"revision": revision, "question": question}})
        except TypeError as error:
            raise _error("the question is not JSON") from error
        try:
            with self._breaker.call((_Gone, *_AWAY)):
                client = self._client or await self._opened()
                answer = await client.post(asked)
        except BreakerOpen as error:
            raise _unavailable(str(error), error.seconds) from error
        except _Gone as error:
            raise _unavailable(f"it answered {error.status}") from error
        except _AWAY as error:
            raise _unavailable(f"it cannot be reached ({type(error).__name__})") from error
        except aiohttp.ClientResponseError as error:
            raise _error(f"it answered {error.status}") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise _error(f"its answer cannot be read ({type(error).__name__})") from error
        if not isinstance(answer, dict):
            raise _error("its answer is not a decision")
        return answer.get("result")

    async def stop(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close_connection()

    async def _opened(self) -> _Client:
        async with self._opening:
            if self._client is None:
                self._client = await self._session.__aenter__()
            return self._client


class OpaServerPolicy:
    """Asks `server` under one `revision`. Raises what `OpaServer.ask` raises."""

    def __init__(self, server: OpaServer, revision: str) -> None:
        self._server = server
        self._revision = revision

    @property
    def revision(self) -> str:
        return self._revision

    async def decide(self, question: Question) -> Decision:
        """Decide. Raises `Unavailable`: POLICY_UNAVAILABLE also when the server does not hold
        the revision; POLICY_ERROR when it answers no decision."""
        match await self._server.ask(self._revision, question):
            case {"revision": str(revision), "decision": result}:
                if revision != self._revision:
                    raise _unavailable(f"it decided by {revision}, not {self._revision}")
                return Decision(new_id("dec"), revision, Verdict.parse(result))
            case {"revision": None, "decision": None}:
                raise _unavailable(f"it does not hold {self._revision}")
            case None:
                raise _error("it came to no decision")
            case _:
                raise _error("its answer is not a decision")

    async def ready(self, within: float, every: float = 0.1) -> None:
        """Return once the server has decided by this revision, about a question that it refuses.

        Raises the last `Unavailable` when it has not after `within` seconds.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while True:
            try:
                await self.decide({})
                return
            except Unavailable:
                if loop.time() >= end:
                    raise
            await asyncio.sleep(every)


class _Gone(Exception):
    """The server says that it cannot answer now."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Client(AsyncOpaClient):  # type: ignore[misc]
    """Follows no redirect and reads nothing but a 200: an OPA server answers nothing else."""

    async def post(self, asked: bytes) -> object:
        """The JSON that is answered. Raises `ValueError` when it is none, or too long."""
        told = {"content-type": "application/json"}
        url = f"{self.root_url}/{_PATH}"
        async with self._request("POST", url, data=asked, headers=told) as response:
            if response.content_type != "application/json":
                raise ValueError("not JSON")
            body = bytearray()
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > MOST_BYTES:
                    raise ValueError("too long")
            return orjson.loads(body)

    @asynccontextmanager
    async def _request(
        self, method: str, url: str, **more: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        async with super()._request(method, url, allow_redirects=False, **more) as response:
            if response.status in _GONE:
                raise _Gone(response.status)
            if response.status != 200:
                _refused(response)
            yield response


def _refused(response: aiohttp.ClientResponse) -> NoReturn:
    raise aiohttp.ClientResponseError(
        response.request_info, response.history, status=response.status
    )


def _address(url: str) -> tuple[str, int, bool]:
    """Host, port, and whether it is TLS."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"not the URL of an OPA server: {url!r}")
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        raise ValueError(f"the URL of an OPA server is a host and a port: {url!r}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return host, parts.port or 8181, parts.scheme == "https"


def _unavailable(why: str, retry_after: float = 1.0) -> Unavailable:
    return Unavailable(
        Code.POLICY_UNAVAILABLE, f"The policy server is unavailable: {why}.",
        retry_after=retry_after,
    )  # fmt: skip


def _error(why: str) -> Unavailable:
    return Unavailable(Code.POLICY_ERROR, f"The policy server could not decide: {why}.")
