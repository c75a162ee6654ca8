"""What the ledger costs: `python -m bench.ledger [--url postgresql://…]`.

Of each database, alone and with the log sequenced and signed beside it, in interleaved bursts:
how long an exchange's two commits take, how many exchanges a second eight callers get, how long
an entry waits until it is signed. Then how fast all is verified, and what it takes on the disk.
`--url` names an empty PostgreSQL database to measure besides the SQLite file that is made.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import click
from sqlalchemy import text

from bench.commits import commit_ms
from bench.figures import median, percentile
from gateway.adapters.keyring import Keyring
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.log import Log
from gateway.adapters.store.log_files import LogFiles
from gateway.adapters.store.log_keeper import LogKeeper
from gateway.adapters.store.migrate import migrate
from gateway.core.ids import new_id
from gateway.core.money import ZERO
from gateway.core.note_keys import Verifier
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind, Receipt
from gateway.verifier.databases import read_postgresql, read_sqlite
from gateway.verifier.verify import Trusted, verify

T = TypeVar("T")

ENTRIES, TOGETHER = 3, 8
APP = Principal("default", "bench", "bench", "k1")
TEXT = b"A sentence as long as many that people write to models, more or less. "
REQUEST, ANSWER, QUESTION = TEXT * 12, TEXT * 10, TEXT * 18
"""The baseline's usual parts; what was released is as received, and so is not kept twice."""


def completed(directory: Path) -> int:
    """How many exchanges the embedded database in `directory` holds as completed."""
    path = directory / "govgate.db"
    if not path.exists():
        return 0
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        (count,) = connection.execute(
            "SELECT count(*) FROM audit_entry WHERE kind = 'closed' AND outcome = 'completed'"
        ).fetchone()
    finally:
        connection.close()
    return int(count)


@dataclass
class Measured:
    """What the bursts of one kind took."""

    alone: list[float] = field(default_factory=list)
    """Milliseconds of each exchange, one at a time."""
    rates: list[float] = field(default_factory=list)
    """Exchanges a second, eight at a time; one of each burst."""
    lags: list[float] = field(default_factory=list)
    """Milliseconds from durable to signed, of each entry under load."""


class Subject:
    """A ledger that bursts are made on, with or without its log going on meanwhile."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.measured = {True: Measured(), False: Measured()}
        self.exchanges = 0
        self._folder = folder
        self._vault = Keyring.open(folder / "keyring.json", None)
        self._told: list[tuple[str, float]] = []
        self._signed: list[tuple[int, float]] = []

    async def burst(self, exchanges: int, *, sequenced: bool) -> None:
        """So many exchanges one at a time, and as many eight at a time."""
        measured = self.measured[sequenced]
        journal = SqlJournal(self.url, self._vault)
        await journal.start()
        log = self._log(journal)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(journal.stop)
            keeper = LogKeeper(log, Watched(journal, log, self._signed))
            if sequenced:
                await keeper.start()
                stack.push_async_callback(keeper.stop)
            for _ in range(exchanges):
                begun = time.perf_counter()
                await self._exchange(journal)
                measured.alone.append((time.perf_counter() - begun) * 1e3)
            self._told.clear()
            begun = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                for _ in range(TOGETHER):
                    group.create_task(self._some(journal, exchanges // TOGETHER))
            took = time.perf_counter() - begun
            measured.rates.append(exchanges // TOGETHER * TOGETHER / took)
            if sequenced:
                measured.lags += await self._lags(journal)
        if not sequenced:
            log.open()
            log.catch_up()
            log.close()

    def verified(self) -> tuple[int, float]:
        """Verify all there is: how many entries, and how many a minute. Raises `SystemExit`."""
        signer = self._files().signer()
        assert signer is not None
        trusted = Trusted([Verifier.decoded(signer.verifier.encoded())])
        begun = time.perf_counter()
        is_file = self.url.startswith("sqlite")
        path = Path(self.url.removeprefix("sqlite:///"))
        with read_sqlite(path) if is_file else read_postgresql(self.url) as source:
            report = verify(source, trusted)
        took = time.perf_counter() - begun
        if not report.good or report.entries != self.exchanges * ENTRIES:
            sys.exit(f"the ledger is not as it was written: {report.as_json()}")
        return report.entries, report.entries / took * 60

    def size(self) -> int:
        """Bytes of the database, when what was written has come to its file."""
        journal = SqlJournal(self.url, self._vault)
        with journal.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                said = "SELECT pg_database_size(current_database())"
                return int(connection.execute(text(said)).scalar_one())
            connection.rollback()
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        journal.engine.dispose()
        return Path(self.url.removeprefix("sqlite:///")).stat().st_size

    def _files(self) -> LogFiles:
        return LogFiles(self._folder / "log.key", self._folder / "log.state")

    def _log(self, journal: SqlJournal) -> Log:
        return Log(journal.engine, self._files(), "bench/1")

    async def _some(self, journal: SqlJournal, exchanges: int) -> None:
        for _ in range(exchanges):
            await self._exchange(journal)

    async def _exchange(self, journal: SqlJournal) -> None:
        """As the pipeline does it: opened with its attempt, then closed; two commits."""
        record = journal.begin(
            new_id("exc"), APP, Entry(Kind.OPENED, {"model": "m"}, {"request_received": REQUEST})
        )
        parts = {"request_sent": REQUEST, "policy_question": QUESTION}
        self._note(await record.append(Entry(Kind.ATTEMPT, {"attempt": 1}, parts)))
        facts = {"outcome": "completed", "answer_released": "same as answer_received"}
        self._note(await record.close(Entry(Kind.CLOSED, facts, {"answer_received": ANSWER}), ZERO))
        self.exchanges += 1

    def _note(self, receipt: Receipt) -> None:
        self._told.append((receipt.entry_id, time.perf_counter()))

    async def _lags(self, journal: SqlJournal) -> list[float]:
        """Wait until all is signed; how long each entry waited."""
        places: dict[str, int] = {}
        while not places or self._signed[-1][0] <= max(places.values()):
            await asyncio.sleep(0.05)
            with journal.engine.connect() as connection:
                rows = connection.execute(text("SELECT entry_id, leaf_index FROM log_leaf"))
                found = {entry_id: index for entry_id, index in rows}
            if all(entry_id in found for entry_id, _ in self._told):
                places = {entry_id: found[entry_id] for entry_id, _ in self._told}
        return [
            (next(at for size, at in self._signed if size > places[entry_id]) - durable) * 1e3
            for entry_id, durable in self._told
        ]


class Watched:
    """A journal's `between` that notes when how much was signed."""

    def __init__(self, journal: SqlJournal, log: Log, signed: list[tuple[int, float]]) -> None:
        self._journal = journal
        self._log = log
        self._signed = signed

    async def __call__(self, work: Callable[[], T]) -> T:
        result = await self._journal.between(work)
        self._signed.append((self._log.state.signed, time.perf_counter()))
        return result


