"""`respond_with`: the caller is told no by an answer of the API, and not by an error.

The one duty that a decision which refuses may carry, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from gateway.core.declined import Manner, RespondWith
from gateway.core.exchange import Exchange


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to say it, and in which words; a filtered answer has none."""

    how: Manner
    message: Annotated[str, msgspec.Meta(min_length=1)] | None = None

    def __post_init__(self) -> None:
        if self.how is Manner.CONTENT_FILTER and self.message is not None:
            raise ValueError("a filtered answer says nothing")


async def respond_with(exchange: Exchange, params: Mapping[str, Any]) -> None:
    """Remember how the caller is to be told, should a rule refuse the request or its answer."""
    wanted = msgspec.convert(params, Params)
    exchange.respond_with = RespondWith(wanted.how, wanted.message)
