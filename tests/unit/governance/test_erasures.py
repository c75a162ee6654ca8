"""What is erased cannot be read any more, whoever tries; all the rest can, and is proved whole."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.cutting import MOST_CUT
from gateway.adapters.store.erasure_tables import SubjectKey, ValueIndex, ValueKey
from gateway.adapters.store.idempotency import SqlRepeats
from gateway.adapters.store.person_keys import PersonKey
from gateway.adapters.store.search_tables import ExchangeIndex
from gateway.adapters.store.shelf import SqlShelf
from gateway.adapters.store.tables import Deployment, RecordKey, Writer, table
from gateway.core.erasures import UnderHold
from gateway.core.errors import Unavailable
from gateway.core.kept import Kept, Owner
from gateway.core.legal_holds import Wanted
from gateway.core.money import ZERO
from gateway.core.records import Entry, Kind
from gateway.core.values import Value
from tests.contracts.journals import attempt, closed, principal
from tests.databases import Database
from tests.erasures import ANN, BOB, OFFICER, OTHER, TEXT, Office, office

SUBJECT, VALUE, INDEX = table(SubjectKey), table(ValueKey), table(ValueIndex)
RECORD, DEPLOYMENT = table(RecordKey), table(Deployment)


@pytest.fixture
async def desk(database: Database, keyring: Keyring, tmp_path: Path) -> AsyncIterator[Office]:
    async with office(database.url, keyring, tmp_path) as running:
        yield running


async def erase(desk: Office, subject: str = "user:ann") -> None:
    await desk.erasures.erase_subject("acme", subject, OFFICER, "they asked")


async def erase_value(desk: Office, value: str, label: str | None = None) -> None:
    await desk.erasures.erase_value("acme", label, value, OFFICER, "they asked")


async def test_an_erased_subject_cannot_be_read_and_the_record_is_whole(desk: Office) -> None:
    anns, bobs = await desk.exchange("user:ann", ANN), await desk.exchange("user:bob", ANN)
    await erase(desk)
    assert [entry.parts for entry in await desk.read(anns)] == [None] * 3
    assert await desk.said(bobs) == TEXT
    assert desk.check_leaves() == 7
    (told,) = await desk.acts(Kind.KEY_DESTROYED)
    with desk.store.engine.connect() as connection:
        (key,) = connection.execute(select(SUBJECT).where(SUBJECT.c.wrapped.is_(None))).all()
        places = set(connection.scalars(select(INDEX.c.exchange_id)))
        count = connection.scalar(select(DEPLOYMENT.c.erasures))
    assert told.facts == {"of": "subject", "keys": [key.key_id], "exchanges": []}
    assert told.parts == {"reason": b"they asked"}
    assert key.destroyed_at is not None
    assert key.recorded_at is not None
    assert places == {bobs}
    assert count == 1


async def test_who_comes_again_is_another(desk: Office) -> None:
    before = await desk.exchange("user:ann")
    await erase(desk)
    after, again = await desk.exchange("user:ann"), await desk.exchange("user:ann")
    assert await desk.said(after) == TEXT
    names = [(await desk.read(id))[0].header["subject"] for id in (before, after, again)]
    assert names[0] != names[1] == names[2]


async def test_headers_name_a_subject_and_a_session_by_pseudonyms(desk: Office) -> None:
    marks = []
    for subject, session in (("user:ann", "s1"), ("user:ann", "s1"), ("user:bob", "s1")):
        id, record = await desk.begin(subject, session)
        await record.close(closed(), ZERO)
        entries = await desk.read(id)
        assert {entry.header["subject"] for entry in entries} == {entries[0].header["subject"]}
        assert "session" not in entries[1].header["facts"]
        marks.append((entries[0].header["subject"], entries[0].header["facts"]["session"]))
    assert marks[0] == marks[1]
    assert len({mark for pair in marks for mark in pair}) == 4
    assert not any(name in str(marks) for name in ("ann", "bob", "s1"))


async def test_organisations_do_not_share_people(desk: Office) -> None:
    other = principal().__class__("other", "t", "a", "k9")
    theirs = await desk.exchange("user:ann", ANN, who=other)
    ours = await desk.exchange("user:ann", ANN)
    await erase(desk)
    await erase_value(desk, ANN.text)
    assert await desk.said(theirs) == TEXT
    assert await desk.said(ours) is None


async def test_an_erased_value_is_gone_and_nothing_else(desk: Office) -> None:
    one, other = await desk.exchange("user:x", ANN, BOB), await desk.exchange("user:y", ANN, BOB)
    assert await desk.said(one) == TEXT
    await erase_value(desk, " ANN@Example.org ", "EMAIL_ADDRESS")
    without = TEXT.replace(ANN.text.encode(), b"[erased]")
    for id in (one, other):
        for entry in await desk.read(id):
            assert entry.lacking == frozenset(entry.parts or {})
            assert set((entry.parts or {}).values()) == {without}
    await erase_value(desk, "+49-89-63648018")
    assert await desk.said(one) == without.replace(BOB.text.encode(), b"[erased]")
    assert desk.count(ValueIndex) == 0
    assert [a.facts["of"] for a in await desk.acts(Kind.KEY_DESTROYED)] == ["value", "value"]


async def test_a_value_that_comes_again_can_be_read(desk: Office) -> None:
    before = await desk.exchange("user:x", ANN)
    await erase_value(desk, ANN.text)
    after = await desk.exchange("user:x", ANN)
    assert await desk.said(after) == TEXT
    assert b"[erased]" in (await desk.said(before) or b"")


async def test_what_could_not_be_cut_goes_as_a_part(desk: Office) -> None:
    id, record = await desk.begin("user:x")
    spelled = b'{"content": "\\u0061nn@example.org is here"}'
    await record.append(
        Entry(Kind.ATTEMPT, {}, {"request_sent": spelled, "question": b"{}"}, [ANN])
    )
    await record.close(closed(), ZERO)
    before = await desk.read(id)
    (key,) = before[1].header["parts"][0]["bound"]
    assert before[1].parts == {"request_sent": spelled, "question": b"{}"}
    await erase_value(desk, ANN.text)
    after = (await desk.read(id))[1]
    assert after.parts == {"question": b"{}"}
    assert after.lacking == {"request_sent"}
    (told,) = await desk.acts(Kind.KEY_DESTROYED)
    assert told.facts["keys"] == [key]


async def test_what_holds_too_many_values_goes_as_a_whole(desk: Office) -> None:
    values = [Value("ID", f"number-{number:05}") for number in range(MOST_CUT + 2)]
    id, record = await desk.begin("user:x")
    body = " ".join(value.text for value in values).encode()
    await record.append(Entry(Kind.ATTEMPT, {}, {"request_sent": body}, values))
    await record.close(closed(), ZERO)
    other = await desk.exchange("user:x", values[-1])
    assert (await desk.read(id))[1].parts == {"request_sent": body}
    done = await desk.erasures.erase_value("acme", None, values[-1].text, OFFICER, "asked")
    assert done.exchanges == (id,)
    assert (await desk.read(id))[1].parts is None
    assert await desk.said(other) == TEXT
    (told,) = await desk.acts(Kind.KEY_DESTROYED)
    assert told.facts["exchanges"] == [id]
    with desk.store.engine.connect() as connection:
        assert (
            connection.scalar(select(VALUE.c.wrapped).where(VALUE.c.key_id == done.keys[0])) is None
        )


async def test_to_erase_again_changes_nothing(desk: Office) -> None:
    await desk.exchange("user:ann", ANN)
    for _ in range(2):
        await erase(desk)
        await erase_value(desk, ANN.text)
    assert len(await desk.acts(Kind.KEY_DESTROYED)) == 2
    assert len(desk.file.read()) == 2


@pytest.mark.parametrize("subject", ["ann", "user:", ":ann", "group:x"])
async def test_what_names_nobody_is_refused(desk: Office, subject: str) -> None:
    with pytest.raises(ValueError, match="subject"):
        await erase(desk, subject)


async def test_an_erasure_needs_a_reason_and_a_value(desk: Office) -> None:
    with pytest.raises(ValueError, match="reason"):
        await desk.erasures.erase_subject("acme", "user:ann", OFFICER, " ")
    with pytest.raises(ValueError, match="value"):
        await erase_value(desk, " ")


async def test_what_is_derived_goes_too(desk: Office) -> None:
    anns, bobs = await desk.exchange("user:ann", ANN), await desk.exchange("user:bob", ANN)
    now = datetime.now(UTC)
    with desk.store.engine.begin() as connection:
        for number, id in enumerate((anns, bobs)):
            row = {"number": number, "exchange_id": id, "ts": now, "org_id": "acme", "team": "t"}
            row |= {"app": "a", "key_id": "k", "hidden": False, "cost_micro": 0, "tags": {}}
            connection.execute(insert(table(ExchangeIndex)).values(row))
    await erase_value(desk, ANN.text)
    assert desk.count(ExchangeIndex) == 2
    await erase(desk)
    with desk.store.engine.connect() as connection:
        assert list(connection.scalars(select(table(ExchangeIndex).c.exchange_id))) == [bobs]


async def test_what_is_kept_for_people_goes_too(
    desk: Office, database: Database, keyring: Keyring
) -> None:
    anns = await desk.exchange("user:ann")
    mentions = await desk.exchange("user:bob", ANN)
    shelf = SqlShelf(database.url, keyring, keyring.pepper)
    owner, now = Owner("acme", "shop-bot"), datetime.now(UTC)
    documents = {
        "of her exchange": (None, anns),
        "made by her": ("ann", None),
        "of an exchange that mentions her": ("bob", mentions),
        "of nobody": (None, None),
    }
    for id, (user, exchange_id) in documents.items():
        who = replace(principal(), user=user)
        document = {"exchange_id": exchange_id}
        await shelf.put(Kept(id, "x", owner, document, who, now), items={f"item {id}": True})
    await erase(desk)
    left = [kept.id for kept in await shelf.listed("x", owner, None, 10)]
    assert set(left) == {"of an exchange that mentions her", "of nobody"}
    await erase_value(desk, ANN.text)
    assert [kept.id for kept in await shelf.listed("x", owner, None, 10)] == ["of nobody"]
    assert set(await shelf.homes(owner, [f"item {id}" for id in documents])) == {"item of nobody"}
    await shelf.stop()


async def test_an_answer_that_lacks_a_value_is_not_given_again(
    desk: Office, database: Database, keyring: Keyring
) -> None:
    repeats = SqlRepeats(database.url, keyring.pepper, desk.ledger.records)
    id, other = await desk.exchange("user:x", ANN), await desk.exchange("user:x", BOB)
    for each in (id, other):
        assert await repeats.claim(principal(), each, b"c", each, None)
    await erase_value(desk, ANN.text)
    assert await repeats.released(id) is None
    assert await repeats.earlier("k1", other, b"c") is not None
    await erase(desk, "user:x")
    assert await repeats.earlier("k1", other, b"c") is None
    await repeats.stop()


async def test_a_hold_stands_against_erasure(desk: Office) -> None:
    await desk.exchange("user:ann", ANN)
    hold = await desk.holds.place("acme", Wanted(app="shop-bot"), "a lawsuit", OFFICER)
    for attempted in (erase(desk), erase_value(desk, ANN.text)):
        with pytest.raises(UnderHold) as refused:
            await attempted
        assert refused.value.holds == (hold.id,)
    told = await desk.acts(Kind.ERASURE_REFUSED)
    assert [entry.facts["of"] for entry in told] == ["subject", "value"]
    assert told[0].facts == {"of": "subject", "holds": [hold.id], "basis": "GDPR Art. 17(3)"}
    assert desk.file.read() == []
    await desk.holds.ask_lift("acme", hold.id, OFFICER)
    await desk.holds.lift("acme", hold.id, OTHER)
    await erase(desk)
    assert len(await desk.acts(Kind.KEY_DESTROYED)) == 1


@pytest.fixture
async def fleet(
    database: Database, keyring: Keyring, tmp_path: Path
) -> AsyncIterator[tuple[Office, Office]]:
    """Two gateways on one database; nothing shows that either lives while a test runs."""
    async with AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(office(database.url, keyring, tmp_path, lease=3_600.0))
            for _ in range(2)
        ]
        yield one, other


async def test_another_gateway_forgets_a_destroyed_key(fleet: tuple[Office, Office]) -> None:
    eraser, writer = fleet
    before = await writer.exchange("user:ann", ANN)
    id, record = await writer.begin("user:ann")
    await record.append(Entry(Kind.ATTEMPT, {}, {"request_sent": TEXT}, [ANN]))
    told: list[str] = []
    writer.ledger.journal.on_erasure.append(lambda: told.append("erased"))
    await erase(eraser)
    await record.append(Entry(Kind.SEGMENT, {}, {"answer_released": TEXT}, [ANN, BOB]))
    await record.close(closed(), ZERO)
    after = await writer.exchange("user:ann", ANN)
    assert await eraser.said(before) is None
    assert [entry.parts for entry in await eraser.read(id)] == [None] * 4
    assert await eraser.said(after) == TEXT
    with eraser.store.engine.connect() as connection:
        assert set(connection.scalars(select(INDEX.c.exchange_id))) == {after}
    assert told == ["erased"]


async def test_who_erases_while_others_write_erases_all_there_was(
    fleet: tuple[Office, Office],
) -> None:
    eraser, writer = fleet
    ids: list[str] = []

    async def write() -> None:
        for _ in range(20):
            ids.append(await writer.exchange("user:ann", ANN))

    writing = asyncio.create_task(write())
    for _ in range(5):
        before = list(ids)
        await erase(eraser)
        await erase_value(eraser, ANN.text)
        assert [await eraser.said(id) for id in before] == [None] * len(before)
    await writing
    for id in ids:
        said = [entry.parts for entry in await eraser.read(id)]
        assert said == [None] * 3 or None not in said
    await erase(eraser)
    assert [await eraser.said(id) for id in ids] == [None] * 20
    eraser.check_leaves()


async def test_two_gateways_make_one_key_for_one_subject(fleet: tuple[Office, Office]) -> None:
    subjects = [f"user:{number}" for number in range(12)]
    values = [Value("ID", f"value-{number}") for number in range(12)]

    async def one(desk: Office, number: int) -> str:
        id, record = await desk.begin(subjects[number])
        body = " ".join(value.text for value in values).encode()
        await record.close(Entry(Kind.CLOSED, {}, {"answer_received": body}, values), ZERO)
        return id

    work = [one(desk, number) for number in range(12) for desk in fleet]
    ids = await asyncio.gather(*work)
    assert fleet[0].count(SubjectKey) == 12
    assert fleet[0].count(ValueKey) == 12
    for id in ids:
        assert await fleet[0].said(id) == TEXT


async def test_a_restored_backup_brings_nobody_back(
    database: Database, keyring: Keyring, tmp_path: Path
) -> None:
    values = [Value("ID", f"number-{number:05}") for number in range(MOST_CUT + 1)]
    async with office(database.url, keyring, tmp_path) as desk:
        anns, bobs = await desk.exchange("user:ann", BOB), await desk.exchange("user:bob", ANN)
        many = await desk.exchange("user:bob", *values)
        backup = _backed_up(desk)
        await erase(desk)
        await erase_value(desk, ANN.text)
        await erase_value(desk, values[-1].text)
        _restore(desk, backup)
        assert await desk.said(anns) == await desk.said(many) == TEXT
    async with office(database.url, keyring, tmp_path) as desk:
        assert await desk.said(anns) is None
        assert await desk.said(many) is None
        assert b"[erased]" in (await desk.said(bobs) or b"")
        assert b"today" in (await desk.said(bobs) or b"")


KEYS = (SUBJECT, VALUE, RECORD, INDEX)


def _backed_up(desk: Office) -> list[list[dict[str, object]]]:
    with desk.store.engine.connect() as connection:
        return [[dict(row._mapping) for row in connection.execute(select(t))] for t in KEYS]


def _restore(desk: Office, backup: list[list[dict[str, object]]]) -> None:
    with desk.store.engine.begin() as connection:
        for rows, into in zip(backup, KEYS, strict=True):
            connection.execute(into.delete())
            connection.execute(insert(into), rows)


async def test_a_file_that_was_restored_brings_nobody_back(
    sqlite_url: str, keyring: Keyring, tmp_path: Path
) -> None:
    name = tmp_path / "govgate.db"
    async with office(sqlite_url, keyring, tmp_path) as desk:
        id = await desk.exchange("user:ann")
    shutil.copy(name, tmp_path / "backup.db")
    async with office(sqlite_url, keyring, tmp_path) as desk:
        await erase(desk)
    for rest in ("-wal", "-shm"):
        (tmp_path / f"govgate.db{rest}").unlink(missing_ok=True)
    shutil.copy(tmp_path / "backup.db", name)
    async with office(sqlite_url, keyring, tmp_path) as desk:
        assert await desk.said(id) is None
        assert len(await desk.acts(Kind.KEY_DESTROYED)) == 1


async def test_a_journal_that_was_lost_is_made_again(
    database: Database, keyring: Keyring, tmp_path: Path
) -> None:
    async with office(database.url, keyring, tmp_path) as desk:
        await desk.exchange("user:ann")
        await erase(desk)
        (line,) = desk.file.read()
        desk.file.path.unlink()
    async with office(database.url, keyring, tmp_path) as desk:
        (again,) = desk.file.read()
        assert (again.of, again.keys, again.org) == (line.of, line.keys, line.org)


async def test_nothing_of_the_erased_rests_anywhere(
    sqlite_url: str, keyring: Keyring, tmp_path: Path
) -> None:
    def resting() -> bytes:
        return b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())

    async with office(sqlite_url, keyring, tmp_path) as desk:
        for number in range(40):
            await desk.exchange(f"user:{number}", Value("ID", f"value-{number}"))
            await desk.exchange("user:ann", ANN, BOB)
        with desk.store.engine.connect() as connection:
            bobs = connection.execute(select(VALUE.c.key_id, VALUE.c.wrapped)).all()
            anns = connection.execute(select(SUBJECT.c.key_id, SUBJECT.c.wrapped)).all()
        before = resting()
        assert all(row.wrapped in before for row in [*bobs, *anns])
        await erase(desk)
        await erase_value(desk, ANN.text)
        after = resting()
        with desk.store.engine.connect() as connection:
            gone = set(
                connection.scalars(select(SUBJECT.c.key_id).where(SUBJECT.c.wrapped.is_(None)))
            )
            gone |= set(connection.scalars(select(VALUE.c.key_id).where(VALUE.c.wrapped.is_(None))))
        wrapped = [row.wrapped for row in [*bobs, *anns] if row.key_id in gone]
        assert len(wrapped) == 2
        assert not [one for one in wrapped if one in after]
        names = (b"user:ann", b"ann@example.org", b"Canary", b"636 48018", TEXT)
        assert not [name for name in names if name in after]
    assert not [one for one in wrapped if one in resting()]


async def test_records_of_former_times_can_be_read_and_are_nobodys(
    desk: Office, keyring: Keyring
) -> None:
    """Their keys rest under the keyring's own."""
    id = await desk.exchange("user:ann")
    with desk.store.engine.begin() as connection:
        row = connection.execute(select(RECORD).where(RECORD.c.exchange_id == id)).one()
        key = connection.execute(select(SUBJECT)).one()
        subject = PersonKey(key.key_id, keyring.unwrap(key.kek_id, key.wrapped, key.key_id))
        kek_id, wrapped = keyring.wrap(subject.unwrap(row.wrapped, id), id)
        former = update(RECORD).where(RECORD.c.exchange_id == id)
        connection.execute(former.values(kek_id=kek_id, wrapped=wrapped))
    await erase(desk)
    assert await desk.said(id) == TEXT


