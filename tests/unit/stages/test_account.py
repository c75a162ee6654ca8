"""Nothing is released before it is on record; what is opened is settled and closed once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.core.answer import Event, Events
from gateway.core.errors import Code, Denied, Filtered, OverBudget, Unavailable, UpstreamError
from gateway.core.exchange import Call, Exchange, Outcome
from gateway.core.money import Money, Price, Usage
from gateway.core.pipeline import Proceed
from gateway.core.records import Entry, Kind, canonical, leaf_hash
from gateway.stages.account import KeepAccount
from tests.exchanges import CHAT, MODEL, SOMEBODY, chat_request, chunk, spoken
from tests.exchanges import whole as whole_of
from tests.fakes.journal import FakeBudget, FakeJournal

PRICE = Price(1_000_000, 2_000_000, "v1")  # a micro-dollar for a token read, two for one said
HELD = Money(1_000)
USAGE = Event({"id": "c", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}})
LIMIT = 1_000_000


def coming(*, stream: bool = False, budget: str | None = "b") -> Exchange:
    """An exchange that was authenticated."""
    body = orjson.dumps(chat_request("hi", stream=stream))

    async def read() -> bytes:
        return body

    exchange = Exchange(CHAT, read, Call("key", {"x-govgate-user": "u1"}))
    exchange.received = body
    exchange.request = orjson.loads(body)
    exchange.principal = replace(SOMEBODY, budget_id=budget)
    return exchange


def answering(
    events: Sequence[Event],
    *,
    usage: Usage | None = None,
    error: Exception | None = None,
    price: Price | None = PRICE,
) -> Proceed:
    """What lies behind the stage: an attempt is opened, then `events` are said."""

    async def upstream(exchange: Exchange) -> Events:
        exchange.model = replace(MODEL, price=price)
        await exchange.account.attempt(b'{"sent":1}', HELD)
        exchange.usage = usage
        return said(exchange)

    async def said(exchange: Exchange) -> Events:
        for event in events:
            exchange.heard.append(event.encode())
            yield event
        if error is not None:
            raise error

    return upstream


class Visit:
    """A caller of the stage who reads the answer; what it has so far stands in `received`."""

    def __init__(self, journal: FakeJournal, exchange: Exchange, upstream: Proceed) -> None:
        self.exchange = exchange
        self.received: list[Event] = []
        self._task = asyncio.create_task(self._visit(journal, upstream))

    async def _visit(self, journal: FakeJournal, upstream: Proceed) -> None:
        async with self.exchange:
            async for event in await KeepAccount(journal)(self.exchange, upstream):
                self.received.append(event)

    async def settle(self) -> None:
        """Let everything happen that can without more coming in."""
        for _ in range(200):
            await asyncio.sleep(0)

    def hang_up(self) -> None:
        self._task.cancel()

    async def over(self) -> BaseException | None:
        """What the visit ended in."""
        await asyncio.wait([self._task])
        return asyncio.CancelledError() if self._task.cancelled() else self._task.exception()


async def visited(journal: FakeJournal, exchange: Exchange, upstream: Proceed) -> Visit:
    visit = Visit(journal, exchange, upstream)
    error = await visit.over()
    if error is not None:
        raise error
    return visit


def budgeted() -> FakeJournal:
    return FakeJournal.with_limits({"b": LIMIT})


def closed(journal: FakeJournal) -> Entry:
    [entry] = [entry for entry in journal.entries() if entry.kind is Kind.CLOSED]
    assert journal.entries()[-1] is entry
    return entry


def released(journal: FakeJournal) -> bytes:
    """What the record says was released, in order."""
    parts = []
    for entry in journal.entries():
        same = entry.facts.get("answer_released") == "same as answer_received"
        part = entry.parts.get("answer_received" if same else "answer_released")
        parts += [part] if part is not None else []
    return b"\n".join(parts)


def encoded(events: Sequence[Event]) -> bytes:
    return b"\n".join(event.encode() for event in events)


class TestDurableFirst:
    async def test_a_whole_answer_waits_for_the_end_of_its_record(self) -> None:
        journal = budgeted()
        upstream = answering([whole_of("hello")])
        visit = Visit(journal, coming(), upstream)
        journal.gate = asyncio.Event()
        await visit.settle()
        assert visit.received == []
        journal.gate.set()
        assert await visit.over() is None
        assert len(visit.received) == 1
        assert journal.kinds() == [Kind.OPENED, Kind.ATTEMPT, Kind.CLOSED]

    async def test_events_of_a_stream_wait_for_their_segment(self) -> None:
        journal = budgeted()
        more = asyncio.Event()
        said = spoken(["one", "two"])
        visit = Visit(journal, coming(stream=True), in_two(said[:2], more, said[2:]))
        await visit.settle()
        assert encoded(visit.received) == encoded(said[:2]) == released(journal)
        journal.gate = asyncio.Event()
        more.set()
        await visit.settle()
        assert encoded(visit.received) == encoded(said[:2])  # the rest is not durable yet
        journal.gate.set()
        assert await visit.over() is None
        assert encoded(visit.received) == encoded(said) == released(journal)

    @pytest.mark.parametrize("ending", [chunk(0, {}, "stop"), USAGE, whole_of("x")],
                             ids=["a finish reason", "usage", "a whole answer"])  # fmt: skip
    async def test_an_ending_waits_for_more_and_then_for_the_record(self, ending: Event) -> None:
        journal = budgeted()
        more = asyncio.Event()
        visit = Visit(journal, coming(stream=True), in_two([chunk(0, {"content": "a"}), ending],
                                                           more, []))  # fmt: skip
        await visit.settle()
        assert len(visit.received) == 1
        assert Kind.CLOSED not in journal.kinds()
        more.set()
        assert await visit.over() is None
        assert visit.received[-1].data == ending.data
        assert closed(journal).facts["outcome"] == "completed"

    async def test_an_ending_that_was_none_is_released_with_what_follows(self) -> None:
        journal = budgeted()
        said = [chunk(0, {}, "stop"), chunk(1, {"content": "b"}), chunk(1, {}, "stop")]
        visit = await visited(journal, coming(stream=True), answering(said))
        assert encoded(visit.received) == encoded(said) == released(journal)

    async def test_when_the_ledger_fails_at_the_end_the_ending_is_kept_back(self) -> None:
        journal = budgeted()
        more = asyncio.Event()
        said = spoken(["one"])
        visit = Visit(journal, coming(stream=True), in_two(said[:2], more, said[2:]))
        await visit.settle()
        journal.failing = Unavailable(Code.AUDIT_UNAVAILABLE, "x")
        more.set()
        assert await visit.over() is journal.failing
        assert encoded(visit.received) == encoded(said[:2])

    async def test_what_arrives_during_a_commit_shares_the_next(self) -> None:
        journal = budgeted()
        said = spoken([f"w{n}" for n in range(50)])
        more = asyncio.Event()
        visit = Visit(journal, coming(stream=True), in_two(said[:1], more, said[1:]))
        await visit.settle()
        assert journal.commits == 2  # the attempt with what was opened, and the first event
        more.set()
        assert await visit.over() is None
        assert journal.commits <= 4
        assert encoded(visit.received) == encoded(said) == released(journal)

    async def test_no_more_than_so_many_events_are_read_ahead(self) -> None:
        journal = budgeted()
        taken = 0

        async def upstream(exchange: Exchange) -> Events:
            exchange.model = MODEL
            await exchange.account.attempt(b"", HELD)
            journal.gate = asyncio.Event()
            return plenty()

        async def plenty() -> Events:
            nonlocal taken
            while taken < 20_000:
                taken += 1
                yield chunk(0, {"content": "x"})

        visit = Visit(journal, coming(stream=True), upstream)
        await visit.settle()
        assert taken <= 2 * 1_024
        assert visit.received == []
        visit.hang_up()
        assert journal.gate is not None
        journal.gate.set()
        await visit.over()
        assert taken <= 4 * 1_024


def in_two(first: Sequence[Event], more: asyncio.Event, rest: Sequence[Event]) -> Proceed:
    """An upstream that says `first`, and `rest` once there is `more`."""

    async def upstream(exchange: Exchange) -> Events:
        exchange.model = replace(MODEL, price=PRICE)
        await exchange.account.attempt(b'{"sent":1}', HELD)
        return said()

    async def said() -> Events:
        for event in first:
            yield event
        await more.wait()
        for event in rest:
            yield event

    return upstream


class TestHowItEnds:
    async def test_a_cancelled_stream_records_what_was_committed(self) -> None:
        journal = budgeted()
        visit = Visit(journal, coming(stream=True),
                      in_two(spoken(["one"])[:2], asyncio.Event(), []))  # fmt: skip
        await visit.settle()
        visit.hang_up()
        assert isinstance(await visit.over(), asyncio.CancelledError)
        facts = closed(journal).facts
        assert (facts["outcome"], facts["code"], facts["segments"]) == ("cancelled", None, 1)
        assert "answer_released" not in closed(journal).parts
        assert released(journal) == encoded(visit.received)
        assert journal.budgets["b"].reserved == 0
        assert journal.budgets["b"].settled == HELD  # it may have used all that was held

    @pytest.mark.parametrize(
        ("error", "outcome", "code"),
        [
            (Filtered(Code.CONTENT_FILTER, "x"), "filtered", "content_filter"),
            (UpstreamError(Code.UPSTREAM_TIMEOUT, "x"), "failed", "upstream_timeout"),
            (RuntimeError("x"), "failed", "internal_error"),
        ],
        ids=lambda value: type(value).__name__,
    )
    @pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
    async def test_a_broken_answer(
        self, error: Exception, outcome: str, code: str, stream: bool
    ) -> None:
        journal = budgeted()
        said = [*spoken(["one"])[:2], USAGE] if stream else [whole_of("x")]
        visit = Visit(journal, coming(stream=stream), answering(said, error=error))
        assert await visit.over() is error
        facts = closed(journal).facts
        assert (facts["outcome"], facts["code"]) == (outcome, code)
        assert encoded(visit.received) == released(journal)
        assert not any(event.whole for event in visit.received)
        assert closed(journal).parts["answer_received"] == encoded(said)

    @pytest.mark.parametrize(
        ("error", "outcome"),
        [(Denied(Code.CONTENT_FILTER, "x"), "denied"), (OverBudget(0, "x"), "denied"),
         (Unavailable(Code.POLICY_ERROR, "x"), "failed"), (RuntimeError("x"), "failed")],
        ids=lambda value: type(value).__name__,
    )  # fmt: skip
    async def test_a_refusal_is_on_record_before_it_is_raised(
        self, error: Exception, outcome: str
    ) -> None:
        async def refusing(exchange: Exchange) -> Events:
            raise error

        journal = budgeted()
        visit = Visit(journal, coming(), refusing)
        assert await visit.over() is error
        assert journal.kinds() == [Kind.OPENED, Kind.CLOSED]
        assert journal.commits == 1
        facts = closed(journal).facts
        assert (facts["outcome"], facts["attempts"], facts["cost_micro_usd"]) == (outcome, 0, 0)
        assert facts["code"] == getattr(error, "code", "internal_error")

    async def test_nothing_passes_when_nothing_can_be_recorded(self) -> None:
        journal = budgeted()
        journal.failing = Unavailable(Code.AUDIT_UNAVAILABLE, "x")
        visit = Visit(journal, coming(), answering([whole_of("x")]))
        assert await visit.over() is journal.failing
        assert visit.received == []
        assert journal.entries() == []

    async def test_an_answer_of_no_events_is_an_answer(self) -> None:
        journal = budgeted()
        visit = await visited(journal, coming(stream=True), answering([]))
        assert visit.received == []
        assert visit.exchange.outcome is Outcome.COMPLETED
        assert "answer_released" not in closed(journal).parts


class TestWhatItCosts:
    @pytest.mark.parametrize(
        ("usage", "price", "cost", "exact"),
        [
            (Usage(3, 5, exact=True), PRICE, 13, True),
            (Usage(0, 0, exact=True), PRICE, 0, True),
            (Usage(3, 5, exact=False), PRICE, HELD, False),
            (None, PRICE, HELD, False),
            (Usage(3, 5, exact=True), None, HELD, False),
        ],
        ids=["as reported", "nothing used", "an upper bound", "not reported", "no price"],
    )
    async def test_exactly_where_that_is_known_else_the_most(
        self, usage: Usage | None, price: Price | None, cost: int, exact: bool
    ) -> None:
        journal = budgeted()
        await visited(journal, coming(), answering([whole_of("x")], usage=usage, price=price))
        facts = closed(journal).facts
        assert (facts["cost_micro_usd"], facts["cost_exact"]) == (cost, exact)
        assert journal.budgets["b"] == FakeBudget(LIMIT, reserved=0, settled=cost)

    async def test_several_attempts_hold_together(self) -> None:
        async def upstream(exchange: Exchange) -> Events:
            exchange.model = replace(MODEL, price=PRICE)
            await exchange.account.attempt(b"1", HELD)
            await exchange.account.attempt(b"2", Money(500))
            return said()

        async def said() -> Events:
            yield whole_of("x")

        journal = budgeted()
        await visited(journal, coming(), upstream)
        attempts = [entry.facts for entry in journal.entries() if entry.kind is Kind.ATTEMPT]
        assert [facts["attempt"] for facts in attempts] == [1, 2]
        assert closed(journal).facts["attempts"] == 2
        assert journal.budgets["b"].settled == HELD + 500

    async def test_what_does_not_fit_is_neither_held_nor_counted(self) -> None:
        journal = FakeJournal.with_limits({"b": 10})
        visit = Visit(journal, coming(), answering([whole_of("x")]))
        assert isinstance(await visit.over(), OverBudget)
        assert journal.kinds() == [Kind.OPENED, Kind.CLOSED]
        assert closed(journal).facts["attempts"] == 0
        assert journal.budgets["b"] == FakeBudget(10)


class TestHeaders:
    async def test_a_whole_answer_tells_its_last_leaf_and_its_cost(self) -> None:
        journal = budgeted()
        upstream = answering([whole_of("x")], usage=Usage(3, 5, exact=True))
        visit = await visited(journal, coming(), upstream)
        assert visit.exchange.headers["x-govgate-leaf"] == journal.written[-1].receipt.leaf.hex()
        assert visit.exchange.headers["x-govgate-cost-usd"] == "0.000013"

    async def test_a_stream_tells_the_leaf_of_what_was_opened(self) -> None:
        journal = budgeted()
        visit = await visited(journal, coming(stream=True), answering(spoken(["x"])))
        assert visit.exchange.headers["x-govgate-leaf"] == journal.written[0].receipt.leaf.hex()
        assert "x-govgate-cost-usd" not in visit.exchange.headers

    async def test_what_has_no_price_has_no_cost_to_tell(self) -> None:
        visit = await visited(budgeted(), coming(), answering([whole_of("x")], price=None))
        assert "x-govgate-cost-usd" not in visit.exchange.headers

    async def test_an_answer_that_called_nobody_costs_nothing(self) -> None:
        async def cached(exchange: Exchange) -> Events:
            exchange.model = replace(MODEL, price=None)
            return said()

        async def said() -> Events:
            yield whole_of("x")

        visit = await visited(budgeted(), coming(), cached)
        assert visit.exchange.headers["x-govgate-cost-usd"] == "0.00"


class TestWhatIsWritten:
    async def test_the_request_as_it_came_and_who_asked(self) -> None:
        journal = budgeted()
        exchange = coming(stream=True)
        await visited(journal, exchange, answering(spoken(["x"])))
        opened = journal.entries()[0]
        assert opened.parts["request_received"] == exchange.received
        assert orjson.loads(opened.parts["attributes"]) == {"x-govgate-user": "u1"}
        assert "forwarded" not in opened.parts
        facts: dict[str, Any] = dict(opened.facts)
        assert facts.pop("started").startswith(exchange.started.isoformat()[:19])
        assert facts == {"action": "chat.completions.create", "model": "m", "stream": True}

    async def test_the_headers_that_go_to_the_provider(self) -> None:
        journal, exchange = budgeted(), coming()
        exchange.call = replace(exchange.call, forwarded={"anthropic-beta": "a-1"})
        await visited(journal, exchange, answering([whole_of("x")]))
        opened = journal.entries()[0]
        assert orjson.loads(opened.parts["forwarded"]) == {"anthropic-beta": "a-1"}
        assert "a-1" not in str(opened.facts)

    async def test_no_text_stands_in_a_header(self) -> None:
        journal = budgeted()
        exchange = coming()
        exchange.request["messages"][0]["content"] = "canary-in"
        await visited(journal, exchange, answering([whole_of("canary-out")]))
        for entry in journal.entries():
            header = canonical(dict(entry.facts))
            assert b"canary" not in header
            assert len(leaf_hash(header)) == 32

    @pytest.mark.parametrize("model", ["ann.lee@example.org", "tell me of canaries"])
    async def test_what_is_no_name_of_a_model_stands_in_no_header(self, model: str) -> None:
        journal = budgeted()
        exchange = coming()
        exchange.request["model"] = model
        await visited(journal, exchange, answering([whole_of("x")]))
        assert journal.entries()[0].facts["model"] is None
        assert not [each for each in journal.entries() if model in str(dict(each.facts))]
