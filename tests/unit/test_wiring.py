"""The composition root: each setting builds what it says, and what is built is closed again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.adapters.keyring import KeyringError
from gateway.adapters.packs import PackError
from gateway.adapters.providers.replay_server import ReplayServer
from gateway.adapters.store.keys import NewKey
from gateway.adapters.store.migrate import migrate
from gateway.core.money import usd
from gateway.settings import Settings
from gateway.upstreams import REPLAY_MODELS
from gateway.wiring import Gateway, build, open_keyring
from tests.exchanges import chat_request
from tests.fakes.provider import serving
from tests.unit.server.wire import Wire


def settings(folder: Path, **sections: Any) -> Settings:
    return Settings(data_dir=folder, **sections)


@asynccontextmanager
async def running(known: Settings) -> AsyncIterator[Gateway]:
    migrate(known.database_url)
    gateway = build(known)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()


async def ask(gateway: Gateway, request: dict[str, Any] | None = None, **key: Any) -> Wire:
    """One chat completion with a new key."""
    text, _ = await gateway.keys.create(NewKey(team="t", app="a", **key))
    body = orjson.dumps(request or chat_request() | {"model": "replay-small"})
    return await send(gateway, Wire(headers={"authorization": f"Bearer {text}"}, body=body))


async def send(gateway: Gateway, wire: Wire) -> Wire:
    await gateway.app(wire.scope, wire.receive, wire.send)
    return wire


async def models(gateway: Gateway) -> list[str]:
    text, _ = await gateway.keys.create(NewKey(team="t", app="a"))
    headers = {"authorization": f"Bearer {text}"}
    wire = await send(gateway, Wire(method="GET", path="/v1/models", headers=headers))
    return [model["id"] for model in wire.json["data"]]


async def test_the_defaults_serve_an_exchange_through_every_stage(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as gateway:
        wire = await ask(gateway, chat_request("Write to ann@example.org.")
                         | {"model": "replay-small"}, budget=usd("1"))  # fmt: skip
        assert wire.status == 200
        entries = await gateway.records.read_exchange(wire.headers["x-request-id"])
        ready = await send(gateway, Wire(method="GET", path="/readyz"))
    assert [str(entry.kind) for entry in entries] == ["opened", "attempt", "closed"]
    assert (entries[1].parts or {})["request_sent"].count(b"[[EMAIL_ADDRESS_1]]") == 1
    assert entries[2].header["facts"]["outcome"] == "completed"
    assert {ready.json[part] for part in ("database", "policy")} == {"ok"}
    told = ready.json["told"]["policy"]
    assert wire.headers["x-govgate-policy-revision"] == told["revision"]
    assert told["problem"] is None


async def test_without_a_key_nothing_is_served_or_recorded(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as gateway:
        wire = await send(gateway, Wire(body=orjson.dumps(chat_request())))
    assert (wire.status, wire.json["error"]["code"]) == (401, "invalid_api_key")


async def test_with_inspection_off_a_policy_that_wants_answers_screened_refuses(
    tmp_path: Path,
) -> None:
    """Nothing here can discharge that duty, and to fail open is for a rule to say."""
    async with running(settings(tmp_path, inspection={"enabled": False})) as gateway:
        wire = await ask(gateway, chat_request("hello") | {"model": "replay-small"})
    assert (wire.status, wire.json["error"]["code"]) == (503, "policy_error")


@pytest.mark.parametrize(
    ("sections", "listed"),
    [
        ({}, list(REPLAY_MODELS)),
        ({"replay": {"enabled": False}}, []),
        ({"upstream": {"api_key": "sk", "models": ["gpt-a"]}}, [*REPLAY_MODELS, "gpt-a"]),
        ({"upstream": {"models": ["gpt-a"]}}, list(REPLAY_MODELS)),
    ],
    ids=["as shipped", "no replay", "a provider", "a provider that cannot be reached"],
)
async def test_the_models_are_those_of_the_providers(
    tmp_path: Path, sections: dict[str, Any], listed: list[str]
) -> None:
    async with running(settings(tmp_path, **sections)) as gateway:
        assert await models(gateway) == listed


HALF: dict[str, dict[str, Any]] = {
    "no issuer": {"audience": "a", "jwks_url": "https://h/jwks"},
    "no audience": {"issuer": "i", "jwks_url": "https://h/jwks"},
    "no keys": {"issuer": "i", "audience": "a"},
    "keys twice": {"issuer": "i", "audience": "a", "jwks_url": "https://h/x", "jwks": "{}"},
    "no good key": {"issuer": "i", "audience": "a", "jwks": '{"keys": []}'},
    "keys in clear": {"issuer": "i", "audience": "a", "jwks_url": "http://h/jwks"},
    "a shared secret": {
        "issuer": "i", "audience": "a", "jwks_url": "https://h/x", "algorithms": ["HS256"],
    },
}  # fmt: skip


@pytest.mark.parametrize("why", HALF)
def test_an_issuer_that_is_half_told_is_not_built(tmp_path: Path, why: str) -> None:
    known = settings(tmp_path, jwt=HALF[why])
    migrate(known.database_url)
    with pytest.raises(ValueError, match=r".*"):
        build(known)


def test_an_origin_that_is_none_is_not_built(tmp_path: Path) -> None:
    known = settings(tmp_path, server={"cors_origins": ["*"]})
    migrate(known.database_url)
    with pytest.raises(ValueError, match="origin"):
        build(known)


async def test_a_real_provider_is_asked_under_the_price_that_was_set(tmp_path: Path) -> None:
    with serving(ReplayServer(api_key="sk-1")) as url:
        known = settings(
            tmp_path,
            upstream={"name": "other", "base_url": f"{url}/v1", "api_key": "sk-1"},
            prices={"overrides": {"model-x": ("1.00", "2.00")}},
        )
        async with running(known) as gateway:
            priced = await ask(gateway, chat_request() | {"model": "model-x"}, budget=usd("1"))
            unpriced = await ask(gateway, chat_request() | {"model": "model-y"}, budget=usd("1"))
    assert priced.status == 200
    used = priced.json["usage"]
    cost = used["prompt_tokens"] + 2 * used["completion_tokens"]
    assert priced.headers["x-govgate-cost-usd"] == f"{cost / 1e6:.6f}".rstrip("0")
    assert (unpriced.status, unpriced.json["error"]["code"]) == (400, "model_not_priced")


async def test_a_policy_server_that_is_gone_lets_nothing_through(tmp_path: Path) -> None:
    policy = {"engine": "opa", "opa_url": "http://127.0.0.1:1"}
    async with running(settings(tmp_path, policy=policy)) as gateway:
        wire = await ask(gateway)
        ready = await send(gateway, Wire(method="GET", path="/readyz"))
    assert (wire.status, wire.json["error"]["code"]) == (503, "policy_unavailable")
    assert (ready.status, ready.json["database"]) == (503, "ok")


async def test_it_is_not_ready_before_it_has_started(tmp_path: Path) -> None:
    known = settings(tmp_path)
    migrate(known.database_url)
    gateway = build(known)
    ready = await send(gateway, Wire(method="GET", path="/readyz"))
    assert ready.status == 503
    assert ready.json["policy"].startswith("unavailable")
    assert ready.json["database"].startswith("unavailable")


async def test_the_application_starts_and_stops_what_it_needs(tmp_path: Path) -> None:
    known = settings(tmp_path)
    migrate(known.database_url)
    gateway = build(known)
    async with gateway.app.lifespan():
        assert (await ask(gateway)).status == 200
    assert not gateway.journal.ready


def test_a_pack_that_cannot_be_used_is_not_started_with(tmp_path: Path) -> None:
    known = settings(tmp_path, policy={"pack": tmp_path / "nowhere"})
    migrate(known.database_url)
    with pytest.raises(PackError):
        build(known)


class TestKeyring:
    def test_it_is_made_for_an_empty_database(self, tmp_path: Path) -> None:
        known = settings(tmp_path)
        migrate(known.database_url)
        made = open_keyring(known)
        assert open_keyring(known) == made

    async def test_it_is_not_made_again_once_records_need_it(self, tmp_path: Path) -> None:
        known = settings(tmp_path)
        async with running(known) as gateway:
            assert (await ask(gateway)).status == 200
        known.keyring_path.unlink()
        with pytest.raises(KeyringError, match="restore it"):
            build(known)
        assert not known.keyring_path.exists()
