"""The models' side as it is built: from settings, from a routes file, and refused in words."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.adapters.keyring import Keyring
from gateway.adapters.providers.ssrf import AddressRefused
from gateway.adapters.providers.wire import AiohttpTransport, Timeouts
from gateway.adapters.routing.routes import RoutesError
from gateway.adapters.store.credentials import SqlCredentials
from gateway.adapters.store.migrate import migrate
from gateway.settings import Settings
from gateway.upstreams import NO_ROUTES, REPLAY_MODELS, Upstreams, build_upstreams, load_routes

MODELS = "models: [{name: m, targets: [{provider: p}]}]\n"


class Yard:
    """A folder with a database, a keyring and a routes file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def settings(self, providers: str = "[]", models: str = MODELS, **more: Any) -> Settings:
        path = self.folder / "routes.yaml"
        path.write_text(f"providers: {providers}\n{models}")
        known = Settings(data_dir=self.folder, routes=path, **more)
        migrate(known.database_url)
        return known

    async def build(self, known: Settings) -> Upstreams:
        keyring = Keyring.open(known.keyring_path, None)
        async with AsyncExitStack() as closing:
            return build_upstreams(known, keyring, closing)

    async def refused(self, known: Settings) -> str:
        with pytest.raises(ValueError) as wrong:  # noqa: PT011 - the words are looked at
            await self.build(known)
        return str(wrong.value)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


@contextmanager
def storing(known: Settings) -> Iterator[SqlCredentials]:
    store = SqlCredentials(known.database_url, Keyring.open(known.keyring_path, None))
    yield store
    store.stop()


async def test_without_a_file_there_is_what_the_settings_say(tmp_path: Path) -> None:
    known = Settings(data_dir=tmp_path, upstream={"api_key": "sk"})
    assert load_routes(known) is NO_ROUTES
    upstreams = await Yard(tmp_path).build(known)
    assert set(upstreams.providers) == {"replay", "openai"}
    assert [model.id for model in upstreams.catalogue.models()] == list(REPLAY_MODELS)
    found = upstreams.catalogue.find("anything")
    assert found is not None
    assert (found.upstream, found.group) == ("openai", None)


async def test_the_file_comes_before_the_settings(yard: Yard) -> None:
    models = """models:
  - {name: m, targets: [{provider: p}]}
  - {name: "gpt-*", targets: [{provider: p}]}
"""
    known = yard.settings("[{name: p, kind: replay}]", models, upstream={"api_key": "sk"})
    upstreams = await yard.build(known)
    assert set(upstreams.providers) == {"replay", "openai", "p"}
    found = [upstreams.catalogue.find(name) for name in ("m", "gpt-9", "other")]
    assert [model and model.upstream for model in found] == ["p", "p", "openai"]


async def test_a_stored_credential_is_used(yard: Yard) -> None:
    known = yard.settings("[{name: p, kind: openai, api_key: {stored: mine}}]")
    assert "govgate credentials set mine" in await yard.refused(known)
    with storing(known) as store:
        store.put("mine", SecretStr("sk-canary-1"))
    upstreams = await yard.build(known)
    assert "canary" not in repr(upstreams)


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ("{name: p, kind: openai, base_url: 'http://127.0.0.1:1/v1'}", "allow_private"),
        ("{name: p, kind: openai, base_url: 'http://169.254.169.254/v1', allow_private: true}",
         "metadata"),
        ("{name: p, kind: openai, api_key: {env: NO_SUCH_VARIABLE}}", "NO_SUCH_VARIABLE"),
        ("{name: p, kind: openai, base_url: 'ftp://x'}", "http or https"),
    ],
)  # fmt: skip
async def test_a_provider_that_cannot_be_is_refused_by_name(
    yard: Yard, provider: str, said: str
) -> None:
    message = await yard.refused(yard.settings(f"[{provider}]"))
    assert message.startswith("provider 'p': ")
    assert said in message


async def test_a_private_place_may_be_allowed(yard: Yard) -> None:
    provider = "{name: p, kind: openai, base_url: 'http://127.0.0.1:1/v1', allow_private: true}"
    assert "p" in (await yard.build(yard.settings(f"[{provider}]"))).providers


async def test_the_built_in_provider_keeps_its_name(tmp_path: Path) -> None:
    upstream = {"name": "replay", "api_key": "sk"}
    known = Settings(data_dir=tmp_path, upstream=upstream)
    assert "GOVGATE_UPSTREAM__NAME" in await Yard(tmp_path).refused(known)
    alone = Settings(data_dir=tmp_path, upstream=upstream, replay={"enabled": False})
    assert set((await Yard(tmp_path).build(alone)).providers) == {"replay"}


@pytest.mark.parametrize(
    "base_url", ["api.example.org/v1", "ftp://h", "http://u:p@h", "http://h:x"]
)
async def test_a_base_url_that_is_none_is_told_by_its_setting(
    tmp_path: Path, base_url: str
) -> None:
    known = Settings(data_dir=tmp_path, upstream={"base_url": base_url})
    assert (await Yard(tmp_path).refused(known)).startswith("GOVGATE_UPSTREAM__BASE_URL: ")


@pytest.mark.parametrize("price", ["-1", "cheap", "NaN"])
async def test_a_price_that_is_none_is_told_by_its_setting(tmp_path: Path, price: str) -> None:
    known = Settings(data_dir=tmp_path, prices={"overrides": {"m": (price, "1")}})
    assert (await Yard(tmp_path).refused(known)).startswith("GOVGATE_PRICES__OVERRIDES: ")


async def test_a_provider_behind_a_proxy_is_still_guarded_where_it_is_called_directly(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "")
    provider = (
        "{name: p, kind: openai, base_url: 'http://localtest.example/v1', honour_proxies: true}"
    )
    known = yard.settings(f"[{provider}]")
    made: list[dict[str, Any]] = []

    class Noted(AiohttpTransport):
        def __init__(self, timeouts: Timeouts, **options: Any) -> None:
            made.append(options)
            super().__init__(timeouts, **options)

    monkeypatch.setattr("gateway.upstreams.AiohttpTransport", Noted)
    await yard.build(known)
    [options] = made
    inside = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 80))
    with pytest.raises(AddressRefused):
        options["open_socket"](inside)
    options["open_to_proxy"](inside).close()


async def test_even_the_settings_lead_nobody_to_a_clouds_secrets(tmp_path: Path) -> None:
    known = Settings(data_dir=tmp_path, upstream={"base_url": "http://169.254.169.254/v1"})
    assert "metadata" in await Yard(tmp_path).refused(known)


@pytest.mark.parametrize(
    "text", ["", "providers: []\nmodels: []\n---\nproviders: []\nmodels: []\n", "a: [", "\0"]
)
def test_a_file_that_is_no_document_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "routes.yaml").write_text(text)
    with pytest.raises(RoutesError, match=r"routes\.yaml"):
        load_routes(Settings(data_dir=tmp_path, routes=tmp_path / "routes.yaml"))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RoutesError, match=r"routes\.yaml: cannot be read"):
        load_routes(Settings(data_dir=tmp_path, routes=tmp_path / "routes.yaml"))
