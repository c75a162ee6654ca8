"""Laws 1, 3 and 4: whatever breaks, wherever and whenever, an exchange ends once.

The matrix: each fault, at each moment of an exchange, between any two stages.
"""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Any

import pytest

from gateway.adapters.memory_cache import MemoryCache
from gateway.adapters.rate_limits import LocalRateLimits
from gateway.core.answer import Event, Events
from gateway.core.errors import Code, Denied, Filtered, Unavailable, UpstreamError
from gateway.core.exchange import Exchange, Outcome
from gateway.core.money import Price
from gateway.core.pipeline import Proceed, pipeline
from gateway.core.policy import Decision, Question
from gateway.core.ports import Model
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind
from gateway.stages.account import KeepAccount
from gateway.stages.authenticate import Authenticate
from gateway.stages.cache import UseCache
from gateway.stages.decide import Decide
from gateway.stages.discharge import Discharge
from gateway.stages.inspect import Inspect
from gateway.stages.route import Route
from tests.exchanges import allowing, chat_request, exchange_of, spoken, whole
from tests.fakes.journal import FakeBudget, FakeJournal
from tests.fakes.keys import FakeKeys

LIMIT = 10_000_000
USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
FAULTS: dict[str, Exception | str] = {
    "denied": Denied(Code.CONTENT_FILTER, "x"),
    "unavailable": Unavailable(Code.POLICY_UNAVAILABLE, "x"),
    "filtered": Filtered(Code.CONTENT_FILTER, "x"),
    "upstream": UpstreamError(Code.UPSTREAM_ERROR, "x"),
    "bug": RuntimeError("x"),
    "hang up": "cancel",
}
MOMENTS = ("request", "head", "first event", "later event", "after the end")
PLACES = range(8)


class Faulty:
    """A stage that fails at one moment of an exchange."""

    def __init__(self, fault: Exception | str, moment: str) -> None:
        self._fault = fault
        self._moment = moment
        self.reached = asyncio.Event()

    async def _fail(self) -> None:
        self.reached.set()
        if isinstance(self._fault, Exception):
            raise self._fault
        await asyncio.Event().wait()

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        if self._moment == "request":
            await self._fail()
        events = await proceed(exchange)
        if self._moment == "head":
            await self._fail()
        return self._out(events)

    async def _out(self, events: Events) -> Events:
        count = 0
        async for event in events:
            count += 1
            if self._moment == "first event" and count == 1:
                await self._fail()
            if self._moment == "later event" and count == 2:
                await self._fail()
            yield event
        if self._moment == "after the end" or self._moment == "later event":
            await self._fail()


class OnePolicy:
    """Allows everything."""

    revision = "sha256:1"

    async def decide(self, question: Question) -> Decision:
        return Decision("dec_1", self.revision, allowing())


class OneModel:
    def find(self, model: str) -> Model | None:
        return Model(model, "fake", model, price=Price(1_000_000, 2_000_000, "test"))

    def models(self) -> list[Model]:
        return []


def house(journal: FakeJournal, called: list[str], answer: list[Event], faulty: Faulty, place: int
          ) -> Proceed:  # fmt: skip
    """All seven stages, a faulty one among them, and an upstream that notes its calls."""

    async def upstream(exchange: Exchange) -> Events:
        assert exchange.knows("decision"), "called without a decision"
        assert Kind.ATTEMPT in journal.kinds(exchange.id), "called before it was on record"
        called.append(exchange.id)

        async def said() -> Events:
            for event in answer:
                yield event

        return said()

    key = Principal("acme", "team", "app", "k", budget_id="b")
    stages: list[Any] = [
        Authenticate(FakeKeys({"key": key}), LocalRateLimits()),
        KeepAccount(journal),
        Inspect([]),
        Decide(OnePolicy(), OneModel(), journal),
        Discharge({}),
        UseCache(MemoryCache()),
        Route(attempts=1),
    ]
    stages.insert(place, faulty)
    return pipeline(stages, upstream)


def answer_of(streamed: bool) -> list[Event]:
    if streamed:
        last = Event({"id": "c", "choices": [], "usage": USAGE})
        return [*spoken(["hel", "lo"]), last]
    event = whole("hello")
    event.data["usage"] = USAGE
    return [event]


