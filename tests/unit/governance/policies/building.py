"""Releases of nothing, and revisions that only say their name."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gateway.core.answer import Events
from gateway.core.errors import Code, Unavailable
from gateway.core.exchange import Exchange
from gateway.core.pipeline import Proceed, Stage
from gateway.core.policies import Release, Rollout, Standing, Version
from gateway.governance.policies.live import Revision
from gateway.governance.policies.shadow import Candidate
from tests.exchanges import chat_request, decided
from tests.fakes.policies import FakePolicies
from tests.fakes.policy import ALLOW, FixedPolicy

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def stage_of(name: str) -> Stage:
    """A stage that says under what it is."""

    async def stage(exchange: Exchange, proceed: Proceed) -> Events:
        exchange.headers["x-govgate-policy-revision"] = name
        return await proceed(exchange)

    return stage


@dataclass
class FakeBuilds:
    """Implements `Builds`: the revision of a version is its digest."""

    broken: set[str] = field(default_factory=set)
    """Digests that cannot be built."""
    built: list[str] = field(default_factory=list)
    waited: list[bool] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None
    """When set, nothing is built before it is."""

    async def revision(self, versions: Sequence[Version], *, waiting: bool) -> Revision:
        name = await self._name(versions)
        self.waited.append(waiting)

        async def close() -> None:
            self.closed.append(name)

        return Revision(name, stage_of(name), FixedPolicy(ALLOW, name), close=close)

    async def candidate(self, release: str, versions: Sequence[Version]) -> Candidate:
        return Candidate(release, FixedPolicy(ALLOW, await self._name(versions)), "")

    async def _name(self, versions: Sequence[Version]) -> str:
        if self.gate is not None:
            await self.gate.wait()
        name = "+".join(version.digest for version in versions)
        if name in self.broken:
            raise ValueError(f"{name} is broken")
        self.built.append(name)
        return name


class Away(FakePolicies):
    """A store that may be away, and counts how often it was asked."""

    away = False
    asked = 0

    async def standing(self) -> Standing:
        self.asked += 1
        if self.away:
            raise Unavailable(Code.AUDIT_UNAVAILABLE, "the database is away")
        return await super().standing()

    async def released(self, *names: str) -> None:
        """Releases of one version each, by these names."""
        for name in names:
            await self.add_version(Version(f"sha256:{name}", "p", "1.0.0", {}, "ann", NOW))
            packs = {"p": f"sha256:{name}"}
            await self.add_release(Release(name, "", packs, None, "ann", NOW, False))

    async def moved(self, active: str, **more: Any) -> None:
        """The next rollout."""
        await self.move(Rollout(len(self.moves) + 1, active, **more))


def over(name: str = "sha256:a") -> Exchange:
    """An exchange about which was decided."""
    exchange = decided(chat_request())
    exchange.question = {"of": name}
    return exchange
