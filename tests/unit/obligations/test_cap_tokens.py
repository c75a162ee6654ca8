"""`cap_tokens`: never longer than the cap, and never longer than was asked for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.obligations.cap_tokens import cap_tokens
from tests.exchanges import CHAT, chat_request, decided


@pytest.mark.parametrize(
    ("asked", "most", "limit"),
    [
        ({}, 100, 100),
        ({"max_tokens": 500}, 100, 100),
        ({"max_completion_tokens": 500}, 100, 100),
        ({"max_tokens": 50}, 100, 50),
        ({"max_tokens": 500, "max_completion_tokens": 70}, 100, 70),
        ({"max_tokens": 1}, 1, 1),
    ],
    ids=str,
)
async def test_the_lower_limit_counts(asked: dict[str, Any], most: int, limit: int) -> None:
    exchange = decided(chat_request(**asked))
    await cap_tokens(exchange, {"most": most})
    assert CHAT.output_limit(exchange.request) == limit
    written = [exchange.request.get(name) for name in ("max_tokens", "max_completion_tokens")]
    assert all(each <= most for each in written if each is not None)


@pytest.mark.parametrize(
    "params", [{}, {"most": 0}, {"most": "9"}, {"most": 1.5}, {"most": 1, "x": 1}]
)
async def test_params_of_another_shape_are_refused(params: dict[str, Any]) -> None:
    exchange = decided(chat_request())
    with pytest.raises(msgspec.ValidationError):
        await cap_tokens(exchange, params)
    assert exchange.request == chat_request()
