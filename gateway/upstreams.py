"""The composition of the models' side: settings and routes file → providers, models, traffic."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import SecretStr

from gateway.adapters.catalogue import Serves, StaticCatalogue
from gateway.adapters.keyring import Keyring
from gateway.adapters.packs.documents import read
from gateway.adapters.prices import Prices
from gateway.adapters.providers.kinds import DEFAULT_URLS, LARGEST_EVENT, Access, provider_of
from gateway.adapters.providers.openai import OpenAIProvider
from gateway.adapters.providers.replay import ReplayProvider
from gateway.adapters.providers.ssrf import AddressRefused, check_url, guarded
from gateway.adapters.providers.wire import AiohttpTransport, Timeouts
from gateway.adapters.routing.routes import Routes, RoutesError, reveal, routes_of
from gateway.adapters.routing.shape import Provider as ProviderShape
from gateway.adapters.routing.traffic import LiveTraffic
from gateway.adapters.store.credentials import SqlCredentials
from gateway.core.money import Price
from gateway.core.ports import Choice, Model, Provider
from gateway.settings import Settings, Upstream

REPLAY = "replay"
REPLAY_MODELS = ("replay-small", "replay-large")
REPLAY_PRICE = Price(input=100_000, output=400_000, version="replay")
"""What the built-in model pretends to cost: 0.10 and 0.40 USD for a million tokens."""

NO_ROUTES = Routes((), (), (), frozenset())


@dataclass(frozen=True, slots=True)
class Upstreams:
    """Who answers, what may be asked for, and what is known of it."""

    providers: dict[str, Provider]
    catalogue: StaticCatalogue
    traffic: LiveTraffic


def build_upstreams(settings: Settings, keyring: Keyring, closing: AsyncExitStack) -> Upstreams:
    """The models' side. Nothing is asked yet; `closing` closes what is opened.

    Raises `RoutesError`, and `ValueError` for what cannot be built.
    """
    routes = load_routes(settings)
    return Upstreams(
        _providers(settings, routes, keyring, closing),
        build_catalogue(settings, routes),
        LiveTraffic(routes.watches()),
    )


def load_routes(settings: Settings) -> Routes:
    """The routes file that the settings name.

    Raises `RoutesError`, and `ValueError` for two providers of one name in the settings.
    """
    taken = _names(settings)
    path = settings.routes
    if path is None:
        return NO_ROUTES
    try:
        documents = read(path, path.name)
    except ValueError as error:
        raise RoutesError(str(error)) from None
    if len(documents) != 1:
        raise RoutesError(f"{path.name}: holds one document")
    routes = routes_of(documents[0])
    if twice := sorted(taken & {provider.name for provider in routes.providers}):
        raise RoutesError(f"{path.name}: the settings have a provider {twice[0]!r} already")
    return routes


def _names(settings: Settings) -> set[str]:
    """The providers of the settings. Raises `ValueError` where two have one name."""
    names = {REPLAY} if settings.replay.enabled else set()
    if settings.upstream.enabled:
        if settings.upstream.name in names:
            raise ValueError(
                f"GOVGATE_UPSTREAM__NAME: {REPLAY!r} is the built-in provider; choose another "
                "name, or set GOVGATE_REPLAY__ENABLED=false"
            )
        names.add(settings.upstream.name)
    return names


def problems(
    settings: Settings, routes: Routes, stored: Callable[[str], SecretStr | None]
) -> list[str]:
    """Why providers cannot be built, one by one. Nobody is called, and no connection opened."""
    unopened = AsyncExitStack()
    found = []
    if settings.upstream.enabled:
        try:
            _upstream(settings.upstream, unopened)
        except ValueError as error:
            found.append(str(error))
    for shape in routes.providers:
        try:
            _routed(shape, stored, unopened)
        except RoutesError as error:
            found.append(str(error))
    return found


def described(settings: Settings, routes: Routes) -> list[dict[str, Any]]:
    """Each name that callers may use, each pattern, and its targets, for a person to read."""
    catalogue = build_catalogue(settings, routes)
    patterns = [serves.like for serves in catalogue.serves]
    rows = []
    for model in [*catalogue.named, *patterns]:
        choices = model.group.choices if model.group else (Choice(model),)
        rows.append(
            {
                "name": model.id,
                "listed": model.id not in routes.unlisted and model not in patterns,
                "strategy": str(model.group.strategy) if model.group else None,
                "targets": [_described(choice) for choice in choices],
            }
        )
    return rows


def _described(choice: Choice) -> dict[str, Any]:
    target = choice.model
    return {
        "provider": target.upstream,
        "model": target.upstream_model,
        "hosting": target.hosting,
        "region": target.region,
        "tags": list(target.tags),
        "order": choice.order,
        "weight": choice.weight,
        "price": target.price.version if target.price else None,
    }


def build_catalogue(settings: Settings, routes: Routes) -> StaticCatalogue:
    """Which models there are, and what they cost. What the file names comes first."""
    named: list[Model] = []
    serves = [Serves(pattern, like) for pattern, like in routes.patterns]
    if settings.replay.enabled:
        named += [
            Model(name, REPLAY, name, hosting="local", price=REPLAY_PRICE) for name in REPLAY_MODELS
        ]
    if settings.upstream.enabled:
        serves.append(Serves("*", _of_settings(settings.upstream, "*")))
        named += [_of_settings(settings.upstream, name) for name in settings.upstream.models]
    prices, lists = _prices(settings), routes.price_list()

    def price_of(model: Model) -> Price | None:
        return prices.price_of(model.upstream_model, lists.get(model.upstream, model.upstream))

    return StaticCatalogue([*named, *routes.named], serves, price_of, routes.unlisted)


def _prices(settings: Settings) -> Prices:
    try:
        return Prices(settings.prices.overrides)
    except (ValueError, ArithmeticError) as error:
        raise ValueError(f"GOVGATE_PRICES__OVERRIDES: {error}") from None


def _of_settings(upstream: Upstream, name: str) -> Model:
    return Model(
        name,
        upstream.name,
        name,
        hosting=upstream.hosting,
        region=upstream.region,
        max_output_tokens=upstream.max_output_tokens,
    )


def _providers(
    settings: Settings, routes: Routes, keyring: Keyring, closing: AsyncExitStack
) -> dict[str, Provider]:
    """Everybody who answers, by name."""
    providers: dict[str, Provider] = {}
    if settings.replay.enabled:
        providers[REPLAY] = ReplayProvider(settings.replay.pace_seconds)
    if settings.upstream.enabled:
        providers[settings.upstream.name] = _upstream(settings.upstream, closing)
    if routes.providers:
        credentials = SqlCredentials(settings.database_url, keyring)
        try:
            for shape in routes.providers:
                providers[shape.name] = _routed(shape, credentials.get, closing)
        finally:
            credentials.stop()
    return providers


def _upstream(upstream: Upstream, closing: AsyncExitStack) -> Provider:
    """The provider of the settings. Whoever sets them is believed: it may be on this machine.

    Raises `ValueError` for a place where no call may go.
    """
    timeouts = Timeouts(
        connect=upstream.connect_seconds,
        first_byte=upstream.first_byte_seconds,
        idle=upstream.idle_seconds,
        total=upstream.total_seconds,
    )
    base_url = upstream.base_url or DEFAULT_URLS["openai"]
    transport = AiohttpTransport(
        timeouts,
        trust_env=upstream.honour_proxies,
        open_socket=guarded(allow_private=True),
        open_to_proxy=guarded(allow_private=True),
    )
    closing.push_async_callback(transport.aclose)
    try:
        check_url(base_url, allow_private=True)
        return OpenAIProvider(
            upstream.name, base_url, upstream.api_key, transport, max_event=LARGEST_EVENT
        )
    except (ValueError, AddressRefused, httpx.InvalidURL) as error:
        raise ValueError(f"GOVGATE_UPSTREAM__BASE_URL: {error}") from None


def _routed(
    shape: ProviderShape,
    stored: Callable[[str], SecretStr | None],
    closing: AsyncExitStack,
) -> Provider:
    """A provider of the routes file. Raises `RoutesError`, which names it."""
    try:
        secrets = {
            name: reveal(secret, os.environ, stored) for name, secret in shape.secrets().items()
        }
        if shape.base_url is not None:
            check_url(shape.base_url, allow_private=shape.allow_private)
        transport = AiohttpTransport(
            Timeouts(**shape.timeouts.model_dump()),
            trust_env=shape.honour_proxies,
            open_socket=guarded(allow_private=shape.allow_private),
            open_to_proxy=guarded(allow_private=True),
        )
        closing.push_async_callback(transport.aclose)
        access = Access(
            name=shape.name,
            base_url=shape.base_url,
            region=shape.region,
            api_version=shape.api_version,
            headers=shape.headers,
            secrets=secrets,
        )
        return provider_of(str(shape.kind), access, transport)
    except (ValueError, AddressRefused, httpx.InvalidURL) as error:
        raise RoutesError(f"provider {shape.name!r}: {error}") from None
