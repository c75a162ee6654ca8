"""Exchanges without a caller on the line: the whole pipeline, and a reply in place of HTTP."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import orjson

from gateway.core.answer import Event
from gateway.core.dialect import Dialect
from gateway.core.errors import Code, GatewayError
from gateway.core.exchange import Call, Exchange
from gateway.core.pipeline import Proceed
from gateway.governance.unattended import Reply
from gateway.server.errors import INTERNAL, about, status_of

log = logging.getLogger("govgate.server")


class Unattended:
    """Runs exchanges for whoever handed them in earlier. `dialects` are by path."""

    def __init__(self, pipeline: Proceed, dialects: Mapping[str, Dialect]) -> None:
        self._pipeline = pipeline
        self._dialects = dialects

    async def run(self, endpoint: str, body: bytes, call: Call) -> Reply:
        """One exchange, whole. Never raises but for cancellation: an error is the reply."""
        dialect = self._dialects[endpoint]

        async def read() -> bytes:
            return body

        exchange = Exchange(dialect, read, call)
        try:
            async with exchange:
                events = await self._pipeline(exchange)
                heard = [event async for event in events]
                whole = heard[0] if len(heard) == 1 and heard[0].whole else None
                answer = whole or Event(dialect.fold(heard))
                upstream = exchange.account.upstream if exchange.knows("account") else None
                told = orjson.loads(answer.encode())
                return Reply(200, exchange.id, told, upstream=upstream)
        except GatewayError as error:
            return _refused(exchange, error)
        except Exception as error:  # noqa: BLE001 - the reply says so, the log has the kind
            log.error("exchange %s failed: %s", exchange.id, type(error).__name__)
            return _refused(exchange, INTERNAL)


def _refused(exchange: Exchange, error: GatewayError) -> Reply:
    body: dict[str, Any] = exchange.dialect.error(error, about(exchange, error))
    too_fast = error.retry_after if error.code is Code.RATE_LIMIT_EXCEEDED else None
    return Reply(status_of(error), exchange.id, body, too_fast)
