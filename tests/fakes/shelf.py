"""A shelf in memory."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.core.kept import Items, Kept, Owner


class FakeShelf:
    """Implements `Shelf`. `now` may be moved."""

    def __init__(self) -> None:
        self.now = lambda: datetime.now(UTC)
        self._kept: dict[str, Kept] = {}
        self._content: dict[str, bytes] = {}
        self._lines: dict[str, dict[int, bytes | None]] = {}
        self._claims: dict[str, tuple[str, datetime]] = {}
        self._homes: dict[tuple[Owner, str], str] = {}

    async def put(
        self, kept: Kept, content: bytes | None = None, *, items: Items | None = None
    ) -> None:
        self._kept[kept.id] = kept  # ids that apps share are beyond this fake
        self._hold(kept, items or {})
        if content is not None:
            self._content[kept.id] = content

    async def get(self, kind: str, id: str, owner: Owner) -> Kept | None:
        kept = self._kept.get(id)
        if kept is None or (kept.kind, kept.owner) != (kind, owner):
            return None
        return None if kept.expires is not None and kept.expires <= self.now() else kept

    async def content(self, kind: str, id: str, owner: Owner) -> bytes | None:
        return self._content.get(id) if await self.get(kind, id, owner) else None

    async def change(
        self,
        kept: Kept,
        document: dict[str, Any],
        *,
        working: bool,
        items: Items | None = None,
        expires: datetime | None = None,
    ) -> Kept | None:
        standing = self._kept.get(kept.id)
        if standing is None or standing.version != kept.version:
            return None
        version, expires = kept.version + 1, expires or kept.expires
        changed = replace(
            kept, document=document, working=working, version=version, expires=expires
        )
        self._kept[kept.id] = changed
        if items is not None:
            self._forget(kept)
            self._hold(kept, items)
        return changed

    async def listed(self, kind: str, owner: Owner, after: str | None, limit: int) -> list[Kept]:
        ids = sorted(self._kept, reverse=True)
        found = [await self.get(kind, id, owner) for id in ids if after is None or id < after]
        return [kept for kept in found if kept is not None][:limit]

    async def several(self, kind: str, ids: Collection[str], owner: Owner) -> list[Kept]:
        found = [await self.get(kind, id, owner) for id in ids]
        return [kept for kept in found if kept is not None]

    async def homes(self, owner: Owner, items: Collection[str]) -> dict[str, str]:
        return {id: self._homes[owner, id] for id in items if (owner, id) in self._homes}

    def _hold(self, kept: Kept, items: Items) -> None:
        for id, own in items.items():
            if own or (kept.owner, id) not in self._homes:
                self._homes[kept.owner, id] = kept.id

    def _forget(self, kept: Kept) -> None:
        theirs = [
            key for key, home in self._homes.items() if (key[0], home) == (kept.owner, kept.id)
        ]
        for key in theirs:
            del self._homes[key]

    async def remove(self, kind: str, id: str, owner: Owner) -> bool:
        kept = self._kept.get(id)
        if kept is None or (kept.kind, kept.owner) != (kind, owner):
            return False
        self._forget(kept)
        self._lines.pop(id, None)
        self._content.pop(id, None)
        del self._kept[id]
        return True

    async def claim(self, kind: str, worker: str, seconds: float) -> Kept | None:
        now = self.now()
        for id, kept in sorted(self._kept.items()):
            until = self._claims[id][1] if id in self._claims else now - timedelta(seconds=1)
            if kept.kind == kind and kept.working and until < now:
                self._claims[id] = worker, now + timedelta(seconds=seconds)
                return kept
        return None

    async def renew(self, kept: Kept, worker: str, seconds: float) -> bool:
        if self._claims.get(kept.id, ("",))[0] != worker:
            return False
        self._claims[kept.id] = worker, self.now() + timedelta(seconds=seconds)
        return True

    async def begin_line(self, batch: Kept, index: int, worker: str) -> bool:
        begun = self._lines.setdefault(batch.id, {})
        claimed_by, until = self._claims.get(batch.id, ("", self.now()))
        if index in begun or claimed_by != worker or until <= self.now():
            return False
        begun[index] = None
        return True

    async def end_line(self, batch: Kept, index: int, result: bytes) -> None:
        if batch.id in self._kept:
            self._lines[batch.id][index] = result

    async def lines(self, batch: Kept) -> dict[int, bytes | None]:
        return dict(self._lines.get(batch.id, {}))
