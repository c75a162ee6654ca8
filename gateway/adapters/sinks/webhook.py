"""Records posted in batches over HTTPS, signed as Standard Webhooks says.

Source: github.com/standard-webhooks, spec/standard-webhooks.md: `webhook-id` is the same when a
delivery is repeated, `webhook-signature` is `v1,` and the base64 of the HMAC-SHA256 over the id,
the time and the body, joined by dots.
"""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Callable
from hashlib import sha256

import httpx

from gateway.core.exports import Delivery, SinkError

TYPE = "govgate.records"


class WebhookSink:
    """Implements `Sink`. Follows no redirect; reads nothing of an answer but its status.

    `client` connects only where it may; `clock` gives seconds since 1970.
    """

    def __init__(
        self,
        name: str,
        url: str,
        key: bytes,
        client: httpx.AsyncClient,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._url = url
        self._key = key
        self._client = client
        self._clock = clock

    async def send(self, delivery: Delivery) -> None:
        body = _body(delivery)
        digest = sha256(body).hexdigest()[:32]
        id = f"msg_{self._name}_{delivery.begin}_{delivery.end}_{digest}"
        now = str(int(self._clock()))
        headers = {
            "content-type": "application/json",
            "user-agent": "govgate",
            "webhook-id": id,
            "webhook-timestamp": now,
            "webhook-signature": signature(self._key, id, now, body),
        }
        try:
            async with self._client.stream(
                "POST", self._url, content=body, headers=headers, follow_redirects=False
            ) as response:
                status = response.status_code
        except httpx.HTTPError as error:
            raise SinkError(f"it cannot be reached: {type(error).__name__}") from error
        if not 200 <= status < 300:
            raise SinkError(f"it answers {status}")

    async def stop(self) -> None:
        await self._client.aclose()


def signature(key: bytes, id: str, now: str, body: bytes) -> str:
    """The `webhook-signature` of a body."""
    digest = hmac.digest(key, f"{id}.{now}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(digest).decode()


def _body(delivery: Delivery) -> bytes:
    """The batch as JSON: its type, its leaves, and its records, which are JSON already."""
    head = f'{{"type":"{TYPE}","from_leaf":{delivery.begin},"to_leaf":{delivery.end},"records":['
    return head.encode() + b",".join(delivery.lines) + b"]}"
