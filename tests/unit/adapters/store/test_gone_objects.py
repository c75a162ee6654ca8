"""Objects whose payloads are pruned or erased go; those that belong to nothing can be swept."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from gateway.adapters.keyring import Keyring
from gateway.adapters.objects import open_objects
from gateway.adapters.store.erasure import SqlErasure
from gateway.adapters.store.erasure_file import ErasureFile
from gateway.adapters.store.erasure_tables import ObjectGone
from gateway.adapters.store.gone_objects import GRACE, GoneObjects
from gateway.adapters.store.pruning import SqlPruning
from gateway.adapters.store.retention_keeper import RetentionKeeper
from gateway.adapters.store.tables import table
from gateway.core.money import ZERO
from gateway.core.objects import ObjectsError
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind
from gateway.core.retention import RetentionClass
from gateway.core.values import Value
from gateway.governance.erasures import Erasures
from gateway.governance.retention import Schedule
from tests.buckets import Bucket
from tests.databases import Database
from tests.fakes.objects import FakeObjects
from tests.houses import ROOT
from tests.unit.adapters.store.stores import Store, ended, store_on

LARGE = b'{"content": "' + b"Canary: ann@example.org called. " * 500 + b'"}'
OFFICER = Principal("acme", "operators", "cli", "cli:officer")
ANN = Value("EMAIL_ADDRESS", "ann@example.org")
LEAN = Schedule([RetentionClass("lean", 0, 30, "own choice")])
LATER = timedelta(days=40)


@pytest.fixture
async def store(database: Database, keyring: Keyring, tmp_path: Path) -> AsyncIterator[Store]:
    async with store_on(database, keyring, tmp_path, FakeObjects()) as running:
        yield running


@pytest.fixture
def erasures(store: Store, keyring: Keyring, tmp_path: Path) -> Any:
    file = ErasureFile(tmp_path / "erasures.jsonl")
    journal = store.ledger.journal
    erasure = SqlErasure(store.database.url, keyring.index_key, file, journal.between)
    yield Erasures(erasure, journal)
    erasure.stop()


def after(some: timedelta) -> Callable[[], datetime]:
    return lambda: datetime.now(UTC) + some


def pruner(store: Store) -> SqlPruning:
    return SqlPruning(store.database.url, LEAN, lambda org: OFFICER, clock=after(LATER))


def prune(store: Store) -> None:
    pruning = pruner(store)
    assert pruning.begin()
    while pruning.step():
        pass
    pruning.finish()
    pruning.stop()


def waiting(store: Store) -> int:
    with store.ledger.journal.engine.begin() as connection:
        counting = select(func.count()).select_from(table(ObjectGone))
        return int(connection.execute(counting).scalar_one())


async def cleared(store: Store, some: timedelta) -> int:
    gone = store.gone(clock=after(some))
    try:
        return await gone.clear(store.ledger.journal.between)
    finally:
        gone.close()


async def test_what_is_pruned_goes_a_day_later(store: Store) -> None:
    await store.exchange(LARGE, LARGE)
    store.log.catch_up()
    prune(store)
    assert store.rows() == []
    assert len(store.objects.kept) == waiting(store) == 3
    assert await cleared(store, LATER) == 0  # the verifier may still read a snapshot
    assert await cleared(store, LATER + GRACE + timedelta(minutes=1)) == 3
    assert store.objects.kept == {}
    assert waiting(store) == 0
    report = store.verified()
    assert report.good, report.problems


async def test_what_is_not_due_stays(store: Store) -> None:
    await store.exchange(LARGE, LARGE)
    assert await cleared(store, LATER + LATER) == 0
    assert len(store.objects.kept) == 3


async def test_who_dies_after_deleting_deletes_again(store: Store) -> None:
    await store.exchange(LARGE, LARGE)
    store.log.catch_up()
    prune(store)

    async def dying(work: Any) -> Any:
        raise ConnectionError

    gone = store.gone(clock=after(LATER + LATER))
    with pytest.raises(ConnectionError):
        await gone.clear(dying)
    assert store.objects.kept == {}
    assert waiting(store) == 3
    assert await gone.clear(store.ledger.journal.between) == 3
    gone.close()
    assert waiting(store) == 0


async def test_the_keeper_deletes_and_outlives_a_store_that_is_away(store: Store) -> None:
    await store.exchange(LARGE, LARGE)
    store.log.catch_up()
    gone = store.gone(clock=after(LATER + LATER))
    keeper = RetentionKeeper(pruner(store), store.ledger.journal.between, objects=gone)
    await keeper.prune()
    store.objects.away = True
    with pytest.raises(ObjectsError):
        await keeper.clear()
    store.objects.away = False
    await keeper.clear()
    assert store.objects.kept == {}
    await keeper.stop()


async def test_whoever_is_erased_cannot_be_read_and_is_deleted(
    store: Store, erasures: Erasures
) -> None:
    id = await store.exchange(LARGE, LARGE)
    other = await store.exchange(LARGE, LARGE)
    before = dict(store.objects.kept)
    await erasures.erase_subject("acme", "app:shop-bot", OFFICER, "asked")
    for each in (id, other):
        entries = await store.ledger.records.read_exchange(each)
        assert [entry.parts for entry in entries] == [None, None, None]
    assert store.objects.kept == before  # noise by now
    assert b"Canary" not in b"".join(before.values())
    report = store.verified()
    assert report.good, report.problems
    assert await cleared(store, LATER) == 6
    assert store.objects.kept == {}
    report = store.verified()
    assert report.good, report.problems
    assert (report.erased, report.objects) == (6, 0)


async def test_an_object_that_is_gone_without_an_erasure_is_noticed(store: Store) -> None:
    await store.exchange(LARGE, LARGE)
    store.objects.kept.pop(next(iter(store.objects.kept)))
    report = store.verified()
    assert not report.good
    assert "is gone" in report.problems[0].what


async def test_an_erased_value_is_cut_out_of_an_object(store: Store, erasures: Erasures) -> None:
    id = await store.exchange(LARGE, LARGE, ANN)
    assert (await store.parts(id))["request_sent"] == LARGE
    await erasures.erase_value("acme", None, ANN.text, OFFICER, "asked")
    assert (await store.parts(id))["answer_received"] == LARGE.replace(
        b"ann@example.org", b"[erased]"
    )
    assert store.verified().good


async def test_an_object_that_is_bound_to_a_value_goes_with_its_key(
    store: Store, erasures: Erasures
) -> None:
    file = b"\x00" + LARGE  # no text, so that nothing is cut out of it
    id, record = store.begin(b"{}")
    await record.close(ended({"answer_received": file}, ANN), ZERO)
    assert (await store.parts(id))["answer_received"] == file
    assert len(store.objects.kept) == 1
    await erasures.erase_value("acme", None, ANN.text, OFFICER, "asked")
    closed = (await store.ledger.records.read_exchange(id))[-1]
    assert closed.lacking == {"answer_received"}
    assert not closed.parts
    assert store.verified().good


async def test_a_restored_erasure_deletes_again(
    store: Store, erasures: Erasures, keyring: Keyring
) -> None:
    await store.exchange(LARGE, LARGE)
    await erasures.erase_subject("acme", "app:shop-bot", OFFICER, "asked")
    await cleared(store, LATER)
    assert await erasures.reapply() == 0
    assert store.verified().erased == 3


@pytest.mark.parametrize("place", ["fake", "folder", "bucket"])
async def test_what_belongs_to_nothing_is_swept_after_a_day(
    place: str, sqlite_url: str, keyring: Keyring, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    objects: Any = FakeObjects()
    if place == "folder":
        objects = open_objects(f"file://{tmp_path}/kept", {})
    elif place == "bucket":
        bucket: Bucket = request.getfixturevalue("bucket")
        objects = open_objects(bucket.url("gov"), bucket.access)
    stray = f"parts/{'ab' * 32}"
    async with store_on(Database(sqlite_url, "sqlite"), keyring, tmp_path, objects) as store:
        id = await store.exchange(LARGE, LARGE)
        await objects.put(stray, b"noise")
        for foreign in ("parts/notes.txt", "parts/abab", f"other/{'cd' * 32}", f"{'ef' * 32}"):
            await objects.put(foreign, b"another's")
        young, old = store.gone(), store.gone(clock=after(GRACE + timedelta(minutes=1)))
        assert list(young.strays()) == []
        assert list(old.strays()) == [stray]
        old.remove([stray, stray])
        assert list(old.strays()) == []
        young.close()
        old.close()
        assert (await store.parts(id))["answer_received"] == LARGE
        assert store.verified().good


DYING = """
import asyncio, os, signal, sys
from pathlib import Path
from gateway.adapters.keyring import Keyring
from gateway.adapters.objects import open_objects
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.stowing import Stowage
from gateway.core.records import Entry, Kind
from tests.contracts.journals import principal

