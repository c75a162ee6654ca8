"""How policies are made and come into force: packs, versions, releases, and who runs which.

A pack is a set of files. A version of it never changes; its digest is its name. A release names
a version of every pack that is in force with it, and is what people approve. The rollout says
which release is active, which is tried on a part of the traffic (canary), which is only asked
beside it (shadow). Stops need no release: they refuse at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

PackFiles: TypeAlias = Mapping[str, str]
"""The files of a pack: the path inside it, with `/`, and the text."""


class Owner(StrEnum):
    """Where a pack is changed, and nowhere else."""

    GIT = "git"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True)
class Person:
    """Who did something: the id of a key or token, and the user where that is verified.

    Two of them are one person where either is the same.
    """

    key_id: str
    user: str | None = None

    def same(self, other: Person) -> bool:
        """Whether both may be one and the same person."""
        return self.key_id == other.key_id or (self.user is not None and self.user == other.user)


@dataclass(frozen=True, slots=True)
class Version:
    """A pack as it was at one moment. `digest` is `sha256:…` over its files."""

    digest: str
    pack: str
    number: str
    """The `version` of its pack.yaml, such as 1.4.0."""
    files: PackFiles
    author: str
    created_at: datetime
    source: str | None = None
    """Where it stands in Git, such as `a1b2c3d policies/packs/support`; None for the console's."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A pack that somebody is changing. `edition` counts what was saved, from 1."""

    id: str
    pack: str
    base: str | None
    """The digest of the version that it was made of; None for a new pack."""
    files: PackFiles
    author: str
    edition: int
    updated_at: datetime
    note: str = ""
    hands: Sequence[Person] = ()
    """Everybody who saved it: none of them may approve it."""
    replay: Mapping[str, Any] | None = None
    """What a replay of exactly these files said, where one was run; JSON."""


@dataclass(frozen=True, slots=True)
class Release:
    """What is approved and brought into force: a version of each pack.

    `revision` is the digest of the rules as engines take them; every decision carries it.
    `base` is the id of the release that was active when this was submitted: approvals of it are
    stale as soon as another is.
    """

    id: str
    revision: str
    packs: Mapping[str, str]
    """The digest of the version of each pack, by the pack's id."""
    base: str | None
    author: str
    created_at: datetime
    widening: bool
    """Whether something may pass that did not pass before."""
    note: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """What was known when it was submitted: `tests`, `diff` (sentences), `replay`; JSON."""
    author_user: str | None = None
    hands: Sequence[Person] = ()
    """Everybody else who worked on it."""

    @property
    def people(self) -> Sequence[Person]:
        """Everybody who worked on it: none of them approves it."""
        return (Person(self.author, self.author_user), *self.hands)


@dataclass(frozen=True, slots=True)
class Approval:
    """What somebody else than its author said of a release."""

    release: str
    person: str
    approved: bool
    comment: str
    at: datetime
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Canary:
    """On which part of the traffic a release is tried: any of what is named here."""

    percent: int = 0
    """0 to 100, of the exchanges of the other applications; the same application and user
    always fall on the same side."""
    teams: Sequence[str] = ()
    keys: Sequence[str] = ()


class Step(StrEnum):
    """How a rollout came to be."""

    FIRST = "first"
    """What is shipped was brought into force, as nothing was."""
    SHADOW = "shadow"
    CANARY = "canary"
    ACTIVATED = "activated"
    ROLLED_BACK = "rolled_back"
    BREAK_GLASS = "break_glass"


@dataclass(frozen=True, slots=True)
class Rollout:
    """What is in force. `number` grows by one with each change."""

    number: int
    active: str
    """The id of a release, like `previous`, `trying` and `shadow`."""
    previous: str | None = None
    """What a rollback brings back."""
    trying: str | None = None
    canary: Canary | None = None
    shadow: str | None = None
    changed_by: str = ""
    changed_at: datetime | None = None
    why: str = ""
    step: Step = Step.ACTIVATED
    record: str = ""
    """The id of the entry of the ledger that tells of it; an entry that no rollout names told
    of one that did not come to be."""
    changed_user: str | None = None
    """The user, where that is verified, besides the key in `changed_by`."""


