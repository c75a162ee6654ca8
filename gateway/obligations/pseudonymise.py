"""`pseudonymise`: the provider is not told whom a request is for, only that it is the same person.

The members of a request that name its user (`user`, `safety_identifier`; `metadata.user_id` of
messages) read `usr_` and sixty hexadecimal digits: HMAC-SHA256, cut to 240 bits, under a key that
never leaves, over the organisation and the name. One name has one pseudonym in all of an
organisation's requests, so a provider still tells its users apart. It fits into the 64 characters
that OpenAI's API reference gives `safety_identifier`.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from gateway.core.exchange import Exchange

_BYTES = 30


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to choose."""


class Pseudonymise:
    """The obligation. What stood there is in the record's `request_received`, and nowhere else."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    async def __call__(self, exchange: Exchange, params: Mapping[str, Any]) -> None:
        """Raises `Malformed` where a member that names the user is no text."""
        msgspec.convert(params, Params)
        for slot in exchange.dialect.users(exchange.request):
            if slot.text:
                slot.put(self._pseudonym(exchange.principal.org, slot.text))
                exchange.replaced(slot)

    def _pseudonym(self, org: str, name: str) -> str:
        said = orjson.dumps(["pseudonym", org, name])
        return f"usr_{hmac.digest(self._key, said, 'sha256')[:_BYTES].hex()}"
