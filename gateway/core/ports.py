"""Everything the gateway asks of the world outside, as protocols.

Each has a fake in `tests/fakes/` and one contract suite that the fake and every adapter pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from gateway.core.answer import Events
from gateway.core.attribution import Attribution
from gateway.core.errors import UpstreamError
from gateway.core.exchange import Exchange, Outcome
from gateway.core.findings import Finding
from gateway.core.money import ZERO, Money, Price
from gateway.core.passages import Passage
from gateway.core.policy import Decision, Question
from gateway.core.principal import Principal
from gateway.core.records import Entry, Receipt
from gateway.core.values import Value


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

    async def open(self, values: Sequence[Value] = ()) -> Receipt:
        """Write the `opened` entry by itself, unless it is written. MUST be durable on return.

        For who must not go on before the exchange is known to exist; `values` are those that
        were found by then. Raises `Unavailable`.
        """

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

    def begin(
        self,
        exchange_id: str,
        principal: Principal,
        opened: Entry,
        whose: Attribution | None = None,
    ) -> Record:
        """Stage the `opened` entry of an exchange, which is the principal's own unless said.

        Touches no disk.
        """

    async def note(self, actor: Principal, entry: Entry) -> Receipt:
        """Write an entry that belongs to no exchange: something that `actor` did.

        MUST be durable on return. Raises `Unavailable`.
        """

    def remaining(self, budget_id: str) -> tuple[Money, Money] | None:
        """What was left of a budget and its limit, when last seen: a fact for the policy.

        None when not seen yet. Never a ground to admit a call: `append` decides.
        """


@dataclass(frozen=True, slots=True)
class Model:
    """A model as the catalogue knows it: what callers name, and where it runs.

    Where several targets serve one name, `group` is all of them, and the rest is the first's.
    """

    id: str
    upstream: str
    """The name of the provider that serves it."""
    upstream_model: str
    hosting: str = "external"
    region: str | None = None
    tags: tuple[str, ...] = ()
    price: Price | None = None
    max_output_tokens: int | None = None
    retry_billed: bool = False
    """Whether a call that may have been billed, and came to nothing, is made again."""
    group: Group | None = None


class Strategy(StrEnum):
    """How one of several targets is chosen, among those of the lowest `order` that work."""

    ORDERED = "ordered"
    WEIGHTED = "weighted"
    LATENCY = "latency"
    COST = "cost"


@dataclass(frozen=True, slots=True)
class Choice:
    """One target of a group. `order` comes before every strategy; `weight` is for WEIGHTED."""

    model: Model
    weight: int = 1
    order: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """The targets that serve one name. `sticky`: those of one session go to one target."""

    choices: tuple[Choice, ...]
    strategy: Strategy = Strategy.ORDERED
    sticky: bool = False


class Catalogue(Protocol):
    """The models that may be asked for."""

    def find(self, model: str) -> Model | None:
        """The model a caller names so; None when there is none."""

    def models(self) -> Sequence[Model]:
        """Every model that has a name of its own."""


class Turn(Protocol):
    """One call of a target, as far as it is watched. `leave` may be called at any time, twice."""

    def sent(self) -> None:
        """The call goes out now."""

    def answered(self) -> None:
        """The first byte of an answer is here."""

    def failed(self, error: UpstreamError) -> None:
        """The call failed, before its answer or inside it."""

    def leave(self) -> None:
        """The call is over; another may take its place."""


class Traffic(Protocol):
    """What is known of targets from the calls that were made of them. It makes none itself."""

    def order(self, model: Model, session: str | None) -> Sequence[Model]:
        """The targets of `model`, best first; those that cannot be asked now come last.

        `session` is the caller's word for what belongs together. Never empty.
        """

    async def enter(self, target: Model) -> Turn:
        """A place for one call, after a short wait at most.

        Raises `UpstreamError`, always `retryable`, while the target is not to be asked.
        """


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

    async def stands(self, principal: Principal) -> bool:
        """Whether whoever handed work in earlier may still call; asked before it is done.

        A key that was revoked or has expired may not. A token is good for what was handed in
        while it was.
        """


@dataclass(frozen=True, slots=True)
class Earlier:
    """The exchange that holds an idempotency key."""

    exchange_id: str
    same: bool
    """Whether it asked for the same."""
    outcome: Outcome | None
    """How it ended; None while it runs."""
    media: str | None = None
    """The content type of its answer, where that is no JSON."""


class Repeats(Protocol):
    """Which exchange a caller's idempotency key stands for, for a day, across processes.

    A key is known by `key_id`, the caller's own, and `name`, as the caller sent it. What was
    asked and the name are kept as keyed hashes, never as text. All raise `Unavailable`.
    """

    async def earlier(self, key_id: str, name: str, content: bytes) -> Earlier | None:
        """The exchange that holds the key, compared with `content`; None when none does."""

    async def claim(
        self, principal: Principal, name: str, content: bytes, exchange_id: str, after: str | None
    ) -> bool:
        """Take the key for an exchange whose `opened` entry is durable, if nobody holds it, or
        if the exchange `after` still does. MUST be durable on return; False when not taken."""

    async def note_media(self, exchange_id: str, media: str) -> None:
        """Note the content type of an answer that is no JSON. MUST be durable on return."""

    async def released(self, exchange_id: str) -> bytes | None:
        """The answer that was released, from the ledger's encrypted parts, its events one on a
        line; None when there is none to be had any more."""


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
