"""What is erased: a person's records, or one value wherever it stands."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

SUBJECT, VALUE = "subject", "value"


class UnderHold(Exception):
    """Legal holds forbid it. `holds` are their ids."""

    def __init__(self, holds: Sequence[str]) -> None:
        super().__init__(f"a legal hold covers it: {', '.join(holds)}")
        self.holds = tuple(holds)


@dataclass(frozen=True, slots=True)
class Destroyed:
    """Keys that were destroyed, of one organisation. `of` is `subject` or `value`."""

    org: str
    of: str
    keys: tuple[str, ...] = ()
    exchanges: tuple[str, ...] = ()
    """Those that were erased as a whole, as the value could not be cut out of them."""
    touched: int = 0
    """How many exchanges something of was erased of."""


class ErasureStore(Protocol):
    """Destroys keys and what is derived of what rested under them. Raises `Unavailable`."""

    async def destroy_subject(self, org: str, subject: str, by: str) -> Destroyed:
        """Destroy a subject's key. Durable on return, here and in the erasure journal.

        Raises `UnderHold`.
        """

    async def destroy_value(self, org: str, label: str | None, value: str, by: str) -> Destroyed:
        """Destroy the key of a value, under any label unless one is given. As above."""

    async def reapply(self) -> int:
        """Destroy what the erasure journal says is destroyed and is not; how many keys.

        Raises `ValueError` for a journal that cannot be read.
        """

    async def unrecorded(self) -> Sequence[Destroyed]:
        """What was destroyed and is not on record yet."""

    async def recorded(self, keys: Collection[str]) -> None:
        """Note that the destruction of these is on record."""

    async def exchanges_of(self, org: str, subject: str) -> tuple[Sequence[str], Sequence[str]]:
        """The ids of a subject's keys that are not destroyed, and of the exchanges under them,
        the oldest first."""