class Dying:
    def __init__(self, inner):
        self.inner = inner
    async def put(self, name, content):
        await self.inner.put(name, content)
        os.kill(os.getpid(), signal.SIGKILL)

async def main(url, folder):
    objects = open_objects(f"file://{folder}/kept", {})
    journal = SqlJournal(url, Keyring.open(Path(folder, "keyring.json"), None),
                         stowage=Stowage(Dying(objects), over=4096))
    await journal.start()
    entry = Entry(Kind.OPENED, {"model": "m"}, {"request_received": os.urandom(10_000)})
    await journal.begin("exc_dying", principal(), entry).open()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_kill_between_the_object_and_the_commit_leaves_only_noise(
    database: Database, keyring: Keyring, tmp_path: Path
) -> None:
    objects = open_objects(f"file://{tmp_path}/kept", {})
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DYING, database.url, str(tmp_path), cwd=ROOT
    )
    assert await killed.wait() == -signal.SIGKILL
    names = await objects.names()
    assert len(names) == 1
    async with store_on(database, keyring, tmp_path, objects) as store:
        assert await store.ledger.records.read_exchange("exc_dying") == []
        id = await store.exchange(LARGE, LARGE)
        assert store.verified().good
        gone = GoneObjects(database.url, objects, clock=after(LATER))
        assert list(gone.strays()) == names
        gone.remove(list(gone.strays()))
        gone.close()
        assert (await store.parts(id))["answer_received"] == LARGE
        assert store.verified().good


async def test_an_exchange_that_ends_after_its_erasure_cannot_be_read(
    store: Store, erasures: Erasures
) -> None:
    id, record = store.begin(LARGE)
    await record.append(Entry(Kind.ATTEMPT, {"attempt": 1}, {}))
    await erasures.erase_subject("acme", "app:shop-bot", OFFICER, "asked")
    await record.close(ended({"answer_received": LARGE}), ZERO)
    entries = await store.ledger.records.read_exchange(id)
    assert [entry.parts for entry in entries if entry.header["parts"]] == [None, None]
    assert store.verified().good
