"""`label`: what a rule says of an exchange stands in its headers and its record."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.obligations.label import label
from tests.exchanges import chat_request, decided


async def test_labels_are_set_once_each_in_order() -> None:
    exchange = decided(chat_request())
    await label(exchange, {"labels": ["internal", "unread-input"]})
    await label(exchange, {"labels": ["unread-input", "draft"]})
    assert exchange.labels == ["internal", "unread-input", "draft"]
    assert exchange.headers["x-govgate-labels"] == "internal,unread-input,draft"


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"labels": "internal"},
        {"labels": [1]},
        {"labels": ["a,b"]},
        {"labels": ["accès"]},
        {"labels": ["a\r\nset-cookie: x"]},
        {"labels": ["good", "bad\n"]},
        {"labels": ["a"], "more": 1},
    ],
    ids=str,
)
async def test_what_cannot_stand_in_a_header_is_refused(params: dict[str, Any]) -> None:
    exchange = decided(chat_request())
    with pytest.raises(msgspec.ValidationError):
        await label(exchange, params)
    assert "x-govgate-labels" not in exchange.headers
