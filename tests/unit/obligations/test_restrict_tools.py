"""`restrict_tools`: the model is offered what the policy allows, and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.core.errors import Malformed
from gateway.obligations.restrict_tools import restrict_tools
from tests.exchanges import CHAT, chat_request, decided


def offering(*names: str, **more: Any) -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return chat_request("hi", tools=tools, **more)


@pytest.mark.parametrize(
    ("allowed", "left"),
    [(["a"], ["a"]), (["a", "b", "c"], ["a", "b"]), ([], []), (["A"], [])],
)
async def test_only_allowed_tools_remain(allowed: list[str], left: list[str]) -> None:
    exchange = decided(offering("a", "b"))
    await restrict_tools(exchange, {"allowed": allowed})
    assert CHAT.tools(exchange.request) == left


async def test_a_request_without_tools_stays_as_it_is() -> None:
    exchange = decided(chat_request())
    await restrict_tools(exchange, {"allowed": []})
    assert exchange.request == chat_request()


async def test_who_insists_on_another_is_refused() -> None:
    choice = {"type": "function", "function": {"name": "b"}}
    exchange = decided(offering("a", "b", tool_choice=choice))
    with pytest.raises(Malformed) as refused:
        await restrict_tools(exchange, {"allowed": ["a"]})
    assert refused.value.param == "tool_choice"


@pytest.mark.parametrize(
    "params", [{}, {"allowed": "a"}, {"allowed": [1]}, {"allow": ["a"]}], ids=str
)
async def test_params_of_another_shape_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        await restrict_tools(decided(offering("a")), params)
