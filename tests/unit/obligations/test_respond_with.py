"""How the caller is told no is remembered; what says nothing of it is no duty."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.core.declined import Manner, RespondWith
from gateway.obligations.respond_with import respond_with
from tests.exchanges import chat_request, decided


@pytest.mark.parametrize("how", Manner)
async def test_the_way_is_remembered(how: Manner) -> None:
    exchange = decided(chat_request())
    assert exchange.respond_with is None
    await respond_with(exchange, {"how": str(how)})
    assert exchange.respond_with == RespondWith(how)


async def test_so_are_the_words() -> None:
    exchange = decided(chat_request())
    await respond_with(exchange, {"how": "message", "message": "Ask ann."})
    assert exchange.respond_with == RespondWith(Manner.MESSAGE, "Ask ann.")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"how": "error"},
        {"how": "shout"},
        {"how": "refusal", "message": ""},
        {"how": "refusal", "message": 1},
        {"how": "content_filter", "message": "A filter says nothing."},
        {"how": "refusal", "words": "x"},
    ],
)
async def test_params_that_say_something_else_are_no_duty(params: dict[str, Any]) -> None:
    exchange = decided(chat_request())
    with pytest.raises(msgspec.ValidationError):
        await respond_with(exchange, params)
    assert exchange.respond_with is None
