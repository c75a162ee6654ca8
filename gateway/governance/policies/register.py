"""What stands of policies, for whoever may read it: packs, drafts, releases, who runs which."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from gateway.core.policies import (
    Approval,
    Draft,
    Missing,
    Owner,
    PackFiles,
    Release,
    Rollout,
    Stop,
    Version,
)
from gateway.core.principal import Principal
from gateway.governance.policies.desk import READERS, Desk
from gateway.governance.policies.drafts import Drafts
from gateway.governance.policies.releases import Judged, Releases

ALIVE = timedelta(seconds=20)
"""For how long a node that says nothing is taken to be there; it says something every five."""
MOST = 100
"""Releases, rollouts and stops that are listed."""


class State(StrEnum):
    """How a release stands."""

    WAITING = "waiting"
    APPROVED = "approved"
    ACTIVE = "active"
    REJECTED = "rejected"
    STALE = "stale"
    """Another is in force than it was made on top of; also what was in force before."""


class VersionLine(msgspec.Struct, frozen=True):
    """A version without its files. `source` is where it stands in Git."""

    digest: str
    number: str
    author: str
    created_at: datetime
    source: str | None


class VersionTold(VersionLine, frozen=True):
    pack: str
    files: PackFiles


class PackLine(msgspec.Struct, frozen=True):
    """A pack, where it is changed, and its version in force: None where it is not."""

    id: str
    owner: Owner
    in_force: VersionLine | None


class PackTold(PackLine, frozen=True):
    """`sentences` say what its rules in force do, by locale and id of the rule."""

    sentences: Mapping[str, Mapping[str, str]]
    versions: Sequence[VersionLine]


class DraftLine(msgspec.Struct, frozen=True):
    """A draft without its files. `base` is the digest of the version that it was made of."""

    id: str
    pack: str
    base: str | None
    edition: int
    author: str
    updated_at: datetime
    note: str


class DraftTold(DraftLine, frozen=True):
    """`people` saved it: none of them may approve it."""

    files: PackFiles
    people: Sequence[str]
    replay: Mapping[str, Any] | None


class ReleaseLine(msgspec.Struct, frozen=True):
    """A release, and what was said of it. `packs` are digests, by pack; `needed` how many must
    approve; `widening` whether something may pass that did not pass before."""

    id: str
    revision: str
    state: State
    packs: Mapping[str, str]
    base: str | None
    author: str
    created_at: datetime
    widening: bool
    note: str
    approved_by: Sequence[str]
    rejected_by: Sequence[str]
    needed: int


class ReleaseTold(ReleaseLine, frozen=True):
    """`evidence` is what was known when it was handed in: `tests`, `diff`, `replay`."""

    people: Sequence[str]
    approvals: Sequence[Approval]
    evidence: Mapping[str, Any]


class NodeTold(msgspec.Struct, frozen=True):
    """A gateway process, and what it runs. `follows` is whether that is what it should."""

    id: str
    host: str
    revision: str | None
    rollout: int
    stops: int
    seen_at: datetime
    problem: str | None
    follows: bool


class Status(msgspec.Struct, frozen=True):
    """What is to be in force, and who runs it. `acknowledged` where there are nodes and each of
    them follows. `debts` came into force unapproved. `fixed` is the directory that decides
    instead, where an operator has set one."""

    rollout: Rollout | None
    release: ReleaseLine | None
    stops: Sequence[Stop]
    nodes: Sequence[NodeTold]
    acknowledged: bool
    debts: Sequence[str]
    fixed: str | None


class Register:
    """Reads what stands. Each method raises `Denied` without one of `READERS`, and
    `Unavailable`."""

    def __init__(self, desk: Desk, drafts: Drafts, releases: Releases) -> None:
        self._desk = desk
        self._drafts = drafts
        self._releases = releases

    async def status(self, who: Principal) -> Status:
        """What is in force, and whether every gateway runs it."""
        self._desk.admit(who, READERS)
        standing = await self._desk.store.standing()
        rollout, fixed = standing.rollout, self._desk.terms.fixed
        release = await self._desk.release(rollout.active) if rollout else None
        number = 0 if fixed is not None else rollout.number if rollout else 0
        nodes = [
            NodeTold(
                node.id, node.host, node.revision, node.number, node.stops, node.seen_at,
                node.problem, _follows(node.number, number, node.stops, len(standing.stops))
                and node.problem is None,
            )
            for node in await self._desk.store.nodes(self._desk.now() - ALIVE)
        ]  # fmt: skip
        return Status(
            rollout,
            await self._line(release) if release else None,
            standing.stops,
            nodes,
            bool(nodes) and all(node.follows for node in nodes),
            [debt.id for debt in await self._releases.debts()],
            fixed,
        )

    async def packs(self, who: Principal) -> Sequence[PackLine]:
        """Every pack there is, by its id."""
        self._desk.admit(who, READERS)
        digests = await self._digests()
        return [
            PackLine(pack, owner, await self._version_line(digests.get(pack)))
            for pack, owner in sorted((await self._desk.store.owners()).items())
        ]

    async def pack(self, id: str, who: Principal) -> PackTold:
        """A pack, with what it says. Raises `Missing`, `Unfit`."""
        self._desk.admit(who, READERS)
        owner = (await self._desk.store.owners()).get(id)
        if owner is None:
            raise Missing(f"there is no pack {id[:100]!r}")
        digest = (await self._digests()).get(id)
        says: Mapping[str, Mapping[str, str]] = {}
        if digest is not None:
            files = (await self._desk.version(digest)).files
            rules = await asyncio.to_thread(self._desk.packs.compose, [files])
            says = rules.sentences
        versions = [_line(version) for version in await self._desk.store.versions(id)]
        return PackTold(id, owner, await self._version_line(digest), says, versions)

    async def version(self, digest: str, who: Principal) -> VersionTold:
        """A version, with its files. Raises `Missing`."""
        self._desk.admit(who, READERS)
        one = await self._desk.version(digest)
        return VersionTold(
            one.digest, one.number, one.author, one.created_at, one.source, one.pack, one.files
        )

    async def drafts(self, who: Principal) -> Sequence[DraftLine]:
        """Those that are open, the newest first."""
        self._desk.admit(who, READERS)
        return [
            DraftLine(one.id, one.pack, one.base, one.edition, one.author, one.updated_at, one.note)
            for one in await self._desk.store.drafts()
        ]

    async def draft(self, id: str, who: Principal) -> DraftTold:
        """A draft, with its files. Raises `Missing`."""
        self._desk.admit(who, READERS)
        return told(await self._drafts.draft(id))

    async def releases(self, who: Principal, most: int = MOST) -> Sequence[ReleaseLine]:
        """The newest first."""
        self._desk.admit(who, READERS)
        return [await self._line(one) for one in await self._desk.store.releases(most)]

    async def release(self, id: str, who: Principal) -> ReleaseTold:
        """A release, with its evidence and what was said of it. Raises `Missing`."""
        self._desk.admit(who, READERS)
        release = await self._desk.release(id)
        line = msgspec.structs.asdict(await self._line(release))
        approvals = await self._desk.store.approvals(id)
        people = [person.user or person.key_id for person in release.people]
        return ReleaseTold(**line, people=people, approvals=approvals, evidence=release.evidence)

    async def rollouts(self, who: Principal, most: int = MOST) -> Sequence[Rollout]:
        """What was in force, the newest first."""
        self._desk.admit(who, READERS)
        return await self._desk.store.rollouts(most)

    async def stops(self, who: Principal, most: int = MOST) -> Sequence[Stop]:
        """Lifted ones too, the newest first."""
        self._desk.admit(who, READERS)
        return await self._desk.store.stops(most)

    async def _digests(self) -> Mapping[str, str]:
        standing = await self._desk.in_force()
        return standing[1].packs if standing else {}

    async def _version_line(self, digest: str | None) -> VersionLine | None:
        return None if digest is None else _line(await self._desk.version(digest))

    async def _line(self, release: Release) -> ReleaseLine:
        judged = await self._releases.judged(release)
        rollout = (await self._desk.store.standing()).rollout
        active = rollout is not None and rollout.active == release.id
        return ReleaseLine(
            release.id,
            release.revision,
            State.ACTIVE if active else _state(judged),
            release.packs,
            release.base,
            release.author_user or release.author,
            release.created_at,
            release.widening,
            release.note,
            [person.user or person.key_id for person in judged.approved],
            [person.user or person.key_id for person in judged.rejected],
            judged.needed,
        )


def told(draft: Draft) -> DraftTold:
    """A draft as it is told."""
    return DraftTold(
        draft.id, draft.pack, draft.base, draft.edition, draft.author, draft.updated_at,
        draft.note, draft.files, [person.user or person.key_id for person in draft.hands],
        draft.replay,
    )  # fmt: skip


def _line(version: Version) -> VersionLine:
    return VersionLine(
        version.digest, version.number, version.author, version.created_at, version.source
    )


def _state(judged: Judged) -> State:
    if judged.rejected:
        return State.REJECTED
    if judged.stale:
        return State.STALE
    return State.APPROVED if judged.ready else State.WAITING


def _follows(number: int, wanted: int, stops: int, stopped: int) -> bool:
    return number == wanted and stops == stopped
