"""Deletes payloads whose time is over, and says so in the log, in one transaction.

The ledger's triggers let a payload go only when `pruned_entry` names its entry, under an entry
of the kind `retention.pruned`; that one names them by a hash, so that the verifier knows what
was deleted by right. A pruning is a writer of its own, with its own chain of entries.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from sqlalchemy import Connection, delete, insert, select, text, update

from gateway.adapters.store import leases
from gateway.adapters.store.cutting import NOTHING
from gateway.adapters.store.engine import for_writing, open_engine
from gateway.adapters.store.erasure_tables import ValueIndex
from gateway.adapters.store.full_text import FullText
from gateway.adapters.store.gone_objects import note_gone
from gateway.adapters.store.index_writing import scrub
from gateway.adapters.store.legal_holds import chunks, lock
from gateway.adapters.store.log_tables import PrunedEntry
from gateway.adapters.store.page import Page, Staged, Subject, Tail
from gateway.adapters.store.part_months import drop_empty_parts, make_parts
from gateway.adapters.store.pruning_claim import Claim
from gateway.adapters.store.pruning_due import Due, Found, find, look_at
from gateway.adapters.store.search_tables import ExchangeIndex
from gateway.adapters.store.statements import Statements, cursor_of
from gateway.adapters.store.tables import AuditPart, Deployment, RecordKey, table
from gateway.adapters.store.vacuum import give_back
from gateway.core.ids import new_id
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind
from gateway.core.retention import Terms

MOST_ENTRIES = 500
"""Entries that one step looks at."""
TOGETHER = 50
"""Exchanges of one transaction; commits of the gateway wait for it."""
LEASE = timedelta(seconds=60)

_PART, _PRUNED, _RECORD = table(AuditPart), table(PrunedEntry), table(RecordKey)
_VALUE, _INDEX, _DEPLOYMENT = table(ValueIndex), table(ExchangeIndex), table(Deployment)


@dataclass
class Plan:
    """What is pruned, or would be: exchanges and entries by class; what only holds keep."""

    exchanges: Counter[str] = field(default_factory=Counter)
    entries: Counter[str] = field(default_factory=Counter)
    held: set[str] = field(default_factory=set)

    def add(self, found: Found) -> None:
        """Count what was found."""
        self.held |= found.held
        for one in found.due:
            self.exchanges[one.term.maximum_of] += 1
            self.entries[one.term.maximum_of] += len(one.entries)


class SqlPruning:
    """Prunes a migrated database at `url`. For one thread at a time; every method blocks.

    `actor` is who an organisation's prunings are by; `clock` tells the time that terms are
    measured by. Methods raise SQLAlchemy's errors.
    """

    def __init__(
        self,
        url: str,
        terms: Terms,
        actor: Callable[[str], Principal],
        *,
        patience: float = 30.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.engine = for_writing(open_engine(url, patience))
        self._terms = terms
        self._actor = actor
        self._clock = clock
        self._statements = Statements(self.engine.dialect)
        self._claim = Claim()
        self._tail: Tail | None = None
        self._after = ""
        self.done = Plan()
        """What was deleted since `begin`."""

    def allowed(self) -> bool:
        """Whether the role that we log in as may delete payloads at all."""
        if self.engine.dialect.name != "postgresql":
            return True
        asked = text("SELECT has_table_privilege('audit_part', 'DELETE')")
        with self._reading() as connection:
            return bool(connection.execute(asked).scalar_one())

    def begin(self, every: timedelta = timedelta(0)) -> bool:
        """Take the claim; False while another has it, or when it was done less than `every` ago."""
        with self.engine.begin() as connection:
            taken = self._claim.take(connection, every)
        self._after, self.done = "", Plan()
        return taken

    def step(self) -> bool:
        """Look at some entries and prune what is due of them; whether there may be more.

        Raises `RuntimeError` when another has taken the claim over.
        """
        now = self._clock()
        with self._reading() as connection:
            ids = look_at(connection, self._terms, now, self._after, MOST_ENTRIES)
            found = find(connection, self._terms, now, ids)
        self.done.held |= found.held
        for start in range(0, len(found.due), TOGETHER):
            some = [one.entries[0][1] for one in found.due[start : start + TOGETHER]]
            try:
                self.done.add(self._prune(now, some))
            except leases.Fenced:
                self._tail = None
                self.done.add(self._prune(now, some))
        self._after = ids[-1] if ids else self._after
        return bool(ids)

    def plan(self) -> Plan:
        """What would be deleted now. Changes nothing, and needs no claim."""
        plan, after, now = Plan(), "", self._clock()
        seen: set[str] = set()
        with self._reading() as connection:
            while ids := look_at(connection, self._terms, now, after, MOST_ENTRIES):
                found = find(connection, self._terms, now, ids)
                fresh = [one for one in found.due if one.exchange_id not in seen]
                seen |= {one.exchange_id for one in fresh}
                plan.add(found._replace(due=fresh))
                after = ids[-1]
        return plan

    def _reading(self) -> Connection:
        return self.engine.connect().execution_options(writes=False)

    def finish(self) -> None:
        """Give the claim and the lease up, and what was freed back to the system."""
        with self.engine.begin() as connection:
            if self._tail is not None:
                leases.renew(connection, self._tail.epoch, timedelta(0), self._tail.seq + 1)
            self._claim.release(connection)
            drop_empty_parts(connection)
        self._tail = None
        if self.done.entries:
            give_back(self.engine, scrub)

    def look_ahead(self) -> int:
        """Make the partitions of the months to come; how many."""
        with self.engine.begin() as connection:
            return make_parts(connection, self._clock())

    def stop(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    def _prune(self, now: datetime, ids: Sequence[str]) -> Found:
        """One transaction. What is due is looked up anew in it, under the lock of holds."""
        with self.engine.begin() as connection:
            lock(connection)
            self._claim.renew(connection)
            found = find(connection, self._terms, now, ids)
            if not found.due:
                return found
            page = self._page(connection)
            told = _told(page, found.due, self._actor, now)
            page.write(cursor_of(connection))
            _delete(connection, found.due, told, now)
            leases.renew(connection, page.tail.epoch, LEASE, page.tail.seq + 1)
        self._tail = page.tail
        return found

    def _page(self, connection: Connection) -> Page:
        """Where this writer's next entries go. Raises `Fenced` when it may write no more."""
        if self._tail is None:
            tail, follows = leases.begin_epoch(connection, LEASE)
            return Page(self._statements, tail, follows)
        leases.check_alive(cursor_of(connection), self._statements, self._tail.epoch)
        return Page(self._statements, self._tail, None)


