"""Everything the gateway asks of the world outside, as protocols.

Each has a fake in `tests/fakes/` and one contract suite that the fake and every adapter pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.core.answer import Events
from gateway.core.exchange import Exchange
from gateway.core.findings import Finding
from gateway.core.money import ZERO, Money, Price
from gateway.core.passages import Passage
from gateway.core.policy import Decision, Question
from gateway.core.principal import Principal
from gateway.core.records import Entry, Receipt


class Policy(Protocol):
    """The policy decision point."""

    @property
    def revision(self) -> str:
        """The digest of the policy in force."""

    async def decide(self, question: Question) -> Decision:
        """Decide. Raises `Unavailable` (POLICY_UNAVAILABLE, POLICY_ERROR); never guesses."""


class Inspector(Protocol):
    """Finds things in passages; depends on nothing but the passages."""

    @property
    def name(self) -> str: ...

    async def inspect(self, passages: Sequence[Passage]) -> Sequence[Finding]: ...


class Masker(Protocol):
    """Replaces what was found in a text."""

    def mask(self, text: str, findings: Sequence[Finding], name: Callable[[str, str], str]) -> str:
        """`text` with each finding replaced by `name(label, value)`.

        Where findings overlap, the longest wins; none is dropped so that part of what was
        found would stay.
        """


class Record(Protocol):
    """One exchange's place in the ledger.

    Its `opened` entry is staged: it becomes durable together with the first entry that
    follows, in one commit. Methods of one record are not called at the same time.
    """

    @property
    def opened(self) -> Receipt | None:
        """The receipt of its `opened` entry; None until that is durable."""

    async def append(self, entry: Entry, hold: Money = ZERO) -> Receipt:
        """Write `entry` and hold `hold` more, both or neither. MUST be durable on return.

        Raises `OverBudget` when the hold does not fit (nothing is then written, and the
        record may go on), `Unavailable` (AUDIT_UNAVAILABLE, AUDIT_STORAGE_FULL).
        """

    async def close(self, entry: Entry, spent: Money) -> Receipt:
        """Write the terminal entry, release what was held and post `spent`, in one commit.

        MUST be durable on return. Safe to call twice: the second call changes nothing and
        returns the first receipt. Raises `Unavailable`.
        """


class Journal(Protocol):
    """Money and memory, one transaction each."""

    def begin(self, exchange_id: str, principal: Principal, opened: Entry) -> Record:
        """Stage the `opened` entry of an exchange. Touches no disk."""

    def remaining(self, budget_id: str) -> tuple[Money, Money] | None:
        """What was left of a budget and its limit, when last seen: a fact for the policy.

        None when not seen yet. Never a ground to admit a call: `append` decides.
        """


@dataclass(frozen=True, slots=True)
class Model:
    """A model as the catalogue knows it: what callers name, and where it runs."""

    id: str
    upstream: str
    """The name of the provider that serves it."""
    upstream_model: str
    hosting: str = "external"
    region: str | None = None
    tags: tuple[str, ...] = ()
    price: Price | None = None
    max_output_tokens: int | None = None


class Catalogue(Protocol):
    """The models that may be asked for."""

    def find(self, model: str) -> Model | None:
        """The model a caller names so; None when there is none."""

    def models(self) -> Sequence[Model]:
        """Every model that has a name of its own."""


class Provider(Protocol):
    """A model behind a wire."""

    async def send(self, exchange: Exchange, model: Model, body: Mapping[str, Any]) -> Events:
        """Send `body`; return its answer once the provider has begun to answer.

        What must be closed is deferred on the exchange. Sets the header
        `x-govgate-upstream-request-id` where it gets one. Raises `UpstreamError`, also while
        the events are read: an answer that stops short is an error, never an ending.
        """


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """A whole answer, masked, with the id of the exchange that it came from."""

    answer: dict[str, Any]
    source: str


class Cache(Protocol):
    """Known questions. Holds masked text only."""

    async def find(self, key: bytes) -> CachedAnswer | None: ...

    async def keep(self, key: bytes, answer: CachedAnswer, seconds: float) -> None: ...


class Keys(Protocol):
    """API keys."""

    async def principal(self, credential: str) -> Principal | None:
        """Whose key this is; None when unknown, revoked or expired (at most 1 s ago)."""


class RateLimits(Protocol):
    """Ceilings by the minute."""

    async def take(self, key: str, limit: int, amount: int) -> Allowance:
        """Take `amount` of `limit` per minute for `key`, if it is there to take."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a rate limit said. Times in seconds."""

    granted: bool
    limit: int
    remaining: int
    reset: float
    retry_after: float
