"""The composition root: settings → adapters → stages → app. The menu of the whole product."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from litestar import Litestar

from gateway.adapters.catalogue import Serves, StaticCatalogue
from gateway.adapters.decision_cache import CachedPolicy
from gateway.adapters.keyring import Keyring
from gateway.adapters.memory_cache import MemoryCache
from gateway.adapters.opa_wasm import WasmPolicy
from gateway.adapters.packs import Pack, engine, load_pack, question_of
from gateway.adapters.presidio import PresidioMasker
from gateway.adapters.prices import Prices
from gateway.adapters.providers.openai import OpenAIProvider
from gateway.adapters.providers.replay import ReplayProvider
from gateway.adapters.providers.wire import AiohttpTransport, Timeouts
from gateway.adapters.rate_limits import LocalRateLimits
from gateway.adapters.store.engine import open_engine
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.keys import SqlKeys
from gateway.adapters.store.records import SqlRecords
from gateway.adapters.store.session import bound_keyring
from gateway.core.dialect import Dialect
from gateway.core.errors import Code, Unavailable
from gateway.core.money import Price
from gateway.core.pipeline import Proceed, pipeline
from gateway.core.ports import Inspector, Model, Policy, Provider
from gateway.dialects.chat import Chat
from gateway.inspectors.phrases import PhraseInspector
from gateway.inspectors.pii import PiiInspector, scan
from gateway.inspectors.recognisers import LABELS
from gateway.inspectors.remembered import Remembered
from gateway.obligations.cache import cache
from gateway.obligations.cap_tokens import cap_tokens
from gateway.obligations.label import label
from gateway.obligations.mask import Mask
from gateway.obligations.restrict_tools import restrict_tools
from gateway.obligations.screen import Screen
from gateway.server.app import Probe, build_app
from gateway.server.data_plane import DataPlane
from gateway.server.models import Models
from gateway.settings import Engine, Settings
from gateway.stages.account import KeepAccount
from gateway.stages.authenticate import Authenticate
from gateway.stages.cache import UseCache
from gateway.stages.decide import Decide
from gateway.stages.discharge import Discharge, Discharger
from gateway.stages.inspect import Inspect
from gateway.stages.route import Route, dispatch

OPENAI = "https://api.openai.com/v1"
REPLAY_MODELS = ("replay-small", "replay-large")
REPLAY_PRICE = Price(input=100_000, output=400_000, version="replay")
"""What the built-in model pretends to cost: 0.10 and 0.40 USD for a million tokens."""


DIALECTS: Mapping[str, Dialect] = {
    "/v1/chat/completions": Chat(),
}
"""Every governed endpoint, by path."""


@dataclass
class Gateway:
    """Everything that was built, and the application over it."""

    pack: Pack
    policy: Policy
    journal: SqlJournal
    keys: SqlKeys
    records: SqlRecords
    closing: AsyncExitStack
    probes: dict[str, Probe] = field(default_factory=dict)
    app: Litestar = field(init=False)

    async def start(self) -> None:
        """Begin to write records. Raises what the journal's `start` raises."""
        await self.journal.start()

    async def stop(self) -> None:
        """Write what is queued, and close every connection."""
        await self.journal.stop()
        await self.closing.aclose()
        await self.keys.stop()
        await self.records.stop()


def build(settings: Settings) -> Gateway:
    """The gateway that `settings` describe, over a migrated database. Nothing runs yet.

    Raises `PackError`, `KeyringError`, and `ValueError` for what cannot be built.
    """
    pack = load_pack(settings.pack)
    keyring = open_keyring(settings)
    url = settings.database_url
    closing = AsyncExitStack()
    gateway = Gateway(
        pack=pack,
        policy=_policy(settings, pack, closing),
        journal=SqlJournal(url, keyring, lease=settings.database.lease_seconds),
        keys=SqlKeys(url, keyring.pepper),
        records=SqlRecords(url, keyring),
        closing=closing,
    )
    gateway.probes = {"database": _writable(gateway.journal), "policy": _decides(gateway.policy)}
    catalogue = _catalogue(settings)
    gateway.app = build_app(
        data_plane=DataPlane(
            _pipeline(settings, gateway, catalogue), body_limit=settings.server.body_limit
        ),
        dialects=DIALECTS,
        models=Models(gateway.keys, catalogue),
        probes=gateway.probes,
        lifespan=_lifespan(gateway),
    )
    return gateway


def open_keyring(settings: Settings) -> Keyring:
    """The keyring that the database's records need; made when there are none yet."""
    engine = open_engine(settings.database_url)
    try:
        return Keyring.open(settings.keyring, bound_keyring(engine))
    finally:
        engine.dispose()


