"""A gateway in this process: every stage over one provider, whose answer a test chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import SecretStr

from gateway.adapters.memory_cache import MemoryCache
from gateway.adapters.providers.anthropic import AnthropicProvider
from gateway.adapters.providers.openai import OpenAIProvider
from gateway.adapters.rate_limits import LocalRateLimits
from gateway.core.pipeline import Stage, pipeline
from gateway.core.ports import Model
from gateway.core.principal import Principal
from gateway.obligations.cache import cache
from gateway.obligations.cap_tokens import cap_tokens
from gateway.obligations.label import label
from gateway.obligations.mask import Mask
from gateway.obligations.respond_with import respond_with
from gateway.obligations.restrict_tools import restrict_tools
from gateway.obligations.screen import Screen
from gateway.server.data_plane import DataPlane
from gateway.stages.account import KeepAccount
from gateway.stages.authenticate import Authenticate
from gateway.stages.cache import UseCache
from gateway.stages.decide import Decide
from gateway.stages.decline import decline
from gateway.stages.discharge import Discharge, Discharger
from gateway.stages.inspect import Inspect
from gateway.stages.route import Route, dispatch
from tests.fakes.journal import FakeJournal
from tests.fakes.keys import FakeKeys
from tests.fakes.policy import ALLOW, FixedPolicy
from tests.laws.test_chunking import Cut, Words
from tests.shapes import Asked, check_traffic
from tests.shapes.kinds import Kind
from tests.unit.server.wire import Wire

BODY_LIMIT = 1 << 16
KEY = Principal("acme", "support", "shop", "k1")
DUTIES: dict[str, Discharger] = {
    "mask": Mask(Cut()), "screen": Screen({"word": Words()}), "restrict_tools": restrict_tools,
    "cap_tokens": cap_tokens, "label": label, "cache": cache, "respond_with": respond_with,
}  # fmt: skip


@dataclass
class House:
    """Every stage, over one provider that answers `body`."""

    kind: Kind
    body: bytes
    streams: bool
    duties: Sequence[tuple[str, Mapping[str, Any]]] = ()
    status: int = 200
    effect: str = "allow"

    def __post_init__(self) -> None:
        duties = [{"id": id, "params": dict(p), "rule": "r"} for id, p in self.duties]
        policy = FixedPolicy({**ALLOW, "effect": self.effect, "obligations": duties})
        journal = FakeJournal()
        stages: list[Stage] = [
            Authenticate(FakeKeys({"key": KEY}), LocalRateLimits()),
            KeepAccount(journal),
            decline,
            Inspect([Words()]),
            Decide(policy, _Anything(), journal, refusing={"respond_with": respond_with}),
            Discharge(DUTIES),
            UseCache(MemoryCache()),
            Route(attempts=1),
        ]
        send = dispatch({"up": self._provider()})
        self.plane = DataPlane(pipeline(stages, send), body_limit=BODY_LIMIT)

    def _provider(self) -> Any:
        kind = "text/event-stream" if self.streams else "application/json"

        async def answer(request: httpx.Request) -> httpx.Response:
            stream = httpx.ByteStream(self.body)
            return httpx.Response(self.status, headers={"content-type": kind}, stream=stream)

        made = AnthropicProvider if self.kind.provider == "anthropic" else OpenAIProvider
        return made("up", "https://up.test/v1", SecretStr("sk"), httpx.MockTransport(answer))

    async def ask(self, stream: bool, **more: Any) -> Wire:
        """What the gateway answers, its shape checked."""
        request = {"model": "m", **self.kind.asked, **more}
        if stream:
            request["stream"] = "true" if self.kind.takes_forms else True
        media, body = self.kind.dialect.encode(request)
        headers = {"authorization": "Bearer key", "content-type": media}
        return await self.send(headers, body)

    async def send(self, headers: Mapping[str, str], body: bytes, method: str = "POST") -> Wire:
        """The same for any request."""
        wire = Wire(method=method, path=self.kind.path, headers=headers, body=body)
        await self.plane(self.kind.dialect, wire.scope, wire.receive, wire.send)
        assert wire.over
        check_traffic(Asked(method, self.kind.path), wire.status, wire.headers, wire.body)
        return wire


class _Anything:
    """A catalogue that has every model."""

    def find(self, model: str) -> Model:
        return Model(model, "up", "m")

    def models(self) -> list[Model]:
        return []
