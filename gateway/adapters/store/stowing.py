"""Puts large payloads into object storage before the entries that name them are written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import structlog

from gateway.adapters.store.engine import RETRY_AFTER
from gateway.adapters.store.object_parts import SealedObject, name_of, seal_object
from gateway.adapters.store.page import Staged, Stowed
from gateway.core.errors import Code, Unavailable
from gateway.core.objects import ObjectsError, PayloadObjects

_log = structlog.get_logger(__name__)


class Stowage:
    """Where payloads above `over` bytes go.

    `timeout` is for how many seconds each may take; `most` how many bytes may be on their way
    before calls are refused.
    """

    def __init__(
        self,
        objects: PayloadObjects,
        *,
        over: int = 256 * 1024,
        timeout: float = 10.0,
        most: int = 256 * 1024 * 1024,
    ) -> None:
        self._objects = objects
        self._over = over
        self._timeout = timeout
        self._most = most
        self._under_way = 0

    def wants(self, staged: Staged) -> bool:
        """Whether anything of an entry is large, and not there yet."""
        return any(len(payload) > self._over for payload in staged.cut.parts.values())

    async def stow(self, staged: Staged, *, ends: bool = False) -> Staged:
        """The entry, with references in place of its large payloads, which are durable then.

        What `ends` an exchange is never refused for want of room. Raises `Unavailable`; some of
        the objects may be there all the same, which nobody can read.
        """
        large = {
            name: payload for name, payload in staged.cut.parts.items() if len(payload) > self._over
        }
        size = sum(map(len, large.values()))
        if not ends and self._under_way and self._under_way + size > self._most:
            raise Unavailable(Code.OVERLOADED, "Too much waits to be stored.", retry_after=1.0)
        self._under_way += size
        try:
            return _with(staged, large, await self._put(staged.entry_id, large))
        finally:
            self._under_way -= size

    async def _put(self, entry_id: str, large: Mapping[str, bytes]) -> Mapping[str, SealedObject]:
        try:
            async with asyncio.timeout(self._timeout):
                put = [self._put_one(entry_id, *each) for each in large.items()]
                return dict(zip(large, await asyncio.gather(*put), strict=True))
        except (ObjectsError, TimeoutError) as error:
            _log.error("payload_not_stored", error=type(error).__name__, entry_id=entry_id)
            raise Unavailable(
                Code.AUDIT_UNAVAILABLE,
                "The record's payloads cannot be stored now.",
                retry_after=RETRY_AFTER,
            ) from error

    async def _put_one(self, entry_id: str, part: str, payload: bytes) -> SealedObject:
        sealed = await asyncio.to_thread(seal_object, entry_id, part, payload)
        await self._objects.put(name_of(sealed.digest), sealed.content)
        return sealed


def _with(staged: Staged, large: Mapping[str, bytes], sealed: Mapping[str, SealedObject]) -> Staged:
    """The entry as it is written: with references, and what they stand for."""
    references = {name: one.reference for name, one in sealed.items()}
    stowed = {name: Stowed(one.digest, len(large[name])) for name, one in sealed.items()}
    parts = {**staged.cut.parts, **references}
    return staged._replace(cut=replace(staged.cut, parts=parts), stowed=stowed)