@click.command()
@click.option("--url", help="An empty PostgreSQL database, to measure it too.")
@click.option("--rounds", default=7, type=click.IntRange(1), help="Bursts of each kind.")
@click.option("--exchanges", default=200, type=click.IntRange(TOGETHER), help="Of each burst.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the SQLite file is made.")
def main(url: str | None, rounds: int, exchanges: int, folder: Path | None) -> None:
    """Measure the ledger, and print what was found."""
    made = tempfile.TemporaryDirectory(prefix="govgate-bench-") if folder is None else None
    with made or nullcontext(str(folder)) as place:
        directory = Path(place)
        directory.mkdir(parents=True, exist_ok=True)
        click.echo(f"a bare commit of 4 KB: {commit_ms(directory):.2f} ms")
        subjects: list[Subject] = []
        for number, each in enumerate([f"sqlite:///{directory}/govgate.db", *filter(None, [url])]):
            own = directory / str(number)
            own.mkdir()
            migrate(each)
            subjects.append(Subject(each, own))
        empty = [subject.size() for subject in subjects]
        for turn in range(2 * rounds):
            for subject in subjects[:: 1 if turn % 4 < 2 else -1]:
                asyncio.run(subject.burst(exchanges, sequenced=bool(turn % 2)))
        for subject, before in zip(subjects, empty, strict=True):
            _report(subject, before)


def _report(subject: Subject, empty: int) -> None:
    name = subject.url.partition(":")[0]
    for sequenced, measured in sorted(subject.measured.items()):
        p50, p99 = median(measured.alone), percentile(measured.alone, 0.99)
        lags = measured.lags
        click.echo(
            f"{name:10} {'sequenced' if sequenced else 'alone':9}"
            f"  exchange p50 {p50:.2f} ms, p99 {p99:.2f} ms"
            f"  {median(measured.rates):,.0f} exchanges/s, {TOGETHER} at a time"
            + (
                f"  lag p50 {median(lags):.0f} ms, p99 {percentile(lags, 0.99):.0f} ms"
                if lags
                else ""
            )
        )
    entries, rate = subject.verified()
    size = (subject.size() - empty) / subject.exchanges
    click.echo(f"{name:10} verified {entries:,} entries, {rate:,.0f}/min")
    click.echo(f"{name:10} {size:,.0f} bytes on disk per exchange of {ENTRIES} entries")


if __name__ == "__main__":
    main(prog_name="python -m bench.ledger")
