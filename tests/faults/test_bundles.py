"""Evidence bundles prove what they hold, and nothing that was altered."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import insert

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.bundles import SqlEvidence
from gateway.adapters.store.engine import for_writing, open_engine
from gateway.adapters.store.log_tables import PrunedEntry
from gateway.adapters.store.tables import table
from gateway.core.bundles import CHECKPOINTS, ENTRIES, README, SELECTION, BundleError
from gateway.core.note_keys import Signer, Verifier
from gateway.governance.bundles import Chosen, write_bundle
from gateway.verifier.bundle import verify_bundle
from gateway.verifier.report import Report
from gateway.verifier.verify import Trusted
from tests.contracts.journals import SqlLedger
from tests.databases import Database
from tests.unit.adapters.store.logs import exchange, leaves, log_of

COUNT = 60


@dataclass
class Site:
    """A signed log, and what bundles are made of."""

    url: str
    vkey: str
    exchanges: list[str]
    size: int
    folder: Path

    def bundle(self, chosen: Chosen | None = None) -> bytes:
        evidence, file = SqlEvidence(self.url), io.BytesIO()
        try:
            write_bundle(file, evidence, chosen or Chosen())
        finally:
            evidence.close()
        return file.getvalue()

    def verify(self, bundle: bytes, key: str | None = None) -> Report:
        path = self.folder / "bundle.zip"
        path.write_bytes(bundle)
        return verify_bundle(path, Trusted([Verifier.decoded(key or self.vkey)]))


@pytest.fixture
async def site(database: Database, keyring: Keyring, tmp_path: Path) -> AsyncIterator[Site]:
    async with SqlLedger.on(database.url, keyring) as ledger:
        log = log_of(ledger, tmp_path)
        ids: list[str] = []
        for _ in range(3):
            ids += await asyncio.gather(*(exchange(ledger) for _ in range(COUNT // 2)))
            log.catch_up()
        assert log.vkey is not None
        yield Site(database.url, log.vkey, ids, len(leaves(ledger)), tmp_path)


def choices(site: Site) -> list[Chosen]:
    return [
        Chosen(),
        Chosen(begin=5, end=90),
        Chosen(exchanges=[site.exchanges[3], site.exchanges[70]]),
    ]


def rewritten(bundle: bytes, name: str, content: bytes) -> bytes:
    """The bundle with another content of a member, and the checksums to it."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(bundle)) as old, zipfile.ZipFile(file, "w") as new:
        for member in old.namelist():
            new.writestr(member, content if member == name else old.read(member))
    return file.getvalue()


def content_of(bundle: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        return archive.read(name)


def test_what_nobody_touched_is_good(site: Site) -> None:
    for chosen, entries in zip(choices(site), (site.size, 85, 6), strict=True):
        report = site.verify(site.bundle(chosen))
        assert report.problems == []
        assert (report.entries, report.parts) == (entries, entries)
        assert report.signed == site.size


def test_another_logs_key_proves_nothing(site: Site) -> None:
    stranger = Signer.generate(Verifier.decoded(site.vkey).name).verifier.encoded()
    for chosen in choices(site):
        assert not site.verify(site.bundle(chosen), stranger).good


def test_a_bit_that_flips_in_the_content_is_found(site: Site) -> None:
    chance = Random(20_261_122)
    for chosen in choices(site):
        bundle = site.bundle(chosen)
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            members = [name for name in archive.namelist() if name != README and archive.read(name)]
        for number in range(COUNT):
            name = members[number % len(members)]
            content = bytearray(content_of(bundle, name))
            at = chance.randrange(len(content))
            content[at] ^= 1 << chance.randrange(8)
            report = site.verify(rewritten(bundle, name, bytes(content)))
            assert not report.good, (name, at)


def test_a_bit_that_flips_in_what_is_compressed_is_found(site: Site) -> None:
    bundle = site.bundle()
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        about = [(one.header_offset + 30 + len(one.filename) + 20, one.compress_size)
                 for one in archive.infolist() if one.filename in (ENTRIES, README)]  # fmt: skip
    chance = Random(1)
    for start, size in about:
        for _ in range(COUNT // 2):
            damaged = bytearray(bundle)
            damaged[start + chance.randrange(size - 20)] ^= 1 << chance.randrange(8)
            assert not site.verify(bytes(damaged)).good


def test_dropped_doubled_and_swapped_lines_are_found(site: Site) -> None:
    chance = Random(2)
    for chosen in choices(site):
        bundle = site.bundle(chosen)
        for name in (ENTRIES, CHECKPOINTS):
            lines = content_of(bundle, name).splitlines(keepends=True)
            for _ in range(10):
                at = chance.randrange(len(lines))
                if name == ENTRIES or at == len(lines) - 1:
                    dropped = lines[:at] + lines[at + 1 :]
                    assert not site.verify(rewritten(bundle, name, b"".join(dropped))).good
                other = (at + 1) % len(lines)
                swapped = [*lines]
                swapped[at], swapped[other] = lines[other], lines[at]
                doubled = [*lines[:at], lines[at], *lines[at:]]
                if name == ENTRIES:
                    assert not site.verify(rewritten(bundle, name, b"".join(swapped))).good
                    assert not site.verify(rewritten(bundle, name, b"".join(doubled))).good


def test_a_part_of_a_whole_log_does_not_pass_for_one(site: Site) -> None:
    bundle = site.bundle()
    lines = content_of(bundle, ENTRIES).splitlines(keepends=True)
    cut = rewritten(bundle, ENTRIES, b"".join(lines[:40]))
    told = b'{"leaves":[[0,40]],"size":%d}\n' % site.size
    assert not site.verify(rewritten(cut, SELECTION, told)).good


def test_a_file_that_is_none_is_refused(site: Site) -> None:
    assert not site.verify(b"").good
    assert not site.verify(b"PK\x03\x04 and nothing more").good


def test_there_is_no_bundle_of_what_is_not_signed_for(site: Site) -> None:
    for chosen in (Chosen(end=site.size + 1), Chosen(begin=9, end=9), Chosen(exchanges=["exc_0"])):
        with pytest.raises(BundleError, match="signed for"):
            site.bundle(chosen)
    with pytest.raises(BundleError, match="several"):
        Chosen(begin=1, exchanges=["exc_0"])


def test_payloads_deleted_since_the_checkpoint_wait_for_the_next(site: Site) -> None:
    engine = open_engine(site.url)
    evidence = SqlEvidence(site.url)
    gone = next(iter(evidence.entries([(0, 1)], None)))["entry_id"]
    with for_writing(engine).begin() as connection:
        row = {"org_id": "acme", "entry_id": gone, "pruned_by": "ent_not_in_the_log"}
        connection.execute(insert(table(PrunedEntry)).values(row))
    engine.dispose()
    evidence.close()
    for chosen in (Chosen(), Chosen(begin=0, end=3)):
        with pytest.raises(BundleError, match="try again"):
            site.bundle(chosen)
