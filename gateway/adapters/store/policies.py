"""Policies over SQL: their versions, drafts, releases, and what is in force."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from gateway.adapters.store import policy_rows as rows
from gateway.adapters.store.leases import clock
from gateway.adapters.store.policy_rows import (
    APPROVAL,
    DEED,
    DRAFT,
    NODE,
    PACK,
    RELEASE,
    ROLLOUT,
    STOP,
    VERSION,
)
from gateway.adapters.store.threads import Threads
from gateway.core.policies import (
    Approval,
    Conflict,
    Draft,
    Node,
    Owner,
    Release,
    Rollout,
    Standing,
    Stop,
    Version,
)


class SqlPolicies:
    """Implements `PolicyStore` for one organisation over a migrated database at `url`."""

    def __init__(self, url: str, *, org: str = "default", patience: float = 2.0) -> None:
        self._threads = Threads(url, "policies", patience)
        self._org = org

    async def owners(self) -> Mapping[str, Owner]:
        wanted = select(PACK.c.pack, PACK.c.owner).where(PACK.c.org_id == self._org)
        found = await self._all(wanted.order_by(PACK.c.pack))
        return {row.pack: Owner(row.owner) for row in found}

    async def own(self, pack: str, owner: Owner) -> None:
        values = {"org_id": self._org, "pack": pack, "owner": owner.value}
        await self._write(_put, PACK, values, ("org_id", "pack"), ("owner",))

    async def add_version(self, version: Version) -> None:
        await self._write(_put, VERSION, rows.of_version(self._org, version), ("org_id", "digest"))

    async def version(self, digest: str) -> Version | None:
        found = await self._all(self._mine(VERSION).where(VERSION.c.digest == digest))
        return rows.version(found[0]) if found else None

    async def versions(self, pack: str) -> Sequence[Version]:
        mine = select(*rows.but(VERSION, "files")).where(VERSION.c.org_id == self._org)
        newest = (VERSION.c.created_at.desc(), VERSION.c.digest)
        return [
            rows.version(row)
            for row in await self._all(mine.where(VERSION.c.pack == pack).order_by(*newest))
        ]

    async def save_draft(self, draft: Draft) -> None:
        await self._write(_save_draft, rows.of_draft(self._org, draft))

    async def draft(self, id: str) -> Draft | None:
        found = await self._all(self._mine(DRAFT).where(DRAFT.c.draft_id == id))
        return rows.draft(found[0]) if found else None

    async def drafts(self) -> Sequence[Draft]:
        mine = select(*rows.but(DRAFT, "files")).where(DRAFT.c.org_id == self._org)
        newest = (DRAFT.c.updated_at.desc(), DRAFT.c.draft_id.desc())
        return [rows.draft(row) for row in await self._all(mine.order_by(*newest))]

    async def drop_draft(self, id: str) -> None:
        which = (DRAFT.c.org_id == self._org) & (DRAFT.c.draft_id == id)
        await self._write(_execute, delete(DRAFT).where(which))

    async def add_release(self, release: Release) -> None:
        await self._write(_execute, insert(RELEASE).values(rows.of_release(self._org, release)))

    async def release(self, id: str) -> Release | None:
        found = await self._all(self._mine(RELEASE).where(RELEASE.c.release_id == id))
        return rows.release(found[0]) if found else None

    async def releases(self, most: int = 100) -> Sequence[Release]:
        newest = (RELEASE.c.created_at.desc(), RELEASE.c.release_id.desc())
        found = await self._all(self._mine(RELEASE).order_by(*newest).limit(most))
        return [rows.release(row) for row in found]

    async def add_approval(self, approval: Approval) -> None:
        said = await self._write(_approve, self._org, approval)
        if said is not None:
            raise said

    async def approvals(self, release: str) -> Sequence[Approval]:
        mine = self._mine(APPROVAL).where(APPROVAL.c.release_id == release)
        newest = (APPROVAL.c.at.desc(), APPROVAL.c.person)
        return [rows.approval(row) for row in await self._all(mine.order_by(*newest))]

    async def standing(self) -> Standing:
        return await self._threads.run(_standing, self._org)

    async def move(self, rollout: Rollout) -> None:
        moved = await self._write(_move, self._org, rollout)
        if not moved:
            raise Conflict("somebody else changed what is in force; look again, and repeat")

    async def rollouts(self, most: int = 100) -> Sequence[Rollout]:
        newest = self._mine(ROLLOUT).order_by(ROLLOUT.c.number.desc()).limit(most)
        return [rows.rollout(row) for row in await self._all(newest)]

    async def add_stop(self, stop: Stop) -> None:
        await self._write(_execute, insert(STOP).values(rows.of_stop(self._org, stop)))

    async def lift_stop(self, id: str, by: str, at: datetime) -> bool:
        stands = (STOP.c.org_id == self._org) & (STOP.c.stop_id == id) & STOP.c.lifted_at.is_(None)
        values = {"lifted_by": by, "lifted_at": rows.utc(at)}
        lifted: int = await self._write(_execute, update(STOP).where(stands).values(values))
        return lifted == 1

    async def stops(self, most: int = 100) -> Sequence[Stop]:
        newest = (STOP.c.at.desc(), STOP.c.stop_id.desc())
        found = await self._all(self._mine(STOP).order_by(*newest).limit(most))
        return [rows.stop(row) for row in found]

    async def acknowledge(self, node: Node) -> None:
        values = rows.of_node(self._org, node)
        keys = ("org_id", "node_id")
        await self._write(_put, NODE, values, keys, tuple(values.keys() - set(keys)))

    async def nodes(self, since: datetime) -> Sequence[Node]:
        seen = self._mine(NODE).where(NODE.c.seen_at >= rows.utc(since))
        found = await self._all(seen.order_by(NODE.c.seen_at.desc(), NODE.c.node_id))
        return [rows.node(row) for row in found]

    async def claim(self, deed: str, seconds: float) -> bool:
        mine: bool = await self._write(_claim, self._org, deed, timedelta(seconds=seconds))
        return mine

    async def done(self, deed: str) -> None:
        which = (DEED.c.org_id == self._org) & (DEED.c.deed == deed)
        await self._write(_execute, update(DEED).where(which).values(done=True))

    async def stop(self) -> None:
        """Close the connections."""
        await self._threads.stop()

    def _mine(self, table: Any) -> Any:
        return select(table).where(table.c.org_id == self._org)

    async def _all(self, wanted: Any) -> Sequence[Any]:
        return await self._threads.run(_fetch, wanted)

    async def _write(self, work: Callable[..., Any], *arguments: object) -> Any:
        return await self._threads.run(work, *arguments, writes=True)


def _fetch(connection: Connection, wanted: Any) -> Sequence[Any]:
    return connection.execute(wanted).all()


def _execute(connection: Connection, statement: Any) -> int:
    return connection.execute(statement).rowcount


def _put(
    connection: Connection,
    table: Any,
    values: Mapping[str, Any],
    keys: Sequence[str],
    changing: Sequence[str] = (),
) -> None:
    """Insert a row, or change the columns `changing` of the one that is there."""
    kind = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = kind(table).values(values)
    if not changing:
        connection.execute(row.on_conflict_do_nothing(index_elements=keys))
        return
    new = {name: row.excluded[name] for name in changing}
    connection.execute(row.on_conflict_do_update(index_elements=keys, set_=new))


def _save_draft(connection: Connection, values: Mapping[str, Any]) -> None:
    if values["edition"] == 1:
        saved = _inserted(connection, insert(DRAFT).values(values))
    else:
        before = (
            (DRAFT.c.org_id == values["org_id"])
            & (DRAFT.c.draft_id == values["draft_id"])
            & (DRAFT.c.edition == values["edition"] - 1)
        )
        saved = _execute(connection, update(DRAFT).where(before).values(values)) == 1
    if not saved:
        raise Conflict("somebody else saved this draft, or dropped it; look again, and repeat")


def _inserted(connection: Connection, statement: Any) -> bool:
    """Whether the row could go in; the transaction goes on either way."""
    try:
        with connection.begin_nested():
            connection.execute(statement)
    except IntegrityError:
        return False
    return True


def _approve(connection: Connection, org: str, approval: Approval) -> ValueError | None:
    """Keep an approval; else what is wrong with it."""
    mine = (RELEASE.c.org_id == org) & (RELEASE.c.release_id == approval.release)
    author = select(RELEASE.c.author, RELEASE.c.author_user).where(mine)
    found = connection.execute(author).one_or_none()
    if found is None:
        return ValueError(f"there is no release {approval.release}")
    if approval.person == found.author or (approval.user and approval.user == found.author_user):
        return ValueError("the author of a release is not the one who approves it")
    values = rows.of_approval(org, approval, found.author, found.author_user)
    if not _inserted(connection, insert(APPROVAL).values(values)):
        return Conflict("this person has spoken of this release already")
    return None


def _standing(connection: Connection, org: str) -> Standing:
    newest = select(ROLLOUT).where(ROLLOUT.c.org_id == org).order_by(ROLLOUT.c.number.desc())
    found = connection.execute(newest.limit(1)).one_or_none()
    stands = select(STOP).where(STOP.c.org_id == org, STOP.c.lifted_at.is_(None))
    stops = connection.execute(stands.order_by(STOP.c.stop_id)).all()
    return Standing(rows.rollout(found) if found else None, tuple(map(rows.stop, stops)))


def _move(connection: Connection, org: str, rollout: Rollout) -> bool:
    newest = select(func.max(ROLLOUT.c.number)).where(ROLLOUT.c.org_id == org)
    if rollout.number != (connection.execute(newest).scalar() or 0) + 1:
        return False
    values = rows.of_rollout(org, rollout, asdict(rollout.canary) if rollout.canary else None)
    return _inserted(connection, insert(ROLLOUT).values(values))


def _claim(connection: Connection, org: str, deed: str, lasts: timedelta) -> bool:
    now = clock(connection).astimezone(UTC)
    values = {"org_id": org, "deed": deed, "claimed_at": now, "done": False}
    if _inserted(connection, insert(DEED).values(values)):
        return True
    given_up = (
        (DEED.c.org_id == org)
        & (DEED.c.deed == deed)
        & DEED.c.done.is_(False)
        & (DEED.c.claimed_at <= now - lasts)
    )
    return _execute(connection, update(DEED).where(given_up).values(claimed_at=now)) == 1
