"""The shape of a routes file: which providers there are, and what callers name."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from gateway.core.file_shape import Secret, SecretName, Shape
from gateway.core.money import Price, usd
from gateway.core.ports import Strategy

Name = SecretName
Seconds = Annotated[float, Field(gt=0, le=86_400)]
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BUILT_HERE = {
    "accept", "accept-encoding", "authorization", "connection", "content-encoding",
    "content-length", "content-type", "cookie", "expect", "host", "proxy-authorization", "te",
    "trailer", "transfer-encoding", "upgrade",
}  # fmt: skip
"""Headers that frame a call or carry its key; no file sets them."""


class Kind(StrEnum):
    """Whose API a provider speaks."""

    OPENAI = "openai"
    AZURE = "azure"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    BEDROCK = "bedrock"
    REPLAY = "replay"


class Timeouts(Shape):
    """The longest waits, in seconds."""

    connect: Seconds = 5.0
    first_byte: Seconds = 300.0
    idle: Seconds = 60.0
    total: Seconds = 590.0


class Breaker(Shape):
    """When a provider's model is left alone: after how many failures in a row, and how long."""

    failures: Annotated[int, Field(ge=1)] = 5
    open_seconds: Seconds = 30.0
    rest_seconds: Seconds = 5.0


class Provider(Shape):
    """Where models run."""

    name: Name
    kind: Kind
    base_url: str | None = None
    api_key: Secret | None = None
    api_version: str | None = None
    access_key: Secret | None = None
    secret_key: Secret | None = None
    session_token: Secret | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    hosting: str | None = None
    region: str | None = None
    tags: tuple[str, ...] = ()
    prices: str | None = None
    """The provider of the price list whose prices are paid, where the name is not it."""
    timeouts: Timeouts = Timeouts()
    max_concurrency: Annotated[int, Field(ge=1)] | None = None
    max_wait_seconds: Annotated[float, Field(ge=0, le=60)] = 1.0
    breaker: Breaker = Breaker()
    honour_proxies: bool = False
    allow_private: bool = False

    @field_validator("headers")
    @classmethod
    def _plain(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _HEADER.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a header")
            if name.lower() in _BUILT_HERE:
                raise ValueError(f"{name!r} is built by the gateway; a key goes into api_key")
            if not value.isprintable() or not value.isascii():
                raise ValueError(f"the value of {name!r} is not plain text")
        return headers

    def secrets(self) -> dict[str, Secret]:
        """Where its secrets are, by what they are."""
        names = ("api_key", "access_key", "secret_key", "session_token")
        return {name: place for name in names if (place := getattr(self, name)) is not None}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for name in _NEEDED.get(self.kind, ()):
            if getattr(self, name) is None:
                raise ValueError(f"a provider of kind {self.kind} needs {name}")
        for name in _OWN:
            given = getattr(self, name) not in (None, {})
            if given and self.kind not in _OWN[name]:
                raise ValueError(f"a provider of kind {self.kind} has no {name}")
        return self


_HTTP = {Kind.OPENAI, Kind.AZURE, Kind.ANTHROPIC, Kind.GEMINI}
_NEEDED = {
    Kind.AZURE: ("base_url", "api_key", "api_version"),
    Kind.ANTHROPIC: ("api_key",),
    Kind.GEMINI: ("api_key",),
    Kind.BEDROCK: ("region", "access_key", "secret_key"),
}
_OWN = {
    "base_url": {*_HTTP, Kind.BEDROCK},
    "api_key": _HTTP,
    "headers": _HTTP,
    "api_version": {Kind.AZURE},
    "access_key": {Kind.BEDROCK},
    "secret_key": {Kind.BEDROCK},
    "session_token": {Kind.BEDROCK},
}
"""Members that only some kinds have."""


class PriceShape(Shape):
    """Dollars for a million tokens, as text or a whole number."""

    input: str | int
    output: str | int

    @model_validator(mode="after")
    def _amounts(self) -> Self:
        price = self.price
        if price.input < 0 or price.output < 0:
            raise ValueError("a price is not negative")
        return self

    @property
    def price(self) -> Price:
        """The price; its version says what it is. Raises `ValueError` for what is no amount."""
        version = f"route {self.input}/{self.output}"
        return Price(usd(str(self.input)), usd(str(self.output)), version)


class Target(Shape):
    """One place where a model is served. Without `model`, under the name that was called."""

    provider: Name
    model: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    weight: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    order: Annotated[int, Field(ge=0)] = 0
    price: PriceShape | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None


class Route(Shape):
    """What callers name: a name, or with a `*` a pattern of names, and its targets."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    strategy: Strategy = Strategy.ORDERED
    sticky: Literal["none", "session"] = "none"
    price: PriceShape | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    retry_billed: bool = False
    listed: bool = True

    @property
    def pattern(self) -> bool:
        """Whether the name stands for many."""
        return any(mark in self.name for mark in "*?[")

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.sticky == "session" and self.strategy is not Strategy.WEIGHTED:
            raise ValueError("sticky sessions go with the weighted strategy")
        seen = [(target.provider, target.model) for target in self.targets]
        if len(set(seen)) != len(seen):
            raise ValueError("a target is there twice")
        return self


class File(Shape):
    """A routes file."""

    providers: tuple[Provider, ...]
    models: tuple[Route, ...]
