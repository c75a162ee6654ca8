"""One question to a service over HTTPS, asked while the program waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, NamedTuple

import httpx
import orjson

from gateway.core.seals import SealError

MOST_BYTES = 64 << 10
"""The largest answer that is read."""


class Answer(NamedTuple):
    """A status, and the members of a JSON object; none where the answer is no such object."""

    status: int
    members: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks a service. `connect` makes the transport of each question, with its time limits."""

    connect: Callable[[], httpx.AsyncBaseTransport]

    def post(self, service: str, url: httpx.URL, headers: Mapping[str, str], body: bytes) -> Answer:
        """The service's answer; no redirect is followed, nothing is sent twice.

        May be called where an event loop runs: the question has a loop of its own, in a thread.
        Raises `SealError`, which calls it `service`.
        """
        told = {"accept": "application/json", "accept-encoding": "identity", **headers}
        request = httpx.Request(
            "POST", url, headers={"user-agent": "govgate", **told}, content=body
        )
        with ThreadPoolExecutor(1) as thread:
            try:
                return thread.submit(asyncio.run, self._answer(request)).result()
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                raise SealError(
                    f"{service} cannot be reached ({type(error).__name__}): check its address, "
                    "its certificate and that it runs"
                ) from error

    async def _answer(self, request: httpx.Request) -> Answer:
        transport = self.connect()
        try:
            response = await transport.handle_async_request(request)
            try:
                return Answer(response.status_code, _members(await _read(response)))
            finally:
                await response.aclose()
        finally:
            await transport.aclose()


async def _read(response: httpx.Response) -> bytes:
    """The body, as it came; nothing of one that is too large."""
    content = bytearray()
    async for piece in response.aiter_raw():
        content += piece
        if len(content) > MOST_BYTES:
            return b""
    return bytes(content)


def _members(content: bytes) -> Mapping[str, Any]:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def checked_address(text: str) -> httpx.URL:
    """The URL of a service: https, or http on a loopback address; no query, no credentials.

    Raises `ValueError`, which does not repeat it.
    """
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ValueError("it is no URL") from error
    plain = url.scheme == "http" and _is_loopback(url.host)
    if not url.host or not (url.scheme == "https" or plain):
        raise ValueError("a seal is asked over https; over http only on this machine")
    if url.userinfo or url.query or url.fragment:
        raise ValueError("an address without credentials, query and fragment is wanted")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
