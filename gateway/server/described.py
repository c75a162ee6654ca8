"""What a route of the control plane says of itself, for the description of the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SAYS = "says"
"""The option of a route handler that holds its `Says`."""

Schema = Mapping[str, Any]
"""A JSON Schema, as OpenAPI 3.1 has it."""

TEXT: Schema = {"type": "string"}
BYTES: Schema = {}
"""What is no text has no schema; its media type says what it is."""
NUMBER: Schema = {"type": "integer", "minimum": 0}


@dataclass(frozen=True, slots=True)
class Param:
    """A query parameter, or a header of a request."""

    schema: Schema
    about: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Says:
    """`answer` is the type whose JSON is answered, a type of msgspec's or a JSON Schema; `takes`
    the type of the body that is asked for, None where there is none; `status` is what it is
    answered with."""

    answer: type | Schema
    media: tuple[str, ...] = ("application/json",)
    query: Mapping[str, Param] = field(default_factory=dict)
    headers: Mapping[str, Param] = field(default_factory=dict)
    takes: type | None = None
    status: int = 200


def says(answer: type | Schema, **more: Any) -> dict[str, Says]:
    """The route option that says it; `more` are the other members of `Says`."""
    return {SAYS: Says(answer, **more)}
