"""Edits of a pack as data: what is changed, not how the file is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.adapters.packs.documents import Where
from gateway.adapters.packs.schema import Json


class EditError(ValueError):
    """An edit that cannot be made, in words for whoever asked for it. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class SetValue:
    """Put a value at a path of a rule, such as `("params", "min_score")`; add what is missing."""

    rule: str
    path: Where
    value: Any


@dataclass(frozen=True, slots=True)
class RemoveValue:
    """Remove what stands at a path of a rule; a group that is left empty goes with it."""

    rule: str
    path: Where


@dataclass(frozen=True, slots=True)
class AddRule:
    """Add a rule at the end of a file, such as `rules/phrases.yaml`, which may be new."""

    file: str
    rule: Json


@dataclass(frozen=True, slots=True)
class RemoveRule:
    """Remove a rule; its file too where it holds nothing else."""

    rule: str


@dataclass(frozen=True, slots=True)
class AddList:
    """Add a list of phrases, by language, in a file of its own."""

    id: str
    title: str
    phrases: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class AddPhrase:
    """Add a phrase to a list in one of its languages, which may be new."""

    list: str
    language: str
    phrase: str


@dataclass(frozen=True, slots=True)
class RemovePhrase:
    """Remove a phrase from a list."""

    list: str
    language: str
    phrase: str


@dataclass(frozen=True, slots=True)
class AddException:
    """Add an exception, as it stands in exceptions.yaml."""

    exception: Json


@dataclass(frozen=True, slots=True)
class RemoveException:
    """Remove an exception."""

    id: str


@dataclass(frozen=True, slots=True)
class AddCase:
    """Add a case to a suite of tests, which may be new."""

    suite: str
    case: Json


@dataclass(frozen=True, slots=True)
class RemoveCase:
    """Remove a case from a suite of tests."""

    suite: str
    name: str


Change: TypeAlias = (
    SetValue
    | RemoveValue
    | AddRule
    | RemoveRule
    | AddList
    | AddPhrase
    | RemovePhrase
    | AddException
    | RemoveException
    | AddCase
    | RemoveCase
)
