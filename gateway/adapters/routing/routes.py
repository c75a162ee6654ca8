"""A routes file, read and checked: the models that it names, with everything wrong with it said.

How YAML is read is not known here: whoever has a document hands it over, with its lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import SecretStr, ValidationError

from gateway.adapters.routing.health import Breaker
from gateway.adapters.routing.shape import File, Kind, Provider, Route, Target
from gateway.adapters.routing.traffic import Watch
from gateway.core.file_shape import Secret
from gateway.core.ports import Choice, Group, Model

_HOSTING = {Kind.REPLAY: "local"}


class Document(Protocol):
    """A YAML document as a JSON value, and where each part of it stands."""

    @property
    def value(self) -> Any: ...

    def problem(self, where: Sequence[str | int], what: str) -> object:
        """`what`, with the file and the line of the part at `where`, as text says it."""


class RoutesError(ValueError):
    """A routes file that cannot be used; says everything that is wrong with it."""


@dataclass(frozen=True, slots=True)
class Routes:
    """A routes file, checked."""

    providers: tuple[Provider, ...]
    named: tuple[Model, ...]
    """The models that callers name."""
    patterns: tuple[tuple[str, Model], ...]
    """What serves the names that match a pattern; the first that matches. A `*` as a target's
    model stands for the name that was called."""
    unlisted: frozenset[str]

    def watches(self) -> dict[str, Watch]:
        """How each provider is watched."""
        return {
            provider.name: Watch(
                Breaker(
                    provider.breaker.failures,
                    provider.breaker.open_seconds,
                    provider.breaker.rest_seconds,
                ),
                provider.max_concurrency,
                provider.max_wait_seconds,
            )
            for provider in self.providers
        }

    def price_list(self) -> dict[str, str]:
        """Whose prices are paid, by the name of the provider."""
        return {provider.name: _price_list(provider) for provider in self.providers}


def routes_of(document: Document) -> Routes:
    """The routes that `document` says. Raises `RoutesError`."""
    try:
        file = File.model_validate(document.value)
    except ValidationError as error:
        raise _wrong(
            document, [(e["loc"], _said(e["type"], e["msg"])) for e in error.errors()]
        ) from None
    if problems := list(_mistakes(file)):
        raise _wrong(document, problems)
    providers = {provider.name: provider for provider in file.providers}
    made = [(route, _model(route, providers)) for route in file.models]
    return Routes(
        providers=file.providers,
        named=tuple(model for route, model in made if not route.pattern),
        patterns=tuple((route.name, model) for route, model in made if route.pattern),
        unlisted=frozenset(route.name for route in file.models if not route.listed),
    )


def reveal(
    secret: Secret, environment: Mapping[str, str], stored: Callable[[str], SecretStr | None]
) -> SecretStr:
    """The secret itself. Raises `RoutesError`, which never holds any of it."""
    if secret.env is not None:
        value = environment.get(secret.env, "")
        if not value:
            raise RoutesError(f"the environment has no {secret.env}")
        return SecretStr(value)
    if secret.file is not None:
        try:
            value = Path(secret.file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise RoutesError(f"{secret.file} cannot be read: {type(error).__name__}") from None
        if not value:
            raise RoutesError(f"{secret.file} is empty")
        return SecretStr(value)
    found = stored(secret.stored or "")
    if found is None:
        raise RoutesError(
            f"no credential {secret.stored!r} is stored: govgate credentials set {secret.stored}"
        )
    return found


def _mistakes(file: File) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What the shape cannot say: names that are there twice, or point nowhere."""
    known: set[str] = set()
    for at, provider in enumerate(file.providers):
        if provider.name in known:
            yield ("providers", at, "name"), f"{provider.name!r} is there twice"
        known.add(provider.name)
    names: set[str] = set()
    for at, route in enumerate(file.models):
        if route.name in names:
            yield ("models", at, "name"), f"{route.name!r} is there twice"
        names.add(route.name)
        for place, target in enumerate(route.targets):
            if target.provider not in known:
                where = ("models", at, "targets", place, "provider")
                yield where, f"there is no provider {target.provider!r}"


def _model(route: Route, providers: Mapping[str, Provider]) -> Model:
    """What a route serves: one target as it is, several as a group."""
    targets = [_target(route, target, providers[target.provider]) for target in route.targets]
    if len(targets) == 1:
        return targets[0]
    choices = tuple(
        Choice(model, target.weight, target.order)
        for model, target in zip(targets, route.targets, strict=True)
    )
    group = Group(choices, route.strategy, route.sticky == "session")
    first = min(choices, key=lambda choice: choice.order).model
    return Model(
        first.id, first.upstream, first.upstream_model, first.hosting, first.region, first.tags,
        first.price, first.max_output_tokens, first.retry_billed, group,
    )  # fmt: skip


def _target(route: Route, target: Target, provider: Provider) -> Model:
    price = target.price or route.price
    return Model(
        id=route.name,
        upstream=provider.name,
        upstream_model=target.model or ("*" if route.pattern else route.name),
        hosting=provider.hosting or _HOSTING.get(provider.kind, "external"),
        region=provider.region,
        tags=provider.tags,
        price=price.price if price is not None else None,
        max_output_tokens=target.max_output_tokens or route.max_output_tokens,
        retry_billed=route.retry_billed,
    )


def _price_list(provider: Provider) -> str:
    """The id of the provider in the price list, which knows the makers of APIs."""
    if provider.prices is not None:
        return provider.prices
    if provider.kind is Kind.OPENAI and provider.base_url is not None:
        return provider.name
    return {Kind.GEMINI: "google", Kind.BEDROCK: "aws"}.get(provider.kind, str(provider.kind))


def _said(kind: str, message: str) -> str:
    """What is wrong, in our words where pydantic's are about its own matters."""
    if kind == "extra_forbidden":
        return "there is no such member"
    return message.removeprefix("Value error, ")


def _wrong(document: Document, problems: Sequence[tuple[Sequence[str | int], str]]) -> RoutesError:
    said = [str(document.problem(where, f"{_path(where)}{what}")) for where, what in problems]
    return RoutesError("\n".join(said))


def _path(where: Sequence[str | int]) -> str:
    return f"{'.'.join(map(str, where))}: " if where else ""
