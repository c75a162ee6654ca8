"""What is kept for callers: files, batches and their lines, responses. Encrypted, each under a
key of its own; to remove one is to destroy its key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from gateway.adapters.store.engine import for_writing, open_engine, unavailable
from gateway.adapters.store.sealing import Seal, SealedPart, Vault
from gateway.adapters.store.tables import KeptDocument, KeptLine, table
from gateway.core.ports import Kept, Owner
from gateway.core.principal import Principal

T = TypeVar("T")

_KEPT, _LINE = table(KeptDocument), table(KeptLine)
_COLUMNS = [column for column in _KEPT.c if column.name != "content"]


class SqlShelf:
    """Implements `Shelf` over a migrated database at `url`."""

    def __init__(self, url: str, vault: Vault, *, patience: float = 2.0) -> None:
        self.engine = open_engine(url, patience)
        self._vault = vault
        self._threads = ThreadPoolExecutor(2, "shelf")

    async def put(self, kept: Kept, content: bytes | None = None) -> None:
        await self._in_thread(self._put, kept, content, writes=True)

    async def get(self, kind: str, id: str, owner: Owner) -> Kept | None:
        return await self._in_thread(self._get, kind, id, owner)

    async def content(self, kind: str, id: str, owner: Owner) -> bytes | None:
        return await self._in_thread(self._content, kind, id, owner)

    async def change(self, kept: Kept, document: dict[str, Any], *, working: bool) -> Kept | None:
        changed = replace(kept, document=document, working=working, version=kept.version + 1)
        done = await self._in_thread(self._change, kept, changed, writes=True)
        return changed if done else None

    async def listed(self, kind: str, owner: Owner, after: str | None, limit: int) -> list[Kept]:
        return await self._in_thread(self._listed, kind, owner, after, limit)

    async def remove(self, kind: str, id: str, owner: Owner) -> bool:
        return await self._in_thread(_remove, kind, id, owner, writes=True)

    async def claim(self, kind: str, worker: str, seconds: float) -> Kept | None:
        if not await self._in_thread(_waits, kind):  # a look takes no lock from the ledger
            return None
        return await self._in_thread(self._claim, kind, worker, seconds, writes=True)

    async def renew(self, kept: Kept, worker: str, seconds: float) -> bool:
        return await self._in_thread(_renew, kept, worker, seconds, writes=True)

    async def begin_line(self, batch: Kept, index: int) -> None:
        await self._in_thread(_begin_line, batch, index, writes=True)

    async def end_line(self, batch: Kept, index: int, result: bytes) -> None:
        await self._in_thread(self._end_line, batch, index, result, writes=True)

    async def lines(self, batch: Kept) -> dict[int, bytes | None]:
        return await self._in_thread(self._lines, batch)

    async def stop(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._threads.shutdown)
        self.engine.dispose()

    async def _in_thread(
        self, work: Callable[..., T], *arguments: object, writes: bool = False
    ) -> T:
        """`work(connection, *arguments)` in a transaction, off the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, partial(self._transaction, work, arguments, writes)
        )

    def _transaction(
        self, work: Callable[..., T], arguments: tuple[object, ...], writes: bool
    ) -> T:
        engine = for_writing(self.engine) if writes else self.engine
        try:
            with engine.begin() as connection:
                return work(connection, *arguments)
        except SQLAlchemyError as error:
            raise unavailable(error) from error

    def _put(self, connection: Connection, kept: Kept, content: bytes | None) -> None:
        seal = Seal.new(self._vault, kept.id)
        row = {
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
        }
        connection.execute(insert(_KEPT).values(row))

    def _get(self, connection: Connection, kind: str, id: str, owner: Owner) -> Kept | None:
        row = connection.execute(select(*_COLUMNS).where(_mine(kind, id, owner))).one_or_none()
        return None if row is None else self._kept(row)

    def _content(self, connection: Connection, kind: str, id: str, owner: Owner) -> bytes | None:
        row = connection.execute(select(_KEPT).where(_mine(kind, id, owner))).one_or_none()
        if row is None or row.content is None:
            return None
        return _unsealed(self._seal(row), id, row.content)

    def _change(self, connection: Connection, kept: Kept, changed: Kept) -> bool:
        mine = _this(kept) & (_KEPT.c.version == kept.version)
        row = connection.execute(select(*_COLUMNS).where(mine)).one_or_none()
        if row is None:
            return False
        values = {
            "document": _document(self._seal(row), changed),
            "working": changed.working,
            "version": changed.version,
        }
        return connection.execute(update(_KEPT).where(mine).values(values)).rowcount == 1

    def _listed(
        self, connection: Connection, kind: str, owner: Owner, after: str | None, limit: int
    ) -> list[Kept]:
        wanted = select(*_COLUMNS).where(_owned(kind, owner))
        if after is not None:
            wanted = wanted.where(_KEPT.c.kept_id < after)  # ids sort by time
        rows = connection.execute(wanted.order_by(_KEPT.c.kept_id.desc()).limit(limit))
        return [self._kept(row) for row in rows]

    def _claim(self, connection: Connection, kind: str, worker: str, seconds: float) -> Kept | None:
        now = datetime.now(UTC)
        row = connection.execute(
            select(*_COLUMNS)
            .where(_waiting(kind, now))
            .order_by(_KEPT.c.kept_id)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).one_or_none()
        if row is None:
            return None
        until = now + timedelta(seconds=seconds)
        kept = self._kept(row)
        mine = update(_KEPT).where(_this(kept))
        connection.execute(mine.values(claimed_by=worker, claimed_until=until))
        return kept

    def _end_line(self, connection: Connection, batch: Kept, index: int, result: bytes) -> None:
        row = connection.execute(select(*_COLUMNS).where(_this(batch))).one_or_none()
        if row is not None:  # removed meanwhile: nobody wants the result
            sealed = _sealed(self._seal(row), batch.id, f"line/{index}", result)
            mine = (_LINE.c.kept_id == batch.id) & (_LINE.c.line == index)
            connection.execute(update(_LINE).where(mine).values(result=sealed))

    def _lines(self, connection: Connection, batch: Kept) -> dict[int, bytes | None]:
        kept = connection.execute(select(*_COLUMNS).where(_this(batch))).one_or_none()
        if kept is None:
            return {}
        seal = self._seal(kept)
        rows = connection.execute(select(_LINE).where(_LINE.c.kept_id == batch.id))
        return {
            row.line: None if row.result is None else _unsealed(seal, batch.id, row.result)
            for row in rows
        }

    def _seal(self, row: Any) -> Seal:
        return Seal(
            self._vault.unwrap(row.kek_id, row.wrapped, row.kept_id), row.kek_id, row.wrapped
        )

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


def _waits(connection: Connection, kind: str) -> bool:
    some = select(_KEPT.c.kept_id).where(_waiting(kind, datetime.now(UTC))).limit(1)
    return connection.execute(some).first() is not None


def _remove(connection: Connection, kind: str, id: str, owner: Owner) -> bool:
    gone = connection.execute(delete(_KEPT).where(_mine(kind, id, owner))).rowcount == 1
    if gone:
        connection.execute(delete(_LINE).where(_LINE.c.kept_id == id))
    return gone


def _renew(connection: Connection, kept: Kept, worker: str, seconds: float) -> bool:
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    mine = _this(kept) & (_KEPT.c.claimed_by == worker)
    return connection.execute(update(_KEPT).where(mine).values(claimed_until=until)).rowcount == 1


def _begin_line(connection: Connection, batch: Kept, index: int) -> None:
    row = {"org_id": batch.owner.org, "kept_id": batch.id, "line": index}
    connection.execute(insert(_LINE).values(row))
