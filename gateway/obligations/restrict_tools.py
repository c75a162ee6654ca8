"""`restrict_tools`: the model is offered only the tools that the policy allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.core.exchange import Exchange


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The names of the tools that remain."""

    allowed: frozenset[str]


async def restrict_tools(exchange: Exchange, params: Mapping[str, Any]) -> None:
    """Take every other tool out of the request.

    Raises `Malformed` when the caller insists on one of them.
    """
    exchange.dialect.restrict_tools(exchange.request, msgspec.convert(params, Params).allowed)
