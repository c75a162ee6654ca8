"""The archive: one row for each exchange that ended, in files of a month each.

Nothing that anybody said is in it, nor who said it: only what headers hold in clear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ArchivedExchange:
    """An exchange that ended. Times are UTC; hashes are of leaves of the log, in hex.

    `leaf_indexes` and `leaf_hashes` are of its entries in the order of the log. `cost_exact` is
    whether the cost rests on the provider's own count.
    """

    exchange_id: str
    started_at: datetime
    ended_at: datetime
    org: str
    team: str
    app: str
    key_id: str
    action: str | None
    model: str | None
    provider: str | None
    served_model: str | None
    outcome: str | None
    code: str | None
    effect: str | None
    decision_id: str | None
    policy_revision: str | None
    rules: Sequence[str]
    labels: Sequence[str]
    findings: Sequence[str]
    """What was found in the request and in the answer, as `kind:label`, each once."""
    input_tokens: int | None
    output_tokens: int | None
    cost_micro_usd: int
    cost_exact: bool | None
    attempts: int
    elapsed_us: int | None
    leaf_indexes: Sequence[int]
    leaf_hashes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Stretch:
    """The leaves `begin` to `end` of the log, and the exchanges of which the last of `opened`
    and `closed` stands among them."""

    begin: int
    end: int
    exchanges: Sequence[ArchivedExchange]


class ArchiveSource(Protocol):
    """The log as one archive follows it. Every method raises `Unavailable`."""

    async def claim(self) -> bool:
        """Be the only one who writes this archive, for ten minutes; False when another is."""

    async def position(self) -> int:
        """How many leaves the archive is done with."""

    async def read(self, begin: int, end: int | None) -> Stretch | None:
        """The leaves from `begin`: up to `end`, or some. None when there are no such leaves.

        It reads the same every time for the same `begin` and `end`.
        """

    async def move(self, begin: int, end: int) -> bool:
        """Say that the archive is done up to `end`, and stay the only one for ten more minutes.

        False when another was there first.
        """

    async def release(self) -> None:
        """Let others write this archive."""
