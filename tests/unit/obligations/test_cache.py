"""`cache`: nothing is kept unless a rule says for how long."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.obligations.cache import cache
from tests.exchanges import chat_request, decided


async def test_a_rule_says_for_how_long() -> None:
    exchange = decided(chat_request())
    assert exchange.keep_seconds is None
    await cache(exchange, {"seconds": 600})
    assert exchange.keep_seconds == 600.0


@pytest.mark.parametrize(
    "params", [{}, {"seconds": 0}, {"seconds": -1}, {"seconds": "600"}, {"seconds": None},
               {"seconds": 1, "for": "ever"}],
)  # fmt: skip
async def test_params_of_another_shape_keep_nothing(params: dict[str, Any]) -> None:
    exchange = decided(chat_request())
    with pytest.raises(msgspec.ValidationError):
        await cache(exchange, params)
    assert exchange.keep_seconds is None
