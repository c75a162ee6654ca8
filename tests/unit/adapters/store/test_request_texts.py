"""What requests said, to be inspected again: masked, some at a time, and never an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.masked_parts import MaskedParts
from gateway.adapters.store.request_texts import SqlRequestTexts
from gateway.adapters.store.tables import AuditPart, RecordKey, table
from gateway.auditing import personal
from gateway.core.errors import Unavailable
from gateway.core.ids import new_id
from gateway.core.money import ZERO
from gateway.core.objects import PayloadObjects
from gateway.core.passages import Passage
from gateway.core.records import Entry, Kind
from gateway.core.replays import Seen, Unseen
from gateway.core.values import Value
from gateway.governance.contents import DialectContents
from gateway.wiring import DIALECTS
from tests.contracts.journals import SqlLedger, principal
from tests.databases import Database
from tests.fakes.objects import FakeObjects
from tests.unit.adapters.store.stores import Store, ended, store_on
from tests.unit.adapters.store.test_indexer import WHO, House, exchange, request_of
from tests.unit.adapters.store.test_indexer import house as house
from tests.unit.adapters.store.test_questions import forced

CANARY = "Wilhelmina"
"""A name, which nothing finds by its shape."""
PLACE = "/messages/0/content"


@asynccontextmanager
async def texts(
    url: str, keyring: Keyring, objects: PayloadObjects | None = None, **more: Any
) -> AsyncIterator[SqlRequestTexts]:
    contents = DialectContents(DIALECTS.values(), personal)
    made = SqlRequestTexts(url, MaskedParts(keyring, objects), contents, **more)
    yield made
    await made.stop()


async def read(said: SqlRequestTexts, *ids: str) -> dict[str, Seen]:
    found: dict[str, Seen] = {}
    async for some in said.read(ids):
        assert found.keys().isdisjoint(some)
        found |= some
    assert set(found) == set(ids)
    return found


async def written(house: House, facts: Mapping[str, Any], **parts: bytes) -> str:
    """An exchange of which these are the facts and the parts."""
    id = new_id("exc")
    told = {"action": "chat.completions.create", "model": "m", "stream": False}
    record = house.ledger.journal.begin(id, WHO, Entry(Kind.OPENED, {**told, **facts}, parts))
    await record.close(Entry(Kind.CLOSED, {"outcome": "denied"}, {}), ZERO)
    return id


@pytest.mark.parametrize("most_bytes", [1, 300, 1 << 20])
async def test_what_was_sent_is_told_with_its_place(house: House, most_bytes: int) -> None:
    ids = [await exchange(house.ledger, f"porcupines {number}") for number in range(4)]
    still_open = await exchange(house.ledger, "hedgehogs", ends=False)
    house.log()
    async with texts(house.database.url, house.keyring, most_bytes=most_bytes) as said:
        found = await read(said, *ids, still_open, "exc_unknown")
        assert await read(said) == {}
    assert found == {
        id: [Passage(f"porcupines {number} sent", PLACE)] for number, id in enumerate(ids)
    } | {still_open: Unseen.NOT_RECORDED, "exc_unknown": Unseen.NOT_RECORDED}


async def test_what_cannot_be_told_is_told_why(house: House) -> None:
    facts = {"findings": [], "findings_count": 0, "unavailable": []}
    body = request_of("porcupines")
    there = await written(house, facts, request_received=body)
    never = await written(house, facts, answer_received=b"{}")
    cut = await written(house, {**facts, "findings_count": 9}, request_received=body)
    strange = await written(house, {**facts, "action": "nothing.known"}, request_received=body)
    gone = await written(house, facts, request_received=body)
    long = await written(house, facts, request_received=request_of("porcupines " * 20))
    house.log()
    key = table(RecordKey)
    house.change(delete(key).where(key.c.exchange_id == gone))
    async with texts(house.database.url, house.keyring, longest=200) as said:
        assert await read(said, there, never, cut, strange, gone, long) == {
            there: [Passage("porcupines", PLACE)],
            never: Unseen.NOT_RECORDED,
            cut: Unseen.WITHHELD,
            strange: Unseen.UNREADABLE,
            gone: Unseen.GONE,
            long: Unseen.TOO_LONG,
        }


async def test_payloads_that_were_deleted_or_replaced_are_never_used(
    sqlite_url: str, keyring: Keyring
) -> None:
    database = Database(sqlite_url, "sqlite")
    async with SqlLedger.on(sqlite_url, keyring) as ledger:
        house = House(database, keyring, ledger)
        id = await exchange(ledger, "porcupines")
        house.log()
        async with texts(sqlite_url, keyring) as said:
            assert await read(said, id) == {id: [Passage("porcupines sent", PLACE)]}
            part = table(AuditPart)
            forced(sqlite_url, part.update().values(ciphertext=b"nothing like it was"))
            assert await read(said, id) == {id: Unseen.UNREADABLE}
            forced(sqlite_url, delete(part))
            assert await read(said, id) == {id: Unseen.GONE}
        house.indexer.stop()


@pytest.fixture
async def store(database: Database, keyring: Keyring, tmp_path: Path) -> AsyncIterator[Store]:
    async with store_on(database, keyring, tmp_path, FakeObjects()) as running:
        yield running


async def test_a_value_that_was_found_is_never_told_and_storage_is_waited_for(
    store: Store, keyring: Keyring
) -> None:
    id, value = new_id("exc"), Value("PERSON", CANARY)
    facts = {"action": "chat.completions.create", "model": "m", "stream": False}
    request = request_of(f"{CANARY} wrote. " + "Words. " * 2_000)
    opened = Entry(Kind.OPENED, facts, {"request_received": request}, (value,))
    record = store.ledger.journal.begin(id, principal(), opened)
    await record.append(Entry(Kind.ATTEMPT, {"attempt": 1}, {"request_sent": request}, (value,)))
    await record.close(ended({}, value), ZERO)
    store.log.catch_up()
    async with texts(store.database.url, keyring, store.objects) as said:
        store.objects.away = True
        with pytest.raises(Unavailable):
            await read(said, id)
        store.objects.away = False
        found = (await read(said, id))[id]
    assert not isinstance(found, Unseen)
    [passage] = found
    assert CANARY not in str(passage)
    assert passage.text.split()[:2] == ["PERSON", "wrote."]
