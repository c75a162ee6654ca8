"""Object storage: named bytes in a bucket or a folder."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Protocol


class ObjectsError(ValueError):
    """An object cannot be kept, or what is kept cannot be listed or read."""


class ObjectMissing(ObjectsError):
    """There is no object under the name."""


class ObjectDiffers(ObjectsError):
    """Another object stands under the name, and none is ever replaced there."""


class Objects(Protocol):
    """Objects under names with `/` between their parts. Every method raises `ObjectsError`."""

    async def put(self, name: str, content: bytes) -> None:
        """Keep `content`, in place of what stands under the name."""

    async def add(self, name: str, content: bytes) -> None:
        """Keep `content` under a name of its own; safe to repeat.

        Raises `ObjectDiffers` when something else stands there.
        """

    async def names(self) -> list[str]:
        """The name of every object, in no order."""


class PayloadObjects(Protocol):
    """Where large payloads are kept. Every method raises `ObjectsError`; all but `put` block."""

    async def put(self, name: str, content: bytes) -> None:
        """Keep `content`. Durable on return; safe to repeat."""

    def read(self, name: str) -> bytes:
        """What was put under the name. Raises `ObjectMissing`."""

    def remove(self, names: Collection[str]) -> None:
        """Delete objects, where they are there."""

    def listed(self, prefix: str) -> Iterator[Sequence[tuple[str, datetime]]]:
        """The objects whose names begin with this folder's: name, and when each was last put."""
