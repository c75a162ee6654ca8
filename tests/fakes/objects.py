"""Object storage in memory, which can be away, stuck, or watched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime

from gateway.core.objects import ObjectMissing, ObjectsError


class FakeObjects:
    """Implements `PayloadObjects`."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.put_at: dict[str, datetime] = {}
        self.away = False
        self.stuck = False
        """Whether no put ever ends."""
        self.on_put: Callable[[str], None] = lambda name: None
        """Called when something is about to be kept."""

    async def put(self, name: str, content: bytes) -> None:
        self._reach()
        if self.stuck:
            await asyncio.Event().wait()
        self.on_put(name)
        self.kept[name] = content
        self.put_at[name] = datetime.now(UTC)

    def read(self, name: str) -> bytes:
        self._reach()
        if name not in self.kept:
            raise ObjectMissing(name)
        return self.kept[name]

    def remove(self, names: Collection[str]) -> None:
        self._reach()
        for name in names:
            self.kept.pop(name, None)

    def listed(self, prefix: str) -> Iterator[Sequence[tuple[str, datetime]]]:
        self._reach()
        mine = [name for name in self.kept if name.startswith(f"{prefix}/")]
        yield [(name, self.put_at[name]) for name in mine]

    def _reach(self) -> None:
        if self.away:
            raise ObjectsError("object storage is away")
