"""`label`: mark the answer, in the response headers and in the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.core.exchange import Exchange


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The labels to set; each is a short ASCII word."""

    labels: tuple[str, ...]


async def label(exchange: Exchange, params: Mapping[str, Any]) -> None:
    """Add the labels to the exchange and to `x-govgate-labels`."""
    for name in msgspec.convert(params, Params).labels:
        if not name.isascii() or not name.isprintable() or "," in name:
            raise msgspec.ValidationError(f"not a label: {name!r}")
        if name not in exchange.labels:
            exchange.labels.append(name)
    exchange.headers["x-govgate-labels"] = ",".join(exchange.labels)
