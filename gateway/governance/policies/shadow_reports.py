"""What is known of a release that is asked beside, or was: over all gateways, for people."""

from __future__ import annotations

from gateway.core.policies import Missing
from gateway.core.principal import Principal
from gateway.core.shadows import Report, Tallies, report_of
from gateway.governance.policies.desk import READERS, Desk


class ShadowReports:
    """Reads what every gateway has kept. What one counted since it last did so, every few
    seconds, is not in it."""

    def __init__(self, desk: Desk, tallies: Tallies) -> None:
        self._desk = desk
        self._tallies = tallies

    async def report(self, release: str | None, who: Principal) -> Report:
        """That of a release; without one, of the release that is asked beside now.

        Raises `Denied`, `Missing`, `Unavailable`.
        """
        self._desk.admit(who, READERS)
        id = release or await self._beside()
        return report_of(id, await self._tallies.of((await self._desk.release(id)).id))

    async def _beside(self) -> str:
        rollout = (await self._desk.store.standing()).rollout
        if rollout is None or rollout.shadow is None:
            raise Missing("no release is asked beside")
        return rollout.shadow
