"""Only the targets that the policy wants are left; where there is none, nothing is asked."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.core.errors import Code, Denied
from gateway.core.ports import Model
from gateway.obligations.reroute import reroute
from tests.exchanges import chat_request, decided

TARGETS = [
    Model("m", "far", "x", hosting="external", region="us", tags=("cheap",)),
    Model("m", "near", "x", hosting="external", region="eu", tags=("cheap", "audited")),
    Model("m", "house", "x", hosting="local", region=None, tags=("audited",)),
]


async def left(params: dict[str, Any]) -> list[str]:
    exchange = decided(chat_request())
    exchange.targets = list(TARGETS)
    await reroute(exchange, params)
    return [target.upstream for target in exchange.targets]


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"hosting": ["local"]}, ["house"]),
        ({"region": ["eu", "us"]}, ["far", "near"]),
        ({"providers": ["house", "far"]}, ["far", "house"]),
        ({"tags": ["cheap", "audited"]}, ["near"]),
        ({"tags": []}, ["far", "near", "house"]),
        ({"tags": ["audited"], "hosting": ["external"]}, ["near"]),
    ],
)
async def test_the_targets_that_are_admitted_are_left_in_their_order(
    params: dict[str, Any], names: list[str]
) -> None:
    assert await left(params) == names


@pytest.mark.parametrize("params", [{"region": ["ch"]}, {"hosting": []}])
async def test_where_none_is_left_the_request_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(Denied) as refused:
        await left(params)
    assert (refused.value.code, refused.value.param) == (Code.CONTENT_FILTER, "model")
    assert "dec_1" in refused.value.message


@pytest.mark.parametrize("params", [{}, {"host": ["x"]}, {"hosting": "local"}, {"hosting": None}])
async def test_params_that_narrow_nothing_are_no_duty(params: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        await left(params)
