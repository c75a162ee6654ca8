"""Keeps the log going while the gateway runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeVar

from gateway.adapters.store.log import Log
from gateway.adapters.store.sequencer import MOST_LEAVES

T = TypeVar("T")


class Between(Protocol):
    """Does work that writes to the database, where it is least in the way."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


class CoSigners(Protocol):
    """Whoever signs checkpoints besides the log."""

    async def ask(
        self, checkpoint_note: str, consistency: Callable[[int], Sequence[bytes]]
    ) -> list[str]:
        """The signature lines of those that sign."""


class Keepers(Protocol):
    """Whoever keeps checkpoints elsewhere."""

    @property
    def names(self) -> Collection[str]:
        """What each is called."""

    async def keep(self, checkpoint: str, names: Collection[str]) -> dict[str, str]:
        """Have those of these names keep it; where it is, by the names of those that do."""


class LogKeeper:
    """Sequences what is written, twice a second, signs what has grown, and has it co-signed.

    `between` is the journal's; `witnesses` are asked every `asking` seconds, `anchors` every
    `anchoring`. What fails is tried again; the log's state says why.
    """

    def __init__(
        self,
        log: Log,
        between: Between,
        witnesses: CoSigners | None = None,
        anchors: Keepers | None = None,
        *,
        seconds: float = 0.5,
        asking: float = 5.0,
        anchoring: float = 60.0,
    ) -> None:
        self.log = log
        self._between = between
        self._witnesses = witnesses
        self._anchors = anchors
        self._seconds = seconds
        self._asking = asking
        self._anchoring = anchoring
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Hold the database against what was signed, then begin.

        Raises what `Log.open` raises.
        """
        await asyncio.to_thread(self.log.open)
        self._tasks = [asyncio.create_task(self._again(self._sequence, self._seconds))]
        if self._witnesses is not None:
            asked = partial(self._cosign, self._witnesses)
            self._tasks.append(asyncio.create_task(self._again(asked, self._asking)))
        if self._anchors is not None:
            kept = partial(self.anchor, self._anchors)
            self._tasks.append(asyncio.create_task(self._again(kept, self._anchoring)))

    async def stop(self) -> None:
        """Stop, once what is being written is written."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()

    async def finish(self) -> None:
        """Sequence and sign all there is, if that can be done; after the journal has stopped."""
        try:
            await asyncio.to_thread(self.log.catch_up)
        except Exception as error:  # noqa: BLE001 - the next process to start does it
            self.log.failed(error)

    async def _again(self, work: Callable[[], Coroutine[Any, Any, None]], seconds: float) -> None:
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - said in the state, and tried again
                self.log.failed(error)
            await asyncio.sleep(seconds)

    async def _sequence(self) -> None:
        while await self._between(self.log.step) == MOST_LEAVES:
            pass

    async def _cosign(self, witnesses: CoSigners) -> None:
        last = await asyncio.to_thread(self.log.last_note)
        if last is None or last[0] <= self.log.state.held:
            return
        size, note = last
        lines = await witnesses.ask(note, lambda old: self.log.consistency(old, size))
        if lines:
            await self._between(partial(self.log.keep_lines, size, lines))

    async def anchor(self, anchors: Keepers) -> None:
        """Put the last checkpoint into the anchors that do not have it."""
        last = await asyncio.to_thread(self.log.last_note)
        if last is None:
            return
        size, note = last
        has = await asyncio.to_thread(self.log.anchored)
        behind = [name for name in anchors.names if has.get(name, 0) < size]
        places = await anchors.keep(note, behind) if behind else {}
        if places:
            await self._between(partial(self.log.keep_anchors, size, places))
