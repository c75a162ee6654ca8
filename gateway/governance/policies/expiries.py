"""Exceptions that end by themselves: that they did is on record, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.core.records import Kind
from gateway.governance.policies.desk import SYSTEM, Desk

PATIENCE = 60.0
"""Seconds after which a node that was about to put it on record is taken to be dead."""


@dataclass(frozen=True, slots=True)
class _End:
    exception: str
    rule: str
    until: str
    """As engines have it: to the second, UTC, without the zone."""


class Expiries:
    """Looks, on behalf of whoever follows the rollout, at what ended since the last look."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._known: tuple[str, Sequence[_End]] = ("", ())

    async def look(self) -> int:
        """Put on record what has ended of the release in force; how much that was.

        Of several nodes one does. Costs a read unless something ended. Raises `Unavailable`,
        `Unfit`.
        """
        now = self._desk.now()
        done = 0
        for end in await self._ends():
            if _moment(end) <= now and await self._record(end):
                done += 1
        return done

    async def _record(self, end: _End) -> bool:
        deed = f"exception expired: {end.exception} {end.until}"
        if not await self._desk.store.claim(deed, PATIENCE):
            return False
        facts = {"exception": end.exception, "rule": end.rule, "until": end.until}
        await self._desk.note(SYSTEM, Kind.POLICY_EXCEPTION_EXPIRED, facts)
        await self._desk.store.done(deed)
        return True

    async def _ends(self) -> Sequence[_End]:
        """Those of the release in force, which is composed once."""
        rollout = (await self._desk.store.standing()).rollout
        if rollout is None:
            return ()
        if self._known[0] != rollout.active:
            release = await self._desk.release(rollout.active)
            rules = await self._desk.compose(await self._desk.files(release.packs))
            ends = [_End(id, one["rule"], one["until"]) for id, one in rules.exceptions.items()]
            self._known = (rollout.active, ends)
        return self._known[1]


def _moment(end: _End) -> datetime:
    return datetime.fromisoformat(f"{end.until}+00:00")
