"""API keys over SQL: revocation, rotation, expiry, and what is stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, select, update

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.engine import for_writing
from gateway.adapters.store.key_text import KeyText
from gateway.adapters.store.keys import NewKey, SqlKeys
from gateway.adapters.store.tables import ApiKey, Budget, table
from gateway.core.errors import Code, Unavailable
from gateway.core.money import Money
from tests.databases import Database

NEW = NewKey(team="support", app="shop-bot")


@dataclass
class Clock:
    """Monotonic seconds that pass when told."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def keys(database: Database, keyring: Keyring, clock: Clock) -> AsyncIterator[SqlKeys]:
    opened = SqlKeys(database.url, keyring.pepper, clock=clock, patience=0.2)
    yield opened
    await opened.stop()


def count_reads(keys: SqlKeys) -> list[str]:
    reads: list[str] = []

    @event.listens_for(keys.engine, "before_cursor_execute")
    def seen(_c: object, _k: object, statement: str, *_: object) -> None:
        if "FROM api_key" in statement:
            reads.append(statement)

    return reads


async def test_what_was_read_is_good_for_less_than_a_second(keys: SqlKeys, clock: Clock) -> None:
    credential, principal = await keys.create(NEW)
    reads = count_reads(keys)
    for _ in range(3):
        assert await keys.principal(credential) == principal
    assert len(reads) == 1
    clock.now += 1.0
    assert await keys.principal(credential) == principal
    assert len(reads) == 2


async def test_revocation_is_effective_within_a_second(keys: SqlKeys, clock: Clock) -> None:
    credential, principal = await keys.create(NEW)
    assert await keys.principal(credential) == principal
    assert await keys.revoke(principal.key_id)
    clock.now += 1.0
    assert await keys.principal(credential) is None
    assert not await keys.revoke(principal.key_id)


async def test_many_at_once_read_once(keys: SqlKeys) -> None:
    credential, principal = await keys.create(NEW)
    reads = count_reads(keys)
    found = await asyncio.gather(*[keys.principal(credential) for _ in range(20)])
    assert found == [principal] * 20
    assert len(reads) == 1


async def test_a_bad_checksum_asks_no_database(keys: SqlKeys) -> None:
    credential, _ = await keys.create(NEW)
    reads = count_reads(keys)
    wrong = credential[:-1] + ("A" if credential[-1] != "A" else "B")
    assert await keys.principal(wrong) is None
    assert reads == []


async def test_an_unknown_id_and_a_wrong_secret_are_nobody(keys: SqlKeys) -> None:
    _, principal = await keys.create(NEW)
    assert await keys.principal(KeyText.new("live").text) is None
    assert await keys.principal(KeyText.new("live", principal.key_id).text) is None


async def test_a_key_of_another_environment_is_nobody(keys: SqlKeys) -> None:
    credential, _ = await keys.create(NEW)
    parsed = KeyText.parse(credential)
    assert parsed is not None
    assert await keys.principal(replace(parsed, env="test").text) is None


async def test_an_expired_key_is_nobody(keys: SqlKeys) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    credential, _ = await keys.create(replace(NEW, expires_at=past))
    assert await keys.principal(credential) is None
    later = datetime.now(UTC) + timedelta(hours=1)
    credential, principal = await keys.create(replace(NEW, expires_at=later))
    assert await keys.principal(credential) == principal


async def test_rotation_ends_the_old_secret(keys: SqlKeys, clock: Clock) -> None:
    old, principal = await keys.create(NEW)
    fresh = await keys.rotate(principal.key_id)
    assert fresh is not None
    assert await keys.principal(old) is None
    assert await keys.principal(fresh) == principal


async def test_rotation_may_leave_the_old_secret_a_grace(keys: SqlKeys, clock: Clock) -> None:
    old, principal = await keys.create(NEW)
    fresh = await keys.rotate(principal.key_id, timedelta(hours=1))
    assert fresh is not None
    assert await keys.principal(old) == principal
    assert await keys.principal(fresh) == principal
    with for_writing(keys.engine).begin() as connection:
        ended = datetime.now(UTC) - timedelta(seconds=1)
        connection.execute(update(table(ApiKey)).values(previous_until=ended))
    clock.now += 1.0
    assert await keys.principal(old) is None
    assert await keys.principal(fresh) == principal


async def test_what_is_gone_cannot_be_rotated(keys: SqlKeys) -> None:
    _, principal = await keys.create(NEW)
    await keys.revoke(principal.key_id)
    assert await keys.rotate(principal.key_id) is None
    assert await keys.rotate("unknown0") is None


async def test_the_secret_is_not_stored(keys: SqlKeys) -> None:
    credential, _ = await keys.create(NEW)
    parsed = KeyText.parse(credential)
    assert parsed is not None
    with keys.engine.begin() as connection:
        row = connection.execute(select(table(ApiKey))).one()
    assert parsed.secret not in repr(row)
    assert parsed.secret not in repr(parsed)


async def test_another_pepper_knows_nobody(database: Database, keys: SqlKeys) -> None:
    credential, _ = await keys.create(NEW)
    other = SqlKeys(database.url, b"x" * 32)
    assert await other.principal(credential) is None
    await other.stop()


async def test_a_budget_is_made_with_its_key(keys: SqlKeys) -> None:
    _, principal = await keys.create(replace(NEW, budget=Money(7_000)))
    with keys.engine.begin() as connection:
        row = connection.execute(select(table(Budget))).one()
    assert (row.budget_id, row.limit_micro) == (principal.budget_id, 7_000)
    assert (row.scope_type, row.scope_id) == ("key", principal.key_id)


async def test_keys_are_listed_without_their_secrets(keys: SqlKeys) -> None:
    _, one = await keys.create(NEW)
    _, two = await keys.create(NEW)
    await keys.create(replace(NEW, org="other"))
    await keys.revoke(two.key_id)
    listed = await keys.list()
    assert {state.principal.key_id for state in listed} == {one.key_id, two.key_id}
    assert [s.principal.key_id for s in listed if s.revoked_at is not None] == [two.key_id]
    assert all(state.created_at.tzinfo is not None for state in listed)


async def test_what_cannot_be_is_refused(keys: SqlKeys) -> None:
    with pytest.raises(ValueError, match="environment"):
        await keys.create(replace(NEW, env="Pro_d"))
    with pytest.raises(ValueError, match="time zone"):
        await keys.create(replace(NEW, expires_at=datetime(2030, 1, 1)))
    with pytest.raises(ValueError, match="negative"):
        await keys.create(replace(NEW, budget=Money(-1)))
    assert await keys.list() == []


async def test_without_its_database_nobody_is_let_in(keyring: Keyring) -> None:
    keys = SqlKeys("sqlite:////nowhere/govgate.db", keyring.pepper)
    with pytest.raises(Unavailable) as refused:
        await keys.principal(KeyText.new("live").text)
    assert refused.value.code is Code.AUDIT_UNAVAILABLE
    await keys.stop()
