"""API keys in memory."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.errors import Unavailable
from gateway.core.principal import Principal


class FakeKeys:
    """Implements `Keys` over a table of credentials."""

    def __init__(self, principals: Mapping[str, Principal] | None = None) -> None:
        self.principals = dict(principals or {})
        self.failing: Unavailable | None = None
        """Raised instead of an answer, for as long as it is set."""

    async def principal(self, credential: str) -> Principal | None:
        if self.failing is not None:
            raise self.failing
        return self.principals.get(credential)

    async def stands(self, principal: Principal) -> bool:
        if self.failing is not None:
            raise self.failing
        return principal in self.principals.values()
