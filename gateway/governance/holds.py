"""Legal holds: one person places it, one asks to lift it, and another lifts it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from gateway.core.ids import new_id
from gateway.core.legal_holds import Hold, HoldStore, Wanted
from gateway.core.legal_holds import covers as covers
from gateway.core.ports import Journal
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind


class Holds:
    """What people do with holds. Each step is a record."""

    def __init__(self, store: HoldStore, journal: Journal) -> None:
        self._store = store
        self._journal = journal

    async def place(self, org: str, wanted: Wanted, reason: str, by: Principal) -> Hold:
        """Keep what is `wanted` from being erased and pruned; without a member, all there is.

        Raises `ValueError`, `Unavailable`.
        """
        if not reason.strip():
            raise ValueError("a hold needs a reason")
        moments = (wanted.since, wanted.until)
        if any(moment is not None and moment.tzinfo is None for moment in moments):
            raise ValueError("a time needs its zone, such as 2026-11-22T10:00:00Z")
        scope = self._store.scope(org, wanted)
        hold = Hold(new_id("hld"), org, scope, reason, by.key_id, datetime.now(UTC))
        await self._store.add(hold)
        parts = {"scope": msgspec.json.encode(scope.as_json()), "reason": reason.encode()}
        facts = {"hold": hold.id, "by": scope.members()}
        await self._journal.note(by, Entry(Kind.HOLD_PLACED, facts, parts))
        return hold

    async def listed(self, org: str) -> Sequence[Hold]:
        """Every hold that there ever was, the newest first."""
        return await self._store.listed(org)

    async def ask_lift(self, org: str, id: str, by: Principal) -> None:
        """Ask that a hold be lifted. Raises `ValueError`, `Unavailable`."""
        hold = await self._standing(org, id)
        if hold.lift_asked_by is not None or not await self._store.ask_lift(org, id, by.key_id):
            raise ValueError(f"somebody has asked already to lift the hold {id}")
        await self._journal.note(by, Entry(Kind.HOLD_LIFT_ASKED, {"hold": id}))

    async def lift(self, org: str, id: str, by: Principal) -> None:
        """Lift a hold that another has asked to lift. Raises `ValueError`, `Unavailable`.

        That it is lifted is on record before it is.
        """
        hold = await self._standing(org, id)
        if hold.lift_asked_by is None:
            raise ValueError(f"nobody has asked to lift the hold {id}")
        if hold.lift_asked_by == by.key_id:
            raise ValueError("another person than the one who asked lifts a hold")
        facts = {"hold": id, "asked_by": hold.lift_asked_by}
        await self._journal.note(by, Entry(Kind.HOLD_LIFTED, facts))
        if not await self._store.lift(org, id, by.key_id):
            raise ValueError(f"the hold {id} does not stand any more")

    async def _standing(self, org: str, id: str) -> Hold:
        hold = await self._store.get(org, id)
        if hold is None or hold.lifted_at is not None:
            raise ValueError(f"there is no hold {id} that stands")
        return hold
