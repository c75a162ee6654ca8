"""One governed exchange: a request, what was decided about it, and how it ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, overload

from gateway.core.errors import Denied, Filtered, GatewayError
from gateway.core.findings import Finding
from gateway.core.ids import new_id
from gateway.core.money import Usage
from gateway.core.passages import Slot
from gateway.core.policy import Decision, Question
from gateway.core.principal import Principal
from gateway.core.values import Value

if TYPE_CHECKING:
    from gateway.core.account import Account
    from gateway.core.calls import JudgedCall
    from gateway.core.declined import Declined, RespondWith
    from gateway.core.dialect import Dialect
    from gateway.core.ports import Model

T = TypeVar("T")


class Outcome(StrEnum):
    """How an exchange ended. `lost` is written only by recovery."""

    COMPLETED = "completed"
    DENIED = "denied"
    FILTERED = "filtered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Call:
    """What came with the request besides its body. Attribution, never authority."""

    credential: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    """The caller's `x-govgate-*` and `traceparent` headers, lower case."""
    content_type: str = "application/json"
    """Of the body."""
    model: str | None = None
    """The model, where the path names it (Azure's deployments)."""
    idempotency_key: str | None = None
    """What the caller calls this request, so that a repeat of it is known as one."""
    principal: Principal | None = None
    """Whose it is, where that was found out before: of work that was handed in earlier."""
    kept_elsewhere: bool = False
    """Whether whoever runs it keeps the answer, so that no stage has to."""
    forwarded: Mapping[str, str] = field(default_factory=dict)
    """The headers that the dialect has a provider of the same API see."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the policy says of one target; `refusal` is why it may not be used, if it may not."""

    decision: Decision
    refusal: GatewayError | None = None


Judge: TypeAlias = Callable[["Model"], Awaitable[Judgement]]


