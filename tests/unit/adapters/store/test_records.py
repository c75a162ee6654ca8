"""What rests in the ledger: chained, canonical, encrypted, and read back as it was."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import rfc8785
from sqlalchemy import delete, select, text, update

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.engine import for_writing
from gateway.adapters.store.records import SqlRecords
from gateway.adapters.store.sealing import Tampered
from gateway.adapters.store.tables import AuditEntry, AuditPart, RecordKey, table
from gateway.core.ids import new_id
from gateway.core.money import Money
from gateway.core.records import Entry, Kind
from tests.contracts.journals import SqlLedger, attempt, closed, opened, principal
from tests.databases import Database

ENTRY, PART, KEY = table(AuditEntry), table(AuditPart), table(RecordKey)
CANARY = b"canary: Erika Mustermann, +49 89 636 48018"


@pytest.fixture
async def ledger(database: Database, keyring: Keyring) -> AsyncIterator[SqlLedger]:
    async with SqlLedger.on(database.url, keyring) as running:
        yield running


async def write_one(ledger: SqlLedger, text: bytes = CANARY) -> str:
    id = new_id("exc")
    first = Entry(Kind.OPENED, {"model": "gpt-4o", "name": "Zoë"}, {"request_received": text})
    record = ledger.journal.begin(id, principal(), first)
    facts = {"attempt": 1, "decision": {"id": "dec_1", "rules": ["a", "b"]}}
    await record.append(Entry(Kind.ATTEMPT, facts, {"request_sent": text * 200, "empty": b""}))
    await record.close(closed(), Money(0))
    return id


def let_change(ledger: SqlLedger) -> None:
    """Drop the triggers, as somebody with the database's password might."""
    with for_writing(ledger.journal.engine).begin() as connection:
        if connection.dialect.name == "postgresql":
            for name in ("audit_entry", "audit_part"):
                connection.execute(text(f"ALTER TABLE {name} DISABLE TRIGGER USER"))
        else:
            for name in ("audit_entry", "audit_part"):
                connection.execute(text(f"DROP TRIGGER {name}_no_update"))
                connection.execute(text(f"DROP TRIGGER {name}_no_delete"))


async def test_what_was_written_is_read_back(ledger: SqlLedger) -> None:
    id = await write_one(ledger)
    stored = await ledger.records.read_exchange(id)
    assert [entry.kind for entry in stored] == [Kind.OPENED, Kind.ATTEMPT, Kind.CLOSED]
    assert stored[0].parts == {"request_received": CANARY}
    assert stored[1].parts == {"request_sent": CANARY * 200, "empty": b""}
    assert stored[1].header["org"] == "acme"
    assert await ledger.records.read_exchange("exc_unknown") == []


async def test_headers_are_canonical_and_chained(ledger: SqlLedger) -> None:
    for _ in range(3):
        await write_one(ledger)
    with ledger.journal.engine.begin() as connection:
        rows = connection.execute(select(ENTRY).order_by(ENTRY.c.writer_seq)).all()
    leaf = None
    for seq, row in enumerate(rows, start=1):
        header = json.loads(row.header)
        assert rfc8785.dumps(header) == bytes(row.header)
        assert row.leaf_hash == hashlib.sha256(b"\x00" + row.header).digest()
        writer = header["writer"]
        assert (
            (writer["epoch"], writer["seq"])
            == (row.writer_epoch, seq)
            == (rows[0].writer_epoch, row.writer_seq)
        )
        assert writer["prev_leaf"] == leaf
        assert ("follows" in writer) == (seq == 1)
        leaf = row.leaf_hash.hex()
    assert len(rows) == 9


async def test_columns_are_copied_from_the_header(ledger: SqlLedger) -> None:
    await write_one(ledger)
    with ledger.journal.engine.begin() as connection:
        rows = connection.execute(select(ENTRY).order_by(ENTRY.c.writer_seq)).all()
    assert [row.model for row in rows] == ["gpt-4o", None, None]
    assert [row.outcome for row in rows] == [None, None, "completed"]
    assert [row.decision_id for row in rows] == [None, "dec_1", None]
    for row in rows:
        assert row.ts.tzinfo is not None
        assert row.ts.isoformat().replace("+00:00", "Z") == json.loads(row.header)["ts"]
        assert (row.org_id, row.team, row.app, row.key_id) == ("acme", "support", "shop-bot", "k1")


async def test_a_caller_may_name_any_model(ledger: SqlLedger) -> None:
    id, name = new_id("exc"), "gpt\x00\U0001f600" + "x" * 500
    record = ledger.journal.begin(id, principal(), Entry(Kind.OPENED, {"model": name}))
    await record.close(closed("denied"), Money(0))
    assert (await ledger.records.read_exchange(id))[0].header["facts"]["model"] == name
    (listed,) = await ledger.records.list_exchanges()
    assert listed.model == "gpt\ufffd\U0001f600" + "x" * 251


async def test_a_new_writer_names_the_entry_it_follows(
    database: Database, keyring: Keyring
) -> None:
    for _ in range(2):
        async with SqlLedger.on(database.url, keyring) as ledger:
            id = await write_one(ledger)
            with ledger.journal.engine.begin() as connection:
                rows = connection.execute(select(ENTRY).order_by(ENTRY.c.entry_id)).all()
            first = (await ledger.records.read_exchange(id))[0].header["writer"]
    assert first["prev_leaf"] is None
    assert first["follows"]["epoch"] == rows[0].writer_epoch != first["epoch"]
    assert first["follows"]["leaf"] in {row.leaf_hash.hex() for row in rows}