class Stopped(StrEnum):
    """What can be stopped."""

    EVERYTHING = "everything"
    APP = "app"
    KEY = "key"
    MODEL = "model"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Stop:
    """An application, key, model or tool that is refused at once, whatever the policy says.

    `name` may hold `*` for any run of characters; it is `*` for everything.
    """

    id: str
    what: Stopped
    name: str
    reason: str
    by: str
    at: datetime
    lifted_by: str | None = None
    lifted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What every node must know: one cheap read."""

    rollout: Rollout | None
    """None before anything was ever brought into force."""
    stops: Sequence[Stop] = ()
    """Those that are not lifted."""


@dataclass(frozen=True, slots=True)
class Node:
    """A gateway process, and what it runs, as it says itself."""

    id: str
    host: str
    revision: str | None
    """Of the release that it decides by; None while it has none."""
    number: int
    """Of the rollout that it follows."""
    stops: int
    """How many stops it knows."""
    seen_at: datetime
    problem: str | None = None
    """Why it does not follow the rollout; it goes on with what it had."""


class Conflict(ValueError):
    """Somebody else was faster: read again, and repeat."""


class Missing(ValueError):
    """There is nothing under this id."""


class Refused(ValueError):
    """What was asked is against the rules of the lifecycle. The message says what to do."""


class OwnedElsewhere(Refused):
    """The pack, or all policy, is changed in another place, which the message names."""


class PolicyStore(Protocol):
    """Keeps all this. Every method raises `Unavailable` where the database is away.

    What there is of a kind is listed the newest first, by the times that it carries.
    """

    async def owners(self) -> Mapping[str, Owner]:
        """Every pack that there is, and where it is changed."""

    async def own(self, pack: str, owner: Owner) -> None:
        """Say where a pack is changed from now on."""

    async def add_version(self, version: Version) -> None:
        """Keep a version; safe to repeat."""

    async def version(self, digest: str) -> Version | None: ...

    async def versions(self, pack: str) -> Sequence[Version]:
        """Those of a pack, the newest first, without their files."""

    async def save_draft(self, draft: Draft) -> None:
        """Keep a draft in place of its edition before. Raises `Conflict`."""

    async def draft(self, id: str) -> Draft | None: ...

    async def drafts(self) -> Sequence[Draft]:
        """Those that are open, the newest first, without their files."""

    async def drop_draft(self, id: str) -> None: ...

    async def add_release(self, release: Release) -> None:
        """Keep a release; its id is new."""

    async def release(self, id: str) -> Release | None: ...

    async def releases(self, most: int = 100) -> Sequence[Release]:
        """The newest first."""

    async def add_approval(self, approval: Approval) -> None:
        """Raises `Conflict` where this person has spoken already, and `ValueError` where it is
        the release's author, which the database refuses too."""

    async def approvals(self, release: str) -> Sequence[Approval]: ...

    async def standing(self) -> Standing: ...

    async def move(self, rollout: Rollout) -> None:
        """Bring a rollout into force, whose number follows the last one's. Raises `Conflict`."""

    async def rollouts(self, most: int = 100) -> Sequence[Rollout]:
        """Each that there was, the newest first."""

    async def add_stop(self, stop: Stop) -> None: ...

    async def lift_stop(self, id: str, by: str, at: datetime) -> bool:
        """Whether it stood until now."""

    async def stops(self, most: int = 100) -> Sequence[Stop]:
        """Lifted ones too, the newest first."""

    async def acknowledge(self, node: Node) -> None:
        """Say what a node runs, in place of what it said before."""

    async def nodes(self, since: datetime) -> Sequence[Node]:
        """Those that said something since then."""

    async def claim(self, deed: str, seconds: float) -> bool:
        """Whether the caller is to do what is done once only: nobody has done it, and nobody
        has been at it for `seconds`."""

    async def done(self, deed: str) -> None:
        """Say that a claimed deed is done, for good."""
