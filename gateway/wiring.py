"""The composition root: settings → adapters → stages → app. The menu of the whole product."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from httpx import InvalidURL
from litestar import Litestar

from gateway.adapters.jwt_identity import JwtIdentity, KeyOrToken
from gateway.adapters.jwt_identity.claims import Reading
from gateway.adapters.jwt_identity.jwks import KeySource, Read, from_url, given
from gateway.adapters.keyring import Keyring
from gateway.adapters.memory_cache import MemoryCache
from gateway.adapters.providers.wire import AiohttpTransport, Timeouts
from gateway.adapters.rate_limits import LocalRateLimits
from gateway.adapters.store.engine import open_engine
from gateway.adapters.store.idempotency import SqlRepeats
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.keys import SqlKeys
from gateway.adapters.store.records import SqlRecords
from gateway.adapters.store.session import bound_keyring
from gateway.auditing import Auditing, build_auditing
from gateway.core.dialect import Dialect
from gateway.core.errors import Code, Unavailable
from gateway.core.pipeline import Proceed, pipeline
from gateway.core.ports import Keys
from gateway.core.principal import Limits
from gateway.dialects.chat import Chat
from gateway.dialects.completions import Completions
from gateway.dialects.count_tokens import CountTokens
from gateway.dialects.embeddings import Embeddings
from gateway.dialects.images import ImageEdits, Images
from gateway.dialects.messages import Messages
from gateway.dialects.moderations import Moderations
from gateway.dialects.responses import Responses
from gateway.dialects.speech import Speech
from gateway.dialects.transcriptions import Transcriptions, Translations
from gateway.erasing import Erasing, build_erasing
from gateway.exporting import Exporting, build_exporting
from gateway.governance.policies.history import History
from gateway.governance.unattended import Run
from gateway.governed import Governing, build_governing, duties
from gateway.keeping import Keeping, build_keeping
from gateway.lifecycle import Lifecycle, build_lifecycle
from gateway.notary import Notary, build_notary
from gateway.payloads import open_payloads, open_stowage
from gateway.policing import Policing, build_policing
from gateway.sealing import build_seal
from gateway.server.app import Probe, build_app
from gateway.server.callers import Callers
from gateway.server.data_plane import DataPlane
from gateway.server.models import Models
from gateway.server.unattended import Unattended
from gateway.settings import Settings
from gateway.stages.account import KeepAccount
from gateway.stages.authenticate import Authenticate
from gateway.stages.cache import UseCache
from gateway.stages.converse import Converse
from gateway.stages.decline import decline
from gateway.stages.govern import Govern
from gateway.stages.keep_responses import KeepResponses
from gateway.stages.route import Route, dispatch
from gateway.upkeep import Upkeep, build_upkeep
from gateway.upstreams import Upstreams, build_upstreams

DIALECTS: Mapping[str, Dialect] = {
    "/v1/chat/completions": Chat(),
    "/v1/completions": Completions(),
    "/v1/responses": Responses(),
    "/v1/messages": Messages(),
    "/v1/messages/count_tokens": CountTokens(),
    "/v1/embeddings": Embeddings(),
    "/v1/moderations": Moderations(),
    "/v1/images/generations": Images(),
    "/v1/images/edits": ImageEdits(),
    "/v1/audio/transcriptions": Transcriptions(),
    "/v1/audio/translations": Translations(),
    "/v1/audio/speech": Speech(),
}
"""Every governed endpoint, by path."""


@dataclass
class Gateway:
    """Everything that was built, and the application over it."""

    governing: Governing
    lifecycle: Lifecycle
    journal: SqlJournal
    keys: SqlKeys
    records: SqlRecords
    repeats: SqlRepeats
    closing: AsyncExitStack
    keeping: Keeping
    notary: Notary
    auditing: Auditing
    erasing: Erasing
    exporting: Exporting
    upkeep: Upkeep
    policing: Policing
    probes: dict[str, Probe] = field(default_factory=dict)
    app: Litestar = field(init=False)
    run: Run = field(init=False)

    async def start(self) -> None:
        """Begin to write records and to work. Raises what the journal's `start` raises."""
        await self.erasing.reapply()
        await self.journal.start()
        await self.erasing.start()
        await self.notary.start()
        await self.lifecycle.start()
        await self.governing.start()
        self.auditing.start()
        self.exporting.start()
        self.upkeep.start()
        self.keeping.start(self.run)

    async def stop(self) -> None:
        """End the work, write what is queued, close every connection; each, whatever another's
        end raises."""
        parts = (
            self.keeping.stop,
            self.upkeep.stop,
            self.exporting.stop,
            self.auditing.stop,
            self.policing.stop,
            self.governing.stop,
            self.lifecycle.stop,
            self.notary.stop,
            self.journal.stop,
            self.notary.finish,
            self.auditing.finish,
            self.exporting.finish,
            self.closing.aclose,
            self.keys.stop,
            self.repeats.stop,
            self.records.stop,
            self.erasing.stop,
        )
        async with AsyncExitStack() as ending:
            for stop in reversed(parts):
                ending.push_async_callback(stop)