def _told(
    page: Page, due: Sequence[Due], actor: Callable[[str], Principal], now: datetime
) -> Mapping[str, str]:
    """Add the entries that say what goes, one for each organisation and class; which entry
    says so of each exchange."""
    groups: dict[tuple[str, str], list[Due]] = defaultdict(list)
    for one in due:
        groups[one.org, one.term.maximum_of].append(one)
    told: dict[str, str] = {}
    for (org, name), some in groups.items():
        entries = sorted(entry for one in some for entry in one.entries)
        facts = {
            "class": name,
            "max_days": some[0].term.max_days,
            "exchanges": len(some),
            "count": len(entries),
            "digest": sha256(b"".join(f"{id}\n".encode() for _, id in entries)).hexdigest(),
        }
        staged = Staged(new_id("ent"), now, Entry(Kind.RETENTION_PRUNED, facts), NOTHING)
        page.add_bare(Subject.of(new_id("act"), actor(org)), staged)
        told |= {one.exchange_id: staged.entry_id for one in some}
    return told


def _delete(
    connection: Connection, due: Sequence[Due], told: Mapping[str, str], now: datetime
) -> None:
    """Delete payloads, and what is derived of them. Whoever has read them makes nothing of
    them any more, as after an erasure: the count of destroyed keys says so."""
    rows = [
        {"org_id": one.org, "entry_id": id, "pruned_by": told[one.exchange_id]}
        for one in due
        for _, id in one.entries
    ]
    connection.execute(insert(_PRUNED), rows)
    for some in chunks([row["entry_id"] for row in rows]):
        note_gone(connection, _PART.c.entry_id.in_(some), now)
        connection.execute(delete(_PART).where(_PART.c.entry_id.in_(some)))
    connection.execute(update(_DEPLOYMENT).values(erasures=_DEPLOYMENT.c.erasures + 1))
    for some in chunks(one.exchange_id for one in due):
        connection.execute(delete(_RECORD).where(_RECORD.c.exchange_id.in_(some)))
        connection.execute(delete(_VALUE).where(_VALUE.c.exchange_id.in_(some)))
        numbers = select(_INDEX.c.number).where(_INDEX.c.exchange_id.in_(some))
        FullText(connection.dialect.name).remove(connection, connection.scalars(numbers).all())
