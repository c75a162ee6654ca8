"""The policy engine beside the node: an OPA server, asked over HTTP.

The server holds the rule library (`policies/lib`) and a pack at `data.pack`. It is asked for
`data.govgate.answer`, which is the decision together with the revision of the pack that it was
made with, so that a server with another pack is noticed at the very question.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NoReturn
from urllib.parse import urlsplit

import aiohttp
import orjson
from opa_client.opa_async import AsyncOpaClient  # type: ignore[import-untyped]

from gateway.core.errors import Code, Unavailable
from gateway.core.ids import new_id
from gateway.core.policy import Decision, Question, Verdict

_PACKAGE, _RULE = "govgate", "answer"
"""The path that is asked. No part of a request ever reaches it (compare CVE-2025-46569)."""

_GONE = frozenset({429, 502, 503, 504})
"""What a server, or something before it, answers when asking again may help."""


class OpaServerPolicy:
    """Asks the OPA server at `url`, which must hold the pack of this `revision`.

    `timeout` is the longest a decision may take, in seconds. There is no retry: a late answer
    is a refusal. `token` is sent as a bearer token. The connection is opened at the first
    question and closed by `stop`. Raises `ValueError` when `url` is not where a server is.
    """

    def __init__(
        self, url: str, revision: str, *, timeout: float = 1.0, token: str | None = None
    ) -> None:
        host, port, secure = _address(url)
        self._revision = revision
        self._session = _Client(
            host=host, port=port, ssl=secure, token=token, retries=0, timeout=timeout
        )
        self._client: AsyncOpaClient | None = None
        self._opening = asyncio.Lock()

    @property
    def revision(self) -> str:
        return self._revision

    async def decide(self, question: Question) -> Decision:
        """Decide. Raises `Unavailable`: POLICY_UNAVAILABLE when the server cannot be reached,
        is late, or holds another pack; POLICY_ERROR when it answers no decision."""
        answer = await self._ask(question)
        match answer.get("result"):
            case {"revision": str(revision), "decision": result}:
                if revision != self._revision:
                    raise _unavailable(f"it holds the pack {revision}, not {self._revision}")
                return Decision(new_id("dec"), revision, Verdict.parse(result))
            case None:
                raise _error("it came to no decision")
            case _:
                raise _error("its answer is not a decision")

    async def stop(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.close_connection()

    async def _ask(self, question: Question) -> Mapping[str, Any]:
        try:
            # The client would send what is no JSON: NaN, and halves of characters.
            asked = orjson.loads(orjson.dumps(question))
            client = self._client or await self._opened()
            answer = await client.query_rule(asked, _PACKAGE, _RULE)
        except aiohttp.ClientResponseError as error:
            _refused(error)
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
            raise _unavailable(f"it cannot be reached ({type(error).__name__})") from error
        except (aiohttp.ClientError, ValueError, TypeError) as error:
            raise _error(f"it cannot be asked ({type(error).__name__})") from error
        if not isinstance(answer, Mapping):
            raise _error("its answer is not a decision")
        return answer

    async def _opened(self) -> AsyncOpaClient:
        async with self._opening:
            if self._client is None:
                self._client = await self._session.__aenter__()
            return self._client


class _Client(AsyncOpaClient):  # type: ignore[misc]
    """Follows no redirect and reads nothing but a 200: an OPA server answers nothing else."""

    @asynccontextmanager
    async def _request(
        self, method: str, url: str, **more: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        async with super()._request(method, url, allow_redirects=False, **more) as response:
            if response.status != 200:
                raise aiohttp.ClientResponseError(
                    response.request_info, response.history, status=response.status
                )
            yield response


def _address(url: str) -> tuple[str, int, bool]:
    """Host, port, and whether it is TLS."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"not the URL of an OPA server: {url!r}")
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        raise ValueError(f"the URL of an OPA server is a host and a port: {url!r}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return host, parts.port or 8181, parts.scheme == "https"


def _refused(error: aiohttp.ClientResponseError) -> NoReturn:
    said = f"it answered {error.status}"
    raise (_unavailable(said) if error.status in _GONE else _error(said)) from error


def _unavailable(why: str) -> Unavailable:
    return Unavailable(
        Code.POLICY_UNAVAILABLE, f"The policy server is unavailable: {why}.", retry_after=1.0
    )


def _error(why: str) -> Unavailable:
    return Unavailable(Code.POLICY_ERROR, f"The policy server could not decide: {why}.")
