"""A policy store in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from gateway.core.policies import (
    Approval,
    Conflict,
    Draft,
    Node,
    Owner,
    Person,
    Release,
    Rollout,
    Standing,
    Stop,
    Version,
)


@dataclass
class FakePolicies:
    """Implements `PolicyStore`."""

    packs: dict[str, Owner] = field(default_factory=dict)
    kept: dict[str, Version] = field(default_factory=dict)
    open_drafts: dict[str, Draft] = field(default_factory=dict)
    submitted: dict[str, Release] = field(default_factory=dict)
    spoken: dict[tuple[str, str], Approval] = field(default_factory=dict)
    moves: list[Rollout] = field(default_factory=list)
    stopped: dict[str, Stop] = field(default_factory=dict)
    known: dict[str, Node] = field(default_factory=dict)
    deeds: dict[str, datetime | None] = field(default_factory=dict)

    async def owners(self) -> Mapping[str, Owner]:
        return dict(sorted(self.packs.items()))

    async def own(self, pack: str, owner: Owner) -> None:
        self.packs[pack] = owner

    async def add_version(self, version: Version) -> None:
        self.kept.setdefault(version.digest, version)

    async def version(self, digest: str) -> Version | None:
        return self.kept.get(digest)

    async def versions(self, pack: str) -> Sequence[Version]:
        those = [replace(one, files={}) for one in self.kept.values() if one.pack == pack]
        return sorted(those, key=lambda one: one.created_at, reverse=True)

    async def save_draft(self, draft: Draft) -> None:
        before = self.open_drafts.get(draft.id)
        if draft.edition != (before.edition if before else 0) + 1:
            raise Conflict("somebody else saved this draft, or dropped it")
        self.open_drafts[draft.id] = draft

    async def draft(self, id: str) -> Draft | None:
        return self.open_drafts.get(id)

    async def drafts(self) -> Sequence[Draft]:
        those = [replace(one, files={}) for one in self.open_drafts.values()]
        return sorted(those, key=lambda one: one.updated_at, reverse=True)

    async def drop_draft(self, id: str) -> None:
        self.open_drafts.pop(id, None)

    async def add_release(self, release: Release) -> None:
        assert release.id not in self.submitted
        self.submitted[release.id] = release

    async def release(self, id: str) -> Release | None:
        return self.submitted.get(id)

    async def releases(self, most: int = 100) -> Sequence[Release]:
        those = sorted(self.submitted.values(), key=lambda one: one.created_at, reverse=True)
        return those[:most]

    async def add_approval(self, approval: Approval) -> None:
        release = self.submitted.get(approval.release)
        if release is None:
            raise ValueError(f"there is no release {approval.release}")
        author = Person(release.author, release.author_user)
        if author.same(Person(approval.person, approval.user)):
            raise ValueError("the author of a release is not the one who approves it")
        me = Person(approval.person, approval.user)
        for one in await self.approvals(approval.release):
            if me.same(Person(one.person, one.user)):
                raise Conflict("this person has spoken of this release already")
        self.spoken[approval.release, approval.person] = approval

    async def approvals(self, release: str) -> Sequence[Approval]:
        those = [one for one in self.spoken.values() if one.release == release]
        return sorted(those, key=lambda one: one.at, reverse=True)

    async def standing(self) -> Standing:
        stops = [stop for stop in self.stopped.values() if stop.lifted_at is None]
        return Standing(self.moves[-1] if self.moves else None, tuple(stops))

    async def move(self, rollout: Rollout) -> None:
        assert rollout.active in self.submitted
        if rollout.number != len(self.moves) + 1:
            raise Conflict("somebody else changed what is in force")
        self.moves.append(rollout)

    async def rollouts(self, most: int = 100) -> Sequence[Rollout]:
        return self.moves[::-1][:most]

    async def add_stop(self, stop: Stop) -> None:
        self.stopped[stop.id] = stop

    async def lift_stop(self, id: str, by: str, at: datetime) -> bool:
        stop = self.stopped.get(id)
        if stop is None or stop.lifted_at is not None:
            return False
        self.stopped[id] = replace(stop, lifted_by=by, lifted_at=at)
        return True

    async def stops(self, most: int = 100) -> Sequence[Stop]:
        return sorted(self.stopped.values(), key=lambda one: one.at, reverse=True)[:most]

    async def acknowledge(self, node: Node) -> None:
        self.known[node.id] = node

    async def nodes(self, since: datetime) -> Sequence[Node]:
        those = [one for one in self.known.values() if one.seen_at >= since]
        return sorted(those, key=lambda one: one.seen_at, reverse=True)

    async def claim(self, deed: str, seconds: float) -> bool:
        now = datetime.now(UTC)
        if deed in self.deeds:
            begun = self.deeds[deed]
            if begun is None or now - begun < timedelta(seconds=seconds):
                return False
        self.deeds[deed] = now
        return True

    async def done(self, deed: str) -> None:
        self.deeds[deed] = None
