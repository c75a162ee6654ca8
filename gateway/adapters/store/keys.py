"""API keys over SQL. A secret is shown once; what is stored is its HMAC under the pepper.

The secret has 256 random bits, so a fast keyed hash is enough: a slow one on every call would
only help who wants to keep us busy.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from cachetools import TLRUCache
from sqlalchemy import Connection, insert, select, update

from gateway.adapters.store.budgets import create_budget
from gateway.adapters.store.key_text import KeyText
from gateway.adapters.store.tables import ApiKey, table
from gateway.adapters.store.threads import Threads
from gateway.core.money import Money
from gateway.core.principal import Limits, Principal

T = TypeVar("T")

_KEY = table(ApiKey)
_NOBODY = bytes(32)
FRESH = 1.0
"""Seconds after which what was read of a key must be read again."""
MOST_CACHED = 10_000


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a key is made with. `budget` is a hard limit in micro-USD; None sets none."""

    team: str
    app: str
    org: str = "default"
    env: str = "live"
    scopes: tuple[str, ...] = ("*",)
    models: tuple[str, ...] = ("*",)
    tags: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    budget: Money | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key as it may be listed: everything but its secret."""

    principal: Principal
    env: str
    created_at: datetime
    expires_at: datetime | None
    rotated_at: datetime | None
    revoked_at: datetime | None


class _Seen(NamedTuple):
    """Whose a credential was, read at a time in monotonic seconds."""

    principal: Principal
    at: float


class SqlKeys:
    """Implements `Keys`, and what people do with keys, over a migrated database at `url`."""

    def __init__(
        self,
        url: str,
        pepper: bytes,
        *,
        patience: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._threads = Threads(url, "keys", patience)
        self.engine = self._threads.engine
        self._pepper = pepper
        self._clock = clock
        self._cache: TLRUCache[bytes, _Seen] = TLRUCache(
            MOST_CACHED, ttu=lambda _, seen, __: seen.at + FRESH, timer=clock
        )
        self._reading: dict[bytes, asyncio.Task[Principal | None]] = {}

    async def principal(self, credential: str) -> Principal | None:
        """Whose key this is; None when malformed, unknown, revoked or expired.

        What was read less than a second ago still counts. Raises `Unavailable`.
        """
        digest = hashlib.sha256(credential.encode(errors="replace")).digest()
        seen = self._cache.get(digest)
        if seen is not None:
            return seen.principal
        key = KeyText.parse(credential)
        if key is None:
            return None
        reading = self._reading.get(digest)
        if reading is None:
            reading = asyncio.create_task(self._read_into_cache(digest, key))
            self._reading[digest] = reading
            reading.add_done_callback(lambda _: self._reading.pop(digest, None))
        return await asyncio.shield(reading)

    async def stands(self, principal: Principal) -> bool:
        """Whether the key is neither revoked nor expired. Raises `Unavailable`."""
        return await self._threads.run(_stands, principal.key_id)

    async def create(self, key: NewKey) -> tuple[str, Principal]:
        """Make a key, and its budget if it has one. The text is not to be had again.

        Raises `ValueError` for an environment, expiry or budget that cannot be.
        """
        if key.expires_at is not None and key.expires_at.tzinfo is None:
            raise ValueError("an expiry needs a time zone")
        fresh = KeyText.new(key.env)
        principal = await self._threads.run(self._create, key, fresh, writes=True)
        return fresh.text, principal

    async def list(self, org: str = "default") -> Sequence[KeyState]:
        """Every key of an organisation, the oldest first, revoked ones too."""
        return await self._threads.run(_list, org)

    async def revoke(self, key_id: str) -> bool:
        """Revoke a key, effective within a second; False when there is none to revoke."""
        return await self._threads.run(_revoke, key_id, writes=True)

    async def rotate(self, key_id: str, grace: timedelta = timedelta(0)) -> str | None:
        """A new secret for a key; the old one stays good for `grace`. None when there is no
        such key, or it was revoked."""
        return await self._threads.run(self._rotate, key_id, grace, writes=True)

    async def stop(self) -> None:
        """Close the connections."""
        await self._threads.stop()

    async def _read_into_cache(self, digest: bytes, key: KeyText) -> Principal | None:
        at = self._clock()
        principal = await self._threads.run(self._find, key)
        if principal is not None and self._clock() - at < FRESH:
            self._cache[digest] = _Seen(principal, at)
        return principal

    def _find(self, connection: Connection, key: KeyText) -> Principal | None:
        """The key's principal. An unknown id costs the same work as a wrong secret."""
        row = connection.execute(select(_KEY).where(_KEY.c.key_id == key.key_id)).one_or_none()
        now = datetime.now(UTC)
        given = self._mac(key)
        current = hmac.compare_digest(given, row.secret_mac if row else _NOBODY)
        previous = hmac.compare_digest(given, (row.previous_mac if row else None) or _NOBODY)
        if row is None or row.env != key.env:
            return None
        in_grace = row.previous_until is not None and now < row.previous_until
        expired = row.expires_at is not None and now >= row.expires_at
        if row.revoked_at is not None or expired or not (current or (previous and in_grace)):
            return None
        return _principal(row._mapping)

    def _create(self, connection: Connection, key: NewKey, fresh: KeyText) -> Principal:
        budget_id = None
        if key.budget is not None:
            budget_id = create_budget(connection, key.org, "key", fresh.key_id, key.budget)
        row = {
            "key_id": fresh.key_id,
            "org_id": key.org,
            "env": key.env,
            "team": key.team,
            "app": key.app,
            "secret_mac": self._mac(fresh),
            "scopes": list(key.scopes),
            "models": list(key.models),
            "tags": list(key.tags),
            "roles": list(key.roles),
            "requests_per_minute": key.limits.requests,
            "tokens_per_minute": key.limits.tokens,
            "budget_id": budget_id,
            "created_at": datetime.now(UTC),
            "expires_at": key.expires_at,
        }
        connection.execute(insert(_KEY).values(row))
        return _principal(row)

    def _rotate(self, connection: Connection, key_id: str, grace: timedelta) -> str | None:
        live = (_KEY.c.key_id == key_id) & _KEY.c.revoked_at.is_(None)
        row = connection.execute(select(_KEY).where(live).with_for_update()).one_or_none()
        if row is None:
            return None
        now, fresh = datetime.now(UTC), KeyText.new(row.env, key_id)
        keeps = grace > timedelta(0)
        connection.execute(
            update(_KEY)
            .where(live)
            .values(
                secret_mac=self._mac(fresh),
                previous_mac=row.secret_mac if keeps else None,
                previous_until=now + grace if keeps else None,
                rotated_at=now,
            )
        )
        return fresh.text

    def _mac(self, key: KeyText) -> bytes:
        return hmac.digest(self._pepper, f"{key.key_id}_{key.secret}".encode(), "sha256")


