"""What every act on policies begins with: may they, where is it changed, what is in force."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gateway.core.errors import Code, Denied
from gateway.core.policies import (
    Missing,
    OwnedElsewhere,
    PackFiles,
    Person,
    PolicyStore,
    Refused,
    Release,
    Rollout,
    Version,
)
from gateway.core.ports import Journal
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind
from gateway.core.roles import Role
from gateway.core.rulesets import Packs, Rules, Unfit

AUTHORS = frozenset({Role.POLICY_AUTHOR, Role.ADMIN})
"""Who drafts and submits."""
APPROVERS = frozenset({Role.POLICY_APPROVER, Role.ADMIN})
"""Who approves, activates and rolls back."""
ADMINS = frozenset({Role.ADMIN})
"""Who breaks the glass, and says where a pack is changed."""
STOPPERS = frozenset({Role.POLICY_APPROVER, Role.COMPLIANCE, Role.ADMIN})
"""Who stops, and lets go on."""
READERS = AUTHORS | STOPPERS | {Role.AUDITOR}
"""Who sees what stands. None of it is anybody's text."""

SYSTEM = Principal("default", "system", "govgate", "system")
"""The gateway itself, where nobody asked for what it does."""
HISTORY = 1_000
"""The newest rollouts that are looked through for what was in force before."""
LONGEST_TEXT = 4_000
"""Characters of a note, a reason or a comment."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an operator decided about the lifecycle."""

    approvals: int = 1
    """How many people must approve a release that widens; any other needs one."""
    git_approves: bool = False
    """Whether what was merged in Git counts as approved by one."""
    fixed: str | None = None
    """The directory of a pack that the gateway decides by alone, whatever is approved here."""


@dataclass(frozen=True)
class Desk:
    """What the services over policies share."""

    store: PolicyStore
    packs: Packs
    journal: Journal
    terms: Terms = Terms()
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def enter(self, who: Principal, roles: Collection[Role]) -> Person:
        """Who changes something. Raises `Denied` without one of `roles`, and `OwnedElsewhere`
        where nothing that is changed here would be in force."""
        person = self.admit(who, roles)
        if self.terms.fixed is not None:
            raise OwnedElsewhere(
                f"GOVGATE_POLICY__PACK is set: the gateway decides by {self.terms.fixed} alone. "
                "Change the files there and start it again, or unset it to use this."
            )
        return person

    def admit(self, who: Principal, roles: Collection[Role]) -> Person:
        """Who asks for something. Raises `Denied` without one of `roles`."""
        if not any(role in who.roles for role in roles):
            named = " or ".join(sorted(roles))
            raise Denied(Code.INSUFFICIENT_ROLE, f"This needs the role {named}.")
        return Person(who.key_id, who.user)

    async def note(
        self, who: Principal, kind: Kind, facts: dict[str, Any], **parts: str | bytes | None
    ) -> str:
        """Put on record what is about to be; the id of the entry. Raises `Unavailable`."""
        given = {name: part for name, part in parts.items() if part}
        payloads = {k: v.encode() if isinstance(v, str) else v for k, v in given.items()}
        receipt = await self.journal.note(who, Entry(kind, facts, payloads))
        return receipt.entry_id

    async def in_force(self) -> tuple[Rollout, Release] | None:
        """The rollout that is in force and its active release; None before there is one."""
        rollout = (await self.store.standing()).rollout
        return None if rollout is None else (rollout, await self.release(rollout.active))

    async def release(self, id: str) -> Release:
        """A release. Raises `Missing`."""
        found = await self.store.release(id)
        if found is None:
            raise Missing(f"there is no release {id[:100]!r}")
        return found

    async def version(self, digest: str) -> Version:
        """A version of a pack. Raises `Missing`."""
        found = await self.store.version(digest)
        if found is None:
            raise Missing(f"there is no version {digest[:100]!r}")
        return found

    async def files(self, packs: Mapping[str, str]) -> dict[str, PackFiles]:
        """The files of versions, by pack, where their digests are given."""
        return {pack: (await self.version(digest)).files for pack, digest in packs.items()}

    async def compose(self, files: Mapping[str, PackFiles]) -> Rules:
        """What packs say together, by id. Raises `Unfit`, and `Refused` for none at all."""
        if not files:
            raise Refused("a release holds one pack at least: without any, nothing is allowed")
        return await asyncio.to_thread(self.packs.compose, list(files.values()))

    async def compose_in_force(self, files: Mapping[str, PackFiles]) -> Rules | None:
        """What is in force says; None where nothing is, or where this gateway cannot read it
        any more, so that it can be replaced. All that follows it counts as widening then."""
        try:
            return await self.compose(files) if files else None
        except Unfit:
            return None


def said(text: str, what: str, *, needed: bool = True) -> str:
    """A text that somebody gives, without the blanks around it. Raises `ValueError`."""
    text = text.strip()
    if needed and not text:
        raise ValueError(f"{what} is needed")
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"{what} has {LONGEST_TEXT} characters at most")
    return text
