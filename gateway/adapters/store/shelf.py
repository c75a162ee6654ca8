"""What is kept for callers: files, batches and their lines, responses. Encrypted, each under a
key of its own; to remove one is to destroy its key.

What is to be written is sealed before a transaction begins, and read back after it: the ledger
waits for SQLite's one write lock too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import structlog
from sqlalchemy import ColumnElement, Connection, Select, delete, insert, or_, select, update

from gateway.adapters.store import kept_items
from gateway.adapters.store.person_keys import subject_mac
from gateway.adapters.store.sealing import Seal, SealedPart, Vault
from gateway.adapters.store.tables import KeptDocument, KeptLine, table
from gateway.adapters.store.threads import Threads
from gateway.core.attribution import subject_of
from gateway.core.kept import Items, Kept, Owner
from gateway.core.principal import Principal

T = TypeVar("T")

_KEPT, _LINE = table(KeptDocument), table(KeptLine)
_COLUMNS = [column for column in _KEPT.c if column.name != "content"]
_SWEPT = 16
"""Expired documents that are destroyed when another is kept."""
_log = structlog.get_logger(__name__)


class SqlShelf:
    """Implements `Shelf` over a migrated database at `url`."""

    def __init__(self, url: str, vault: Vault, pepper: bytes, *, patience: float = 2.0) -> None:
        """`pepper` keys the hashes that stand for the ids of items."""
        self._threads = Threads(url, "shelf", patience)
        self.engine = self._threads.engine
        self._vault = vault
        self._pepper = pepper

    async def put(
        self, kept: Kept, content: bytes | None = None, *, items: Items | None = None
    ) -> None:
        row = await asyncio.to_thread(self._row, kept, content)
        await self._threads.run(_put, row, self._macs(items) or {}, writes=True)

    async def get(self, kind: str, id: str, owner: Owner) -> Kept | None:
        row = await self._threads.run(_one, select(*_COLUMNS).where(_mine(kind, id, owner)))
        return None if row is None else self._kept(row)

    async def content(self, kind: str, id: str, owner: Owner) -> bytes | None:
        row = await self._threads.run(_one, select(_KEPT).where(_mine(kind, id, owner)))
        if row is None or row.content is None:
            return None
        return await asyncio.to_thread(_unsealed, self._seal(row), id, row.content)

    async def change(
        self,
        kept: Kept,
        document: dict[str, Any],
        *,
        working: bool,
        items: Items | None = None,
        expires: datetime | None = None,
    ) -> Kept | None:
        changed = replace(
            kept,
            document=document,
            working=working,
            version=kept.version + 1,
            expires=expires or kept.expires,
        )
        row = await self._threads.run(_one, select(*_COLUMNS).where(_this(kept)))
        if row is None:
            return None
        sealed = await asyncio.to_thread(_document, self._seal(row), changed)
        macs = self._macs(items)
        done = await self._threads.run(_change, kept, changed, sealed, macs, writes=True)
        return changed if done else None

    async def listed(self, kind: str, owner: Owner, after: str | None, limit: int) -> list[Kept]:
        wanted = select(*_COLUMNS).where(_owned(kind, owner))
        if after is not None:
            wanted = wanted.where(_KEPT.c.kept_id < after)  # ids sort by time
        newest = wanted.order_by(_KEPT.c.kept_id.desc()).limit(limit)
        return [self._kept(row) for row in await self._threads.run(_all, newest)]

    async def several(self, kind: str, ids: Collection[str], owner: Owner) -> list[Kept]:
        wanted = select(*_COLUMNS).where(_KEPT.c.kept_id.in_(ids), _owned(kind, owner))
        rows = await self._threads.run(_all, wanted)
        return await asyncio.to_thread(lambda: [self._kept(row) for row in rows])

    async def homes(self, owner: Owner, items: Collection[str]) -> dict[str, str]:
        ids = {kept_items.mac(self._pepper, id): id for id in items}
        rows = await self._threads.run(_all, kept_items.homes(owner, ids))
        return {ids[bytes(row.item_mac)]: row.kept_id for row in rows}

    async def remove(self, kind: str, id: str, owner: Owner) -> bool:
        return await self._threads.run(_remove, kind, id, owner, writes=True)

    async def claim(self, kind: str, worker: str, seconds: float) -> Kept | None:
        waiting = select(_KEPT.c.kept_id).where(_waiting(kind, datetime.now(UTC))).limit(1)
        if not await self._threads.run(_all, waiting):  # a look takes no lock
            return None
        row = await self._threads.run(_claim, kind, worker, seconds, writes=True)
        if row is None:
            return None
        try:
            return self._kept(row)
        except (ValueError, RuntimeError) as error:  # altered, or under another keyring
            _log.critical("kept_document_unreadable", kept_id=row.kept_id, error=str(error))
            await self._threads.run(_put_aside, row, writes=True)
            return None

    async def renew(self, kept: Kept, worker: str, seconds: float) -> bool:
        return await self._threads.run(_renew, kept, worker, seconds, writes=True)

    async def begin_line(self, batch: Kept, index: int, worker: str) -> bool:
        return await self._threads.run(_begin_line, batch, index, worker, writes=True)

    async def end_line(self, batch: Kept, index: int, result: bytes) -> None:
        row = await self._threads.run(_one, select(*_COLUMNS).where(_this(batch)))
        if row is not None:  # else removed meanwhile: nobody wants the result
            part = f"line/{index}"
            sealed = await asyncio.to_thread(_sealed, self._seal(row), batch.id, part, result)
            await self._threads.run(_end_line, batch, index, sealed, writes=True)

    async def lines(self, batch: Kept) -> dict[int, bytes | None]:
        row = await self._threads.run(_one, select(*_COLUMNS).where(_this(batch)))
        if row is None:
            return {}
        begun = await self._threads.run(_all, select(_LINE).where(_LINE.c.kept_id == batch.id))
        return await asyncio.to_thread(_read_lines, self._seal(row), batch.id, begun)

    async def stop(self) -> None:
        """Close the connections."""
        await self._threads.stop()

    def _macs(self, items: Items | None) -> kept_items.Macs | None:
        return None if items is None else kept_items.macs(self._pepper, items)

    def _row(self, kept: Kept, content: bytes | None) -> dict[str, Any]:
        seal = Seal.new(self._vault, kept.id)
        return {
            "kept_id": kept.id,
            "kind": kept.kind,
            "org_id": kept.owner.org,
            "app": kept.owner.app,
            "key_id": kept.principal.key_id,
            "created_at": kept.created,
            "expires_at": kept.expires,
            "working": kept.working,
            "version": kept.version,
            "kek_id": seal.kek_id,
            "wrapped": seal.wrapped,
            "document": _document(seal, kept),
            "content": None if content is None else _sealed(seal, kept.id, "content", content),
            "subject_mac": subject_mac(
                self._vault.index_key, kept.owner.org, subject_of(kept.principal)
            ),
            "exchange_id": kept.document.get("exchange_id"),
        }

    def _seal(self, row: Any) -> Seal:
        key = self._vault.unwrap(row.kek_id, row.wrapped, row.kept_id)
        return Seal(key, row.kek_id, row.wrapped)

    def _kept(self, row: Any) -> Kept:
        shown = msgspec.json.decode(_unsealed(self._seal(row), row.kept_id, row.document))
        return Kept(
            row.kept_id,
            row.kind,
            Owner(row.org_id, row.app),
            shown["document"],
            msgspec.convert(shown["principal"], Principal),
            _aware(row.created_at),
            None if row.expires_at is None else _aware(row.expires_at),
            row.working,
            row.version,
        )


def _document(seal: Seal, kept: Kept) -> bytes:
    shown = {"document": kept.document, "principal": asdict(kept.principal)}
    return _sealed(seal, kept.id, "document", msgspec.json.encode(shown))


def _sealed(seal: Seal, id: str, part: str, payload: bytes) -> bytes:
    return msgspec.msgpack.encode(tuple(seal.seal(id, part, payload)))


def _unsealed(seal: Seal, id: str, packed: bytes) -> bytes:
    return seal.unseal(id, msgspec.msgpack.decode(packed, type=SealedPart))


def _read_lines(seal: Seal, id: str, rows: list[Any]) -> dict[int, bytes | None]:
    return {
        row.line: None if row.result is None else _unsealed(seal, id, row.result) for row in rows
    }


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _this(kept: Kept) -> ColumnElement[bool]:
    """The very document, expired or not."""
    mine = (_KEPT.c.org_id == kept.owner.org) & (_KEPT.c.app == kept.owner.app)
    return (_KEPT.c.kept_id == kept.id) & mine


def _owned(kind: str, owner: Owner) -> ColumnElement[bool]:
    fresh = or_(_KEPT.c.expires_at.is_(None), _KEPT.c.expires_at > datetime.now(UTC))
    mine = (_KEPT.c.org_id == owner.org) & (_KEPT.c.app == owner.app)
    return (_KEPT.c.kind == kind) & mine & fresh


def _mine(kind: str, id: str, owner: Owner) -> ColumnElement[bool]:
    return (_KEPT.c.kept_id == id) & _owned(kind, owner)


def _waiting(kind: str, now: datetime) -> ColumnElement[bool]:
    """What has work left that nobody works on."""
    free = or_(_KEPT.c.claimed_until.is_(None), _KEPT.c.claimed_until < now)
    return (_KEPT.c.kind == kind) & _KEPT.c.working & free


def _one(connection: Connection, wanted: Select[Any]) -> Any:
    return connection.execute(wanted).one_or_none()


def _all(connection: Connection, wanted: Select[Any]) -> list[Any]:
    return list(connection.execute(wanted).all())


def _put(connection: Connection, row: dict[str, Any], items: kept_items.Macs) -> None:
    _sweep(connection)
    connection.execute(insert(_KEPT).values(row))
    kept_items.write(connection, (row["kept_id"], row["org_id"], row["app"]), items)


def _sweep(connection: Connection) -> None:
    """Destroy a few that have expired, with their keys: whoever keeps one cleans up."""
    expired = (
        select(_KEPT.c.kept_id, _KEPT.c.org_id, _KEPT.c.app)
        .where(_KEPT.c.expires_at < datetime.now(UTC))
        .limit(_SWEPT)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(expired).all()
    for row in rows:
        connection.execute(delete(_KEPT).where(_row_of(row)))
    _drop_what_belongs(connection, rows)


def _drop_what_belongs(connection: Connection, rows: Iterable[Any]) -> None:
    """Drop the lines and the items of documents that are gone."""
    places = [(row.kept_id, row.org_id, row.app) for row in rows]
    if places:
        ids = [id for id, _, _ in places]
        connection.execute(delete(_LINE).where(_LINE.c.kept_id.in_(ids)))
        kept_items.forget(connection, places)


def _change(
    connection: Connection,
    kept: Kept,
    changed: Kept,
    sealed: bytes,
    items: kept_items.Macs | None,
) -> bool:
    mine = _this(kept) & (_KEPT.c.version == kept.version)
    values = {
        "document": sealed,
        "working": changed.working,
        "version": changed.version,
        "expires_at": changed.expires,
        "exchange_id": changed.document.get("exchange_id"),
    }
    done = connection.execute(update(_KEPT).where(mine).values(values)).rowcount == 1
    if done and items is not None:
        place = (kept.id, kept.owner.org, kept.owner.app)
        kept_items.forget(connection, [place])
        kept_items.write(connection, place, items)
    return done


def _remove(connection: Connection, kind: str, id: str, owner: Owner) -> bool:
    mine = (_KEPT.c.org_id == owner.org) & (_KEPT.c.app == owner.app) & (_KEPT.c.kind == kind)
    gone = delete(_KEPT).where(_KEPT.c.kept_id == id, mine)
    rows = connection.execute(gone.returning(_KEPT.c.kept_id, _KEPT.c.org_id, _KEPT.c.app)).all()
    _drop_what_belongs(connection, rows)
    return bool(rows)


def _claim(connection: Connection, kind: str, worker: str, seconds: float) -> Any:
    now = datetime.now(UTC)
    row = connection.execute(
        select(*_COLUMNS)
        .where(_waiting(kind, now))
        .order_by(_KEPT.c.kept_id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if row is not None:
        until = now + timedelta(seconds=seconds)
        claimed = update(_KEPT).where(_row_of(row))
        connection.execute(claimed.values(claimed_by=worker, claimed_until=until))
    return row


def _row_of(row: Any) -> ColumnElement[bool]:
    mine: ColumnElement[bool] = (_KEPT.c.org_id == row.org_id) & (_KEPT.c.app == row.app)
    named: ColumnElement[bool] = _KEPT.c.kept_id == row.kept_id
    return mine & named


def _put_aside(connection: Connection, row: Any) -> None:
    """Take a document that nobody can read out of the way of the work behind it."""
    connection.execute(update(_KEPT).where(_row_of(row)).values(working=False))


def _renew(connection: Connection, kept: Kept, worker: str, seconds: float) -> bool:
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    mine = _this(kept) & (_KEPT.c.claimed_by == worker)
    return connection.execute(update(_KEPT).where(mine).values(claimed_until=until)).rowcount == 1


def _begin_line(connection: Connection, batch: Kept, index: int, worker: str) -> bool:
    claim = select(_KEPT.c.claimed_until).where(_this(batch), _KEPT.c.claimed_by == worker)
    until = connection.execute(claim.with_for_update()).scalar_one_or_none()
    if until is None or _aware(until) <= datetime.now(UTC):
        return False
    begun = select(_LINE.c.line).where(_LINE.c.kept_id == batch.id, _LINE.c.line == index)
    if connection.execute(begun).one_or_none() is not None:
        return False
    row = {"org_id": batch.owner.org, "kept_id": batch.id, "line": index}
    connection.execute(insert(_LINE).values(row))
    return True


def _end_line(connection: Connection, batch: Kept, index: int, sealed: bytes) -> None:
    mine = (_LINE.c.kept_id == batch.id) & (_LINE.c.line == index)
    connection.execute(update(_LINE).where(mine).values(result=sealed))
