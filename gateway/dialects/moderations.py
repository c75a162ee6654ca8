"""`POST /v1/moderations`: text and images in, scores out.

Source: OpenAI's API reference, "Moderations". The answer says nothing that a rule reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from gateway.core.errors import Malformed
from gateway.core.findings import Finding
from gateway.core.names import named
from gateway.core.passages import Slot
from gateway.dialects import fields
from gateway.dialects.lens import Lens
from gateway.dialects.places import FREE, Grammar, nested, once
from gateway.dialects.sealed import is_bytes
from gateway.dialects.vocabulary import VOCABULARY

DEFAULT_MODEL = "omni-moderation-latest"
"""What is asked where the caller names no model, as the API reference says."""

_WORD = re.compile(r"[a-z_]{1,32}")
_PLACED = ("text", "type", "image_url")
_IMAGE = Grammar(VOCABULARY, sealed=lambda held, name: name == "url" and is_bytes(held[name]))
_TYPES: fields.Types = {"input": (str, list)}


class Moderations(Lens):
    """The lens of moderations. It keeps no state."""

    action = "moderations.create"
    asks = "input"

    def check(self, body: object) -> dict[str, Any]:
        if isinstance(body, dict) and body.get("model") is None:
            body["model"] = DEFAULT_MODEL
        request = fields.checked(body, _TYPES)
        if any(isinstance(part, dict) for part in _listed(request)):
            for index, part in enumerate(_listed(request)):
                _check_part(part, f"input[{index}]")
        else:
            fields.texts(request.get("input"), "input")
        return request

    def slots(self, request: dict[str, Any]) -> Sequence[Slot]:
        return list(once(named(request, "", "user", _slots(request), VOCABULARY)))

    def opaque(self, request: dict[str, Any]) -> Sequence[Finding]:
        return [
            Finding("opaque", _label(part), f"/input/{index}", 0, 0, 1.0)
            for index, part in enumerate(_listed(request))
            if isinstance(part, dict) and (part["type"] != "text" or "image_url" in part)
        ]


def _listed(request: dict[str, Any]) -> list[Any]:
    value = request.get("input")
    return value if isinstance(value, list) else []


def _label(part: dict[str, Any]) -> str:
    return "image" if "image_url" in part else "part"


def _check_part(part: object, where: str) -> None:
    if not isinstance(part, dict):
        raise Malformed(f"'{where}' must be an object, like its neighbours.", param=where)
    fields.typed(part.get("type"), (str,), f"{where}.type")
    if not _WORD.fullmatch(part["type"]):
        raise Malformed(f"'{where}.type' must be a word.", param=f"{where}.type")
    if part["type"] == "text":
        fields.typed(part.get("text"), (str,), f"{where}.text")


def _slots(request: dict[str, Any]) -> Iterator[Slot]:
    for index, name in enumerate(request):
        if name == "input":
            yield from _input_slots(request)
        elif name != "model":
            yield from nested(request, name, f"/#{index}", "user")


def _input_slots(request: dict[str, Any]) -> Iterator[Slot]:
    if not any(isinstance(part, dict) for part in _listed(request)):
        yield from nested(request, "input", "/input", "user")
        return
    for index, part in enumerate(_listed(request)):
        where = f"/input/{index}"
        yield from named(part, where, "user", _part_slots(part, where), VOCABULARY)


def _part_slots(part: dict[str, Any], where: str) -> Iterator[Slot]:
    """Every text; not the bytes of images, which are findings of their own."""
    for place, name in enumerate(part):
        inside = f"{where}/{name if name in _PLACED else f'#{place}'}"
        grammar = _IMAGE if name == "image_url" else FREE
        if not (name == "image_url" and is_bytes(part[name])):
            yield from nested(part, name, inside, "user", grammar, word=name == "type")
