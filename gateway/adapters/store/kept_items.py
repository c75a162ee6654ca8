"""Which kept document an item came in: one row for each item, written with its document.

An item is known by a keyed hash of its id, together with whose it is: ids may be any text that
a caller or a provider wrote, and two apps may use the same.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import ColumnElement, Connection, Select, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.adapters.store.tables import KeptItem, table
from gateway.core.kept import Items, Owner

Macs = Mapping[bytes, bool]
"""`Items`, with a hash in place of each id."""
Place = tuple[str, str, str]
"""A document's id, its organisation and its app."""

_ITEM = table(KeptItem)
_TOGETHER = 200
"""Documents of one statement: SQLite takes a thousand conditions."""


def mac(pepper: bytes, id: str) -> bytes:
    """The hash that stands for an item's id."""
    return hmac.digest(pepper, b"kept item\n" + id.encode(), "sha256")


def macs(pepper: bytes, items: Items) -> Macs:
    """The hashes of `items`, sorted, so that every writer takes them in the same order."""
    hashed = {mac(pepper, id): own for id, own in items.items()}
    return dict(sorted(hashed.items()))


def write(connection: Connection, place: Place, items: Macs) -> None:
    """Say that `items` came in the document at `place`, as `Items` has it."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    fresh, key = insert(_ITEM), ["item_mac", "org_id", "app"]
    moved = fresh.on_conflict_do_update(
        index_elements=key, set_={"kept_id": fresh.excluded.kept_id}
    )
    kept_id, org, app = place
    given = fresh.on_conflict_do_nothing(index_elements=key)
    for own, statement in ((True, moved), (False, given)):
        rows = [
            {"org_id": org, "item_mac": item, "app": app, "kept_id": kept_id}
            for item, brought in items.items()
            if brought is own
        ]
        if rows:
            connection.execute(statement, rows)


def forget(connection: Connection, places: Iterable[Place]) -> None:
    """Drop the items of the documents at `places`."""
    theirs = [_at(place) for place in places]
    for begin in range(0, len(theirs), _TOGETHER):
        some = theirs[begin : begin + _TOGETHER]
        connection.execute(delete(_ITEM).where(or_(*some)))


def homes(owner: Owner, items: Collection[bytes]) -> Select[tuple[bytes, str]]:
    """The items of an owner among `items`, each with its document's id."""
    mine = (_ITEM.c.org_id == owner.org) & (_ITEM.c.app == owner.app)
    return select(_ITEM.c.item_mac, _ITEM.c.kept_id).where(_ITEM.c.item_mac.in_(items), mine)


def _at(place: Place) -> ColumnElement[bool]:
    kept_id, org, app = place
    mine: ColumnElement[bool] = (_ITEM.c.org_id == org) & (_ITEM.c.app == app)
    return (_ITEM.c.kept_id == kept_id) & mine
