"""Reports: what the ledger shows for a requirement, and what it does not show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeAlias

Value: TypeAlias = int | datetime | Mapping[str, int] | None
"""A count, a time, or counts by name; None where there is nothing to count."""


class Verdict(StrEnum):
    """How far the evidence goes. It is about the evidence, never about compliance."""

    MET = "met"
    PARTLY = "partly"
    GAP = "gap"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure, and the SQL that it came of. `:org`, `:since` and `:until` are the report's."""

    value: Value
    query: str


@dataclass(frozen=True, slots=True)
class Span:
    """What a report is about: an organisation, from `since` and before `until`."""

    org: str
    since: datetime
    until: datetime


class Facts:
    """The figures of a report, as the rules of requirements read them."""

    def __init__(self, figures: Mapping[str, Figure], span: Span) -> None:
        self._figures = figures
        self.span = span

    def count(self, name: str, of: str | None = None) -> int:
        """A count; `of` one name of counts by name. 0 where there is nothing."""
        value = self._figures[name].value
        if isinstance(value, Mapping):
            return sum(value.values()) if of is None else value.get(of, 0)
        return value if isinstance(value, int) else 0

    def names(self, name: str) -> Sequence[str]:
        """The names of counts by name."""
        value = self._figures[name].value
        return list(value) if isinstance(value, Mapping) else []

    def days(self, name: str) -> int | None:
        """The whole days from a time until the report's end, or a count of days."""
        value = self._figures[name].value
        if isinstance(value, datetime):
            return max(0, (self.span.until - value).days)
        return value if isinstance(value, int) else None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and in words what the evidence lacks; empty where it lacks nothing."""

    verdict: Verdict
    gap: str = ""


@dataclass(frozen=True, slots=True)
class Requirement:
    """A demand in our own words, the figures that speak to it, and the rule that judges them."""

    ref: str
    demand: str
    figures: Sequence[str]
    judge: Callable[[Facts], Judgement]


@dataclass(frozen=True, slots=True)
class Framework:
    """A set of requirements, and what must be known to read the report. `name` is as one asks
    for it."""

    name: str
    title: str
    notes: Sequence[str]
    requirements: Sequence[Requirement]


@dataclass(frozen=True, slots=True)
class Row:
    """A requirement, judged."""

    ref: str
    demand: str
    figures: Mapping[str, Value]
    verdict: Verdict
    gap: str


@dataclass(frozen=True, slots=True)
class Report:
    """A filled report. `queries` are the SQL of every figure in it."""

    name: str
    title: str
    org: str
    since: datetime
    until: datetime
    made_at: datetime
    notes: Sequence[str]
    rows: Sequence[Row]
    queries: Mapping[str, str]


class Figures(Protocol):
    """Counts in the ledger."""

    async def gather(self, span: Span, names: Sequence[str]) -> Mapping[str, Figure]:
        """The figures of these names, all of one snapshot. Raises `Unavailable`; `KeyError` for
        a name that there is not."""