async def test_a_key_that_cannot_be_read_harms_no_neighbour(
    desk: Office, database: Database, keyring: Keyring, tmp_path: Path
) -> None:
    await desk.exchange("user:ann")
    with desk.store.engine.begin() as connection:
        connection.execute(update(SUBJECT).values(wrapped=b"x" * 60))
    async with office(database.url, keyring, tmp_path) as fresh:
        ids = [await fresh.begin(f"user:{name}") for name in ("ann", "bob")]
        results = await asyncio.gather(
            *(record.append(attempt()) for _, record in ids), return_exceptions=True
        )
        assert isinstance(results[0], Unavailable)
        assert await fresh.said(ids[1][0]) == TEXT


async def test_what_was_lost_can_be_erased(fleet: tuple[Office, Office]) -> None:
    alive, dead = fleet
    id, record = await dead.begin("user:ann")
    await record.append(Entry(Kind.ATTEMPT, {}, {"request_sent": TEXT}, [ANN]))
    with alive.store.engine.begin() as connection:
        long_ago = datetime.now(UTC) - timedelta(hours=1)
        connection.execute(update(table(Writer)).values(lease_until=long_ago))
    await alive.ledger.journal.recover()
    assert await alive.said(id) == TEXT
    await erase(alive)
    entries = await alive.read(id)
    assert [str(entry.kind) for entry in entries] == ["opened", "attempt", "closed"]
    assert [entry.parts for entry in entries] == [None, None, {}]
    assert entries[-1].header["facts"]["outcome"] == "lost"
    alive.check_leaves()
