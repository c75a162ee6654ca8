"""What every shelf does: the fake, SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.engine import for_writing
from gateway.adapters.store.shelf import SqlShelf
from gateway.core.ids import new_id
from gateway.core.ports import Kept, Owner, Shelf
from gateway.core.principal import Limits, Principal
from tests.databases import Database
from tests.fakes.shelf import FakeShelf

SECRET = "ann@example.org"
MINE, OTHER = Owner("acme", "shop"), Owner("acme", "desk")
WHO = Principal("acme", "sales", "shop", "k1", limits=Limits(10, None), budget_id="bud_1")


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
async def shelf(request: pytest.FixtureRequest, keyring: Keyring) -> AsyncIterator[Shelf]:
    if request.param == "fake":
        yield FakeShelf()
        return
    kept = SqlShelf(request.getfixturevalue(f"{request.param}_url"), keyring)
    yield kept
    await kept.stop()


def kept(kind: str = "file", **more: Any) -> Kept:
    return Kept(new_id(kind), kind, MINE, {"text": SECRET}, WHO, datetime.now(UTC), **more)


async def test_what_was_put_is_there(shelf: Shelf) -> None:
    one = kept(expires=datetime.now(UTC) + timedelta(hours=1))
    await shelf.put(one, SECRET.encode())
    assert await shelf.get("file", one.id, MINE) == one
    assert await shelf.content("file", one.id, MINE) == SECRET.encode()


async def test_nobody_elses_is_seen(shelf: Shelf) -> None:
    one = kept()
    await shelf.put(one, b"x")
    assert await shelf.get("file", one.id, OTHER) is None
    assert await shelf.get("batch", one.id, MINE) is None
    assert await shelf.content("file", one.id, OTHER) is None
    assert await shelf.listed("file", OTHER, None, 10) == []
    assert not await shelf.remove("file", one.id, OTHER)
    assert await shelf.get("file", one.id, MINE) is not None


async def test_what_has_expired_is_gone(shelf: Shelf) -> None:
    one = kept(expires=datetime.now(UTC) - timedelta(seconds=1))
    await shelf.put(one, b"x")
    assert await shelf.get("file", one.id, MINE) is None
    assert await shelf.listed("file", MINE, None, 10) == []


async def test_one_change_wins(shelf: Shelf) -> None:
    one = kept("batch", working=True)
    await shelf.put(one)
    first = await shelf.change(one, {"status": "a"}, working=True)
    assert first is not None
    assert await shelf.change(one, {"status": "b"}, working=False) is None
    second = await shelf.change(first, {"status": "c"}, working=False)
    assert await shelf.get("batch", one.id, MINE) == second
    assert second is not None
    assert second.document == {"status": "c"}


async def test_the_newest_come_first_and_page_on(shelf: Shelf) -> None:
    all_of_them = [kept() for _ in range(5)]
    for one in all_of_them:
        await shelf.put(one)
    ids = sorted((one.id for one in all_of_them), reverse=True)
    first = [one.id for one in await shelf.listed("file", MINE, None, 2)]
    rest = [one.id for one in await shelf.listed("file", MINE, first[-1], 10)]
    assert first + rest == ids


async def test_what_is_removed_is_gone_with_its_lines(shelf: Shelf) -> None:
    one = kept("batch", working=True)
    await shelf.put(one)
    assert await shelf.claim("batch", "w1", 60.0) is not None
    assert await shelf.begin_line(one, 0, "w1")
    assert await shelf.remove("batch", one.id, MINE)
    assert await shelf.get("batch", one.id, MINE) is None
    assert await shelf.lines(one) == {}
    await shelf.end_line(one, 0, b"late")
    assert await shelf.lines(one) == {}


async def test_work_is_claimed_once(shelf: Shelf) -> None:
    one, idle = kept("batch", working=True), kept("batch")
    await shelf.put(one)
    await shelf.put(idle)
    claimed = await shelf.claim("batch", "w1", 60.0)
    assert claimed is not None
    assert claimed.id == one.id
    assert await shelf.claim("batch", "w2", 60.0) is None
    assert await shelf.renew(one, "w1", 60.0)
    assert not await shelf.renew(one, "w2", 60.0)


async def test_a_claim_lapses(shelf: Shelf) -> None:
    one = kept("batch", working=True)
    await shelf.put(one)
    assert await shelf.claim("batch", "w1", -1.0) is not None
    assert not await shelf.begin_line(one, 0, "w1")
    assert await shelf.claim("batch", "w2", 60.0) is not None
    assert not await shelf.renew(one, "w1", 60.0)


async def test_lines_are_begun_and_ended(shelf: Shelf) -> None:
    one = kept("batch", working=True)
    await shelf.put(one)
    assert await shelf.claim("batch", "w1", 60.0) is not None
    for index in (0, 3):
        assert await shelf.begin_line(one, index, "w1")
        assert not await shelf.begin_line(one, index, "w1")
    assert not await shelf.begin_line(one, 4, "w2")
    await shelf.end_line(one, 3, SECRET.encode())
    assert await shelf.lines(one) == {0: None, 3: SECRET.encode()}


async def test_two_apps_may_have_the_same_id(database: Database, keyring: Keyring) -> None:
    shelf = SqlShelf(database.url, keyring)
    mine, other = kept("response"), kept("response")
    other = replace(other, id=mine.id, owner=OTHER, document={"text": "theirs"})
    await shelf.put(mine)
    await shelf.put(other)
    assert await shelf.change(mine, {"text": "new"}, working=False) is not None
    assert (await shelf.get("response", mine.id, OTHER)) == other
    assert await shelf.remove("response", mine.id, MINE)
    assert (await shelf.get("response", mine.id, OTHER)) == other
    await shelf.stop()


async def test_nothing_rests_in_clear(database: Database, keyring: Keyring) -> None:
    shelf = SqlShelf(database.url, keyring)
    one = kept("batch", working=True)
    await shelf.put(one, SECRET.encode())
    assert await shelf.claim("batch", "w1", 60.0) is not None
    assert await shelf.begin_line(one, 0, "w1")
    await shelf.end_line(one, 0, SECRET.encode())
    with shelf.engine.begin() as connection:
        rows = [
            bytes(value) if isinstance(value, memoryview) else value
            for name in ("kept_document", "kept_line")
            for row in connection.execute(text(f"SELECT * FROM {name}"))
            for value in row
        ]
    assert rows
    assert not [row for row in rows if SECRET.encode() in (row if isinstance(row, bytes) else b"")]
    assert SECRET not in str(rows)
    await shelf.stop()


async def test_a_document_that_was_altered_holds_nobody_up(
    database: Database, keyring: Keyring
) -> None:
    shelf = SqlShelf(database.url, keyring)
    bad, good = kept("batch", working=True), kept("batch", working=True)
    await shelf.put(bad)
    await shelf.put(good)
    with for_writing(shelf.engine).begin() as connection:
        spoilt = text("UPDATE kept_document SET wrapped = :w WHERE kept_id = :id")
        connection.execute(spoilt, {"w": bytes(60), "id": bad.id})
    claimed = [await shelf.claim("batch", "w1", 60.0) for _ in range(2)]
    assert good in claimed
    assert None in claimed
    await shelf.stop()


async def test_what_has_expired_is_destroyed_when_another_is_kept(
    database: Database, keyring: Keyring
) -> None:
    shelf = SqlShelf(database.url, keyring)
    await shelf.put(kept(expires=datetime.now(UTC) - timedelta(seconds=1)), b"x")
    await shelf.put(kept())
    with shelf.engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM kept_document")).scalar_one() == 1
    await shelf.stop()
