"""What was said, as it may be told to others: masked, whatever became of the exchange."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import delete

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.masked_parts import MaskedParts
from gateway.adapters.store.masked_texts import SqlMaskedTexts
from gateway.adapters.store.tables import RecordKey, table
from gateway.auditing import personal
from gateway.core.errors import Unavailable
from gateway.core.ids import new_id
from gateway.core.money import ZERO
from gateway.core.objects import PayloadObjects
from gateway.core.records import Entry, Kind
from gateway.core.values import Value
from gateway.governance.contents import DialectContents
from gateway.wiring import DIALECTS
from tests.contracts.journals import principal
from tests.databases import Database
from tests.fakes.objects import FakeObjects
from tests.unit.adapters.store.stores import Store, ended, store_on
from tests.unit.adapters.store.test_indexer import House, answer_of, exchange, request_of
from tests.unit.adapters.store.test_indexer import house as house

CANARY = "Wilhelmina"
"""A name, which nothing finds by its shape."""


@asynccontextmanager
async def texts(
    url: str, keyring: Keyring, objects: PayloadObjects | None = None, most_bytes: int = 1 << 20
) -> AsyncIterator[SqlMaskedTexts]:
    contents = DialectContents(DIALECTS.values(), personal)
    made = SqlMaskedTexts(url, MaskedParts(keyring, objects), contents, most_bytes=most_bytes)
    yield made
    await made.stop()


@pytest.mark.parametrize("most_bytes", [1, 300, 1 << 20])
async def test_what_was_sent_and_answered_is_told(house: House, most_bytes: int) -> None:
    ids = [await exchange(house.ledger, f"porcupines {number}") for number in range(4)]
    still_open = await exchange(house.ledger, "hedgehogs", ends=False)
    house.log()
    async with texts(house.database.url, house.keyring, most_bytes=most_bytes) as said:
        found = await said.of([*ids, still_open, "exc_unknown"])
        assert await said.of([]) == {}
    assert {id: one and (one.asked, one.answered) for id, one in found.items()} == {
        id: ([f"porcupines {number} sent"], [f"porcupines {number} answered"])
        for number, id in enumerate(ids)
    }


async def test_what_was_erased_is_not_told(house: House) -> None:
    gone, there = [await exchange(house.ledger, "porcupines") for _ in range(2)]
    house.log()
    key = table(RecordKey)
    house.change(delete(key).where(key.c.exchange_id == gone))
    async with texts(house.database.url, house.keyring) as said:
        assert set(await said.of([gone, there])) == {there}


async def test_what_no_lens_reads_is_none(house: House) -> None:
    id = await exchange(house.ledger, "porcupines", action="nothing.known")
    house.log()
    async with texts(house.database.url, house.keyring) as said:
        assert await said.of([id]) == {id: None}


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
    await record.close(ended({"answer_received": answer_of(f"Dear {CANARY}")}, value), ZERO)
    store.log.catch_up()
    async with texts(store.database.url, keyring, store.objects) as said:
        store.objects.away = True
        with pytest.raises(Unavailable):
            await said.of([id])
        store.objects.away = False
        told = (await said.of([id]))[id]
    assert told is not None
    assert CANARY not in str(told)
    assert told.asked[0].split()[:2] == ["PERSON", "wrote."]
    assert [text.split() for text in told.answered] == [["Dear", "PERSON"]]
