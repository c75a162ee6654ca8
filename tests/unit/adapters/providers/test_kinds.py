"""Each kind of provider is made from plain arguments, and shows nobody its key."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from pydantic import SecretStr

from gateway.adapters.providers.kinds import _CLASSES, Access, provider_of
from gateway.adapters.providers.openai import OpenAIProvider
from gateway.adapters.providers.replay import ReplayProvider
from gateway.adapters.providers.wire import AiohttpTransport

KEYS = {
    name: SecretStr("sk-canary-1")
    for name in ("api_key", "access_key", "secret_key", "session_token")
}
WHOLE = Access(
    "p", "https://p.example.org", "eu-west-1", "2024-10-21", {"x-a": "sk-canary-1"}, KEYS
)


@pytest.mark.parametrize("kind", _CLASSES)
def test_every_kind_is_made_or_refused_in_words(kind: str) -> None:
    module, name = _CLASSES[kind]
    if find_spec(f"gateway.adapters.providers.{module}") is None:
        with pytest.raises(ValueError, match="not installed"):
            provider_of(kind, WHOLE, AiohttpTransport())
        return
    made = provider_of(kind, WHOLE, AiohttpTransport())
    assert type(made).__name__ == name
    assert "canary" not in repr(made)


def test_the_defaults_are_the_makers_own() -> None:
    assert isinstance(provider_of("openai", Access("p"), AiohttpTransport()), OpenAIProvider)
    assert isinstance(provider_of("replay", Access("p"), AiohttpTransport()), ReplayProvider)


def test_nobody_is_made_from_nonsense() -> None:
    with pytest.raises(ValueError, match="no provider is of kind"):
        provider_of("gpt", WHOLE, AiohttpTransport())
    with pytest.raises(ValueError, match="base URL"):
        provider_of("openai", Access("p", "ftp://x"), AiohttpTransport())


def test_an_access_hides_what_is_secret() -> None:
    assert "canary" not in repr(WHOLE)
