"""Releases: what is handed in, with its evidence, and what others say of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.core.ids import new_id
from gateway.core.policies import (
    Approval,
    Conflict,
    Missing,
    OwnedElsewhere,
    Owner,
    PackFiles,
    Person,
    Refused,
    Release,
    Step,
    Version,
)
from gateway.core.principal import Principal
from gateway.core.records import Kind
from gateway.governance.policies.desk import APPROVERS, AUTHORS, HISTORY, Desk, said
from gateway.governance.policies.diff import compare
from gateway.governance.policies.drafts import Drafts, check_files, owned_by_git
from gateway.governance.policies.moving import end_trial
from gateway.governance.policies.testing import run_tables

GIT = Person("git")
"""Whose approval a merge is, where the operator has said so."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What has been said of a release, and what that is good for."""

    approved: Sequence[Person]
    rejected: Sequence[Person]
    needed: int
    """How many must approve."""
    stale: bool
    """Whether another release is in force than it was made on top of."""

    @property
    def ready(self) -> bool:
        """Whether it may come into force."""
        return not self.rejected and not self.stale and len(self.approved) >= self.needed


class Releases:
    """What authors hand in and approvers judge. Each step is on record before it holds."""

    def __init__(self, desk: Desk, drafts: Drafts) -> None:
        self._desk = desk
        self._drafts = drafts

    async def submit(self, draft_id: str, edition: int, who: Principal, note: str = "") -> Release:
        """Hand a draft in: its version, and a release of it with the other packs in force.

        Raises `Conflict` for an edition that is not the newest; `OwnedElsewhere` for a pack of
        Git; `Unfit`; `Refused` where it is not made of what is in force, changes nothing, or a
        test fails.
        """
        me = self._desk.enter(who, AUTHORS)
        draft = await self._drafts.draft(draft_id, edition)
        check_files(draft.files)
        owner = (await self._desk.store.owners()).get(draft.pack)
        if owner is Owner.GIT:
            raise OwnedElsewhere(await owned_by_git(self._desk, draft.pack))
        standing = await self._desk.in_force()
        if (standing[1].packs.get(draft.pack) if standing else None) != draft.base:
            raise Refused(
                f"another version of {draft.pack!r} came into force since this draft was begun: "
                "begin a draft of that one, and make the change again there"
            )
        release = await self._make(
            draft.pack, draft.files, None, who, said(note or draft.note, "a note", needed=False),
            hands=tuple(person for person in draft.hands if person != me),
            evidence={} if draft.replay is None else {"replay": dict(draft.replay)},
            facts={"draft": draft.id, "edition": draft.edition},
        )  # fmt: skip
        if owner is None:
            await self._own(draft.pack, Owner.CONSOLE, who)
        await self._desk.store.drop_draft(draft.id)
        return release

    async def publish(
        self, files: PackFiles, source: str, who: Principal, note: str = ""
    ) -> Release:
        """Hand in what stands in Git: from CI, for a pack that is changed there, or a new one.

        `source` says where, such as `a1b2c3d policies/packs/support`. It needs approval as any
        other, unless the operator has said that what was merged is approved. Raises as `submit`
        does.
        """
        self._desk.enter(who, AUTHORS)
        check_files(files)
        source = said(source, "where it stands in Git")
        pack = self._desk.packs.named(files)[0]
        owner = (await self._desk.store.owners()).get(pack)
        if owner is Owner.CONSOLE:
            raise OwnedElsewhere(
                f"the pack {pack!r} is changed in the console: change it there, or have an "
                "administrator hand it to Git first"
            )
        release = await self._make(pack, files, source, who, said(note, "a note", needed=False))
        if owner is None:
            await self._own(pack, Owner.GIT, who)
        if self._desk.terms.git_approves:
            facts = {"release": release.id, "revision": release.revision, "by": "git"}
            await self._desk.note(who, Kind.POLICY_APPROVED, facts, source=source)
            merged = f"merged: {source}"
            await self._desk.store.add_approval(
                Approval(release.id, GIT.key_id, True, merged, self._desk.now())
            )
        return release

    async def retire(self, pack: str, who: Principal, note: str = "") -> Release:
        """Hand in a release without a pack. Raises `Missing`, `Refused` for the last one."""
        self._desk.enter(who, AUTHORS)
        standing = await self._desk.in_force()
        if standing is None or pack not in standing[1].packs:
            raise Missing(f"no pack {pack[:100]!r} is in force")
        return await self._make(pack, None, None, who, said(note, "a note", needed=False))

    async def approve(self, id: str, revision: str, who: Principal, comment: str = "") -> Judged:
        """Say yes to a release, of which `revision` is what was looked at.

        Raises `Denied`, `Missing`, `Conflict` for whoever has spoken already, and `Refused`: for
        anybody who worked on it, another revision, one that is stale or was rejected, and for
        whoever brought it into force unapproved.
        """
        me, release = await self._judge(id, revision, who)
        judged = await self.judged(release)
        if judged.rejected:
            raise Refused(f"{id} was rejected: hand the change in again")
        breakers = await self._breakers(id)
        if judged.stale and not breakers:
            raise Refused(stale(release))
        if any(me.same(breaker) for breaker in breakers):
            raise Refused("whoever breaks the glass is not the one who approves of it afterwards")
        await self._say(release, me, who, approved=True, comment=comment)
        return await self.judged(release)

    async def reject(self, id: str, revision: str, who: Principal, comment: str) -> Judged:
        """Say no to a release, and why. Where it is on trial, that ends.

        Raises what `approve` raises, but not for a stale one. Whoever has spoken already may be
        repeating what was cut short: the trial of one that was rejected ends then too.
        """
        me, release = await self._judge(id, revision, who)
        try:
            await self._say(release, me, who, approved=False, comment=said(comment, "a reason"))
        except (Conflict, Refused):
            if (await self.judged(release)).rejected:
                await end_trial(self._desk, release, who)
            raise
        await end_trial(self._desk, release, who)
        return await self.judged(release)

    async def judged(self, release: Release) -> Judged:
        """What was said of a release until now."""
        said_of_it = await self._desk.store.approvals(release.id)
        standing = await self._desk.in_force()
        active = standing[1].id if standing else None
        return Judged(
            [Person(one.person, one.user) for one in said_of_it if one.approved],
            [Person(one.person, one.user) for one in said_of_it if not one.approved],
            max(self._desk.terms.approvals, 1) if release.widening else 1,
            active not in (release.base, release.id),
        )

    async def debts(self) -> Sequence[Release]:
        """What came into force by breaking the glass and nobody approved since, newest first."""
        owed: dict[str, Release] = {}
        for rollout in await self._desk.store.rollouts(HISTORY):
            if rollout.step is Step.BREAK_GLASS and rollout.active not in owed:
                owed[rollout.active] = await self._desk.release(rollout.active)
        judged = {id: await self.judged(release) for id, release in owed.items()}
        return [
            release
            for id, release in owed.items()
            if judged[id].rejected or len(judged[id].approved) < judged[id].needed
        ]

    async def _judge(self, id: str, revision: str, who: Principal) -> tuple[Person, Release]:
        me = self._desk.enter(who, APPROVERS)
        release = await self._desk.release(id)
        if any(me.same(one) for one in release.people):
            raise Refused("whoever worked on a release is not the one who judges it")
        if release.revision != revision:
            raise Refused(f"{id} is the revision {release.revision}: look at that, and repeat")
        return me, release

    async def _say(
        self, release: Release, me: Person, who: Principal, *, approved: bool, comment: str
    ) -> None:
        comment = said(comment, "a comment", needed=False)
        for one in await self._desk.store.approvals(release.id):
            if me.same(Person(one.person, one.user)):
                raise Refused(f"you have spoken of {release.id} already")
        kind = Kind.POLICY_APPROVED if approved else Kind.POLICY_REJECTED
        facts = {"release": release.id, "revision": release.revision, "by": "person"}
        await self._desk.note(who, kind, facts, comment=comment)
        await self._desk.store.add_approval(
            Approval(release.id, me.key_id, approved, comment, self._desk.now(), me.user)
        )

    async def _breakers(self, id: str) -> list[Person]:
        """Who brought a release into force by breaking the glass."""
        return [
            Person(rollout.changed_by, rollout.changed_user)
            for rollout in await self._desk.store.rollouts(HISTORY)
            if rollout.step is Step.BREAK_GLASS and rollout.active == id
        ]

    async def _own(self, pack: str, owner: Owner, who: Principal) -> None:
        facts = {"pack": pack, "before": None, "after": owner.value}
        await self._desk.note(who, Kind.POLICY_OWNERSHIP_CHANGED, facts)
        await self._desk.store.own(pack, owner)

    async def _make(
        self,
        pack: str,
        files: PackFiles | None,
        source: str | None,
        who: Principal,
        note: str,
        *,
        hands: Iterable[Person] = (),
        evidence: Mapping[str, Any] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Release:
        """A release of what is in force with another version of a pack, or without it.

        It is composed and tested; what was found is its evidence.
        """
        desk = self._desk
        standing = await desk.in_force()
        before = await desk.files(standing[1].packs) if standing else {}
        digests = dict(standing[1].packs) if standing else {}
        after = {name: those for name, those in before.items() if name != pack}
        digests.pop(pack, None)
        version = self._version(pack, files, source, who) if files is not None else None
        if version is not None:
            after[pack], digests[pack] = version.files, version.digest
        rules = await desk.compose(after)
        was = await desk.compose_in_force(before)
        if before and after == before:
            raise Refused("this is what is in force already: nothing would change")
        run = await run_tables(desk.packs, after)
        if not run.passed:
            raise Refused(_failing(run.failed))
        diff = compare(was, rules)
        release = Release(
            new_id("rel"), rules.revision, digests, standing[1].id if standing else None,
            who.key_id, desk.now(), diff.widening or was is None, note,
            {**(evidence or {}), "tests": run.evidence(), "diff": diff.evidence()},
            who.user, tuple(hands),
        )  # fmt: skip
        told = {
            **(facts or {}), "release": release.id, "revision": release.revision,
            "base": release.base, "pack": pack, "digest": version and version.digest,
            "widening": release.widening, "changes": len(diff.changes), **run.facts(),
        }  # fmt: skip
        shown = msgspec.json.encode(release.evidence["diff"])
        await desk.note(who, Kind.POLICY_SUBMITTED, told, note=note, diff=shown, source=source)
        if version is not None:
            await desk.store.add_version(version)
        await desk.store.add_release(release)
        return release

    def _version(self, pack: str, files: PackFiles, source: str | None, who: Principal) -> Version:
        named, number = self._desk.packs.named(files)
        if named != pack:
            raise Refused(f"pack.yaml says {named!r}, and this is the pack {pack!r}")
        digest = self._desk.packs.digest(files)
        return Version(digest, pack, number, files, who.key_id, self._desk.now(), source)


def stale(release: Release) -> str:
    """What to do about a release that is not on top of what is in force, in words."""
    return (
        f"{release.id} was made on top of {release.base or 'nothing'}, and another release is in "
        "force now: begin it anew from what is in force (reopen it), and hand it in again"
    )


def _failing(failed: Sequence[Any]) -> str:
    if not failed:
        return "the packs have no test cases: write one at least, so that something is proved"
    first = "; ".join(f"{case.pack}: {case.suite}: {case.name}" for case in failed[:5])
    more = f", and {len(failed) - 5} more" if len(failed) > 5 else ""
    return f"tests fail: {first}{more}. Run them to see why"
