"""What a ledger proves, read with plain SQL and set against what callers and providers saw."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import create_engine, make_url, text

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.records import SqlRecords, StoredEntry
from gateway.core.records import Kind
from gateway.verifier.databases import read_postgresql, read_sqlite
from gateway.verifier.report import Report
from gateway.verifier.verify import Trusted, verify
from tests.faults.callers import DONE, Heard

_ERROR = b'{"error":'


@dataclass(frozen=True)
class Recorded:
    """The entries of one exchange, told apart."""

    entries: Sequence[StoredEntry]

    @property
    def closed(self) -> dict[str, Any] | None:
        """The facts of its terminal entry."""
        ends = [entry.header["facts"] for entry in self.entries if entry.kind is Kind.CLOSED]
        assert len(ends) <= 1, "it ended twice"
        return ends[0] if ends else None

    @property
    def received(self) -> bytes:
        """The request as it came."""
        return self._part(self.entries[0], "request_received") or b""

    @property
    def attempts(self) -> int:
        return sum(entry.kind is Kind.ATTEMPT for entry in self.entries)

    @property
    def released(self) -> list[bytes]:
        """What was released: each event of a stream, or the whole answer."""
        parts = [
            self._part(entry, "answer_released")
            for entry in self.entries
            if entry.kind in (Kind.SEGMENT, Kind.CLOSED)
        ]
        return [event for part in parts if part is not None for event in part.split(b"\n")]

    @staticmethod
    def _part(entry: StoredEntry, name: str) -> bytes | None:
        """A part, or the one that it says it is the same as."""
        assert entry.parts is not None
        told = str(entry.header["facts"].get(name, "")).removeprefix("same as ")
        return entry.parts.get(name) or entry.parts.get(told)


def check_heard(heard: Heard, recorded: Recorded) -> None:
    """Every byte of an answer that the caller has is on record; so is an ending that it saw."""
    closed = recorded.closed
    if heard.status in (400, 429):
        assert closed is not None, "a refusal was sent before it was on record"
        assert closed["outcome"] == "denied"
    if heard.status != 200:
        return
    assert recorded.attempts, "an answer without an attempt"
    (_check_stream if heard.streamed else _check_whole)(heard, recorded)


def _check_whole(heard: Heard, recorded: Recorded) -> None:
    [released] = recorded.released
    assert released.startswith(heard.body)
    assert not heard.whole or heard.body == released
    closed = recorded.entries[-1]
    assert closed.header["facts"]["outcome"] == "completed"
    assert heard.headers["x-govgate-leaf"] == closed.leaf.hex()


def _check_stream(heard: Heard, recorded: Recorded) -> None:
    events, rest = heard.frames()
    said = [event for event in events if event != DONE and not event.startswith(_ERROR)]
    released, closed = recorded.released, recorded.closed
    assert said == released[: len(said)]
    if DONE in events or any(b'"finish_reason":"' in event for event in said):
        assert closed is not None, "an ending was released before it was on record"
        assert closed["outcome"] == "completed"
    if DONE in events:
        assert said == released
    elif len(events) > len(said):
        assert closed is not None, "an error was sent before it was on record"
        assert closed["outcome"] == "failed"
    else:
        may_follow = [*released[len(said) :][:1], DONE, _ERROR]
        assert any(_agree(rest, b"data: " + event) for event in may_follow)
    assert heard.headers["x-govgate-leaf"] == recorded.entries[0].leaf.hex()


def _agree(one: bytes, other: bytes) -> bool:
    """Whether one is the beginning of the other."""
    return one.startswith(other) or other.startswith(one)


class Evidence:
    """A look at the database from outside, while gateways come and go."""

    def __init__(self, url: str, keyring: Keyring) -> None:
        self._url = url
        self._keyring = keyring
        target = make_url(url)
        if target.get_backend_name() == "postgresql":
            target = target.set(drivername="postgresql+psycopg")
        self._engine = create_engine(target)

    def dispose(self) -> None:
        self._engine.dispose()

    def rows(self, statement: str) -> list[Any]:
        with self._engine.connect() as connection:
            return list(connection.execute(text(statement)))

    def read(self, exchange_ids: Iterable[str]) -> dict[str, Recorded]:
        """The records of these exchanges, decrypted."""

        async def every() -> dict[str, Recorded]:
            records = SqlRecords(self._url, self._keyring)
            try:
                return {id: Recorded(await records.read_exchange(id)) for id in exchange_ids}
            finally:
                await records.stop()

        return asyncio.run(every())

    def exchange_ids(self) -> list[str]:
        found = self.rows("SELECT exchange_id FROM audit_entry WHERE kind = 'opened'")
        return [row[0] for row in found]

    def still_open(self) -> list[str]:
        """Exchanges without a terminal entry."""
        found = self.rows(
            "SELECT exchange_id FROM audit_entry o WHERE kind = 'opened' AND NOT EXISTS (SELECT 1"
            " FROM audit_entry c WHERE c.exchange_id = o.exchange_id AND c.kind = 'closed')"
        )
        return [row[0] for row in found]

    def verified(self, trusted: Trusted) -> Report:
        """What the verifier says of the ledger as it is now; it must say that it is good."""
        target = make_url(self._url)
        if target.get_backend_name() == "postgresql":
            reading = read_postgresql(self._url)
        else:
            reading = read_sqlite(Path(str(target.database)))
        with reading as source:
            report = verify(source, trusted)
        assert report.good, f"a false alarm: {report.problems[:5]}"
        return report

    def check_endings(self) -> Counter[str]:
        """Each exchange was opened once and ended once, and nothing came after. Outcomes."""
        outcomes: Counter[str] = Counter()
        kinds: dict[str, list[str]] = {}
        for id, kind, outcome in self.rows(
            "SELECT exchange_id, kind, outcome FROM audit_entry WHERE exchange_id LIKE 'exc_%'"
            " ORDER BY kind = 'closed', writer_epoch, writer_seq"
        ):
            kinds.setdefault(id, []).append(kind)
            outcomes.update([outcome] if kind == "closed" else [])
        for id, found in kinds.items():
            assert found.count("opened") == found.count("closed") == 1, (id, found)
            assert found[0] == "opened", (id, found)
        return outcomes

    def check_chain(self) -> None:
        """Each writer's entries are numbered without a gap, each naming the one before."""
        tails: dict[str, tuple[int, str | None]] = {}
        for header, leaf in self.rows(
            "SELECT header, leaf_hash FROM audit_entry ORDER BY writer_epoch, writer_seq"
        ):
            assert hashlib.sha256(b"\x00" + bytes(header)).digest() == bytes(leaf)
            writer = orjson.loads(bytes(header))["writer"]
            seq, before = tails.get(writer["epoch"], (0, None))
            assert (writer["seq"], writer["prev_leaf"]) == (seq + 1, before)
            tails[writer["epoch"]] = (writer["seq"], bytes(leaf).hex())

    def check_money(self) -> int:
        """Nothing is held; counters are the sums of their posts and of the recorded costs.

        Returns what was spent over all budgets, in micro-USD.
        """
        pending = self.rows("SELECT exchange_id FROM reservation WHERE state = 'pending'")
        assert not pending, "a hold was left behind"
        posted = {
            row[0]: (int(row[1]), int(row[2]))
            for row in self.rows(
                "SELECT budget_id, sum(reserved_micro), sum(settled_micro)"
                " FROM budget_post GROUP BY budget_id"
            )
        }
        spent = 0
        for id, limit, reserved, settled in self.rows(
            "SELECT budget_id, limit_micro, reserved_micro, settled_micro FROM budget"
        ):
            assert reserved == 0
            assert settled <= limit, "a budget was overspent"
            assert posted.get(id, (0, 0)) == (reserved, settled)
            spent += settled
        return spent

    def cost_on_record(self) -> int:
        """What the terminal entries say was spent, in micro-USD."""
        headers = self.rows("SELECT header FROM audit_entry WHERE kind = 'closed'")
        facts = [orjson.loads(bytes(row[0]))["facts"] for row in headers]
        return sum(fact["cost_micro_usd"] for fact in facts)
