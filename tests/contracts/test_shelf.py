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
from gateway.core.kept import Kept, Owner, Shelf
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
    kept = SqlShelf(request.getfixturevalue(f"{request.param}_url"), keyring, keyring.pepper)
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


async def test_a_change_may_move_the_end(shelf: Shelf) -> None:
    now = datetime.now(UTC)
    one = kept(expires=now + timedelta(hours=1))
    await shelf.put(one)
    same = await shelf.change(one, {"a": 1}, working=False)
    assert same is not None
    assert same.expires == one.expires
    gone = await shelf.change(same, {"a": 2}, working=False, expires=now - timedelta(hours=1))
    assert gone is not None
    assert await shelf.get("file", one.id, MINE) is None
    back = await shelf.change(gone, {"a": 3}, working=False, expires=now + timedelta(days=1))
    assert await shelf.get("file", one.id, MINE) == back


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


async def test_an_item_is_found_in_the_document_it_came_in(shelf: Shelf) -> None:
    first, second = kept("response"), kept("response")
    await shelf.put(first, items={"msg_1": True, "msg_0": False})
    await shelf.put(second, items={"msg_1": False, "msg_2": True})
    asked = ["msg_0", "msg_1", "msg_2", "msg_3"]
    homes = {"msg_0": first.id, "msg_1": first.id, "msg_2": second.id}
    assert await shelf.homes(MINE, asked) == homes
    assert await shelf.homes(OTHER, asked) == {}
    assert await shelf.homes(Owner("other", "shop"), asked) == {}
    assert await shelf.homes(MINE, []) == {}


async def test_who_brings_an_item_again_has_it(shelf: Shelf) -> None:
    first, second = kept("response"), kept("response")
    await shelf.put(first, items={"msg_1": True})
    await shelf.put(second, items={"msg_1": True})
    assert await shelf.homes(MINE, ["msg_1"]) == {"msg_1": second.id}
    await shelf.remove("response", first.id, MINE)
    assert await shelf.homes(MINE, ["msg_1"]) == {"msg_1": second.id}


async def test_items_go_with_their_document(shelf: Shelf) -> None:
    one = kept("response")
    await shelf.put(one, items={"msg_1": True})
    changed = await shelf.change(one, {}, working=False, items={"msg_2": True})
    assert changed is not None
    assert await shelf.change(one, {}, working=False, items={"msg_3": True}) is None
    assert await shelf.change(changed, {}, working=False) is not None
    assert await shelf.homes(MINE, ["msg_1", "msg_2", "msg_3"]) == {"msg_2": one.id}
    assert await shelf.remove("response", one.id, MINE)
    assert await shelf.homes(MINE, ["msg_1", "msg_2"]) == {}


async def test_several_are_read_together(shelf: Shelf) -> None:
    mine = [kept("response") for _ in range(3)]
    for one in mine:
        await shelf.put(one)
    gone = kept("response", expires=datetime.now(UTC) - timedelta(seconds=1))
    await shelf.put(gone)
    ids = [mine[0].id, mine[2].id, gone.id, "resp_x"]
    read = await shelf.several("response", ids, MINE)
    assert sorted(each.id for each in read) == sorted([mine[0].id, mine[2].id])
    assert mine[0] in read
    assert await shelf.several("response", ids, OTHER) == []
    assert await shelf.several("file", ids, MINE) == []
    assert await shelf.several("response", [], MINE) == []


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
    shelf = SqlShelf(database.url, keyring, keyring.pepper)
    mine, other = kept("response"), kept("response")
    other = replace(other, id=mine.id, owner=OTHER, document={"text": "theirs"})
    await shelf.put(mine, items={"msg_1": True})
    await shelf.put(other, items={"msg_1": True})
    new = await shelf.change(mine, {"text": "new"}, working=False, items={"msg_2": True})
    assert new is not None
    assert (await shelf.get("response", mine.id, OTHER)) == other
    assert await shelf.remove("response", mine.id, MINE)
    assert (await shelf.get("response", mine.id, OTHER)) == other
    assert await shelf.homes(MINE, ["msg_1", "msg_2"]) == {}
    assert await shelf.homes(OTHER, ["msg_1", "msg_2"]) == {"msg_1": mine.id}
    await shelf.stop()


async def test_nothing_rests_in_clear(database: Database, keyring: Keyring) -> None:
    shelf = SqlShelf(database.url, keyring, keyring.pepper)
    one = kept("batch", working=True)
    await shelf.put(one, SECRET.encode(), items={SECRET: False})
    assert await shelf.claim("batch", "w1", 60.0) is not None
    assert await shelf.begin_line(one, 0, "w1")
    await shelf.end_line(one, 0, SECRET.encode())
    with shelf.engine.begin() as connection:
        rows = [
            bytes(value) if isinstance(value, memoryview) else value
            for name in ("kept_document", "kept_line", "kept_item")
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
    shelf = SqlShelf(database.url, keyring, keyring.pepper)
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
    shelf = SqlShelf(database.url, keyring, keyring.pepper)
    old = kept(expires=datetime.now(UTC) - timedelta(seconds=1))
    await shelf.put(old, b"x", items={"msg_1": True})
    other = replace(old, owner=OTHER, expires=None)
    await shelf.put(other, items={"msg_1": True})
    with shelf.engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM kept_document")).scalar_one() == 1
        assert connection.execute(text("SELECT app FROM kept_item")).scalar_one() == OTHER.app
    await shelf.stop()
