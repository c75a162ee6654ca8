"""`GET /v1/models` and `/v1/models/{id}`: what a key may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.errors import Code, Denied
from gateway.core.ports import Catalogue, Keys, Model
from gateway.core.principal import Principal
from gateway.server.data_plane import credential_of

ACTION = "models.list"


class Models:
    """The catalogue, as far as the caller's key reaches, in OpenAI's shape."""

    def __init__(self, keys: Keys, catalogue: Catalogue) -> None:
        self._keys = keys
        self._catalogue = catalogue

    async def listed(self, headers: Mapping[str, str]) -> dict[str, Any]:
        """Every model with a name of its own that the key may use. Raises `Denied`."""
        principal = await self._principal(headers)
        seen = [model for model in self._catalogue.models() if principal.may_use(model.id)]
        return {"object": "list", "data": [_shown(model) for model in seen]}

    async def one(self, headers: Mapping[str, str], id: str) -> dict[str, Any]:
        """The model called `id`. Raises `Denied`, alike for unknown and not allowed."""
        principal = await self._principal(headers)
        model = self._catalogue.find(id) if principal.may_use(id) else None
        if model is None:
            raise Denied(Code.MODEL_NOT_FOUND, f"There is no model {id!r}.", param="model")
        return _shown(model)

    async def _principal(self, headers: Mapping[str, str]) -> Principal:
        credential = credential_of(headers)
        principal = await self._keys.principal(credential) if credential else None
        if principal is None:
            raise Denied(Code.INVALID_API_KEY, "The API key is missing or not valid.")
        if not principal.may_call(ACTION):
            raise Denied(Code.INSUFFICIENT_SCOPE, f"This key may not call {ACTION}.")
        return principal


def _shown(model: Model) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": 0, "owned_by": model.upstream}
