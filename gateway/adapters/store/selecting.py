"""What filters ask for, as conditions on the index, and where few exchanges can answer them.

A filter that few exchanges satisfy names them itself; then nothing else is searched. Where each
filter is satisfied by many, the newest that satisfy all are near, and are found by walking back
in time. So neither a rare value nor a common one makes a database look at everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    UnaryExpression,
    and_,
    exists,
    or_,
    select,
)
from sqlalchemy.sql.operators import custom_op

from gateway.adapters.store.erasure_tables import ValueIndex
from gateway.adapters.store.full_text import FullText
from gateway.adapters.store.naming import Names
from gateway.adapters.store.search_tables import ExchangeIndex, ExchangeTag
from gateway.adapters.store.tables import table
from gateway.adapters.store.words import Term, terms
from gateway.core.audit import COLUMNS, DIMENSIONS, TAGS, Filters, Scope

INDEX, _TAG, _VALUE = table(ExchangeIndex), table(ExchangeTag), table(ValueIndex)
STORED = {"key": "key_id", "provider": "upstream", "served_model": "upstream_model"}
"""Columns that filters know by another name."""
_NOBODY = ""
"""A pseudonym that nobody has."""
FEW = 5_000
"""Exchanges up to which a filter names its own."""


class Selection:
    """What `filters` ask for within `scope`, in one transaction."""

    def __init__(
        self,
        connection: Connection,
        scope: Scope,
        filters: Filters,
        names: Names,
        text: FullText,
    ) -> None:
        self._connection = connection
        self._scope = scope
        self._filters = filters
        self._text = text
        self._terms: Sequence[Term] | None = None if filters.text is None else terms(filters.text)
        self._wanted = {
            name: self._stored(name, filters.wanted(name), names)
            for name in DIMENSIONS
            if filters.wanted(name)
        }
        self._unwanted = {
            name: self._stored(name, filters.unwanted(name), names) for name in filters.exclude
        }
        self._subject: str | None = None
        if filters.user is not None:
            self._subject = names.subject(connection, scope.org, filters.user) or _NOBODY
        self._macs = None if filters.value is None else names.values(scope.org, filters.value)
        self.few = self._fewest()
        """The numbers of the exchanges that some filters leave; None where each leaves many."""
        self.dense = bool(self._terms) and self.few is None and self._is_dense()
        """Whether there are words to find, and so many say them that all cannot be looked at."""

    def conditions(self) -> list[ColumnElement[bool]]:
        """What a row of the index must satisfy, all of it."""
        filters = self._filters
        found = [*self._within(INDEX)]
        if self.few is not None:
            found = [self._looked_up(self.few), *found[1:]]
        if self._scope.team is not None:
            found.append(INDEX.c.team == self._scope.team)
        if not filters.hidden:
            found.append(INDEX.c.hidden.is_(False))
        if filters.open is not None:
            found.append(
                INDEX.c.outcome.is_(None) if filters.open else INDEX.c.outcome.is_not(None)
            )
        found += [_one_of(name, values) for name, values in self._wanted.items()]
        found += [_none_of(name, values) for name, values in self._unwanted.items() if values]
        if self._subject is not None:
            found.append(INDEX.c.subject == self._subject)
        found += list(self._cost())
        if self._macs is not None:
            found.append(INDEX.c.exchange_id.in_(self._holding(self._macs)))
        if self._terms is not None:
            found.append(self._text.says(self._terms, INDEX.c.number, dense=self.dense))
        return found

    def _is_dense(self) -> bool:
        return self._text.is_dense(self._connection, self._terms or ())

    def _fewest(self) -> list[int] | None:
        fewest: set[int] | None = None
        for posting in self._postings():
            numbers = self._connection.scalars(posting.limit(FEW + 1)).all()
            if len(numbers) <= FEW:
                fewest = set(numbers) if fewest is None else fewest.intersection(numbers)
                if not fewest:
                    return []
        return None if fewest is None else sorted(fewest)

    def _postings(self) -> Iterator[Select[Any]]:
        """For each filter by itself, the exchanges that it leaves: of an index alone."""
        if self._macs is not None:
            mine = INDEX.c.exchange_id.in_(self._holding(self._macs))
            yield select(INDEX.c.number).where(INDEX.c.org_id == self._scope.org, mine)
        if self._terms is not None and (said := self._text.posting(self._terms)) is not None:
            yield said
        rows = select(INDEX.c.number).where(*self._within(INDEX))
        if self._scope.team is not None:
            yield rows.where(INDEX.c.team == self._scope.team)
        if self._subject is not None:
            yield rows.where(INDEX.c.subject == self._subject)
        if cost := list(self._cost()):
            yield rows.where(*cost)
        for name, values in self._wanted.items():
            if name in COLUMNS:
                yield rows.where(_one_of(name, values))
            else:
                tags = select(_TAG.c.number).where(*self._within(_TAG))
                yield tags.where(_TAG.c.kind == name, _TAG.c.value.in_(values))

    def _looked_up(self, few: Sequence[int]) -> ColumnElement[bool]:
        """That it is one of these, and of the organisation. SQLite is kept from walking through
        an index, which all begin with the organisation, rather than look a few rows up."""
        org: ColumnElement[str] = INDEX.c.org_id
        if self._connection.dialect.name == "sqlite":
            org = UnaryExpression(org, operator=custom_op("+"), type_=String())
        return and_(INDEX.c.number.in_(few), org == self._scope.org)

    def _within(self, place: Any) -> Iterator[ColumnElement[bool]]:
        yield place.c.org_id == self._scope.org
        if self._filters.since is not None:
            yield place.c.ts >= self._filters.since
        if self._filters.until is not None:
            yield place.c.ts < self._filters.until

    def _cost(self) -> Iterator[ColumnElement[bool]]:
        if self._filters.cost_from is not None:
            yield INDEX.c.cost_micro >= self._filters.cost_from
        if self._filters.cost_to is not None:
            yield INDEX.c.cost_micro <= self._filters.cost_to

    def _holding(self, macs: Sequence[bytes]) -> Select[Any]:
        mine = (_VALUE.c.org_id == self._scope.org) & _VALUE.c.value_mac.in_(macs)
        return select(_VALUE.c.exchange_id).where(mine)

    def _stored(self, name: str, values: Sequence[str], names: Names) -> Sequence[str]:
        if name != "session":
            return values
        return [names.marks.asked(self._scope.org, value) for value in values]


def column_of(dimension: str) -> ColumnElement[Any]:
    """The column of a dimension of which an exchange has one value."""
    column: ColumnElement[Any] = INDEX.c[STORED.get(dimension, dimension)]
    return column


def _one_of(name: str, values: Sequence[str]) -> ColumnElement[bool]:
    if name in TAGS:
        return _tagged(name, values)
    column = column_of(name)
    return column == values[0] if len(values) == 1 else column.in_(values)


def _none_of(name: str, values: Sequence[str]) -> ColumnElement[bool]:
    if name in TAGS:
        return ~_tagged(name, values)
    return or_(column_of(name).is_(None), column_of(name).not_in(values))


def _tagged(name: str, values: Sequence[str]) -> ColumnElement[bool]:
    same = (_TAG.c.org_id == INDEX.c.org_id, _TAG.c.ts == INDEX.c.ts)
    wanted = (_TAG.c.kind == name, _TAG.c.value.in_(values), _TAG.c.number == INDEX.c.number)
    return exists().where(*same, *wanted).correlate(INDEX)
