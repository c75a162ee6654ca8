"""What the files that operators write have in common: their parts, their secrets, their places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

SecretName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$")]


class Document(Protocol):
    """A document as a JSON value, and where each part of it stands."""

    @property
    def value(self) -> Any: ...

    def problem(self, where: Sequence[str | int], what: str) -> object:
        """`what`, with the file and the line of the part nearest to `where`, as text says it."""


class Shape(BaseModel):
    """A part of a file. A member that is not known is an error; nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Secret(Shape):
    """Where a secret is to be found: exactly one of these. Never the secret itself."""

    env: Annotated[str, Field(min_length=1)] | None = None
    file: Annotated[str, Field(min_length=1)] | None = None
    stored: SecretName | None = None

    @model_validator(mode="before")
    @classmethod
    def _not_in_clear(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            raise ValueError("name where it is kept: {env: …}, {file: …} or {stored: …}")
        return given

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(place is not None for place in (self.env, self.file, self.stored)) != 1:
            raise ValueError("give exactly one of env, file, stored")
        return self
