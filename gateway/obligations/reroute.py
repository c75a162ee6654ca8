"""`reroute`: only some of a model's targets may be asked, such as those in house."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.core.errors import Code, Denied
from gateway.core.exchange import Exchange
from gateway.core.ports import Model


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a target must be: each list that is given must admit it; of `tags` it needs all."""

    hosting: frozenset[str] | None = None
    region: frozenset[str] | None = None
    providers: frozenset[str] | None = None
    tags: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if self.hosting is self.region is self.providers is self.tags is None:
            raise ValueError("it narrows nothing")

    def admit(self, target: Model) -> bool:
        """Whether the target may be asked."""
        return (
            (self.hosting is None or target.hosting in self.hosting)
            and (self.region is None or target.region in self.region)
            and (self.providers is None or target.upstream in self.providers)
            and (self.tags is None or self.tags <= set(target.tags))
        )


async def reroute(exchange: Exchange, params: Mapping[str, Any]) -> None:
    """Leave the targets that are admitted, in their order.

    Raises `Denied` when none is left.
    """
    wanted = msgspec.convert(params, Params)
    exchange.targets = [target for target in exchange.targets if wanted.admit(target)]
    if not exchange.targets:
        raise Denied(
            Code.CONTENT_FILTER,
            f"Blocked by policy: {exchange.model.id!r} is not to be had where the policy "
            f"wants this request to stay. Reference {exchange.decision.id}.",
            param="model",
        )