async def test_nothing_rests_in_clear(tmp_path: Path, sqlite_url: str, keyring: Keyring) -> None:
    def all_bytes() -> bytes:
        return b"".join(path.read_bytes() for path in tmp_path.iterdir())

    async with SqlLedger.on(sqlite_url, keyring) as ledger:
        await write_one(ledger)
        resting = all_bytes()
    resting += all_bytes()
    assert b"request_received" in resting
    assert CANARY not in resting
    assert b"Mustermann" not in resting


async def test_long_parts_are_compressed(ledger: SqlLedger) -> None:
    id = await write_one(ledger)
    with ledger.journal.engine.begin() as connection:
        rows = {row.part: row for row in connection.execute(select(PART))}
    assert len(rows["request_sent"].ciphertext) < rows["request_sent"].size == len(CANARY) * 200
    assert (await ledger.records.read_exchange(id))[1].parts is not None


@pytest.mark.parametrize(
    "column",
    ["ciphertext", "nonce", "sha256_ct", "key_commit", "alg", "part", "header", "leaf_hash"],
)
async def test_a_changed_byte_is_noticed(ledger: SqlLedger, column: str) -> None:
    id = await write_one(ledger)
    let_change(ledger)
    holder = ENTRY if column in ENTRY.c else PART
    with for_writing(ledger.journal.engine).begin() as connection:
        row = connection.execute(select(holder).where(holder.c.entry_id.is_not(None))).first()
        assert row is not None
        value = row._mapping[column]
        if isinstance(value, str):
            changed: str | bytes = "DEF+A256GCM" if column == "alg" else "other"
        else:
            changed = bytes([value[0] ^ 1]) + bytes(value[1:])
        change = update(holder).where(holder.c.entry_id == row.entry_id)
        if holder is PART:
            change = change.where(PART.c.part == row.part)
        connection.execute(change.values({column: changed}))
    with pytest.raises(Tampered):
        await ledger.records.read_exchange(id)


async def test_a_part_that_was_dropped_is_noticed(ledger: SqlLedger) -> None:
    id = await write_one(ledger)
    let_change(ledger)
    with for_writing(ledger.journal.engine).begin() as connection:
        connection.execute(delete(PART).where(PART.c.part == "empty"))
    with pytest.raises(Tampered, match="other parts"):
        await ledger.records.read_exchange(id)


async def test_parts_of_two_exchanges_cannot_be_swapped(ledger: SqlLedger) -> None:
    id, other = await write_one(ledger), await write_one(ledger)
    let_change(ledger)
    with for_writing(ledger.journal.engine).begin() as connection:
        mine, theirs = (
            connection.execute(
                select(PART)
                .join(ENTRY, ENTRY.c.entry_id == PART.c.entry_id)
                .where(ENTRY.c.exchange_id == which, PART.c.part == "request_received")
            ).one()
            for which in (id, other)
        )
        names = ("ciphertext", "nonce", "sha256_ct", "key_commit")
        connection.execute(
            update(PART)
            .where(PART.c.entry_id == mine.entry_id, PART.c.part == mine.part)
            .values({name: theirs._mapping[name] for name in names})
        )
    with pytest.raises(Tampered, match="replaced"):
        await ledger.records.read_exchange(id)


async def test_the_keys_of_two_exchanges_cannot_be_swapped(ledger: SqlLedger) -> None:
    id, other = await write_one(ledger), await write_one(ledger)
    with for_writing(ledger.journal.engine).begin() as connection:
        theirs = select(KEY.c.wrapped).where(KEY.c.exchange_id == other).scalar_subquery()
        connection.execute(update(KEY).where(KEY.c.exchange_id == id).values(wrapped=theirs))
    with pytest.raises(Tampered, match="altered"):
        await ledger.records.read_exchange(id)


async def test_to_delete_its_key_erases_an_exchange(ledger: SqlLedger) -> None:
    id, other = await write_one(ledger), await write_one(ledger)
    with for_writing(ledger.journal.engine).begin() as connection:
        connection.execute(delete(KEY).where(KEY.c.exchange_id == id))
    erased = await ledger.records.read_exchange(id)
    assert [entry.parts for entry in erased] == [None, None, None]
    assert erased[0].header["facts"]["model"] == "gpt-4o"
    assert (await ledger.records.read_exchange(other))[0].parts == {"request_received": CANARY}


async def test_exchanges_are_listed_newest_first(ledger: SqlLedger) -> None:
    first, second = await write_one(ledger), new_id("exc")
    await asyncio.sleep(0.002)  # ids sort by the millisecond
    await ledger.journal.begin(second, principal(), opened()).append(attempt())
    listed = await ledger.records.list_exchanges()
    assert [(one.exchange_id, one.outcome) for one in listed] == [
        (second, None),
        (first, "completed"),
    ]
    assert {one.model for one in listed} == {"gpt-4o"}
    assert await ledger.records.list_exchanges(limit=1) == listed[:1]


async def test_reading_needs_no_writer(database: Database, keyring: Keyring) -> None:
    async with SqlLedger.on(database.url, keyring) as ledger:
        id = await write_one(ledger)
    records = SqlRecords(database.url, keyring)
    assert len(await records.read_exchange(id)) == 3
    await records.stop()