async def run(
    go: Proceed, exchange: Exchange, faulty: Faulty, received: list[Event]
) -> BaseException | None:
    """Run the exchange as the web edge does; hang up where the fault says so."""

    async def visit() -> None:
        async with exchange:
            async for event in await go(exchange):
                received.append(event)

    task = asyncio.ensure_future(visit())
    waiting = asyncio.ensure_future(faulty.reached.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not task.done() and faulty._fault == "cancel":
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait([task])
    return task.exception() if not task.cancelled() else asyncio.CancelledError()


@pytest.mark.parametrize("streamed", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("name", "place"), list(product(FAULTS, PLACES)))
async def test_it_ends_once_and_settles_once(
    name: str, place: int, moment: str, streamed: bool
) -> None:
    journal = FakeJournal.with_limits({"b": LIMIT})
    called: list[str] = []
    received: list[Event] = []
    faulty = Faulty(FAULTS[name], moment)
    exchange = exchange_of(chat_request("hi", stream=streamed, max_tokens=10))
    go = house(journal, called, answer_of(streamed), faulty, place)
    error = await run(go, exchange, faulty, received)

    kinds = journal.kinds()
    opened = kinds.count(Kind.OPENED)
    assert opened == kinds.count(Kind.CLOSED) <= 1
    assert kinds.count(Kind.ATTEMPT) == len(called) or (moment == "request" and place > 6)
    assert exchange.outcome is not None
    budget = journal.budgets["b"]
    assert budget.reserved == 0, "a hold was left behind"
    if not called and moment == "request" and place <= 6:
        assert budget.settled == 0
    if called and opened:
        assert budget.settled > 0, "what was said is paid for, shown or not"
    if opened:
        assert kinds[-1] is Kind.CLOSED
        facts = journal.entries()[-1].facts
        # The ending is on record before it is released; a fault outside of the account's half
        # comes after a completed record, which stays what it is.
        assert facts["outcome"] in {str(exchange.outcome), "completed"}
        if facts["outcome"] == "completed":
            assert error is None or place <= 1
        else:
            assert facts["outcome"] == str(expected(name))
    if not (error is None or place <= 1):
        assert not any(ends(event) for event in received)


def recorded(entry: Entry) -> bytes:
    """What an entry says was released; stored once where no rule changed the answer."""
    same = entry.facts.get("answer_released") == "same as answer_received"
    return entry.parts.get("answer_received" if same else "answer_released", b"")


def expected(name: str) -> Outcome:
    return {
        "denied": Outcome.DENIED,
        "filtered": Outcome.FILTERED,
        "hang up": Outcome.CANCELLED,
    }.get(name, Outcome.FAILED)


def ends(event: Event) -> bool:
    return any(choice.get("finish_reason") for choice in event.data["choices"])


class FailingJournal(FakeJournal):
    """A journal whose n-th write, and every later one, fails."""

    left: int
    error: Unavailable

    @classmethod
    def failing_at(cls, write: int, error: Unavailable) -> FailingJournal:
        journal = cls(budgets={"b": FakeBudget(LIMIT)})
        journal.left, journal.error = write - 1, error
        return journal

    @property
    def gate(self) -> None:  # type: ignore[override]
        """Asked before each write."""
        if self.left <= 0:
            raise self.error
        self.left -= 1

    @gate.setter
    def gate(self, value: object) -> None: ...


@pytest.mark.parametrize("streamed", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("fails_at", [1, 2, 3])
async def test_nothing_is_released_when_the_ledger_fails(streamed: bool, fails_at: int) -> None:
    """The n-th write fails: what the caller has is on record, and no more."""
    down = Unavailable(Code.AUDIT_UNAVAILABLE, "x")
    journal = FailingJournal.failing_at(fails_at, down)
    received: list[Event] = []
    called: list[str] = []
    faulty = Faulty("never", "never")
    exchange = exchange_of(chat_request("hi", stream=streamed, max_tokens=10))
    go = house(journal, called, answer_of(streamed), faulty, 7)
    error = await run(go, exchange, faulty, received)
    segments = [e for e in journal.entries() if e.kind in (Kind.SEGMENT, Kind.CLOSED)]
    released = b"\n".join(recorded(entry) for entry in segments)
    for event in received:
        assert event.encode() in released
    if Kind.CLOSED not in journal.kinds():
        assert error is down
        assert not any(ends(event) for event in received)
    if fails_at == 1:
        assert not called
