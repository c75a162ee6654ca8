"""What fails before a request leaves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.core.errors import GatewayError
from gateway.core.exchange import Exchange
from gateway.core.money import Usage


@contextmanager
def before_sending(exchange: Exchange) -> Iterator[None]:
    """What fails inside was never sent, so it used nothing."""
    try:
        yield
    except GatewayError:
        exchange.usage = Usage(0, 0, exact=True)
        raise
