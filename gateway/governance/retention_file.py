"""The shape of a retention file: a list of classes, each perhaps after a preset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gateway.core.file_shape import Document
from gateway.core.retention import RetentionClass
from gateway.governance.retention import PRESETS, Conflict, Schedule

_MOST_DAYS = 36_500
Days = Annotated[int, Field(ge=0, le=_MOST_DAYS)]
Globs = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]


class Class(BaseModel):
    """One class. What a preset says need not be said again."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    preset: str | None = None
    min_days: Days | None = None
    max_days: Days | None = None
    legal_basis: Annotated[str, Field(min_length=1)] | None = None
    apps: Globs | None = None
    teams: Globs | None = None
    labels: Globs | None = None

    @model_validator(mode="after")
    def _complete(self) -> Class:
        if self.preset is not None and self.preset not in PRESETS:
            raise ValueError(f"preset: there is no {self.preset!r}; take {', '.join(PRESETS)}")
        if self.preset is None and (self.max_days is None or self.legal_basis is None):
            raise ValueError("give max_days and legal_basis, or a preset")
        least = PRESETS[self.preset].min_days if self.preset else 0
        if self.min_days is not None and self.min_days < least:
            raise ValueError(f"min_days: {self.preset} asks for {least} days at the least")
        return self

    def made(self) -> RetentionClass:
        """The class, with what its preset says."""
        base = PRESETS.get(self.preset or "", RetentionClass(self.name, 0, 0, ""))
        least = base.min_days if self.min_days is None else self.min_days
        most = base.max_days if self.max_days is None else self.max_days
        basis = self.legal_basis or base.legal_basis
        chosen = (tuple(each or ()) for each in (self.apps, self.teams, self.labels))
        return RetentionClass(self.name, least, most, basis, *chosen)


class File(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    classes: Annotated[list[Class], Field(min_length=1)]


def schedule_of(document: Document) -> Schedule:
    """The classes of a file. Raises `ValueError`, which names the place of what is wrong."""
    try:
        file = File.model_validate(document.value)
    except ValidationError as error:
        said = [
            str(document.problem(each["loc"], _said(each["loc"], each["msg"])))
            for each in error.errors()
        ]
        raise ValueError("\n".join(said)) from None
    try:
        return Schedule([each.made() for each in file.classes])
    except Conflict as error:
        raise ValueError(str(document.problem(("classes", error.place), str(error)))) from None


def _said(where: Sequence[str | int], message: str) -> str:
    said = message.removeprefix("Value error, ")
    at = ".".join(map(str, where))
    return f"{at}: {said}" if at else said
