"""Payloads in object storage: what was altered is noticed, and evidence holds them."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import update

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.bundles import SqlEvidence
from gateway.adapters.store.indexer import Indexer
from gateway.adapters.store.masked_parts import MaskedParts
from gateway.adapters.store.sealing import Tampered
from gateway.adapters.store.tables import AuditPart, table
from gateway.auditing import personal
from gateway.core.bundles import BundleError
from gateway.core.errors import Unavailable
from gateway.core.money import ZERO
from gateway.core.note_keys import Verifier
from gateway.core.records import Entry, Kind
from gateway.governance.bundles import Chosen, write_bundle
from gateway.governance.contents import DialectContents
from gateway.verifier.bundle import verify_bundle
from gateway.verifier.report import Report
from gateway.verifier.verify import Trusted
from gateway.wiring import DIALECTS
from tests.contracts.journals import principal
from tests.databases import Database
from tests.fakes.objects import FakeObjects
from tests.unit.adapters.store.stores import Store, ended, store_on

LARGE = b"Canary words. " * 1_000
_PART = table(AuditPart)


@pytest.fixture
async def store(database: Database, keyring: Keyring, tmp_path: Path) -> AsyncIterator[Store]:
    async with store_on(database, keyring, tmp_path, FakeObjects()) as running:
        yield running


async def test_every_altered_byte_of_an_object_is_noticed(store: Store) -> None:
    id = await store.exchange(LARGE, b"{}")
    chance = Random(3)
    for name, content in list(store.objects.kept.items()):
        at = chance.randrange(len(content))
        altered = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        for instead in (altered, content[:-1], content + b"\0", b""):
            store.objects.kept[name] = instead
            report = store.verified()
            assert [problem.index for problem in report.problems] in ([0], [1])
            with pytest.raises(Tampered):
                await store.parts(id)
        store.objects.kept[name] = content
    assert store.verified().good


async def test_objects_that_were_swapped_are_noticed(store: Store) -> None:
    await store.exchange(LARGE, b"{}")
    one, other = store.objects.kept
    store.objects.kept[one], store.objects.kept[other] = (
        store.objects.kept[other], store.objects.kept[one],
    )  # fmt: skip
    assert store.verified().problem_count == 2


async def test_an_object_that_is_gone_is_noticed(store: Store) -> None:
    id = await store.exchange(LARGE, b"{}")
    store.objects.kept.clear()
    assert store.verified().problem_count == 2
    with pytest.raises(Tampered, match="gone"):
        await store.parts(id)


@pytest.mark.parametrize("named", [None, b"\x07" * 32])
async def test_a_row_that_names_another_object_is_noticed(
    store: Store, named: bytes | None
) -> None:
    id = await store.exchange(LARGE, b"{}")
    store.change(update(_PART).where(_PART.c.part == "request_sent").values(object_sha256=named))
    report = store.verified(objects=False)
    assert [problem.index for problem in report.problems] == [1]
    with pytest.raises(Tampered, match="another object"):
        await store.parts(id)


async def test_a_small_payload_that_names_an_object_is_noticed(store: Store) -> None:
    await store.exchange(LARGE, b"{}")
    named = store.rows()[0].object_sha256 or b"\x07" * 32
    store.change(update(_PART).where(_PART.c.part == "answer_received").values(object_sha256=named))
    assert [problem.index for problem in store.verified().problems] == [2]


def bundled(store: Store, chosen: Chosen, objects: FakeObjects | None) -> bytes:
    evidence, file = SqlEvidence(store.database.url, objects=objects), io.BytesIO()
    try:
        write_bundle(file, evidence, chosen)
    finally:
        evidence.close()
    return file.getvalue()


def checked(store: Store, bundle: bytes, folder: Path) -> Report:
    path = folder / "bundle.zip"
    path.write_bytes(bundle)
    assert store.log.vkey is not None
    return verify_bundle(path, Trusted([Verifier.decoded(store.log.vkey)]))


async def test_a_bundle_holds_objects_and_proves_them(store: Store, tmp_path: Path) -> None:
    id = await store.exchange(LARGE, b"{}")
    await store.exchange(b"{}", LARGE)
    store.log.catch_up()
    for chosen, objects in ((Chosen(), 3), (Chosen(exchanges=[id]), 2)):
        report = checked(store, bundled(store, chosen, store.objects), tmp_path)
        assert report.good, report.problems
        assert (report.objects, report.unchecked) == (objects, 0)


async def test_a_bundle_says_what_it_lacks(store: Store, tmp_path: Path) -> None:
    id = await store.exchange(LARGE, b"{}")
    store.log.catch_up()
    with pytest.raises(BundleError, match="GOVGATE_OBJECTS__URL"):
        bundled(store, Chosen(), None)
    store.objects.away = True
    with pytest.raises(BundleError, match="away"):
        bundled(store, Chosen(), store.objects)
    store.objects.away = False
    store.objects.kept.pop(next(iter(store.objects.kept)))
    for chosen in (Chosen(), Chosen(exchanges=[id])):
        report = checked(store, bundled(store, chosen, store.objects), tmp_path)
        assert report.good, report.problems
        assert (report.objects, report.unchecked) == (1, 1)


async def test_an_altered_object_in_a_bundle_is_noticed(store: Store, tmp_path: Path) -> None:
    id = await store.exchange(LARGE, b"{}")
    store.log.catch_up()
    name = next(iter(store.objects.kept))
    store.objects.kept[name] += b"\0"
    for chosen in (Chosen(), Chosen(exchanges=[id])):
        report = checked(store, bundled(store, chosen, store.objects), tmp_path)
        assert report.problem_count == 1
        assert "is another" in report.problems[0].what


async def test_large_texts_are_searched_and_storage_that_is_away_is_waited_for(
    store: Store, keyring: Keyring
) -> None:
    request = b'{"model": "m", "messages": [{"role": "user", "content": "%b Zanzibar"}]}' % LARGE
    facts = {"action": "chat.completions.create", "model": "m", "stream": False}
    opened = Entry(Kind.OPENED, facts, {"request_received": request})
    record = store.ledger.journal.begin("exc_1", principal(), opened)
    await record.close(ended({}), ZERO)
    store.log.catch_up()
    contents = DialectContents(DIALECTS.values(), personal)
    parts = MaskedParts(keyring, store.objects)
    indexer = Indexer(store.database.url, parts, contents, keyring.index_key)
    store.objects.away = True
    with pytest.raises(Unavailable):
        indexer.step()
    assert indexer.behind() == 2
    store.objects.away = False
    assert indexer.step() == 2
    with indexer.engine.begin() as connection:
        words = connection.exec_driver_sql("SELECT words FROM exchange_text").scalar_one()
    assert "zanzibar" in str(words).lower()
    indexer.stop()
