"""One commit: what several exchanges have to write, placed one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from gateway.adapters.store.commit_keys import CommitKeys, Who
from gateway.adapters.store.holds import Change, Holds
from gateway.adapters.store.page import Keyed, Page, Staged, Subject
from gateway.adapters.store.sealed_entry import ValueKeys
from gateway.adapters.store.sealing import Seal, Vault
from gateway.adapters.store.statements import Cursor
from gateway.core.errors import Code, Unavailable
from gateway.core.records import Receipt


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an exchange's record has come, durably.

    `epoch` and `seq` are those of its `opened` entry; `held` is in micro-USD. `seal` is its
    key, `pseudonym` what stands for its subject; `indexed` are the values that it is found by.
    """

    epoch: str | None = None
    seq: int = 0
    held: int = 0
    opened: Receipt | None = None
    closed: Receipt | None = None
    seal: Seal | None = None
    pseudonym: str | None = None
    indexed: frozenset[tuple[bytes, bool]] = frozenset()


class Place:
    """One exchange's place in the ledger. Only the writer's thread changes its standing.

    `whose` is the keyed hash of its subject, `session` what the caller calls its session. An
    act's one entry is terminal, and it is nobody's.
    """

    __slots__ = ("budget_id", "queued", "session", "standing", "subject", "whose")

    def __init__(
        self,
        subject: Subject,
        budget_id: str | None = None,
        whose: bytes | None = None,
        session: str | None = None,
    ) -> None:
        self.subject = subject
        self.budget_id = budget_id
        self.whose = whose
        self.session = session
        self.queued = False
        """Whether anything of it was ever queued; the event loop's to say."""
        self.standing = Standing()


@dataclass(slots=True, eq=False)
class Item:
    """Something to write: an entry with a hold, or the terminal entry with what was spent; or
    nothing but the `opened` entry."""

    place: Place
    opened: Staged | None
    """The entry that opens the exchange, to be written before unless it is; None for an act."""
    staged: Staged | None
    """The entry; None where only `opened` must be written, unless it is."""
    hold: int
    spent: int | None
    """Micro-USD; None unless the entry is terminal."""
    size: int
    """Bytes that it takes in the queue, roughly."""
    since: float
    """Monotonic seconds when it was queued."""
    future: asyncio.Future[Receipt]

    @property
    def terminal(self) -> bool:
        return self.spent is not None


Result: TypeAlias = tuple[Item, Receipt | Exception]


