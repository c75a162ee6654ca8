"""`POST /v1/embeddings`: text in, vectors out.

Source: OpenAI's API reference, "Embeddings". A vector is handed on as it came, as numbers or
in base64: no rule can read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.core.answer import Event
from gateway.core.money import Usage
from gateway.core.passages import Slot
from gateway.dialects import fields
from gateway.dialects.lens import Lens

_TYPES: fields.Types = {"dimensions": (int,), "encoding_format": (str,), "user": (str,)}
_KNOWN = frozenset({"input", *_TYPES})


class Embeddings(Lens):
    """The lens of embeddings. It keeps no state."""

    action = "embeddings.create"
    asks = "input"

    def check(self, body: object) -> dict[str, Any]:
        request = fields.checked(body, _TYPES)
        fields.texts(request.get("input"), "input")
        return request

    def slots(self, request: dict[str, Any]) -> Sequence[Slot]:
        return list(fields.slots(request, _KNOWN))

    def modalities(self, request: dict[str, Any]) -> Sequence[str]:
        return ("vector",)

    def usage(self, event: Event) -> Usage | None:
        match event.data.get("usage"):
            case {"prompt_tokens": int() as read}:
                return Usage(max(read, 0), 0, exact=True)
            case _:
                return None