def _pipeline(settings: Settings, gateway: Gateway, catalogue: StaticCatalogue) -> Proceed:
    """The seven stages, in order, onto the providers."""
    inspectors = _inspectors(settings, gateway.pack, gateway.closing)
    return pipeline(
        [
            Authenticate(gateway.keys, LocalRateLimits()),
            KeepAccount(gateway.journal),
            Inspect([Remembered(inspector) for inspector in inspectors.values()]),
            Decide(gateway.policy, catalogue, gateway.journal),
            Discharge(_dischargers(inspectors)),
            UseCache(MemoryCache(most_bytes=settings.cache.most_bytes)),
            Route(
                attempts=settings.upstream.attempts,
                default_output=settings.upstream.max_output_tokens,
            ),
        ],
        dispatch(_providers(settings, gateway.closing)),
    )


def _dischargers(inspectors: Mapping[str, Inspector]) -> dict[str, Discharger]:
    """Every duty that a policy may name, in the order in which they act on a request.

    Answers pass the other way: screened before masked values are put back.
    """
    return {
        "mask": Mask(PresidioMasker()),
        "screen": Screen(inspectors),
        "restrict_tools": restrict_tools,
        "cap_tokens": cap_tokens,
        "label": label,
        "cache": cache,
    }


def _inspectors(settings: Settings, pack: Pack, closing: AsyncExitStack) -> dict[str, Inspector]:
    """What looks at text, by the kind of findings it makes."""
    if not settings.inspection.enabled:
        return {}
    found: dict[str, Inspector] = {"pii": PiiInspector(), "phrase": PhraseInspector(pack.phrases)}
    if settings.inspection.presidio:
        from gateway.adapters.presidio import AnalyzerInspector

        analyzer = AnalyzerInspector(scan, LABELS)
        closing.push_async_callback(analyzer.aclose)
        found["presidio"] = analyzer
    return found


def _policy(settings: Settings, pack: Pack, closing: AsyncExitStack) -> Policy:
    """The policy decision point, and a memory of what it decided."""
    inner: Policy
    if settings.policy.engine is Engine.OPA:
        from gateway.adapters.opa import OpaServerPolicy

        server = OpaServerPolicy(
            settings.policy.opa_url, pack.revision, timeout=settings.policy.timeout_seconds
        )
        closing.push_async_callback(server.stop)
        inner = server
    else:
        inner = WasmPolicy(engine().read_bytes(), pack.data, pack.revision)
    return CachedPolicy(inner, pack.reads, pack.instants, size=settings.policy.cached_decisions)


def _providers(settings: Settings, closing: AsyncExitStack) -> dict[str, Provider]:
    """The models' side, by name."""
    providers: dict[str, Provider] = {}
    if settings.replay.enabled:
        providers["replay"] = ReplayProvider(settings.replay.pace_seconds)
    upstream = settings.upstream
    if upstream.enabled:
        timeouts = Timeouts(
            connect=upstream.connect_seconds,
            first_byte=upstream.first_byte_seconds,
            idle=upstream.idle_seconds,
            total=upstream.total_seconds,
        )
        transport = AiohttpTransport(timeouts, trust_env=upstream.honour_proxies)
        closing.push_async_callback(transport.aclose)
        providers[upstream.name] = OpenAIProvider(
            upstream.name, upstream.base_url or OPENAI, upstream.api_key, transport
        )
    return providers


def _catalogue(settings: Settings) -> StaticCatalogue:
    """Which models there are, and what they cost."""
    upstream = settings.upstream
    named: list[Model] = []
    serves: list[Serves] = []
    if settings.replay.enabled:
        named += [
            Model(name, "replay", name, hosting="local", price=REPLAY_PRICE)
            for name in REPLAY_MODELS
        ]
    if upstream.enabled:
        like = Model(
            "*",
            upstream.name,
            "*",
            hosting=upstream.hosting,
            region=upstream.region,
            max_output_tokens=upstream.max_output_tokens,
        )
        serves.append(Serves("*", like))
        listed: Sequence[str] = upstream.models
        named += [
            Model(
                name,
                upstream.name,
                name,
                hosting=upstream.hosting,
                region=upstream.region,
                max_output_tokens=upstream.max_output_tokens,
            )
            for name in listed
        ]
    prices = Prices(settings.prices.overrides)
    return StaticCatalogue(
        named, serves, lambda model: prices.price_of(model.upstream_model, model.upstream)
    )


def _writable(journal: SqlJournal) -> Probe:
    async def probe() -> None:
        if not journal.ready:
            raise Unavailable(Code.AUDIT_UNAVAILABLE, "Records cannot be written.")

    return probe


def _decides(policy: Policy) -> Probe:
    async def probe() -> None:
        await policy.decide(question_of({}))

    return probe


def _lifespan(gateway: Gateway) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        await gateway.start()
        try:
            yield
        finally:
            await gateway.stop()

    return lifespan
