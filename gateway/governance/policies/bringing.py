"""Builds what a rollout names out of the files that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.core.errors import Code, Unavailable
from gateway.core.last_policy import LastPolicy
from gateway.core.policies import PolicyStore, Rollout, Version
from gateway.governance.policies.live import InForce, Revision, Trial
from gateway.governance.policies.shadow import Candidate, Shadow


class Builds(Protocol):
    """Makes what decides out of the files of packs. Both raise `ValueError`, with why."""

    async def revision(self, versions: Sequence[Version], *, waiting: bool) -> Revision:
        """Where `waiting`, it is there only once it can decide. Raises `Unavailable` too."""

    async def candidate(self, release: str, versions: Sequence[Version]) -> Candidate: ...


class Bringing:
    """Builds what a rollout names, once for each release, and closes what is not named any more."""

    def __init__(self, store: PolicyStore, builds: Builds, shadow: Shadow) -> None:
        self._store = store
        self._builds = builds
        self._shadow = shadow
        self._built: dict[str, Revision] = {}
        self._candidate: Candidate | None = None
        self._versions: dict[str, Sequence[Version]] = {}

    async def build(self, rollout: Rollout, *, waiting: bool) -> tuple[InForce, str | None]:
        """What is to stand, and what of it cannot be had besides. Raises `ValueError` where the
        active release cannot, `Unavailable`. Where `waiting`, all of it can decide."""
        active = await self._revision(rollout.active, waiting)
        trial, beside = None, None
        problems: list[str] = []
        try:
            if rollout.trying is not None and rollout.canary is not None:
                under = await self._revision(rollout.trying, waiting)
                trial = Trial(rollout.trying, rollout.canary, under)
        except ValueError as error:
            problems.append(f"The release on trial {rollout.trying} cannot be built: {error}")
        try:
            if rollout.shadow is not None:
                beside = self._shadow.beside(await self._beside(rollout.shadow))
        except ValueError as error:
            problems.append(f"The shadow {rollout.shadow} cannot be built: {error}")
        built = InForce(rollout.number, rollout.active, active, trial, beside)
        return built, " ".join(problems) or None

    async def last(self, last: LastPolicy) -> Revision:
        """What decided here last, as it was kept. Raises `Unavailable`."""
        try:
            under = await self._builds.revision(last.versions, waiting=False)
        except ValueError as error:
            told = f"The policy that is kept on this host cannot be built: {error}"
            raise Unavailable(Code.POLICY_UNAVAILABLE, told) from error
        self._built[last.release], self._versions[last.release] = under, last.versions
        return under

    def versions(self, release: str) -> Sequence[Version]:
        """The versions of a release that was built."""
        return self._versions[release]

    async def retire_others(self, rollout: Rollout) -> None:
        """Close what the rollout does not name; the previous release is kept for a rollback."""
        named = {rollout.active, rollout.previous, rollout.trying}
        for release in [release for release in self._built if release not in named]:
            del self._versions[release]
            await self._built.pop(release).retire()
        if self._candidate is not None and self._candidate.release != rollout.shadow:
            self._candidate = None

    async def close(self) -> None:
        """Close everything, each part once its last exchange is over."""
        for under in self._built.values():
            await under.retire()

    async def _revision(self, release: str, waiting: bool) -> Revision:
        if release not in self._built:
            versions = await self._read(release)
            self._built[release] = await self._builds.revision(versions, waiting=waiting)
            self._versions[release] = versions
        return self._built[release]

    async def _beside(self, release: str) -> Candidate:
        if self._candidate is None or self._candidate.release != release:
            self._candidate = await self._builds.candidate(release, await self._read(release))
        return self._candidate

    async def _read(self, id: str) -> Sequence[Version]:
        release = await self._store.release(id)
        if release is None:
            raise ValueError(f"there is no release {id}")
        versions: list[Version] = []
        for pack, digest in sorted(release.packs.items()):
            version = await self._store.version(digest)
            if version is None:
                raise ValueError(f"the version {digest} of the pack {pack!r} is not there")
            versions.append(version)
        return versions
