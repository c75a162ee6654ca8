"""The log: every entry has one place in it, and what is signed stays true."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from sqlalchemy import select, text

from gateway.adapters.keyring import Keyring
from gateway.adapters.store import journal
from gateway.adapters.store.engine import for_writing
from gateway.adapters.store.log import RolledBack
from gateway.adapters.store.log_files import LogKeyError
from gateway.adapters.store.log_keeper import LogKeeper
from gateway.adapters.store.log_nodes import SqlNodes
from gateway.adapters.store.log_tables import Checkpoint as Signed
from gateway.adapters.store.sequencer import BrokenChain
from gateway.adapters.store.tables import AuditEntry, table
from gateway.core.ids import new_id
from gateway.core.merkle import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from gateway.core.note_keys import Verifier
from gateway.core.notes import Checkpoint, opened
from gateway.verifier.verify import Trusted
from tests.contracts.journals import SqlLedger, attempt, principal
from tests.contracts.journals import opened as opened_entry
from tests.databases import Database
from tests.faults.evidence import Evidence
from tests.unit.adapters.store.logs import ORIGIN, exchange, files_in, leaves, log_of
from tests.unit.adapters.store.test_crash import let_leases_lapse


def checkpoints(ledger: SqlLedger, vkey: str) -> list[Checkpoint]:
    """Every checkpoint, whose signature was checked."""
    signed = table(Signed)
    with ledger.journal.engine.begin() as connection:
        notes = list(connection.scalars(select(signed.c.note).order_by(signed.c.size)))
    return [Checkpoint.parse(opened(note, [Verifier.decoded(vkey)]).text) for note in notes]


def put_back(old: Path, path: Path) -> None:
    """Have the database be as it was when `old` was copied from it."""
    for extra in ("-wal", "-shm"):
        Path(f"{path}{extra}").unlink(missing_ok=True)
    shutil.copy(old, path)


def retired(folder: Path) -> list[Path]:
    """The keys that were put aside."""
    return list(folder.glob("log.key.*"))


async def test_each_entry_has_one_place(
    database: Database, keyring: Keyring, tmp_path: Path
) -> None:
    async with SqlLedger.on(database.url, keyring) as ledger:
        log = log_of(ledger, tmp_path)
        for _ in range(3):
            await exchange(ledger)
            log.catch_up()
        found = leaves(ledger)
        assert [row[0] for row in found] == list(range(9))
        assert len({row[1] for row in found}) == 9
        assert all(leaf_hash(header) == leaf for *_, leaf, header in found)
        assert log.state.size == log.state.signed == 9
        assert log.vkey is not None
        signed = checkpoints(ledger, log.vkey)
    frontier = Frontier()
    roots = {0: frontier.root()}
    for *_, leaf, _header in found:
        frontier.append(leaf)
        roots[frontier.size] = frontier.root()
    assert [(each.origin, each.size, each.root) for each in signed] == [
        (ORIGIN, size, roots[size]) for size in (3, 6, 9)
    ]


async def test_proofs_come_from_what_is_kept(
    sqlite_url: str, keyring: Keyring, tmp_path: Path
) -> None:
    async with SqlLedger.on(sqlite_url, keyring) as ledger:
        log = log_of(ledger, tmp_path)
        await asyncio.gather(*(exchange(ledger) for _ in range(200)))
        log.catch_up()
        found = [row[2] for row in leaves(ledger)]
        root = Frontier()
        half = Frontier()
        for index, leaf in enumerate(found):
            root.append(leaf)
            if index < 257:
                half.append(leaf)
        with ledger.journal.engine.begin() as connection:
            nodes = SqlNodes(connection)
            for index in (0, 1, 255, 256, 257, 599):
                proof = inclusion_proof(nodes, index, 600)
                verify_inclusion(found[index], index, 600, proof, root.root())
            proof = consistency_proof(nodes, 257, 600)
        verify_consistency(257, half.root(), 600, root.root(), proof)


async def test_writers_keep_their_order(
    database: Database, keyring: Keyring, tmp_path: Path
) -> None:
    async with (
        SqlLedger.on(database.url, keyring) as one,
        SqlLedger.on(database.url, keyring) as other,
    ):
        log = log_of(one, tmp_path)
        await asyncio.gather(*(exchange(one if turn % 2 else other) for turn in range(40)))
        log.catch_up()
        entry = table(AuditEntry)
        with one.journal.engine.begin() as connection:
            places = {
                row.entry_id: (row.writer_epoch, row.writer_seq)
                for row in connection.execute(select(entry))
            }
        order = [places[row[1]] for row in leaves(one)]
    assert len(order) == 120
    for epoch in {epoch for epoch, _ in order}:
        assert [seq for each, seq in order if each == epoch] == list(range(1, 61))


async def test_several_may_sequence_at_once(
    database: Database, keyring: Keyring, tmp_path: Path
) -> None:
    async with SqlLedger.on(database.url, keyring) as ledger:
        logs = [log_of(ledger, tmp_path) for _ in range(4)]
        await asyncio.gather(*(exchange(ledger) for _ in range(50)))
        await asyncio.gather(*(asyncio.to_thread(log.catch_up) for log in logs))
        found = leaves(ledger)
        assert [row[0] for row in found] == list(range(150))
        assert len({row[1] for row in found}) == 150


async def test_what_dead_writers_left_is_taken_once_and_then_no_more(
    sqlite_url: str, keyring: Keyring, tmp_path: Path
) -> None:
    for _ in range(3):
        async with SqlLedger.on(sqlite_url, keyring) as ledger:
            await exchange(ledger)
    async with SqlLedger.on(sqlite_url, keyring) as ledger:
        log = log_of(ledger, tmp_path)
        log.catch_up()
        log.catch_up()
        assert log.state.size == 9
        with ledger.journal.engine.begin() as connection:
            done = connection.scalar(text("SELECT count(*) FROM log_cursor WHERE done"))
        assert done == 3


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE audit_entry SET leaf_hash = randomblob(32) WHERE writer_seq = 2",
        "UPDATE audit_entry SET header = CAST(header || ' ' AS BLOB) WHERE writer_seq = 2",
        "DELETE FROM audit_entry WHERE writer_seq = 2",
        "UPDATE audit_entry SET writer_seq = 9 WHERE writer_seq = 2",
    ],
)
async def test_what_was_changed_before_it_is_in_the_log_stops_it(
    sqlite_url: str, keyring: Keyring, tmp_path: Path, harm: str
) -> None:
    async with SqlLedger.on(sqlite_url, keyring) as ledger:
        log = log_of(ledger, tmp_path)
        await exchange(ledger)
        with for_writing(ledger.journal.engine).begin() as connection:
            for trigger in ("update", "delete"):
                connection.execute(text(f"DROP TRIGGER audit_entry_no_{trigger}"))
            connection.execute(text(harm))
        with pytest.raises(BrokenChain):
            log.catch_up()
        assert leaves(ledger) == []


async def test_an_older_database_is_not_gone_on_with(
    sqlite_url: str, keyring: Keyring, tmp_path: Path
) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    old = tmp_path / "old.db"
    async with SqlLedger.on(sqlite_url, keyring) as ledger:
        await exchange(ledger)
        log = log_of(ledger, tmp_path)
        log.catch_up()
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(old)) as copy:
            source.backup(copy)
        await exchange(ledger)
        log.catch_up()
    put_back(old, path)
    async with SqlLedger.on(sqlite_url, keyring) as ledger:
        with pytest.raises(RolledBack, match="older than what was signed"):
            log_of(ledger, tmp_path)


async def test_another_history_of_the_same_length_is_not_signed(
    sqlite_url: str, keyring: Keyring, tmp_path: Path
) -> None:
    async with SqlLedger.on(sqlite_url, keyring) as ledger:
        await exchange(ledger)
        log = log_of(ledger, tmp_path)
        log.catch_up()
        with for_writing(ledger.journal.engine).begin() as connection:
            connection.execute(text("DROP TRIGGER log_leaf_no_update"))
            connection.execute(
                text("UPDATE log_leaf SET leaf_hash = randomblob(32) WHERE leaf_index = 1")
            )
        await exchange(ledger)
        with pytest.raises(RolledBack, match="other entries"):
            log.catch_up()


async def test_a_restored_log_goes_on_under_another_name(
    sqlite_url: str, keyring: Keyring, tmp_path: Path
) -> None:
    async with SqlLedger.on(sqlite_url, keyring) as ledger:
        await exchange(ledger)
        log = log_of(ledger, tmp_path)
        log.catch_up()
        first = log.vkey
        last, fresh = log.restart()
        assert last is not None
        assert (last.origin, last.size) == (ORIGIN, 3)
        assert (fresh.origin, fresh.size, fresh.root) == (f"{ORIGIN}.restored-1", 3, last.root)
        await exchange(ledger)
        log.catch_up()
        assert log.vkey is not None
        assert log.vkey != first
        log.restart()
        assert log.vkey.startswith(f"{ORIGIN}.restored-2+")
        assert len(retired(tmp_path)) == 2


async def test_without_its_key_a_signed_log_goes_on_unsigned(
    sqlite_url: str, keyring: Keyring, tmp_path: Path
) -> None:
    async with SqlLedger.on(sqlite_url, keyring) as ledger:
        await exchange(ledger)
        log_of(ledger, tmp_path).catch_up()
        files_in(tmp_path).key.unlink()
        await exchange(ledger)
        log = log_of(ledger, tmp_path)
        assert log.vkey is None
        assert "key is gone" in (log.state.problem or "")
        log.catch_up()
        assert (log.state.size, log.state.signed) == (6, 3)
        assert "key is gone" in (log.state.problem or "")


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    files.make_signer(ORIGIN)
    assert files.key.stat().st_mode & 0o777 == 0o400
    files.key.chmod(0o444)
    with pytest.raises(LogKeyError, match="chmod 400"):
        files.signer()


def test_what_was_signed_last_cannot_be_made_up(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    signer = files.make_signer(ORIGIN)
    files.state.write_text('{"note": "log.example/1\\n9\\nAAAA\\n\\n"}')
    with pytest.raises(LogKeyError, match="does not hold"):
        files.last_signed(signer.verifier)


async def test_a_running_keeper_takes_in_what_is_written(
    database: Database, keyring: Keyring, tmp_path: Path
) -> None:
    async with SqlLedger.on(database.url, keyring) as ledger:
        log = log_of(ledger, tmp_path)
        keeper = LogKeeper(log, ledger.journal.between, seconds=0.01)
        await keeper.start()
        await asyncio.gather(*(exchange(ledger) for _ in range(20)))
        async with asyncio.timeout(30):
            while log.state.signed < 60:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.01)
        await keeper.stop()
        await exchange(ledger)
        await keeper.finish()
        assert log.state.signed == 63
        assert log.state.problem is None


async def test_what_is_signed_does_not_wait_for_a_pause(
    sqlite_url: str, keyring: Keyring, tmp_path: Path
) -> None:
    """Under a steady load each step finds something new."""
    async with SqlLedger.on(sqlite_url, keyring) as ledger:
        log = log_of(ledger, tmp_path)
        for number in range(1, 4):
            await exchange(ledger)
            assert log.step() == 3
            assert log.state.signed == 3 * number


async def test_what_a_dead_writer_left_stands_before_its_endings_whatever_its_clock_said(
    database: Database, keyring: Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        SqlLedger.on(database.url, keyring) as ahead,
        SqlLedger.on(database.url, keyring) as ledger,
    ):
        with monkeypatch.context() as patched:
            patched.setattr(journal, "datetime", AnHourAhead)
            record = ahead.journal.begin(new_id("exc"), principal(), opened_entry())
            await record.append(attempt())
        let_leases_lapse(ledger)
        await ledger.journal.recover()
        log = log_of(ledger, tmp_path)
        log.catch_up()
        assert log.vkey is not None
        trusted = Trusted([Verifier.decoded(log.vkey)])
        evidence = Evidence(database.url, keyring)
        report = evidence.verified(trusted)
        evidence.dispose()
        assert (report.entries, report.open) == (3, 0)


async def test_an_exchange_that_an_older_writer_closed_is_no_alarm_before_it_is_in_the_log(
    database: Database, keyring: Keyring, tmp_path: Path
) -> None:
    async with SqlLedger.on(database.url, keyring) as older:
        await asyncio.sleep(0.002)  # ids of one millisecond have no order
        async with SqlLedger.on(database.url, keyring) as dead:
            record = dead.journal.begin(new_id("exc"), principal(), opened_entry())
            await record.append(attempt())
        await older.journal.recover()
        log = log_of(older, tmp_path)
        assert log.vkey is not None
        evidence = Evidence(database.url, keyring)
        report = evidence.verified(Trusted([Verifier.decoded(log.vkey)]))
        evidence.dispose()
        assert (report.waiting, report.open) == (3, 0)


class AnHourAhead(datetime):
    """The clock of a host that is wrong."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> AnHourAhead:
        return super().now(tz) + timedelta(hours=1)