class Batch:
    """Items for one commit. Nothing outside changes until `commit_standings`."""

    def __init__(self, vault: Vault, keys: CommitKeys, page: Page, holds: Holds) -> None:
        self._vault = vault
        self._keys = keys
        self.page = page
        self.holds = holds
        self.results: list[Result] = []
        self.standings: dict[Place, Standing] = {}
        self.breaches: list[tuple[Place, int, int]] = []
        """Places that spent more than they held: what was spent, what was held."""

    def place(self, items: Sequence[Item]) -> None:
        """Place the items in order; one that cannot be placed leaves the others alone."""
        for item in items:
            try:
                self.results.append((item, self._receipt(item)))
            except Exception as error:  # noqa: BLE001 - whatever it is, its caller is told
                self.results.append((item, error))

    def write(self, cursor: Cursor) -> None:
        """Write everything placed, in the caller's transaction."""
        self.page.write(cursor)
        self.holds.write(cursor)

    def commit_standings(self) -> None:
        """Say that the commit was durable."""
        self._keys.keep()
        for place, standing in self.standings.items():
            place.standing = standing

    def _receipt(self, item: Item) -> Receipt:
        place = item.place
        standing = self.standings.get(place, place.standing)
        if standing.closed is not None:
            if item.terminal:
                return standing.closed
            raise Unavailable(Code.AUDIT_UNAVAILABLE, "The exchange is closed already.")
        if standing.epoch not in (None, self.page.tail.epoch):
            raise Unavailable(Code.AUDIT_UNAVAILABLE, "The exchange was closed as lost.")
        if item.hold and place.budget_id is not None:
            self.holds.check(place.budget_id, item.hold)
        if item.staged is None and standing.opened is not None:
            return standing.opened
        standing, receipt = self._add(item, standing)
        if place.budget_id is not None and item.staged is not None:
            standing = self._move_money(item, item.staged, place.budget_id, standing)
        self.standings[place] = standing
        return receipt

    def _add(self, item: Item, standing: Standing) -> tuple[Standing, Receipt]:
        place, tail = item.place, self.page.tail
        opens = standing.epoch is None
        staged = [one for one in (item.opened if opens else None, item.staged) if one]
        changed: dict[str, Any] = {}
        keyed = self._opened(place, staged) if opens else self._keyed(place, standing)
        receipts = self.page.add(place.subject, keyed, staged, opens=opens)
        if opens:
            changed = {"epoch": tail.epoch, "seq": tail.seq + 1, "opened": receipts[0]}
            changed |= {"seal": keyed.seal, "pseudonym": keyed.pseudonym}
        if item.terminal:
            changed["closed"] = receipts[-1]
        if any(one.cut.known for one in staged):
            changed["indexed"] = self._indexed(place, keyed.seal, standing.indexed, staged)
        return replace(standing, **changed) if changed else standing, receipts[-1]

    def _keyed(self, place: Place, standing: Standing) -> Keyed:
        assert standing.seal is not None
        return Keyed(standing.seal, standing.pseudonym, self._values_of(place))

    def _opened(self, place: Place, staged: list[Staged]) -> Keyed:
        """A key for the exchange; an act's rests under the keyring itself. Names its session."""
        exchange_id, values = place.subject.exchange_id, self._values_of(place)
        if place.whose is None:
            return Keyed(Seal.new(self._vault, exchange_id), None, values)
        key = self._keys.subject((place.subject.org, place.whose))
        if place.session is not None:
            entry = staged[0].entry
            facts = entry.facts | {"session": key.session(place.session)}
            staged[0] = staged[0]._replace(entry=replace(entry, facts=facts))
        return Keyed(Seal.new(key, exchange_id), key.pseudonym, values)

    def _values_of(self, place: Place) -> ValueKeys:
        org = place.subject.org
        return lambda known: self._keys.value((org, known.mac))

    def _indexed(
        self,
        place: Place,
        seal: Seal,
        indexed: frozenset[tuple[bytes, bool]],
        staged: Sequence[Staged],
    ) -> frozenset[tuple[bytes, bool]]:
        """What the exchange is found by with these entries; nothing more, once its subject was
        erased."""
        if self._keys.destroyed(seal.kek_id):
            return indexed
        for one in staged:
            stands = [one.cut.known[number] for number in one.cut.standing]
            for values, whole in ((stands, False), (one.cut.whole, True)):
                fresh = [known for known in values if (known.mac, whole) not in indexed]
                self.page.index(place.subject, fresh, whole=whole)
                indexed |= {(known.mac, whole) for known in fresh}
        return indexed

    def _move_money(
        self, item: Item, staged: Staged, budget_id: str, standing: Standing
    ) -> Standing:
        change = Change(item.place.subject, budget_id, staged.entry_id, staged.ts)
        if item.hold:
            self.holds.hold(change, item.hold, standing.held)
            return replace(standing, held=standing.held + item.hold)
        if item.spent is None or not (item.spent or standing.held):
            return standing
        if item.spent > standing.held:
            self.breaches.append((item.place, item.spent, standing.held))
        if budget_id in self.holds.budgets:
            self.holds.settle(change, item.spent, standing.held)
        return replace(standing, held=0)


def budgets_of(items: Sequence[Item]) -> set[str]:
    """The budgets that these items may move.

    A terminal entry always counts: what its exchange holds may rest on an item before it.
    """
    return {
        item.place.budget_id
        for item in items
        if item.place.budget_id is not None and (item.hold or item.terminal)
    }


def keys_of(items: Sequence[Item]) -> tuple[list[Who], list[Who], list[str]]:
    """Of these items: the subjects of the exchanges that they may open, the values that stand
    in their entries, and the keys under which others were opened."""
    subjects: list[Who] = []
    values: list[Who] = []
    under: list[str] = []
    for item in items:
        place, seal = item.place, item.place.standing.seal
        if seal is None and place.whose is not None:
            subjects.append((place.subject.org, place.whose))
        elif seal is not None and place.whose is not None:
            under.append(seal.kek_id)
        for one in (item.staged, item.opened if seal is None else None):
            if one is not None:
                found = (one.cut.known[number] for number in one.cut.standing)
                values += [(place.subject.org, known.mac) for known in found]
    return subjects, values, under