def build(settings: Settings) -> Gateway:
    """The gateway that `settings` describe, over a migrated database. Nothing runs yet.

    Raises `PackError`, `RoutesError`, `KeyringError`, and `ValueError` for what cannot be built.
    """
    keyring = open_keyring(settings)
    url = settings.database_url
    closing = AsyncExitStack()
    objects = open_payloads(settings)
    records = SqlRecords(url, keyring, objects=objects)
    upstreams = build_upstreams(settings, keyring, closing)
    lease, stowage = settings.database.lease_seconds, open_stowage(settings, objects)
    journal = SqlJournal(url, keyring, lease=lease, stowage=stowage)
    repeats = SqlRepeats(url, keyring.pepper, records)
    lifecycle = build_lifecycle(settings, journal, records)
    governing = build_governing(
        settings, journal, repeats, upstreams, keyring.index_key, closing, lifecycle
    )
    gateway = Gateway(
        governing=governing,
        lifecycle=lifecycle,
        journal=journal,
        keys=SqlKeys(url, keyring.pepper),
        records=records,
        repeats=repeats,
        closing=closing,
        keeping=build_keeping(settings, keyring, DIALECTS, upstreams.providers),
        notary=build_notary(settings, keyring, journal),
        auditing=build_auditing(
            settings, keyring, journal, records, DIALECTS, History(lifecycle.desk).sentences
        ),
        erasing=build_erasing(settings, keyring, journal, records),
        exporting=build_exporting(settings, keyring, journal, DIALECTS),
        upkeep=build_upkeep(settings, journal),
        policing=build_policing(
            settings, keyring, lifecycle, governing, upstreams.catalogue, DIALECTS
        ),
    )
    gateway.probes = {"database": _writable(gateway.journal), "policy": gateway.governing.probe}
    identities = _identities(settings, gateway)
    callers = Callers(identities)
    governed = _pipeline(settings, gateway, identities, upstreams)
    gateway.run = Unattended(governed, DIALECTS).run
    gateway.app = build_app(
        data_plane=DataPlane(
            governed,
            body_limit=settings.server.body_limit,
            keep_alive_seconds=settings.server.keep_alive_seconds,
        ),
        dialects=DIALECTS,
        models=Models(callers, upstreams.catalogue),
        callers=callers,
        kept=[
            *gateway.keeping.routes(callers),
            *gateway.notary.routes(callers),
            *gateway.auditing.routes(callers),
            *gateway.exporting.routes(callers),
            *gateway.governing.routes(callers),
            *gateway.policing.routes(callers),
        ],
        probes=gateway.probes,
        told={"policy": gateway.governing.follower.told},
        duties=duties(),
        origins=settings.server.cors_origins,
        lifespan=_lifespan(gateway),
    )
    return gateway


def open_keyring(settings: Settings) -> Keyring:
    """The keyring that the database's records need; made when there are none yet."""
    engine = open_engine(settings.database_url)
    try:
        bound = bound_keyring(engine)
    finally:
        engine.dispose()
    return Keyring.open(settings.keyring_path, bound, build_seal(settings))


def _identities(settings: Settings, gateway: Gateway) -> Keys:
    """Whose a credential is: an API key's, or a token's where an issuer is set."""
    told = settings.jwt
    if not told.enabled:
        return gateway.keys
    tokens = JwtIdentity(
        KeySource(_issuers_keys(settings, gateway)),
        Reading(
            app=told.app_claim,
            team=told.team_claim,
            user=told.user_claim,
            scopes=told.scopes_claim,
            models=told.models_claim,
            budget=told.budget_claim,
            roles=told.roles_claim,
            limits=Limits(told.requests_per_minute, told.tokens_per_minute),
        ),
        issuer=told.issuer or "",
        audience=told.audience or "",
        algorithms=told.algorithms,
        leeway=told.leeway_seconds,
    )
    gateway.closing.push_async_callback(tokens.stop)
    return KeyOrToken(gateway.keys, tokens)


def _issuers_keys(settings: Settings, gateway: Gateway) -> Read:
    """Where an issuer's keys are read. Raises `ValueError`, which names the setting."""
    told = settings.jwt
    needed = {"ISSUER": told.issuer, "AUDIENCE": told.audience}
    if lacking := [name for name, value in needed.items() if not value]:
        raise ValueError(f"GOVGATE_JWT__{lacking[0]} is missing: tokens need it")
    if not told.jwks_url and not told.jwks:
        raise ValueError("GOVGATE_JWT__JWKS_URL or GOVGATE_JWT__JWKS is missing: tokens need keys")
    if told.jwks_url and told.jwks:
        raise ValueError("GOVGATE_JWT__JWKS_URL and GOVGATE_JWT__JWKS are both given: give one")
    name = "JWKS_URL" if told.jwks_url else "JWKS"
    try:
        if not told.jwks_url:
            return given(told.jwks or "")
        transport = AiohttpTransport(Timeouts(), trust_env=settings.upstream.honour_proxies)
        gateway.closing.push_async_callback(transport.aclose)
        return from_url(told.jwks_url, transport)
    except (ValueError, InvalidURL) as error:
        raise ValueError(f"GOVGATE_JWT__{name}: {error}") from None


def _pipeline(
    settings: Settings,
    gateway: Gateway,
    identities: Keys,
    upstreams: Upstreams,
) -> Proceed:
    """The stages, in order, onto the providers."""
    answers = MemoryCache(most_bytes=settings.cache.most_bytes)
    gateway.journal.on_erasure.append(answers.forget)
    return pipeline(
        [
            Authenticate(identities, LocalRateLimits()),
            KeepResponses(gateway.keeping.responses),
            Converse(gateway.keeping.conversations),
            KeepAccount(gateway.journal),
            decline,
            Govern(gateway.governing.live.choose),
            UseCache(answers),
            Route(
                attempts=settings.upstream.attempts,
                default_output=settings.upstream.max_output_tokens,
                enter=upstreams.traffic.enter,
            ),
        ],
        dispatch(upstreams.providers),
    )


def _writable(journal: SqlJournal) -> Probe:
    async def probe() -> None:
        if not journal.ready:
            raise Unavailable(Code.AUDIT_UNAVAILABLE, "Records cannot be written.")

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
