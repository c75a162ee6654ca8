"""The composition of the engines: where a policy is decided, and what OPA servers fetch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from litestar.handlers import HTTPRouteHandler

from gateway.adapters.bundle_key import BundleKey
from gateway.adapters.decision_cache import CachedPolicy
from gateway.adapters.opa import Breaker, OpaChild, OpaServer, OpaServerPolicy, library
from gateway.adapters.opa_wasm import WasmPolicy
from gateway.adapters.packs import Ruleset
from gateway.compiling import modules_of
from gateway.core.ports import Policy
from gateway.governance.policies.bundles import Bundles
from gateway.server.callers import Callers
from gateway.server.census import POSTURE, Posture
from gateway.server.policy_bundles import bundle_routes
from gateway.settings import Engine, Settings

CHANGING = 30.0
"""Seconds that an OPA server has to get a new revision, before that is tried once more."""


class Engines:
    """Makes policies of rulesets, and gives the rulesets to OPA servers."""

    def __init__(self, settings: Settings) -> None:
        """Raises `ValueError`, which names the setting."""
        self._told = settings.policy
        self.modules = modules_of(settings)
        self._key_path = bundle_key_path(settings)
        self.bundles = Bundles(library(), lambda payload: self._key.sign(payload))
        self._child: OpaChild | None = None
        self._server: OpaServer | None = None
        self._awaited: Ruleset | None = None
        if self._told.engine is Engine.OPA:
            self._server = self._asked()

    def policy(self, rules: Ruleset) -> Policy:
        """What decides by `rules`, and remembers. OPA servers are given them from now on."""
        policy = self._made(rules)
        self._hold(rules)
        return policy

    async def changed_to(self, rules: Ruleset) -> Policy:
        """As `policy`, for rules that are to take the place of others: returns once they decide.

        Raises `Unavailable` where the OPA server does not decide by them yet. It is still given
        them then, so that it may at the next try.
        """
        policy = await asyncio.to_thread(self._made, rules)
        if self._awaited is None or self._awaited.revision != rules.revision:
            if self._awaited is not None:
                self.release(self._awaited)
            self._hold(rules)
            self._awaited = rules
        if self._server is not None:
            await OpaServerPolicy(self._server, rules.revision).ready(CHANGING)
        self._awaited = None
        return policy

    def release(self, rules: Ruleset) -> None:
        """No exchange will ask a policy that was made of `rules` any more."""
        self.bundles.release(rules.revision)

    def routes(self, callers: Callers) -> Sequence[HTTPRouteHandler]:
        """The bundle over HTTP."""
        return bundle_routes(callers.principal, self.bundles.answer, {POSTURE: Posture.CONTROL})

    async def start(self) -> None:
        """Start what is ours of the engines."""
        if self._child is not None:
            await self._child.start()

    async def stop(self) -> None:
        """Close connections, end what is ours. Safe to call twice."""
        if self._server is not None:
            await self._server.stop()
        if self._child is not None:
            await self._child.stop()

    def _hold(self, rules: Ruleset) -> None:
        custom = {kind.module: kind.compiled_text.encode() for kind in rules.custom}
        self.bundles.hold(rules.revision, rules.data, custom)

    def _made(self, rules: Ruleset) -> Policy:
        """Raises `PackError` where Rego of a pack's own is not compiled, and cannot be: then an
        OPA server is not given it either."""
        inner: Policy
        module = self.modules.module(rules.custom)
        if self._server is not None:
            inner = OpaServerPolicy(self._server, rules.revision)
        else:
            inner = WasmPolicy(module, rules.data, rules.revision)
        size = self._told.cached_decisions
        return CachedPolicy(inner, rules.reads, rules.instants, size=size)

    def _asked(self) -> OpaServer:
        """The server that decides. Raises `ValueError`, which names the setting."""
        told = self._told
        url, name = told.opa_url, "OPA_URL"
        try:
            if told.opa_child:
                name = "OPA_BINARY"
                pem = self._key.public_pem
                self._child = OpaChild(told.opa_binary, self.bundles.answer, pem)
                url = self._child.url
            breaker = Breaker(told.breaker_failures)
            return OpaServer(url, timeout=told.timeout_seconds, breaker=breaker)
        except ValueError as error:
            raise ValueError(f"GOVGATE_POLICY__{name}: {error}") from None

    @cached_property
    def _key(self) -> BundleKey:
        """Opened, and at first made, where a bundle is asked for or an OPA server is started."""
        return BundleKey.open(self._key_path)


def bundle_key_path(settings: Settings) -> Path:
    """Where the key is that bundles are signed with."""
    return settings.policy.bundle_key or settings.data_dir / "policy-bundle.key"
