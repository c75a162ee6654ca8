"""Object storage: named bytes in a bucket or a folder."""

from __future__ import annotations

from typing import Protocol


class ObjectsError(ValueError):
    """An object cannot be kept, or what is kept cannot be listed or read."""


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
