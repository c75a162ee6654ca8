"""Large payloads: in object storage before the entry that names them, or refused."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from gateway.adapters.keyring import Keyring
from gateway.adapters.objects import open_objects
from gateway.adapters.store.records import SqlRecords
from gateway.adapters.store.tables import AuditEntry, table
from gateway.core.errors import Code, Unavailable
from gateway.core.money import ZERO
from gateway.core.records import Entry, Kind
from gateway.core.values import Value
from tests.buckets import Bucket
from tests.databases import Database
from tests.fakes.objects import FakeObjects
from tests.unit.adapters.store.stores import OVER, Store, bytes_of, ended, store_on

LARGE = b'{"content": "' + b"Canary words. " * 1_000 + b'"}'
SMALL = b'{"content": "short"}'
ANN = Value("EMAIL_ADDRESS", "ann@example.org")


@pytest.fixture
def fake() -> FakeObjects:
    return FakeObjects()


@pytest.fixture
async def store(
    database: Database, keyring: Keyring, tmp_path: Path, fake: FakeObjects
) -> AsyncIterator[Store]:
    async with store_on(database, keyring, tmp_path, fake) as running:
        yield running


@pytest.mark.parametrize("place", ["folder", "bucket"])
async def test_ten_megabytes_come_back_as_they_were(
    place: str,
    database: Database,
    keyring: Keyring,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    if place == "folder":
        objects = open_objects(f"file://{tmp_path}/kept", {})
    else:
        bucket: Bucket = request.getfixturevalue("bucket")
        objects = open_objects(bucket.url("gov"), bucket.access)
    noise = random.Random(7).randbytes(10 << 20)
    async with store_on(database, keyring, tmp_path, objects) as store:
        id = await store.exchange(noise, LARGE)
        assert await store.parts(id) == {
            "request_received": noise, "request_sent": noise, "answer_received": LARGE
        }  # fmt: skip
        assert sum(len(row.ciphertext) for row in store.rows()) < 1_000
        names = {f"parts/{row.object_sha256.hex()}" for row in store.rows()}
        assert names == set(await objects.names())
        report = store.verified()
        assert report.good, report.problems
        assert (report.objects, report.unchecked) == (3, 0)
        without = store.verified(objects=False)
        assert without.good
        assert (without.objects, without.unchecked) == (0, 3)


async def test_the_header_names_the_object_and_the_payload_s_size(store: Store) -> None:
    id = await store.exchange(LARGE, SMALL)
    entries = await store.ledger.records.read_exchange(id)
    said = {part["part"]: part for one in entries for part in one.header["parts"]}
    assert said["request_received"]["size"] == len(LARGE)
    assert f"parts/{said['request_received']['object_sha256']}" in store.objects.kept
    assert "object_sha256" not in said["answer_received"]


async def test_what_is_small_stays_in_the_database(store: Store) -> None:
    exactly = b"x" * OVER
    id = await store.exchange(SMALL, exactly)
    assert store.objects.kept == {}
    assert (await store.parts(id))["answer_received"] == exactly


async def test_an_object_is_there_before_anything_of_its_entry(store: Store) -> None:
    written: list[int] = []

    def look(_: str) -> None:
        with store.ledger.journal.engine.begin() as connection:
            counting = select(func.count()).select_from(table(AuditEntry))
            written.append(connection.execute(counting).scalar_one())

    store.objects.on_put = look
    await store.exchange(LARGE, LARGE)
    assert sorted(written) == [0, 0, 2]  # the request twice, then the answer


async def test_who_cannot_store_refuses_and_ends_in_the_database(store: Store) -> None:
    store.objects.away = True
    id, record = store.begin(LARGE)
    with pytest.raises(Unavailable) as refused:
        await record.append(Entry(Kind.ATTEMPT, {}, {"request_sent": SMALL}))
    assert refused.value.code is Code.AUDIT_UNAVAILABLE
    assert await store.parts(id) == {}  # nothing was written
    await record.close(ended({"answer_received": LARGE}), ZERO)
    assert await store.parts(id) == {"request_received": LARGE, "answer_received": LARGE}
    assert store.verified(objects=False).unchecked == 0


@pytest.mark.parametrize("stuck", [False, True])
async def test_an_ending_that_cannot_be_stored_rests_in_the_database(
    stuck: bool, database: Database, keyring: Keyring, tmp_path: Path, fake: FakeObjects
) -> None:
    async with store_on(database, keyring, tmp_path, fake, timeout=0.01) as store:
        id, record = store.begin(SMALL)
        await record.append(Entry(Kind.ATTEMPT, {}, {}))
        fake.away, fake.stuck = not stuck, stuck
        await record.close(ended({"answer_received": LARGE}), ZERO)
        assert (await store.parts(id))["answer_received"] == LARGE
        assert fake.kept == {}
        assert store.verified(objects=False).good


async def test_who_ends_before_anything_was_stored_ends_all_the_same(store: Store) -> None:
    store.objects.away = True
    id, record = store.begin(LARGE)
    await record.close(ended({"answer_received": LARGE}), ZERO)
    assert await store.parts(id) == {"request_received": LARGE, "answer_received": LARGE}


async def test_storage_that_comes_back_is_used_again(store: Store) -> None:
    id, record = store.begin(LARGE)
    store.objects.away = True
    with pytest.raises(Unavailable):
        await record.open()
    store.objects.away = False
    await record.open()
    assert len(store.objects.kept) == 1
    assert (await store.parts(id))["request_received"] == LARGE


async def test_what_takes_too_long_is_refused(
    database: Database, keyring: Keyring, tmp_path: Path, fake: FakeObjects
) -> None:
    fake.stuck = True
    async with store_on(database, keyring, tmp_path, fake, timeout=0.01) as store:
        _, record = store.begin(LARGE)
        with pytest.raises(Unavailable) as refused:
            await record.open()
        assert refused.value.code is Code.AUDIT_UNAVAILABLE
        fake.stuck = False
        await record.open()  # and nothing of it is counted any more
        assert store.rows()


async def test_a_queue_of_its_own_has_an_end(
    database: Database, keyring: Keyring, tmp_path: Path, fake: FakeObjects
) -> None:
    async with store_on(database, keyring, tmp_path, fake, most=len(LARGE)) as store:
        refusals: list[Any] = []

        async def another(ends: bool) -> None:
            _, record = store.begin(LARGE)
            try:
                if ends:
                    await record.close(ended({}), ZERO)
                else:
                    await record.open()
            except Unavailable as refused:
                refusals.append(refused.code)

        inner = fake.put

        async def put(name: str, content: bytes) -> None:
            fake.put = inner  # type: ignore[method-assign]
            await another(ends=False)  # while one is on its way
            await another(ends=True)
            await inner(name, content)

        fake.put = put  # type: ignore[method-assign]
        await another(ends=False)
        assert refusals == [Code.OVERLOADED]
        assert len(fake.kept) == 2


async def test_what_was_found_later_is_cut_out_of_the_first_payload_too(store: Store) -> None:
    request = LARGE.replace(b"Canary", b"ann@example.org")
    id, record = store.begin(request)
    store.objects.away = True
    with pytest.raises(Unavailable):
        await record.open()
    store.objects.away = False
    await record.append(Entry(Kind.ATTEMPT, {}, {"request_sent": request}, (ANN,)))
    assert await store.parts(id) == {"request_received": request, "request_sent": request}
    assert {row.part for row in store.rows()} >= {"values"}
    assert store.verified().good


async def test_nothing_can_be_read_without_the_setting(
    database: Database, store: Store, keyring: Keyring
) -> None:
    id = await store.exchange(LARGE, SMALL)
    records = SqlRecords(database.url, keyring)
    with pytest.raises(Unavailable, match="GOVGATE_OBJECTS__URL"):
        await records.read_exchange(id)
    await records.stop()
    store.objects.away = True
    with pytest.raises(Unavailable):
        await store.parts(id)


async def test_nothing_rests_in_clear(store: Store) -> None:
    noise = b"CANARY-IN-CLEAR" + os.urandom(OVER)  # so that compression hides nothing
    await store.exchange(noise, noise)
    assert b"CANARY-IN-CLEAR" not in bytes_of(store)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(st.sampled_from("abcd"), st.binary(max_size=64), min_size=1), st.data())
async def test_whatever_stands_in_an_entry_comes_back(
    sqlite_store: Store, contents: dict[str, bytes], data: st.DataObject
) -> None:
    sizes = st.sampled_from([1, OVER // 64, OVER // 64 + 1, 200])
    parts = {name: each * data.draw(sizes) for name, each in contents.items()}
    id, record = sqlite_store.begin(SMALL)
    await record.close(ended(parts), ZERO)
    assert await sqlite_store.parts(id) == {"request_received": SMALL, **parts}
    entries = await sqlite_store.ledger.records.read_exchange(id)
    rows = [row for row in sqlite_store.rows() if row.entry_id == entries[-1].entry_id]
    away = {row.part for row in rows if row.object_sha256 is not None}
    assert away == {name for name, payload in parts.items() if len(payload) > OVER}


@pytest.fixture
async def sqlite_store(
    sqlite_url: str, keyring: Keyring, tmp_path: Path, fake: FakeObjects
) -> AsyncIterator[Store]:
    async with store_on(Database(sqlite_url, "sqlite"), keyring, tmp_path, fake) as running:
        yield running
