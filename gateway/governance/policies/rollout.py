"""What comes into force: shadow, canary, activation, and the ways back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from gateway.core.ids import new_id
from gateway.core.policies import (
    Canary,
    Conflict,
    Node,
    Owner,
    PackFiles,
    Refused,
    Release,
    Rollout,
    Step,
    Version,
)
from gateway.core.principal import Principal
from gateway.core.records import Kind
from gateway.core.roles import Role
from gateway.governance.policies.desk import ADMINS, APPROVERS, HISTORY, SYSTEM, Desk, said
from gateway.governance.policies.moving import end_trial, facts_of, move
from gateway.governance.policies.releases import Releases, stale
from gateway.governance.policies.testing import run_tables

FIRST = "first rollout"
"""The deed that one of several gateways does, where they start at once."""
PATIENCE = 30.0
"""Seconds after which whoever began that is taken to be dead."""
_PAUSE = 0.25
"""Seconds between two looks at whether another has done it."""


class Rollouts:
    """Who brings what into force. Each step is on record before it takes effect; of two at
    once one comes through, and the other is told to look again (`Conflict`)."""

    def __init__(self, desk: Desk, releases: Releases) -> None:
        self._desk = desk
        self._releases = releases

    async def shadow(self, id: str | None, who: Principal, why: str = "") -> Rollout:
        """Ask a release besides what is in force, without any effect; None ends that.

        Needs no approval, as nobody feels it.
        """
        self._desk.enter(who, APPROVERS)
        rollout, _ = await self._standing()
        if rollout.shadow == id:
            raise Refused("that is so already")
        if id is None:
            facts = {"release": rollout.shadow}
            step = replace(rollout, shadow=None, step=Step.SHADOW)
            return await move(self._desk, step, who, why, facts, Kind.POLICY_SHADOW_ENDED)
        release = await self._desk.release(id)
        if (await self._releases.judged(release)).rejected:
            raise Refused(f"{id} was rejected: hand the change in again")
        await self._recompose(release)
        step = replace(rollout, shadow=id, step=Step.SHADOW)
        return await move(self._desk, step, who, why, facts_of(release))

    async def canary(
        self, id: str | None, canary: Canary | None, who: Principal, why: str = ""
    ) -> Rollout:
        """Try an approved release on a part of the traffic; None, for both, ends that."""
        self._desk.enter(who, APPROVERS)
        rollout, active = await self._standing()
        if id is None or canary is None:
            if rollout.trying is None:
                raise Refused("no release is on trial")
            step = replace(rollout, trying=None, canary=None, step=Step.CANARY)
            return await move(self._desk, step, who, why, {"release": rollout.trying, "percent": 0})
        if not 0 <= canary.percent <= 100:
            raise ValueError("a canary has 0 to 100 percent")
        if not (canary.percent or canary.teams or canary.keys):
            raise ValueError("a canary needs a percentage, teams or keys")
        release = await self._ready(id, active)
        facts = {
            **facts_of(release),
            "percent": canary.percent,
            "teams": len(canary.teams),
            "keys": len(canary.keys),
        }
        step = replace(rollout, trying=id, canary=canary, step=Step.CANARY)
        moved = await move(self._desk, step, who, why, facts)
        if (await self._releases.judged(release)).rejected:  # since it was looked at above
            await end_trial(self._desk, release, who)
            raise Refused(f"{id} was rejected: hand the change in again")
        return moved

    async def activate(self, id: str, who: Principal, why: str = "") -> Rollout:
        """Bring an approved release into force, which is composed and tested again.

        It ends any canary: that was approved on top of what is not in force any more. Raises
        `Denied`, `Missing`, `Unfit`, `Conflict`, and `Refused` for one that is not approved, is
        stale, or says something else than when it was approved.
        """
        self._desk.enter(who, APPROVERS)
        rollout, active = await self._standing()
        release = await self._ready(id, active)
        return await move(
            self._desk, _now(rollout, release, Step.ACTIVATED), who, why, facts_of(release)
        )

    async def roll_back(self, who: Principal, why: str = "", to: str | None = None) -> Rollout:
        """Bring back what was in force before, in one step and without approval.

        `to` names any release that was once; without it, it is what the last one took the place
        of. Raises `Refused` where there is none such, or somebody rejected it.
        """
        self._desk.enter(who, APPROVERS)
        rollout, active = await self._standing()
        wanted = to or rollout.previous
        if wanted is None:
            raise Refused("nothing was in force before: name a release that was")
        if wanted == active.id:
            raise Refused(f"{wanted} is in force")
        before = await self._last_time(wanted)
        if before is None:
            raise Refused(f"{wanted} was never in force: have it approved, and activate it")
        release = await self._desk.release(wanted)
        if (await self._releases.judged(release)).rejected:
            raise Refused(f"{wanted} was rejected")
        await self._desk.compose(await self._desk.files(release.packs))
        step = replace(
            _now(rollout, release, Step.ROLLED_BACK),
            # so that to roll back again goes further back, and not to and fro
            previous=None if before.previous == active.id else before.previous,
        )
        return await move(self._desk, step, who, why, {**facts_of(release), "from": active.id})

    async def break_glass(self, id: str, who: Principal, reason: str) -> Rollout:
        """Bring a release into force that nobody approved. It is a debt until somebody does.

        For administrators, with a reason. All that is asked of it is that it can be composed.
        """
        self._desk.enter(who, ADMINS)
        reason = said(reason, "a reason")
        rollout, active = await self._standing()
        release = await self._desk.release(id)
        if id == active.id:
            raise Refused(f"{id} is in force")
        judged = await self._releases.judged(release)
        await self._desk.compose(await self._desk.files(release.packs))
        facts = {
            **facts_of(release),
            "approvals": len(judged.approved),
            "rejections": len(judged.rejected),
            "stale": judged.stale,
        }
        return await move(self._desk, _now(rollout, release, Step.BREAK_GLASS), who, reason, facts)

    async def begin(
        self,
        files: PackFiles,
        pause: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(_PAUSE),
    ) -> Rollout | None:
        """Bring what is shipped into force, where nothing is. None where files of an operator's
        decide. Several gateways may do so at once: one does, the others wait for it.

        Raises `Unfit`, `Unavailable`.
        """
        if self._desk.terms.fixed is not None:
            return None
        while (rollout := (await self._desk.store.standing()).rollout) is None:
            if not await self._desk.store.claim(FIRST, PATIENCE):
                await pause()
                continue
            try:
                return await self._first(files)
            except Conflict:
                continue
        return rollout

    async def acknowledged(self, node: Node) -> None:
        """Put on record that a node runs what its rollout says, or why it does not."""
        facts = {
            "node": node.id,
            "number": node.number,
            "revision": node.revision,
            "stops": node.stops,
            "follows": node.problem is None,
        }
        await self._desk.note(SYSTEM, Kind.POLICY_NODE_ACKNOWLEDGED, facts, problem=node.problem)

    async def _first(self, files: PackFiles) -> Rollout:
        desk = self._desk
        pack, number = desk.packs.named(files)
        rules = await desk.compose({pack: files})
        version = Version(desk.packs.digest(files), pack, number, files, SYSTEM.key_id, desk.now())
        release = Release(
            new_id("rel"), rules.revision, {pack: version.digest}, None, SYSTEM.key_id,
            desk.now(), True, "What is shipped.",
        )  # fmt: skip
        owned = {"pack": pack, "before": None, "after": Owner.CONSOLE.value}
        await desk.note(SYSTEM, Kind.POLICY_OWNERSHIP_CHANGED, owned)
        await desk.store.own(pack, Owner.CONSOLE)
        await desk.store.add_version(version)
        await desk.store.add_release(release)
        rollout = await move(
            self._desk, Rollout(0, release.id, step=Step.FIRST), SYSTEM, "", facts_of(release)
        )
        await desk.store.done(FIRST)
        return rollout

    async def _standing(self) -> tuple[Rollout, Release]:
        standing = await self._desk.in_force()
        if standing is None:
            raise Refused("nothing is in force yet: start a gateway first")
        return standing

    async def _ready(self, id: str, active: Release) -> Release:
        """An approved release on top of `active`, revalidated. Raises `Refused`, `Unfit`."""
        release = await self._desk.release(id)
        if id == active.id:
            raise Refused(f"{id} is in force")
        judged = await self._releases.judged(release)
        if judged.rejected:
            raise Refused(f"{id} was rejected: hand the change in again")
        if judged.stale:
            raise Refused(stale(release))
        if not judged.ready:
            raise Refused(
                f"{id} is approved by {len(judged.approved)} of {judged.needed}: somebody who did "
                f"not work on it approves it first, with the role {Role.POLICY_APPROVER}"
            )
        files = await self._recompose(release)
        if not (await run_tables(self._desk.packs, files)).passed:
            raise Refused(f"the tests of {id} fail now: hand it in again")
        return release

    async def _recompose(self, release: Release) -> dict[str, PackFiles]:
        """The files of a release, which still says what was approved."""
        files = await self._desk.files(release.packs)
        if (await self._desk.compose(files)).revision != release.revision:
            raise Refused(
                f"{release.id} would not say what it said when it was handed in, as this gateway "
                "interprets packs in another way: hand it in again"
            )
        return files

    async def _last_time(self, id: str) -> Rollout | None:
        """The rollout that brought a release into force the last time."""
        found = None
        for rollout in await self._desk.store.rollouts(HISTORY):
            if rollout.active == id:
                found = rollout
            elif found is not None:
                break
        return found


def _now(rollout: Rollout, release: Release, step: Step) -> Rollout:
    """A rollout with another release active, and no canary."""
    return replace(
        rollout,
        active=release.id,
        previous=rollout.active,
        trying=None,
        canary=None,
        shadow=None if rollout.shadow == release.id else rollout.shadow,
        step=step,
    )
