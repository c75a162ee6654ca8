"""`cache`: the answer may be served again for the same question, for a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from gateway.core.exchange import Exchange


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long, in seconds."""

    seconds: Annotated[float, msgspec.Meta(gt=0)]


async def cache(exchange: Exchange, params: Mapping[str, Any]) -> None:
    """Allow the cache stage to find and to keep this answer."""
    exchange.keep_seconds = msgspec.convert(params, Params).seconds
