"""Stops: an application, key, model or tool is refused at once, whatever the policy says."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.ids import new_id
from gateway.core.policies import Missing, Stop, Stopped
from gateway.core.principal import Principal
from gateway.core.records import Kind
from gateway.governance.policies.desk import STOPPERS, Desk, said

LONGEST_NAME = 200
EVERYTHING = "*"


class Stops:
    """Who stops what, and who lets it go on. On record first; nothing else is needed.

    They hold also where the policy is a directory of the operator's.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def stop(self, what: Stopped, name: str, reason: str, who: Principal) -> Stop:
        """Refuse something from now on. `name` may hold `*` for any run of characters.

        Raises `Denied`, and `ValueError` without a name or a reason.
        """
        me = self._desk.admit(who, STOPPERS)
        name, reason = _name(what, name), said(reason, "a reason")
        stop = Stop(new_id("stp"), what, name, reason, me.key_id, self._desk.now())
        facts = {"stop": stop.id, "what": what.value}
        await self._desk.note(who, Kind.POLICY_STOPPED, facts, name=name, reason=reason)
        await self._desk.store.add_stop(stop)
        return stop

    async def resume(self, id: str, reason: str, who: Principal) -> None:
        """Lift a stop. Raises `Denied`, `ValueError` without a reason, and `Missing` for one
        that does not stand."""
        me = self._desk.admit(who, STOPPERS)
        reason = said(reason, "a reason")
        standing = await self.standing()
        if id not in {stop.id for stop in standing}:
            raise Missing(f"there is no stop {id[:100]!r} that stands")
        await self._desk.note(who, Kind.POLICY_RESUMED, {"stop": id}, reason=reason)
        if not await self._desk.store.lift_stop(id, me.key_id, self._desk.now()):
            raise Missing(f"the stop {id} does not stand any more")

    async def standing(self) -> Sequence[Stop]:
        """Those that hold now."""
        return (await self._desk.store.standing()).stops


def _name(what: Stopped, name: str) -> str:
    name = name.strip()
    if what is Stopped.EVERYTHING:
        if name not in ("", EVERYTHING):
            raise ValueError("to stop everything takes no name")
        return EVERYTHING
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise ValueError(f"a name has 1 to {LONGEST_NAME} printable characters")
    return name
