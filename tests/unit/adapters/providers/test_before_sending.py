"""What fails before a request leaves is not paid for."""

from __future__ import annotations

import pytest

from gateway.adapters.providers.before_sending import before_sending
from gateway.core.errors import Code, UpstreamError
from gateway.core.money import Usage
from tests.unit.adapters.providers.scripted import exchange_in


def test_what_was_not_sent_used_nothing() -> None:
    exchange = exchange_in()
    with before_sending(exchange):
        pass
    assert exchange.usage is None
    with pytest.raises(UpstreamError), before_sending(exchange):
        raise UpstreamError(Code.UNKNOWN_URL, "No.")
    assert exchange.usage == Usage(0, 0, exact=True)
