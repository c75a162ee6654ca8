"""Records as objects in a bucket: one for each delivery, named by the leaves that it is of."""

from __future__ import annotations

from gateway.core.exports import Delivery, SinkError
from gateway.core.objects import Objects, ObjectsError


class BucketSink:
    """Implements `Sink` over object storage, in lines of a format that files end in `suffix`.

    A delivery that is repeated is put under its former name. The last leaf is in the name, so
    that a sender who comes late, with fewer leaves, replaces nobody's object.
    """

    def __init__(self, objects: Objects, suffix: str = "jsonl") -> None:
        self._objects = objects
        self._suffix = suffix

    async def send(self, delivery: Delivery) -> None:
        name = f"{delivery.begin:016}-{delivery.end:016}.{self._suffix}"
        try:
            await self._objects.put(name, b"".join(line + b"\n" for line in delivery.lines))
        except ObjectsError as error:
            raise SinkError(str(error)) from error

    async def stop(self) -> None:
        """Nothing is kept open."""
