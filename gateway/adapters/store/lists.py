"""Lists as one value of a statement, so that its text is the same for lists of any length.

SQLAlchemy's own `IN` spells every item out, and makes a new text of the statement each time.
Source: SQLite's "JSON Functions" (§4.23, json_each); PostgreSQL's manual, "Row and Array
Comparisons".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from sqlalchemy import ARRAY, Column, ColumnElement, any_, bindparam, column, func, select


def among(dialect: str, of: Column[Any], name: str) -> ColumnElement[bool]:
    """Whether `of`, text or whole numbers, stands in the list that the parameter `name` gives."""
    if dialect == "postgresql":
        return of == any_(bindparam(name, type_=ARRAY(of.type)))
    items = func.json_each(bindparam(name)).table_valued(column("value"))
    return of.in_(select(items.c.value))


def listed(dialect: str, items: Iterable[Any]) -> Any:
    """`items` as the value of such a parameter."""
    every = list(items)
    return every if dialect == "postgresql" else orjson.dumps(every).decode()
