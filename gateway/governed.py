"""The composition of what governs: the stages of each policy revision, and who follows which."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import orjson
from litestar.handlers import HTTPRouteHandler

from gateway.adapters.decision_cache import CachedPolicy
from gateway.adapters.opa_wasm import WasmPolicy
from gateway.adapters.packs import (
    Ruleset,
    compose,
    digest_of,
    load_pack,
    question_of,
    read_folder,
)
from gateway.adapters.policy_file import PolicyFile
from gateway.adapters.presidio import PresidioMasker
from gateway.core.errors import Code, Unavailable
from gateway.core.ids import new_id
from gateway.core.pipeline import Joined, Stage
from gateway.core.policies import Version
from gateway.core.ports import Inspector, Journal, Policy, Repeats
from gateway.engines import Engines
from gateway.governance.policies.follower import Follower, Here
from gateway.governance.policies.live import LivePolicy, Revision
from gateway.governance.policies.shadow import Candidate, Shadow
from gateway.inspectors.phrases import PhraseInspector
from gateway.inspectors.pii import PiiInspector, scan
from gateway.inspectors.recognisers import LABELS
from gateway.inspectors.remembered import Remembered
from gateway.lifecycle import Lifecycle
from gateway.obligations.cache import cache
from gateway.obligations.cap_tokens import cap_tokens
from gateway.obligations.label import label
from gateway.obligations.mask import Mask
from gateway.obligations.pseudonymise import Pseudonymise
from gateway.obligations.reroute import reroute
from gateway.obligations.respond_with import respond_with
from gateway.obligations.restrict_tools import restrict_tools
from gateway.obligations.screen import Screen
from gateway.server.callers import Callers
from gateway.settings import Settings
from gateway.stages.decide import Decide
from gateway.stages.discharge import Discharge, Discharger
from gateway.stages.halt import HaltCalls, HaltTargets
from gateway.stages.idempotency import AnswerRepeats
from gateway.stages.inspect import Inspect
from gateway.stages.tool_calls import JudgeCalls
from gateway.upstreams import Upstreams


@dataclass
class Governing:
    """What is in force here, and who keeps it in step."""

    live: LivePolicy
    engines: Engines
    builds: Revisions
    follower: Follower
    shadow: Shadow

    def routes(self, callers: Callers) -> Sequence[HTTPRouteHandler]:
        """What OPA servers fetch."""
        return self.engines.routes(callers)

    async def start(self) -> None:
        """Bring into force what is to be; raises `Unavailable` where nothing can."""
        await self.engines.start()
        await self.follower.start()

    async def stop(self) -> None:
        """Stop following; close what decided, and the connections."""
        await self.follower.stop()
        await self.engines.stop()

    async def probe(self) -> None:
        """Raises where no decision can be had."""
        now = self.live.in_force
        if now is None:
            raise Unavailable(Code.POLICY_UNAVAILABLE, "No policy is in force here yet.")
        await now.active.policy.decide(question_of({}))


def build_governing(
    settings: Settings,
    journal: Journal,
    repeats: Repeats,
    upstreams: Upstreams,
    index_key: bytes,
    closing: AsyncExitStack,
    lifecycle: Lifecycle,
) -> Governing:
    """Over a migrated database. Nothing is in force yet, unless a directory of this host says
    what is. Raises `PackError`, `ValueError`."""
    told = settings.policy
    live = LivePolicy(told.strict_orgs, told.most_stale_seconds)
    shared = _Shared(journal, repeats, upstreams, index_key)
    engines = Engines(settings)
    revisions = Revisions(settings, engines, live, shared, closing)
    here = Here(new_id("node"), socket.gethostname())
    shadow = Shadow(here.node, lifecycle.tallies)
    follower = Follower(
        lifecycle.store,
        live,
        revisions,
        shadow,
        here,
        last=PolicyFile(settings.data_dir / "policy.last"),
        fixed=revisions.of_folder() if told.pack else None,
        told=lifecycle.rollouts.acknowledged,
    )
    return Governing(live, engines, revisions, follower, shadow)


@dataclass(frozen=True)
class _Shared:
    """What the stages of every revision have in common."""

    journal: Journal
    repeats: Repeats
    upstreams: Upstreams
    index_key: bytes


class Revisions:
    """Builds revisions out of packs, off the event loop: a policy takes a while to compile.

    Implements `Builds`. What does not depend on the packs, such as what finds personal data,
    is made once, and keeps what it remembers when another revision comes into force.
    """

    def __init__(
        self,
        settings: Settings,
        engines: Engines,
        live: LivePolicy,
        shared: _Shared,
        closing: AsyncExitStack,
    ) -> None:
        self._settings = settings
        self._engines = engines
        self._live = live
        self._shared = shared
        self._inspectors = _inspectors(settings, closing)
        self._remembered = [Remembered(each) for each in self._inspectors.values()]
        self._masker = PresidioMasker()

    async def revision(self, versions: Sequence[Version], *, waiting: bool) -> Revision:
        """The stages of these packs together; where `waiting`, once they can decide.

        Raises `ValueError`, and `Unavailable` for an engine that does not get them in time.
        """
        rules = await asyncio.to_thread(_composed, versions)
        policy = await self._engines.changed_to(rules) if waiting else self._engines.policy(rules)
        try:
            return await asyncio.to_thread(self._staged, rules, policy)
        except BaseException:
            self._engines.release(rules)
            raise

    async def candidate(self, release: str, versions: Sequence[Version]) -> Candidate:
        """What is asked beside: always in process. Raises `ValueError`."""
        return await asyncio.to_thread(self._candidate, release, versions)

    def of_folder(self) -> Revision:
        """The stages of the pack in the directory that settings name. Raises `PackError`."""
        rules = compose([load_pack(read_folder(self._settings.pack))])
        return self._staged(rules, self._engines.policy(rules))

    def _candidate(self, release: str, versions: Sequence[Version]) -> Candidate:
        rules = _composed(versions)
        module = self._engines.modules.module(rules.custom)
        policy = WasmPolicy(module, rules.data, rules.revision)
        size = self._settings.policy.cached_decisions
        remembering = CachedPolicy(policy, rules.reads, rules.instants, size=size)
        return Candidate(release, remembering, self._finds(rules))

    def _staged(self, rules: Ruleset, policy: Policy) -> Revision:
        async def close() -> None:
            self._engines.release(rules)

        stage = Joined(self._stages(rules, policy))
        return Revision(rules.revision, stage, policy, finds=self._finds(rules), close=close)

    def _stages(self, rules: Ruleset, policy: Policy) -> list[Stage]:
        """The stages that a policy makes different, in order."""
        shared, inspectors, remembered = self._shared, self._inspectors, self._remembered
        if self._settings.inspection.enabled:
            phrases = PhraseInspector(rules.phrases)
            inspectors = {**inspectors, "phrase": phrases}
            remembered = [*remembered, Remembered(phrases)]
        return [
            Inspect(remembered),
            HaltCalls(self._live, rules.revision),
            AnswerRepeats(shared.repeats),
            Decide(
                policy,
                shared.upstreams.catalogue,
                shared.journal,
                order=shared.upstreams.traffic.order,
                refusing={"respond_with": respond_with},
            ),
            Discharge(dischargers(inspectors, shared.index_key, self._masker)),
            *(
                [JudgeCalls(policy, remembered if rules.reads_calls else ())]
                if rules.judges_calls
                else ()
            ),
            HaltTargets(self._live, rules.revision),
        ]

    def _finds(self, rules: Ruleset) -> str:
        """A digest of what the inspectors of a revision look for."""
        if not self._settings.inspection.enabled:
            return ""
        return hashlib.sha256(
            orjson.dumps(dict(rules.phrases), option=orjson.OPT_SORT_KEYS)
        ).hexdigest()


def _composed(versions: Sequence[Version]) -> Ruleset:
    """What the versions say together. Raises `PackError`; `ValueError` for one that is not the
    one that its digest names."""
    for version in versions:
        if digest_of(version.files) != version.digest:
            raise ValueError(f"the files of {version.pack!r} are not those of {version.digest}")
    return compose([load_pack(version.files) for version in versions])


def dischargers(
    inspectors: Mapping[str, Inspector],
    index_key: bytes = b"",
    masker: PresidioMasker | None = None,
) -> dict[str, Discharger]:
    """Every duty that a policy may name, in the order in which they act on a request.

    Answers pass the other way: screened before masked values are put back. Whom a request is for
    is a pseudonym before anything is masked in it.
    """
    return {
        "respond_with": respond_with,
        "reroute": reroute,
        "pseudonymise": Pseudonymise(index_key),
        "mask": Mask(masker or PresidioMasker()),
        "screen": Screen(inspectors),
        "restrict_tools": restrict_tools,
        "cap_tokens": cap_tokens,
        "label": label,
        "cache": cache,
    }


def duties() -> Sequence[str]:
    """The names of every duty that a policy may demand here."""
    return list(dischargers({}))


def _inspectors(settings: Settings, closing: AsyncExitStack) -> dict[str, Inspector]:
    """What looks at text in the same way whatever the policy, by the kind of its findings."""
    if not settings.inspection.enabled:
        return {}
    found: dict[str, Inspector] = {"pii": PiiInspector()}
    if settings.inspection.presidio:
        from gateway.adapters.presidio import AnalyzerInspector

        analyzer = AnalyzerInspector(scan, LABELS)
        closing.push_async_callback(analyzer.aclose)
        found["presidio"] = analyzer
    return found