class Once(Generic[T]):
    """A field that one stage writes, once, for later stages to read.

    Reading too early raises `LookupError`; writing twice raises `AttributeError`.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, exchange: None, owner: type) -> Once[T]: ...
    @overload
    def __get__(self, exchange: Exchange, owner: type) -> T: ...
    def __get__(self, exchange: Exchange | None, owner: type) -> Once[T] | T:
        if exchange is None:
            return self
        if self.name not in exchange.known:
            raise LookupError(f"no stage has set {self.name} yet")
        value: T = exchange.known[self.name]
        return value

    def __set__(self, exchange: Exchange, value: T) -> None:
        if self.name in exchange.known:
            raise AttributeError(f"{self.name} is set once")
        exchange.known[self.name] = value


class Timed:
    """Adds the nanoseconds that its block takes to an entry of `timings`."""

    __slots__ = ("_concern", "_start", "_timings")

    def __init__(self, timings: dict[str, int], concern: str) -> None:
        self._timings = timings
        self._concern = concern

    def __enter__(self) -> None:
        self._start = time.perf_counter_ns()

    def __exit__(self, *_: object) -> None:
        spent = time.perf_counter_ns() - self._start
        self._timings[self._concern] = self._timings.get(self._concern, 0) + spent


class Exchange:
    """One request and its answer, governed.

    An async context manager: leaving it runs what stages deferred, newest first, shielded
    from cancellation, whatever happened.
    """

    principal: Once[Principal] = Once()
    """Whose it is. Written by `authenticate`."""
    received: Once[bytes] = Once()
    """The body as it came. Written by `authenticate`, after the key was found good."""
    request: Once[dict[str, Any]] = Once()
    """The parsed body. Written by `authenticate`; obligations edit it in place."""
    slots: Once[Sequence[Slot]] = Once()
    """Every text of the request. Written by `inspect`; valid until a duty moves text about."""
    account: Once[Account] = Once()
    """Its money and its place in the ledger. Written by `account`."""
    model: Once[Model] = Once()
    """The target that is asked. Written by `decide`; `turn_to` goes on with another."""
    judge: Once[Judge] = Once()
    """Asks the policy about another target of the same name. Written by `decide`."""
    question: Once[Question] = Once()
    """What the policy was asked. Written by `decide`."""
    decision: Once[Decision] = Once()
    """What the policy says. Written by `decide`."""

    def __init__(
        self, dialect: Dialect, read: Callable[[], Awaitable[bytes]], call: Call | None = None
    ) -> None:
        self.id = new_id("exc")
        self.dialect = dialect
        self.read = read
        self.call = call or Call()
        self.started = datetime.now(UTC)
        self.known: dict[str, Any] = {}
        self.findings: list[Finding] = []
        self.values: dict[Value, None] = {}
        """The personal values that were found, each once: in the request, then in the answer."""
        self.unavailable: list[str] = []
        """Names of the inspectors that could not be asked."""
        self.labels: list[str] = []
        self.targets: list[Model] = []
        """Whom to ask, best first. Written by `decide`; a duty may narrow it."""
        self.keep_seconds: float | None = None
        """How long the answer may be served again; None when no rule allows it."""
        self.respond_with: RespondWith | None = None
        """How the caller is told no; None for an error. Written by the duty of that name."""
        self.declined: Declined | None = None
        """The refusal that is told as an answer. Written by `decline`."""
        self.heard: list[bytes] = []
        """The answer's events as the provider sent them."""
        self.calls: list[JudgedCall] = []
        """The tools that the answer called, as far as the policy was asked of them."""
        self.failures: list[bytes] = []
        """What providers said when they refused or broke, each as JSON: `status`, `error`."""
        self.stopped_by: str | None = None
        """The stop that refused it or broke it off, as `stop:` and its id."""
        self.usage: Usage | None = None
        self.outcome: Outcome | None = None
        self.headers: dict[str, str] = {}
        """Response headers that stages add, lower case."""
        self.timings: dict[str, int] = {}
        """Nanoseconds spent, by concern."""
        self._began = time.perf_counter_ns()
        self._deferred: list[Callable[[], Awaitable[None]]] = []

    def knows(self, field: str) -> bool:
        """Whether a stage has written `field` yet."""
        return field in self.known

    @property
    def streamed(self) -> bool:
        """Whether the caller asked for a stream; False before the request is read."""
        return self.knows("request") and self.dialect.streams(self.request)

    @property
    def elapsed(self) -> int:
        """Nanoseconds since the exchange began."""
        return time.perf_counter_ns() - self._began

    def turn_to(self, target: Model) -> None:
        """Ask `target` from now on, which serves the same name."""
        self.known["model"] = target

    def replaced(self, slot: Slot) -> None:
        """Say that another text stands at `slot` now: what was found in the one before is not
        there any more, for a duty to act on."""
        self.known["slots"] = [
            each for each in self.slots if each.holder is not slot.holder or each.key != slot.key
        ]

    def found(self, findings: Sequence[Finding]) -> None:
        """Add what an inspector reports."""
        self.findings.extend(findings)

    def mention(self, values: Iterable[Value]) -> None:
        """Add values that stand in the request or the answer, to be cut out of the record."""
        self.values.update(dict.fromkeys(values))

    def timed(self, concern: str) -> Timed:
        """A context that adds its time to `timings[concern]`."""
        return Timed(self.timings, concern)

    def defer(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work` when the exchange is over: settle, close, hang up."""
        self._deferred.append(work)

    async def __aenter__(self) -> Exchange:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self.outcome is None:
            self.outcome = outcome_of(error)
        if self._deferred:
            await shielded(self._end())

    async def _end(self) -> None:
        faults: list[Exception] = []
        while self._deferred:
            try:
                await self._deferred.pop()()
            except Exception as fault:  # noqa: BLE001 - the rest must still run; raised below
                faults.append(fault)
        if len(faults) == 1:
            raise faults[0]
        if faults:
            raise ExceptionGroup("the exchange did not end cleanly", faults)


async def shielded(work: Awaitable[None]) -> None:
    """Await `work` to its end; a cancellation meanwhile is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:  # noqa: BLE001 - raised by `result` below
            break
    task.result()
    if cancelled is not None:
        raise cancelled


def outcome_of(error: BaseException | None) -> Outcome:
    """The outcome of an exchange that was left by `error`, or by nothing."""
    match error:
        case None:
            return Outcome.COMPLETED
        case Denied():
            return Outcome.DENIED
        case Filtered():
            return Outcome.FILTERED
        case Exception():
            return Outcome.FAILED
        case _:
            return Outcome.CANCELLED
