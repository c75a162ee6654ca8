"""`cap_tokens`: the answer may be at most this long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from gateway.core.exchange import Exchange


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`most` output tokens for each choice."""

    most: Annotated[int, msgspec.Meta(ge=1)]


async def cap_tokens(exchange: Exchange, params: Mapping[str, Any]) -> None:
    """Lower the caller's output limit to the cap; set it where the caller set none."""
    exchange.dialect.limit_output(exchange.request, msgspec.convert(params, Params).most)
