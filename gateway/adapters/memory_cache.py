"""Known answers in this process's memory."""

from __future__ import annotations

import time
from collections.abc import Callable

import orjson
from cachetools import TLRUCache

from gateway.core.ids import new_id
from gateway.core.ports import CachedAnswer

_TIME = len("exc_") + 12
"""Characters of an exchange's id that say when it began, to the millisecond."""


class MemoryCache:
    """Implements `Cache`: the least recently used go first, each at the latest when it is due."""

    def __init__(
        self, *, most_bytes: int = 64 << 20, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._answers: TLRUCache[bytes, tuple[bytes, str, float]] = TLRUCache(
            most_bytes,
            ttu=lambda _key, kept, stored: stored + kept[2],
            timer=now,
            getsizeof=lambda kept: len(kept[0]) + 256,
        )
        self._forgotten = ""
        """Answers of exchanges up to this time are not kept any more; ids begin with it."""

    async def find(self, key: bytes) -> CachedAnswer | None:
        """The answer kept under `key`; a copy, which the caller may edit."""
        kept = self._answers.get(key)
        return None if kept is None else CachedAnswer(orjson.loads(kept[0]), kept[1])

    async def keep(self, key: bytes, answer: CachedAnswer, seconds: float) -> None:
        """Keep `answer` for `seconds`. One that is larger than the whole cache is not kept."""
        if answer.source[:_TIME] <= self._forgotten:
            return
        body = orjson.dumps(answer.answer)
        if len(body) + 256 <= self._answers.maxsize:
            self._answers[key] = (body, answer.source, seconds)

    def forget(self) -> None:
        """Drop every answer, and whatever comes of exchanges that run now: something of them
        was erased, and answers do not tell which people they are about."""
        self._answers.clear()
        self._forgotten = new_id("exc")[:_TIME]
