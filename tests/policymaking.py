"""A house in which policies are made: fakes, people, and the services that they use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.core.policies import PolicyStore, Release, Rollout
from gateway.core.ports import Journal
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind
from gateway.core.roles import Role
from gateway.core.rulesets import Packs
from gateway.governance.policies.cases import Recorded
from gateway.governance.policies.desk import Desk, Terms
from gateway.governance.policies.drafts import Drafts
from gateway.governance.policies.expiries import Expiries
from gateway.governance.policies.ownership import Ownership
from gateway.governance.policies.releases import Releases
from gateway.governance.policies.rollout import Rollouts
from gateway.governance.policies.stops import Stops
from tests.fakes.journal import FakeJournal
from tests.fakes.packs import FakePacks, files
from tests.fakes.policies import FakePolicies


def somebody(key: str, *roles: Role, user: str | None = None) -> Principal:
    return Principal("default", "risk", "console", key, roles=tuple(roles), user=user)


ANN = somebody("key_ann", Role.POLICY_AUTHOR, Role.POLICY_APPROVER, user="ann")
"""Authors, and may approve what others wrote."""
BOB = somebody("key_bob", Role.POLICY_APPROVER, user="bob")
CY = somebody("key_cy", Role.POLICY_APPROVER, Role.POLICY_AUTHOR)
CI = somebody("key_ci", Role.POLICY_AUTHOR)
ROOT = somebody("key_root", Role.ADMIN)
NOBODY = somebody("key_dev", Role.DEVELOPER, Role.AUDITOR, Role.COMPLIANCE)

BASE = files()


@dataclass
class FakeQuestions:
    """What was asked, by the id of the exchange."""

    asked: dict[str, Recorded] = field(default_factory=dict)

    async def recorded(self, org: str, exchange_id: str) -> Recorded | None:
        return self.asked.get(exchange_id)


@dataclass
class House:
    """Everything that people use, over a store. `packs` and `journal` may be real."""

    store: PolicyStore = field(default_factory=FakePolicies)
    journal: Journal = field(default_factory=FakeJournal)
    packs: Packs = field(default_factory=FakePacks)
    terms: Terms = field(default_factory=Terms)
    at: datetime = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def __post_init__(self) -> None:
        self.desk = Desk(self.store, self.packs, self.journal, self.terms, self._now)
        self.questions = FakeQuestions()
        self.drafts = Drafts(self.desk, self.questions)
        self.releases = Releases(self.desk, self.drafts)
        self.rollouts = Rollouts(self.desk, self.releases)
        self.ownership = Ownership(self.desk, self.drafts)
        self.stops = Stops(self.desk)
        self.expiries = Expiries(self.desk)

    def _now(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at

    @classmethod
    async def open(cls, **given: Any) -> House:
        """A house in which the pack `house` is in force."""
        house = cls(**given)
        await house.rollouts.begin(BASE)
        return house

    async def handed_in(
        self, changed: Mapping[str, str], who: Principal = ANN, pack: str = "house"
    ) -> Release:
        """A release of these files, in the place of what is in force of the pack."""
        draft = await self.drafts.begin(pack, who, files=changed)
        return await self.releases.submit(draft.id, draft.edition, who)

    async def approved(
        self, changed: Mapping[str, str], author: Principal = ANN, by: Principal = BOB
    ) -> Release:
        release = await self.handed_in(changed, author)
        await self.releases.approve(release.id, release.revision, by)
        return release

    async def activated(self, changed: Mapping[str, str]) -> tuple[Release, Rollout]:
        release = await self.approved(changed)
        return release, await self.rollouts.activate(release.id, BOB)

    async def active(self) -> str:
        """The id of the release in force."""
        rollout = (await self.store.standing()).rollout
        assert rollout is not None
        return rollout.active

    def noted(self, kind: Kind | None = None) -> list[Entry]:
        """What is on record, the oldest first."""
        assert isinstance(self.journal, FakeJournal)
        return [entry for entry in self.journal.entries() if kind in (None, entry.kind)]
