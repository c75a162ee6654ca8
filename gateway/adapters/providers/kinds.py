"""A provider of each kind, made from plain arguments. Only the kinds that are used are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import httpx
from pydantic import SecretStr

from gateway.core.ports import Provider

_CLASSES = {
    "openai": ("openai", "OpenAIProvider"),
    "azure": ("azure", "AzureProvider"),
    "anthropic": ("anthropic", "AnthropicProvider"),
    "gemini": ("gemini", "GeminiProvider"),
    "bedrock": ("bedrock", "BedrockProvider"),
    "replay": ("replay", "ReplayProvider"),
}
"""The module and the class of each kind."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where a provider is, and what it is asked with. Secrets show in no message."""

    name: str
    base_url: str | None = None
    region: str | None = None
    api_version: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)
    """`api_key`; of Bedrock `access_key`, `secret_key` and, where there is one,
    `session_token`."""


LARGEST_EVENT = 16 << 20
"""Bytes of one event of a stream: a picture is one."""

DEFAULT_URLS = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "gemini": "https://generativelanguage.googleapis.com/v1beta",
}
"""Where the API of a kind begins, unless told otherwise."""


def provider_of(kind: str, access: Access, transport: httpx.AsyncBaseTransport) -> Provider:
    """The provider. Raises `ValueError` for a base URL that cannot be, or an unknown kind."""
    made: Provider
    match kind:
        case "replay":
            made = _class(kind)()
        case "bedrock":
            secrets = access.secrets
            made = _class(kind)(
                access.name,
                access.region,
                secrets["access_key"],
                secrets["secret_key"],
                secrets.get("session_token"),
                transport,
                endpoint=access.base_url,
            )
        case _:
            more: Mapping[str, Mapping[str, Any]] = {
                "azure": {"api_version": access.api_version, "max_event": LARGEST_EVENT},
                "openai": {"max_event": LARGEST_EVENT},
            }
            made = _class(kind)(
                access.name,
                access.base_url or DEFAULT_URLS[kind],
                access.secrets.get("api_key"),
                transport,
                headers=access.headers or None,
                **more.get(kind, {}),
            )
    return made


def _class(kind: str) -> Any:
    if kind not in _CLASSES:
        raise ValueError(f"no provider is of kind {kind!r}")
    module, name = _CLASSES[kind]
    try:
        return getattr(import_module(f"gateway.adapters.providers.{module}"), name)
    except ModuleNotFoundError as error:
        raise ValueError(f"providers of kind {kind!r} are not installed here") from error
