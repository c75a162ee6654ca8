"""One commit: what several exchanges have to write, placed one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from gateway.adapters.store.holds import Change, Holds
from gateway.adapters.store.page import Page, Staged, Subject
from gateway.adapters.store.sealing import Seal, Vault
from gateway.adapters.store.statements import Cursor
from gateway.core.errors import Code, Unavailable
from gateway.core.records import Receipt


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an exchange's record has come, durably.

    `epoch` and `seq` are those of its `opened` entry; `held` is in micro-USD.
    """

    epoch: str | None = None
    seq: int = 0
    held: int = 0
    opened: Receipt | None = None
    closed: Receipt | None = None


class Place:
    """One exchange's place in the ledger. Only the writer's thread changes its standing."""

    __slots__ = ("_seal", "budget_id", "opened", "queued", "standing", "subject")

    def __init__(self, subject: Subject, budget_id: str | None, opened: Staged) -> None:
        self.subject = subject
        self.budget_id = budget_id
        self.opened = opened
        self.queued = False
        """Whether anything of it was ever queued; the event loop's to say."""
        self.standing = Standing()
        self._seal: Seal | None = None

    def seal(self, vault: Vault) -> Seal:
        """The exchange's key, made when it is first needed."""
        if self._seal is None:
            self._seal = Seal.new(vault, self.subject.exchange_id)
        return self._seal


@dataclass(slots=True, eq=False)
class Item:
    """Something to write: an entry with a hold, or the terminal entry with what was spent; or
    nothing but the `opened` entry."""

    place: Place
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

    def __init__(self, vault: Vault, page: Page, holds: Holds) -> None:
        self._vault = vault
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
        staged = [one for one in (place.opened if opens else None, item.staged) if one]
        receipts = self.page.add(place.subject, place.seal(self._vault), staged, opens=opens)
        receipt = receipts[-1]
        if opens:
            standing = replace(standing, epoch=tail.epoch, seq=tail.seq + 1, opened=receipts[0])
        if item.terminal:
            standing = replace(standing, closed=receipt)
        return standing, receipt

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
