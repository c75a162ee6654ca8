"""Items of kept documents, however many documents go at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, func, select

from gateway.adapters.store import kept_items
from gateway.adapters.store.engine import open_engine
from gateway.adapters.store.tables import KeptItem, table
from gateway.core.kept import Owner
from tests.databases import Database

MANY = 2_500
"""More than a statement takes conditions: SQLite has a thousand in one expression."""
ITEMS = table(KeptItem)


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    engine = open_engine(database.url)
    with engine.connect() as opened:
        yield opened
        opened.rollback()
    engine.dispose()


def place(number: int, app: str = "shop") -> kept_items.Place:
    return f"resp_{number}", "acme", app


def left(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(ITEMS)).scalar_one()


def test_the_items_of_very_many_documents_go_together(connection: Connection) -> None:
    for number in range(MANY):
        kept_items.write(connection, place(number), {b"%d" % number: True})
    kept_items.forget(connection, [place(number) for number in range(1, MANY)])
    found = connection.execute(kept_items.homes(Owner("acme", "shop"), [b"0", b"1"])).all()
    assert [tuple(row) for row in found] == [(b"0", "resp_0")]
    assert left(connection) == 1


def test_anothers_document_of_the_same_id_keeps_its_items(connection: Connection) -> None:
    for app in ("shop", "other"):
        kept_items.write(connection, place(1, app), {b"a": True})
    kept_items.forget(connection, [place(1)])
    [row] = connection.execute(kept_items.homes(Owner("acme", "other"), [b"a"])).all()
    assert tuple(row) == (b"a", "resp_1")
    kept_items.forget(connection, [])
    assert left(connection) == 1