def _list(connection: Connection, org: str) -> Sequence[KeyState]:
    mine = select(_KEY).where(_KEY.c.org_id == org).order_by(_KEY.c.created_at, _KEY.c.key_id)
    return [
        KeyState(
            _principal(row._mapping),
            row.env,
            row.created_at,
            row.expires_at,
            row.rotated_at,
            row.revoked_at,
        )
        for row in connection.execute(mine)
    ]


def _stands(connection: Connection, key_id: str) -> bool:
    row = connection.execute(select(_KEY).where(_KEY.c.key_id == key_id)).one_or_none()
    if row is None or row.revoked_at is not None:
        return False
    return row.expires_at is None or datetime.now(UTC) < row.expires_at


def _revoke(connection: Connection, key_id: str) -> bool:
    live = (_KEY.c.key_id == key_id) & _KEY.c.revoked_at.is_(None)
    return (
        connection.execute(update(_KEY).where(live).values(revoked_at=datetime.now(UTC))).rowcount
        == 1
    )


def _principal(row: Mapping[Any, Any]) -> Principal:
    return Principal(
        org=row["org_id"],
        team=row["team"],
        app=row["app"],
        key_id=row["key_id"],
        scopes=tuple(row["scopes"]),
        models=tuple(row["models"]),
        tags=tuple(row["tags"]),
        roles=tuple(row["roles"]),
        limits=Limits(row["requests_per_minute"], row["tokens_per_minute"]),
        budget_id=row["budget_id"],
    )
