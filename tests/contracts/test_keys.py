"""What every store of API keys promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.keys import NewKey, SqlKeys
from gateway.core.money import Money
from gateway.core.ports import Keys
from gateway.core.principal import Limits, Principal
from tests.fakes.keys import FakeKeys


@dataclass
class Door:
    """A store of keys with one key in it, whose principal is known."""

    keys: Keys
    credential: str
    principal: Principal


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
async def door(request: pytest.FixtureRequest, keyring: Keyring) -> AsyncIterator[Door]:
    if request.param == "fake":
        known = Principal("acme", "support", "shop-bot", "k1")
        yield Door(FakeKeys({"gg_test": known}), "gg_test", known)
        return
    keys = SqlKeys(request.getfixturevalue(f"{request.param}_url"), keyring.pepper)
    new = NewKey(
        team="support",
        app="shop-bot",
        org="acme",
        scopes=("chat.*",),
        models=("gpt-4o*", "small"),
        tags=("customer-facing",),
        roles=("developer",),
        limits=Limits(60, 10_000),
        budget=Money(5_000_000),
    )
    credential, known = await keys.create(new)
    yield Door(keys, credential, known)
    await keys.stop()


async def test_a_key_is_its_principal(door: Door) -> None:
    assert await door.keys.principal(door.credential) == door.principal
    assert await door.keys.principal(door.credential) == door.principal


@pytest.mark.parametrize("credential", ["", "nonsense", "gg_live_a_b_c", "gg_\x00", "Ünïcödé"])
async def test_anything_else_is_nobody(door: Door, credential: str) -> None:
    assert await door.keys.principal(credential) is None


async def test_a_key_cut_or_changed_is_nobody(door: Door) -> None:
    for changed in (door.credential[:-1], door.credential + "x", door.credential.swapcase()):
        assert await door.keys.principal(changed) is None
