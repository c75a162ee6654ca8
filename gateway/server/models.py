"""`GET /v1/models` and `/v1/models/{id}`: what a key may ask for."""

from __future__ import annotations

from typing import Any

import orjson
from litestar.types import HTTPScope, Receive, Send

from gateway.core.errors import Code, Denied, GatewayError
from gateway.core.ids import new_id
from gateway.core.ports import Catalogue, Keys, Model
from gateway.dialects.openai_shape import error_body
from gateway.server.data_plane import credential_of
from gateway.server.errors import headers_of, status_of

_ACTION = "models.list"


class Models:
    """The catalogue, as far as the caller's key reaches, in OpenAI's shape."""

    def __init__(self, keys: Keys, catalogue: Catalogue) -> None:
        self._keys = keys
        self._catalogue = catalogue

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        status, headers = 200, {}
        try:
            body = await self._answer(scope)
        except GatewayError as error:
            body = error_body(error, {})
            status, headers = status_of(error), headers_of(error)
        content = orjson.dumps(body)
        request_id = new_id("req")
        told = {
            "content-type": "application/json",
            "content-length": str(len(content)),
            "x-request-id": request_id,
            "request-id": request_id,
            **headers,
        }
        pairs = [(name.encode(), value.encode()) for name, value in told.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": content, "more_body": False})

    async def _answer(self, scope: HTTPScope) -> dict[str, Any]:
        if scope["method"] != "GET":
            raise Denied(Code.METHOD_NOT_ALLOWED, "Use GET here.")
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        credential = credential_of(headers)
        principal = await self._keys.principal(credential) if credential else None
        if principal is None:
            raise Denied(Code.INVALID_API_KEY, "The API key is missing or not valid.")
        if not principal.may_call(_ACTION):
            raise Denied(Code.INSUFFICIENT_SCOPE, f"This key may not call {_ACTION}.")
        wanted = scope["path"].removeprefix("/v1/models").strip("/")
        if wanted:
            model = self._catalogue.find(wanted) if principal.may_use(wanted) else None
            if model is None:
                raise Denied(Code.MODEL_NOT_FOUND, f"There is no model {wanted!r}.", param="model")
            return _shown(model)
        seen = [model for model in self._catalogue.models() if principal.may_use(model.id)]
        return {"object": "list", "data": [_shown(model) for model in seen]}


def _shown(model: Model) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": 0, "owned_by": model.upstream}
