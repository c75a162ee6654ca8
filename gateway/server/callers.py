"""Who asks the control plane: the same identities as of the data plane."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.errors import Code, Denied
from gateway.core.ports import Keys
from gateway.core.principal import Principal


class Callers:
    """Finds whose a request is, where no exchange is opened."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def principal(self, headers: Mapping[str, str], action: str) -> Principal:
        """The caller, who may do `action`. Raises `Denied`, `Unavailable`."""
        principal = await self.anybody(headers)
        if not principal.may_call(action):
            raise Denied(Code.INSUFFICIENT_SCOPE, f"This key may not call {action}.")
        return principal

    async def anybody(self, headers: Mapping[str, str]) -> Principal:
        """The caller, whatever they may do. Raises `Denied`, `Unavailable`."""
        credential = credential_of(headers)
        principal = await self._keys.principal(credential) if credential else None
        if principal is None:
            raise Denied(Code.INVALID_API_KEY, "The API key is missing or not valid.")
        return principal


def credential_of(headers: Mapping[str, str]) -> str | None:
    """The credential: a bearer token, else `x-api-key` or `api-key`."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key") or headers.get("api-key")
