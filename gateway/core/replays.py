"""What the policy was asked of exchanges that happened, read back to be asked again.

A question holds facts: who, which model, what was found and how sure that is; and some names that
callers gave, such as tags and tools. What was said is not in it, so to read questions is to read
no content. Only where phrases are looked for that nobody looked for then, the texts of requests
are inspected again, without personal data; nothing of them is told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeAlias

from gateway.core.audit import Filters, Scope
from gateway.core.passages import Passage
from gateway.core.policy import Question, Verdict

MOST_REPLAYED = 1_000_000
"""Exchanges that one replay asks about, at most."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which exchanges are asked about: of those that match, the newest `most`, or where
    `sample`, so many of them at random. The same ones are drawn each time."""

    filters: Filters
    most: int
    sample: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.most <= MOST_REPLAYED:
            raise ValueError(f"a replay asks about 1 to {MOST_REPLAYED:,} exchanges")


@dataclass(frozen=True, slots=True)
class Chosen:
    """The exchanges that are asked about, the newest first, by their numbers in the index."""

    numbers: Sequence[int]
    matched: int
    """How many there are that match."""


@dataclass(frozen=True, slots=True)
class AskedThen:
    """What the policy was asked of an exchange, and what it said. Costs are micro-USD."""

    exchange_id: str
    ts: datetime
    app: str
    team: str
    model: str | None
    cost: int
    question: Question
    verdict: Verdict | None
    """None where none was come to, or it is of an older shape."""
    revision: str | None
    """Of the policy that said it."""


class Unread(StrEnum):
    """Why there is no question of an exchange."""

    NOT_ASKED = "not_asked"
    """It was refused before the policy was asked."""
    ERASED = "erased"
    """Its payloads were erased, or deleted when their time was over."""
    ALTERED = "altered"
    """What is stored is not what was written."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some exchanges, the newest first, and how many have no question that can be read."""

    asked: Sequence[AskedThen]
    unread: Mapping[Unread, int] = field(default_factory=dict)


class RecordedQuestions(Protocol):
    """Reads questions. Each method raises `Unavailable`."""

    async def choose(self, scope: Scope, wanted: Wanted) -> Chosen:
        """The exchanges that are wanted; no payload is read."""

    async def read(self, scope: Scope, numbers: Sequence[int]) -> Batch:
        """The questions of some of them, decrypted together."""


class Unseen(StrEnum):
    """Why the text of a request cannot be inspected again."""

    NOT_RECORDED = "text_not_recorded"
    """No payload of the request was kept, or the exchange is not over."""
    GONE = "text_gone"
    """It was deleted meanwhile."""
    WITHHELD = "text_withheld"
    """What was found in it could not be taken out of it."""
    TOO_LONG = "text_too_long"
    UNREADABLE = "text_unreadable"
    """It is not as it was written, or no lens reads it."""


Seen: TypeAlias = Sequence[Passage] | Unseen
"""The texts of a request, or why there are none to inspect."""


class RecordedTexts(Protocol):
    """Reads what requests said, without personal data."""

    def read(self, exchange_ids: Collection[str]) -> AsyncIterator[Mapping[str, Seen]]:
        """The requests of these exchanges, some at a time, each once. As they were sent, or
        where nothing else was sent, as they were received. Raises `Unavailable`."""
